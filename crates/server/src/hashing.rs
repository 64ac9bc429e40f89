//! Password hashing on threads of its own, with a bounded queue.
//!
//! Each check takes 19 MiB and some 20 ms by default. So at most as many run as there are cores, a bounded number
//! waits, and whoever comes after that is told to come back: a flood of sign-ins costs neither memory nor the
//! threads that serve everybody else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;
use propusk_core::env::SystemRandom;
use propusk_core::password::{HasherError, Password, PasswordHasher};
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

    /// Whether `password` is the one behind `hash`; with `None` the same work for nobody.
    pub(crate) async fn check(&self, password: Password, hash: Option<String>) -> Result<bool, HashingError> {
        self.run(move |hasher| hasher.check(&password, hash.as_deref())).await
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
    loop {
        let job = waiting.lock().recv();
        match job {
            Ok(job) => job(hasher),
            Err(_) => return,
        }
    }
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
        let password = Password::to_check("anything").unwrap();
        assert!(matches!(pool.check(password, None).await, Err(HashingError::Busy)));
        drop(release);
        let hash = loop {
            match pool.hash(Password::to_check("a password").unwrap()).await {
                Ok(hash) => break hash,
                Err(HashingError::Busy) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        assert!(pool.check(Password::to_check("a password").unwrap(), Some(hash)).await.unwrap());
    }
}
