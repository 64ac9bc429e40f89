//! Guessing is slowed down before it costs anything: a throttled attempt is answered without a look at the store and
//! without a password hashed. What is counted, and who waits for how long, is [`propusk_core::throttle`]'s business.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use propusk_core::env::SystemRandom;
use propusk_core::throttle::{self, Admission, Admitted, Guess, Kind, Outcome};
use propusk_verify::clock::{Clock as _, SystemClock};
use tokio::sync::{Notify, Semaphore};

use crate::error::Problem;

/// So many attempts wait until it is known how those before them ended; to more the answer is `busy`.
const MAY_WAIT: usize = 256;
/// And so long. What runs is a password hashed, with a bounded queue before it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The authority's throttle.
pub(crate) struct Throttle {
    /// `None` if it is switched off.
    state: Option<Mutex<throttle::Throttle>>,
    /// An attempt has ended.
    ended: Notify,
    waiting: Semaphore,
    refused: Family<Refused, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    kind: &'static str,
}

/// Why an attempt was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotNow {
    /// Too many failures before; and in how many seconds it will be looked at.
    #[error("too many failed attempts")]
    Throttled(u64),
    /// Too many attempts at a time.
    #[error("too many attempts are waiting")]
    Busy,
}

impl From<NotNow> for Problem {
    fn from(error: NotNow) -> Self {
        match error {
            NotNow::Throttled(seconds) => Self::throttled(seconds),
            NotNow::Busy => Self::busy(),
        }
    }
}

impl Throttle {
    /// Without any record; `None` throttles nobody.
    pub(crate) fn new(max_delay: Option<Duration>) -> Self {
        Self {
            state: max_delay.map(|longest| Mutex::new(throttle::Throttle::new(longest, &SystemRandom))),
            ended: Notify::new(),
            waiting: Semaphore::new(MAY_WAIT),
            refused: Family::default(),
        }
    }

    /// Where the attempts that were refused are counted.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("propusk_throttled_attempts", "Attempts that were not looked at", self.refused.clone());
    }

    /// An attempt to be the person of this username.
    pub(crate) async fn person(&self, typed_username: &str, from: IpAddr) -> Result<Attempt<'_>, NotNow> {
        let Some(state) = &self.state else { return Ok(self.unthrottled()) };
        let guess = state.lock().person(typed_username, from);
        self.admit(state, Kind::Password, guess).await
    }

    /// An attempt to be the client of this id.
    pub(crate) async fn client(&self, id: &str, from: IpAddr) -> Result<Attempt<'_>, NotNow> {
        let Some(state) = &self.state else { return Ok(self.unthrottled()) };
        let guess = state.lock().client(id, from);
        self.admit(state, Kind::ClientSecret, guess).await
    }

    async fn admit(&self, state: &Mutex<throttle::Throttle>, kind: Kind, guess: Guess) -> Result<Attempt<'_>, NotNow> {
        if let Some(admitted) = self.begin(state, kind, guess)? {
            return Ok(Attempt { throttle: self, admitted: Some(admitted) });
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return Err(NotNow::Busy) };
        let until_admitted = async {
            loop {
                let mut ended = pin!(self.ended.notified());
                // From here on no end is missed.
                ended.as_mut().enable();
                if let Some(admitted) = self.begin(state, kind, guess)? {
                    return Ok(Attempt { throttle: self, admitted: Some(admitted) });
                }
                ended.await;
            }
        };
        tokio::time::timeout(PATIENCE, until_admitted).await.unwrap_or(Err(NotNow::Busy))
    }

    /// `None` if it is not known yet.
    fn begin(&self, state: &Mutex<throttle::Throttle>, kind: Kind, guess: Guess) -> Result<Option<Admitted>, NotNow> {
        match state.lock().begin(SystemClock.moment(), guess) {
            Admission::Admitted(admitted) => Ok(Some(admitted)),
            Admission::Crowded => Ok(None),
            Admission::Delayed(delay) => {
                let kind = match kind {
                    Kind::Password => "password",
                    Kind::ClientSecret => "client_secret",
                };
                self.refused.get_or_create(&Refused { kind }).inc();
                Err(NotNow::Throttled(whole_seconds(delay)))
            }
        }
    }

    fn unthrottled(&self) -> Attempt<'_> {
        Attempt { throttle: self, admitted: None }
    }
}

