//! The figures that cannot be beaten: what is left of a call if all that is ours is taken away.

use std::time::{Duration, Instant};

use anyhow::Result;
use aws_lc_rs::signature::Ed25519KeyPair;
use nix::time::{ClockId, clock_gettime};
use propusk_core::env::SystemRandom;
use propusk_core::password::{Password, PasswordHasher};
use propusk_core::settings::Settings;

use super::cores;
use super::world::{PASSWORD, World};
use crate::feed::bare::Bare;
use crate::stats::Samples;

/// Of a token: header and claims as they are signed.
const SIGNED_BYTES: usize = 420;

/// Seconds of processor for one Ed25519 signature.
pub(super) fn signature(duration: Duration) -> Result<f64> {
    let pair = Ed25519KeyPair::generate()?;
    let message = vec![b'a'; SIGNED_BYTES];
    cores::on_server(|| {
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
    cores::on_server(|| {
        seconds_each(duration, || {
            std::hint::black_box(hasher.check(&typed()?, Some(&hash)));
            Ok(())
        })
    })
}

/// Seconds until one small write is durable: the median, in a database of its own on the same disk.
pub(super) async fn commit(world: &World) -> Result<f64> {
    const COMMITS: usize = 300;
    let bare = Bare::open(&world.data).await?;
    let mut took = Samples::default();
    for _ in 0..COMMITS {
        took.push(bare.commit().await?);
    }
    bare.close().await;
    Ok(took.sorted().median_ms() / 1000.0)
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
