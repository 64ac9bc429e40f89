//! `bench authority`: what the authority does with one core.
//!
//! The product itself runs as a process that may use one core, with its defaults: every commit durable, audit and
//! access log on. This process calls it from another core, over kept connections of HTTP/1.1. All is measured twice:
//! with almost nobody in the database, and with a million people who are signed in.

mod bare;
mod calls;
mod cores;
mod load;
mod rows;
mod server;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::cores;
use crate::report::{Report, say};
use crate::stats::median;
use calls::{Introspection, Session};
use load::{Calls, Same};
use rows::{Bare, Seen};
use server::Server;
use world::World;

/// How `bench authority` is asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seconds instead of minutes, and 50,000 people instead of a million.
    #[arg(long)]
    quick: bool,
    /// Write the results here as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where databases are made; they have to be on the disk that is to be measured.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How many people there are in the large database; with 0 it is left out.
    #[arg(long, value_name = "NUMBER")]
    people: Option<usize>,
}

/// How long and against how many people.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Of each measurement, in all rounds.
    duration: Duration,
    many: usize,
}

/// Of the database that is all but empty: those who sign in and refresh, and no more.
const FEW: usize = world::KNOWN;

/// Whether every number was reached.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let (seconds, many) = if arguments.quick { (2, 50_000) } else { (10, 1_000_000) };
    let size = Size { duration: Duration::from_secs(seconds), many: arguments.people.unwrap_or(many) };
    let cores = cores();
    cores::stay_on(cores::LOAD)?;
    // Threads that it starts stay where it is.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(measure(arguments, size))?;
    let report = Report { benchmark: "authority", is_quick: arguments.quick, cores, rows };
    report.publish(arguments.json.as_deref())?;
    Ok(report.is_met())
}

/// A machine may change its speed within minutes. So everything is measured in turns, what is beside it too, and what is
/// told is the median.
const ROUNDS: u32 = 9;

async fn measure(arguments: &Arguments, size: Size) -> Result<Vec<crate::report::Row>> {
    let dir = arguments.dir.as_deref();
    let mut worlds = vec![World::make(dir, FEW).await?];
    if size.many > 0 {
        say(&format!("making {} people …", size.many));
        worlds.push(World::make(dir, size.many).await?);
    }
    let mut sides = Vec::new();
    for world in worlds {
        sides.push(Side::start(world).await?);
    }
    let bare = measure_all(&mut sides, size.duration / ROUNDS).await?;
    let mut rows = Vec::new();
    let mut few = None;
    for side in sides {
        let seen = side.end()?;
        match &few {
            None => rows.extend(rows::of_few(few.insert(seen), &bare)),
            Some(few) => rows.push(rows::of_many(size.many, &seen, few)),
        }
    }
    Ok(rows)
}

/// Everything against each of them, with the bare figures beside it, `each` time so long.
async fn measure_all(sides: &mut [Side], each: Duration) -> Result<Bare> {
    let (mut signatures, mut passwords, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    let Some(first) = sides.first() else { bail!("nothing to measure") };
    let disk = bare::Disk::open(&first.world.data).await?;
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS} …"));
        signatures.push(bare::signature(each / 4)?);
        for side in &mut *sides {
            side.constant.measure(&side.server, each / 2).await?;
        }
        for side in &mut *sides {
            side.credentials.measure(&side.server, each).await?;
        }
        for side in &mut *sides {
            side.introspection.measure(&side.server, each).await?;
        }
        commits.push(bare::commit(&disk).await?);
        for side in &mut *sides {
            side.refresh.measure(&side.server, each).await?;
        }
        // Some 20 ms each: in a second there are too few to count.
        passwords.push(bare::password(each * 2)?);
        for side in &mut *sides {
            side.login.measure(&side.server, each * 3).await?;
        }
    }
    disk.close().await;
    Ok(Bare { signature: median(signatures), password: median(passwords), commit: median(commits) })
}

/// One database, the server that has it, and those who call it.
struct Side {
    world: World,
    server: Server,
    constant: Calls<Same>,
    credentials: Calls<Same>,
    introspection: Calls<Introspection>,
    refresh: Calls<Session>,
    login: Calls<Same>,
}

impl Side {
    async fn start(world: World) -> Result<Self> {
        let server = Server::start(&world.data)?;
        Ok(Self {
            constant: Calls::of(calls::constants(16)),
            credentials: Calls::of(calls::client_credentials(&world, 16)?),
            introspection: Calls::of(calls::introspection(&server, &world, 16).await?),
            refresh: Calls::of(calls::refresh(&world, 256)?),
            login: Calls::of(calls::login(&world, 8)?),
            world,
            server,
        })
    }

    fn end(self) -> Result<Seen> {
        let (started_in, resident) = (self.server.started_in, self.server.usage()?.resident);
        self.server.stop()?;
        Ok(Seen {
            started_in,
            resident,
            constant: self.constant.median(),
            credentials: self.credentials.median(),
            introspection: self.introspection.median(),
            refresh: self.refresh.median(),
            login: self.login.median(),
        })
    }
}
