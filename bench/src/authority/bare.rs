//! The figures that cannot be beaten: what is left of a call if all that is ours is taken away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use aws_lc_rs::signature::Ed25519KeyPair;
use nix::time::{ClockId, clock_gettime};
use propusk_core::env::SystemRandom;
use propusk_core::password::{Password, PasswordHasher};
use propusk_core::settings::Settings;

use super::cores;
use super::world::PASSWORD;
use crate::stats::Samples;

/// Of a token: header and claims as they are signed.
const SIGNED_BYTES: usize = 420;

/// Seconds of processor for one Ed25519 signature.
pub(super) fn signature(duration: Duration) -> Result<f64> {
    let pair = Ed25519KeyPair::generate()?;
    let message = vec![b'a'; SIGNED_BYTES];
    beside_the_load(|| {
        seconds_each(duration, || {
            std::hint::black_box(pair.try_sign(std::hint::black_box(&message))?);
            Ok(())
        })
    })
}

/// Seconds of processor for one check of a password with the product's default parameters.
pub(super) fn password(duration: Duration) -> Result<f64> {
    let hasher = PasswordHasher::new(Settings::new("").argon2, &SystemRandom)?;
    let typed = || Password::to_check(PASSWORD).ok_or_else(|| anyhow::anyhow!("it cannot be a password"));
    let hash = hasher.hash(&typed()?, &SystemRandom)?;
    beside_the_load(|| {
        seconds_each(duration, || {
            std::hint::black_box(hasher.check(&typed()?, Some(&hash)));
            Ok(())
        })
    })
}

/// A database of its own on the disk of the authority's.
pub(super) use crate::feed::bare::Bare as Disk;

/// Seconds until one small write is durable: the median.
pub(super) async fn commit(disk: &Disk) -> Result<f64> {
    const COMMITS: usize = 100;
    let mut took = Samples::default();
    for _ in 0..COMMITS {
        took.push(disk.commit().await?);
    }
    Ok(took.sorted().median_ms() / 1000.0)
}

/// Does something on the server's core while the callers' core is as busy as it is when they call: the two may be one core
/// of the machine.
fn beside_the_load<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                // As the callers do when nobody has answered.
                thread::yield_now();
            }
        });
        // Whatever becomes of the work: the scope waits for its threads.
        let _done = Done(&is_done);
        cores::on_server(work)
    })
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// This thread's processor time for each, so that whatever else runs on the core does not count.
fn seconds_each(duration: Duration, mut one: impl FnMut() -> Result<()>) -> Result<f64> {
    // The first ones fill caches.
    one()?;
    let (begun, before) = (Instant::now(), this_thread()?);
    let mut count = 0_u32;
    while begun.elapsed() < duration {
        one()?;
        count += 1;
    }
    Ok((this_thread()? - before).as_secs_f64() / f64::from(count))
}

fn this_thread() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
