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

use anyhow::Result;
use clap::Args;

use crate::process::cores;
use crate::report::{Report, say};
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
    /// Of each measurement.
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

async fn measure(arguments: &Arguments, size: Size) -> Result<Vec<crate::report::Row>> {
    let dir = arguments.dir.as_deref();
    let world = World::make(dir, FEW).await?;
    say("what cannot be beaten …");
    let bare = Bare::measure(&world, size.duration / 4).await?;
    let few = all(world, size).await?;
    let mut rows = rows::of_few(&few, &bare);
    if size.many > 0 {
        say(&format!("making {} people …", size.many));
        let many = all(World::make(dir, size.many).await?, size).await?;
        rows.push(rows::of_many(size.many, &many, &few));
    }
    Ok(rows)
}

/// Everything, against one database.
async fn all(mut world: World, size: Size) -> Result<Seen> {
    let server = Server::start(&world.data)?;
    let started_in = server.started_in;
    say("a constant …");
    let constant = load::run(&server, calls::constants(16), size.duration / 2).await?;
    say("client credentials …");
    let credentials = load::run(&server, calls::client_credentials(&world, 16)?, size.duration).await?;
    say("introspection …");
    let introspection = load::run(&server, calls::introspection(&server, &world, 16).await?, size.duration).await?;
    say("refresh …");
    let refresh = load::run(&server, calls::refresh(&mut world, 256)?, size.duration).await?;
    say("sign-in …");
    let login = load::run(&server, calls::login(&world, 8)?, size.duration).await?;
    let resident = server.usage()?.resident;
    server.stop()?;
    Ok(Seen { started_in, resident, constant, credentials, introspection, refresh, login })
}
