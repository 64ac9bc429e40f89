//! A thousand verifiers that only renew: what the authority pays for being followed.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Settings;
use super::fleet::Fleet;
use crate::child::authority::Authority;
use crate::child::{Served, echo};
use crate::data::Data;
use crate::process::Usage;
use crate::report::{Figure, Row};

const VERIFIERS: usize = 1000;
/// How often the bare connections send: as often as verifiers renew.
const RENEW: Duration = Duration::from_secs(1);

/// What so many connections cost the process that serves them.
struct Cost {
    percent: f64,
    kb_each: f64,
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a process are far below 2^52")]
impl Cost {
    fn new(empty: Usage, before: Usage, after: Usage, elapsed: Duration) -> Self {
        let grown = after.resident.saturating_sub(empty.resident);
        Self {
            percent: after.cpu_since(before).as_secs_f64() / elapsed.as_secs_f64() * 100.0,
            kb_each: grown as f64 / 1000.0 / VERIFIERS as f64,
        }
    }
}

pub(crate) async fn measure(settings: &Settings) -> Result<Row> {
    let duration = Duration::from_secs(if settings.is_quick { 8 } else { 30 });
    let bare = bare_connections(duration / 2).await?;
    let data = Data::new(settings.dir.as_deref())?;
    let authority = Authority::start(&data, settings.lease).await?;
    let empty = authority.usage()?;
    let fleet = Fleet::start(&authority, VERIFIERS).await?;
    tokio::time::sleep(RENEW * 3).await;
    let (before, own_before, begun) = (authority.usage()?, Usage::own()?, Instant::now());
    let lapses = lapses(&fleet, begun + duration).await;
    let elapsed = begun.elapsed();
    let cost = Cost::new(empty, before, authority.usage()?, elapsed);
    let own = Usage::own()?.cpu_since(own_before).as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    fleet.release().await;
    authority.stop().await?;
    let note = format!(
        "each with a connection of its own, {:.0} s; bare: as many TCP connections that send 16 bytes each second and \
         get them back",
        elapsed.as_secs_f64()
    );
    Ok(Row::new(format!("{VERIFIERS} idle verifiers, a renewal each second"), note)
        .with(Figure::new("authority's processor", "% of a core", cost.percent).beside(bare.percent).at_most(5.0))
        .with(Figure::new("authority's memory each", "kB", cost.kb_each).beside(bare.kb_each).at_most(64.0))
        .with(Figure::new("verifiers' processor", "% of a core", own))
        .with(Figure::new("moments with a lapsed lease", "", lapses).at_most(0.0)))
}

/// At how many looks a lease had lapsed.
async fn lapses(fleet: &Fleet, end: Instant) -> f64 {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut lapses = 0.0;
    while Instant::now() < end {
        ticks.tick().await;
        if fleet.least_lease_left().is_zero() {
            lapses += 1.0;
        }
    }
    lapses
}

async fn bare_connections(duration: Duration) -> Result<Cost> {
    let served: Served<echo::Ready> = Served::start("serve-echo", &()).await?;
    let empty = served.usage()?;
    let mut connections = JoinSet::new();
    for number in 0..VERIFIERS {
        let stream = TcpStream::connect(&served.ready.address).await?;
        connections.spawn(ping(stream, RENEW * u32::try_from(number)? / u32::try_from(VERIFIERS)?));
    }
    tokio::time::sleep(RENEW * 2).await;
    let (before, begun) = (served.usage()?, Instant::now());
    tokio::time::sleep(duration).await;
    let cost = Cost::new(empty, before, served.usage()?, begun.elapsed());
    connections.shutdown().await;
    served.stop().await?;
    Ok(cost)
}

async fn ping(mut stream: TcpStream, first: Duration) -> std::io::Result<()> {
    tokio::time::sleep(first).await;
    let mut buffer = [0; 16];
    loop {
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
        tokio::time::sleep(RENEW).await;
    }
}
