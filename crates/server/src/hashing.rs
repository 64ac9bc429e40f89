//! Password hashing on threads of its own, with a bounded queue.
//!
//! Each check takes 19 MiB and some 20 ms by default. So at most as many run as there are cores, a bounded number
//! waits, and whoever comes after that is told to come back: a flood of sign-ins costs neither memory nor the
//! threads that serve everybody else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;
use propusk_core::env::SystemRandom;
use propusk_core::password::{Checked, HasherError, Password, PasswordHasher};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&PasswordHasher) + Send>;

/// Threads that hash.
pub(crate) struct HashingPool {
    jobs: SyncSender<Job>,
}

/// Why nothing was hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    /// The queue is full.
    #[error("too many sign-ins are waiting")]
    Busy,
    /// argon2 failed or the process is ending.
    #[error("hashing failed: {0}")]
    Failed(String),
}

impl HashingPool {
    /// As many threads as cores, and `queue` places to wait.
    pub(crate) fn start(hasher: PasswordHasher, queue: usize) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let hasher = Arc::new(hasher);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for n in 0..threads {
            let (waiting, hasher) = (Arc::clone(&waiting), Arc::clone(&hasher));
            std::thread::Builder::new().name(format!("argon2-{n}")).spawn(move || work(&waiting, &hasher))?;
        }
        Ok(Self { jobs })
    }

    /// A new hash of `password`.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, HashingError> {
        self.run(move |hasher| hasher.hash(&password, &SystemRandom))
            .await?
            .map_err(|error: HasherError| HashingError::Failed(error.to_string()))
    }

    /// Whether `password` is the one behind `hash`, and a new hash if that one is not as we make them today; with `None`
    /// the same work for nobody.
    pub(crate) async fn check(&self, password: Arc<Password>, hash: Option<String>) -> Result<Checked, HashingError> {
        self.run(move |hasher| hasher.check_and_renew(&password, hash.as_deref(), &SystemRandom)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&PasswordHasher) -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |hasher| {
            // Nobody waits any more when the client has hung up: then the work is not worth doing.
            if !answer.is_closed() {
                let _ = answer.send(job(hasher));
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HashingError::Busy,
            TrySendError::Disconnected(_) => HashingError::Failed("the hashing threads have ended".to_owned()),
        })?;
        answered.await.map_err(|_| HashingError::Failed("a hashing thread has ended".to_owned()))
    }
}

fn work(waiting: &Mutex<Receiver<Job>>, hasher: &PasswordHasher) {
    while let Some(job) = next(waiting) {
        job(hasher);
    }
}

/// The next job; `None` if there will be none. Who has to wait for it keeps no memory meanwhile.
fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    let at_once = waiting.try_lock().and_then(|waiting| waiting.try_recv().ok());
    at_once.or_else(|| {
        PasswordHasher::free_memory();
        waiting.lock().recv().ok()
    })
}

#[cfg(test)]
mod tests {
    use propusk_core::settings::Argon2Settings;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_said_at_once() {
        let hasher = PasswordHasher::new(Argon2Settings { m_kib: 8, t: 1, p: 1 }, &SystemRandom).unwrap();
        let pool = HashingPool::start(hasher, 1).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let started = Arc::new(std::sync::Barrier::new(threads + 1));
        let stuck: Vec<_> = (0..threads)
            .map(|_| {
                let (started, held) = (Arc::clone(&started), Arc::clone(&held));
                pool.jobs.send(Box::new(move |_: &PasswordHasher| {
                    started.wait();
                    let _ = held.lock().recv();
                }))
            })
            .collect();
        assert!(stuck.iter().all(Result::is_ok));
        started.wait();
        pool.jobs.try_send(Box::new(|_: &PasswordHasher| {})).expect("one may wait");
        let password = Arc::new(Password::to_check("anything").unwrap());
        assert!(matches!(pool.check(password, None).await, Err(HashingError::Busy)));
        drop(release);
        let hash = loop {
            match pool.hash(Password::to_check("a password").unwrap()).await {
                Ok(hash) => break hash,
                Err(HashingError::Busy) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let password = Arc::new(Password::to_check("a password").unwrap());
        assert!(pool.check(password, Some(hash)).await.unwrap().is_right);
    }
}