/// Who comes back after so many is not early.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

/// An attempt that is looked at. Dropped, it has failed: whoever hangs up before the answer has had a guess, too.
#[must_use = "dropped, it counts as a failure"]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    admitted: Option<Admitted>,
}

impl Attempt<'_> {
    /// Notes how it ended: somebody was let in, or nobody was, or nobody knows.
    pub(crate) fn note<T, E>(mut self, result: &Result<Option<T>, E>) {
        self.end(match result {
            Ok(Some(_)) => Outcome::Succeeded,
            Ok(None) => Outcome::Failed,
            Err(_) => Outcome::Withdrawn,
        });
    }

    fn end(&mut self, outcome: Outcome) {
        if let (Some(state), Some(admitted)) = (&self.throttle.state, self.admitted.take()) {
            state.lock().end(SystemClock.moment(), admitted, outcome);
            self.throttle.ended.notify_waiters();
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.end(Outcome::Failed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const RIGHT: Result<Option<()>, ()> = Ok(Some(()));
    const WRONG: Result<Option<()>, ()> = Ok(None);
    const UNKNOWN: Result<Option<()>, ()> = Err(());

    fn throttle() -> Throttle {
        Throttle::new(Some(Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn the_fifth_failure_delays_and_what_nobody_looked_at_counts_for_nothing() {
        let throttle = throttle();
        for _ in 0..20 {
            throttle.person("alice", HERE).await.unwrap().note(&UNKNOWN);
        }
        for _ in 0..4 {
            throttle.person("alice", HERE).await.unwrap().note(&WRONG);
        }
        // Who hangs up has failed.
        drop(throttle.person("alice", HERE).await.unwrap());
        assert_eq!(throttle.person("alice", HERE).await.map(drop), Err(NotNow::Throttled(1)));
        throttle.person("bob", HERE).await.unwrap().note(&RIGHT);
    }

    #[tokio::test]
    async fn any_number_of_right_passwords_at_once_are_all_let_in() {
        let throttle = throttle();
        let sign_in = || async {
            let attempt = throttle.person("alice", HERE).await?;
            tokio::task::yield_now().await;
            attempt.note(&RIGHT);
            Ok::<_, NotNow>(())
        };
        let all = join_all((0..100).map(|_| sign_in())).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }

    #[tokio::test]
    async fn of_many_guesses_at_once_only_the_free_ones_are_looked_at() {
        let throttle = throttle();
        let looked_at = std::cell::Cell::new(0);
        let guess = || async {
            let attempt = throttle.person("alice", HERE).await?;
            looked_at.set(looked_at.get() + 1);
            tokio::task::yield_now().await;
            attempt.note(&WRONG);
            Ok::<_, NotNow>(())
        };
        let all = join_all((0..200).map(|_| guess())).await;
        assert_eq!(looked_at.get(), 5);
        assert!(all.iter().filter(|answer| answer.is_err()).all(|answer| *answer == Err(NotNow::Throttled(1))));
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let throttle = throttle();
        let mut running = Vec::new();
        while let Some(Ok(attempt)) = throttle.person("alice", HERE).now_or_never() {
            running.push(attempt);
        }
        let mut waiting: Vec<_> = (0..MAY_WAIT).map(|_| Box::pin(throttle.person("alice", HERE))).collect();
        assert!(waiting.iter_mut().all(|attempt| attempt.as_mut().now_or_never().is_none()));
        assert_eq!(throttle.person("alice", HERE).await.map(drop), Err(NotNow::Busy));
    }

    #[tokio::test]
    async fn switched_off_it_throttles_nobody() {
        let throttle = Throttle::new(None);
        for _ in 0..100 {
            throttle.person("alice", HERE).await.unwrap().note(&WRONG);
        }
    }

    #[test]
    fn nobody_is_told_to_come_early() {
        let ms = |ms| whole_seconds(Duration::from_millis(ms));
        assert_eq!([ms(1), ms(1000), ms(1001)], [1, 1, 2]);
    }
}
