//! `propusk restore` and `propusk feed restore`: going on after commits were lost.
//!
//! Both work on the database of a stopped authority; gateway and services may go on, and find the new log by themselves.
//! What is done to the data is [`propusk_core::recovery`].

mod place;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use propusk_core::env::{Clock as _, Env, SystemClock, SystemRandom};
use propusk_core::keys::{Kek, Signer};
use propusk_core::recovery::{self, FreshRing, Lost, Recovered};
use propusk_core::store::StoreError;
use propusk_store::{Examination, Replaced, Replacement, SqliteStore, Synchronous};
use serde_json::{Value, json};

use crate::api;
use crate::cli::{DataArgs, RestoreArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, DIM, GREEN, YELLOW, paint};

use place::Place;

/// `propusk restore`.
pub(crate) async fn restore(args: RestoreArgs) -> Outcome {
    let (place, kek) = Place::find(&args.place)?;
    let replacement = Replacement::prepare(&args.file, &place.database).context("nothing was restored")?;
    let made_at = Examination::of(replacement.path()).context("nothing was restored")?;
    let made_at = api::backup::made_at(&made_at).context("nothing was restored")?;
    let replaced = replacement.replaced();
    let store = SqliteStore::open(replacement.path(), Synchronous::Full).context("nothing was restored")?;
    let begun = go_on(&store, &place, kek, "restored", known_of_lost(&place, &replaced)).await;
    store.close().await;
    let Begun { recovered, is_other_kek } = begun.context("nothing was restored")?;
    let aside = free_name(&place.database);
    replacement.put_in_place(&aside).context("nothing was restored")?;
    let aside = (!matches!(replaced, Replaced::Nothing)).then_some(aside);
    let report = Report { place: &place, recovered, is_other_kek, made_at, aside };
    report.tell(&args.place, &format!("restored from {}", args.file.display()));
    if let Replaced::Unreadable(error) = replaced {
        output::error_line(&format!("{} What was there before could not be read: {error}", paint(YELLOW, "!")));
    }
    Ok(Exit::Done)
}

/// `propusk feed restore`.
pub(crate) async fn feed_restore(args: DataArgs) -> Outcome {
    let (place, kek) = Place::find(&args)?;
    if !place.database.exists() {
        let text = format!("{} is not there: name its directory with --data DIR", place.database.display());
        return Err(Failure::new(Exit::Failed, anyhow::Error::msg(text)));
    }
    let store = SqliteStore::open(&place.database, Synchronous::Full).context("nothing was changed")?;
    let begun = go_on(&store, &place, kek, "feed_restored", known_of_lost(&place, &Replaced::Nothing)).await;
    store.close().await;
    let Begun { recovered, is_other_kek } = begun.context("nothing was changed")?;
    Report { place: &place, recovered, is_other_kek, made_at: None, aside: None }.tell(&args, "goes on");
    Ok(Exit::Done)
}

/// The longest lease is that of the configuration, or what the database that was there before remembers.
fn known_of_lost(place: &Place, replaced: &Replaced) -> Lost {
    let configured = u64::try_from(place.config.feed_lease.as_millis()).unwrap_or(u64::MAX);
    match *replaced {
        Replaced::Database { head, longest_lease_ms } => {
            Lost { head, longest_lease_ms: longest_lease_ms.max(configured) }
        }
        Replaced::Nothing | Replaced::Unreadable(_) => Lost { head: 0, longest_lease_ms: configured },
    }
}

struct Begun {
    recovered: Recovered,
    /// The old keys were sealed under another key-encryption key. No matter, for none of them is used any more.
    is_other_kek: bool,
}

async fn go_on(
    store: &SqliteStore,
    place: &Place,
    kek: Kek,
    action: &'static str,
    lost: Lost,
) -> anyhow::Result<Begun> {
    let services = store.read(|tx| recovery::services(tx)).await?;
    let keys = store.read(|tx| tx.all_keys()).await?;
    let signer = Signer::new(kek);
    let is_other_kek = keys.iter().any(|key| signer.probe(key).is_err());
    let env = || Env { now: SystemClock.now(), random: &SystemRandom };
    let rings = services.iter().map(|service| FreshRing::generate(signer.kek(), service, env()));
    let rings = rings.collect::<Result<Vec<_>, _>>().context("no new keys")?;
    let leeway = place.config.token_leeway;
    let recovered = store.write(move |tx| recovery::go_on(tx, env(), action, lost, leeway, rings)).await;
    Ok(Begun { recovered: recovered.map_err(|error: StoreError| error)?, is_other_kek })
}

/// `authority.db.before-20261125T192000Z`, or the next that is free.
fn free_name(database: &Path) -> PathBuf {
    let at = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |ending: String| {
        let mut name = database.as_os_str().to_owned();
        name.push(format!(".before-{at}{ending}"));
        PathBuf::from(name)
    };
    let further = (2..).map(|n: u32| name(format!("-{n}")));
    std::iter::once(name(String::new())).chain(further).find(|name| !name.exists()).unwrap_or_default()
}

struct Report<'a> {
    place: &'a Place,
    recovered: Recovered,
    is_other_kek: bool,
    made_at: Option<String>,
    aside: Option<PathBuf>,
}

impl Report<'_> {
    fn tell(&self, args: &DataArgs, what: &str) {
        if args.json { output::line(&self.document().to_string()) } else { self.print(what) }
    }

    fn document(&self) -> Value {
        json!({
            "database": self.place.database,
            "made_at": self.made_at,
            "head_seq": self.recovered.head,
            "sessions_ended": self.recovered.sessions_ended,
            "keys_revoked": self.recovered.keys_revoked,
            "kept_aside": self.aside,
            "new_kek": self.place.new_kek,
        })
    }

    fn print(&self, what: &str) {
        let Recovered { head, sessions_ended, keys_revoked } = self.recovered;
        let as_of = self.made_at.as_ref().map(|at| format!(", as of {at}")).unwrap_or_default();
        output::line(&format!("{} {} {what}{as_of}", paint(GREEN, "✓"), self.place.database.display()));
        let done =
            format!("  {sessions_ended} sessions ended, {keys_revoked} keys replaced, the log goes on at {head}");
        output::line(&paint(DIM, &done));
        let note = |text: &str| output::line(&format!("{} {text}", paint(YELLOW, "!")));
        if let Some(aside) = &self.aside {
            note(&format!("What was there before is kept: {}. It is as secret as the database.", aside.display()));
        }
        match &self.place.new_kek {
            Some(path) => note(&format!("There was no key-encryption key: a new one is in {}.", path.display())),
            None if self.is_other_kek => {
                note(
                    "The old keys are sealed under another key-encryption key. The new ones are not: start with this one.",
                );
            }
            None => {}
        }
        note(
            "What was taken away in the part that was lost is back: roles, disabled people, passwords and client secrets \
             are those of then. Look through them.",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Sources};

    #[test]
    fn the_longest_lease_is_never_shorter_than_what_may_run() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources { sets: vec!["feed.lease=4s".to_owned()], ..Sources::default() };
        let config = Config::load(&sources).unwrap();
        assert_eq!(config.feed_lease, Duration::from_secs(4));
        let place = Place { database: folder.path().join("a.db"), config, new_kek: None };
        let of = |head, longest_lease_ms| known_of_lost(&place, &Replaced::Database { head, longest_lease_ms });
        assert_eq!(of(7, 9_000), Lost { head: 7, longest_lease_ms: 9_000 });
        assert_eq!(of(7, 1_000), Lost { head: 7, longest_lease_ms: 4_000 });
        assert_eq!(known_of_lost(&place, &Replaced::Nothing), Lost { head: 0, longest_lease_ms: 4_000 });
    }

    #[test]
    fn a_name_to_keep_the_old_one_under_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("authority.db");
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let name = free_name(&database);
            std::fs::write(&name, "").unwrap();
            assert!(names.insert(name.clone()), "{}", name.display());
        }
    }
}
