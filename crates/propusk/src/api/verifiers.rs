//! `propusk verifier list`: who decides on tokens from memory, how far each is behind, how long its lease runs.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Api, Most, print_list, shown};
use crate::cli::{ApiArgs, At, VerifierCommand};
use crate::exit::{Exit, Outcome};
use crate::output::{self, DIM, paint};
use crate::serve::signalled;

const PATH: &str = "/admin/v1/verifiers";
const HEAD: [&str; 8] = ["SERVICE", "INSTANCE", "VERSION", "APPLIED", "HEAD", "LAG", "LEASE LEFT", "CACHE HITS"];
/// Between two looks.
const EACH: Duration = Duration::from_secs(1);
/// To the upper left corner, and clear from there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Runs one of them.
pub(crate) async fn run(at: At<VerifierCommand>) -> Outcome {
    let At { command, api } = at;
    let VerifierCommand::List { watch } = command;
    if !watch {
        let verifiers = Api::connect(&api).await?.list(PATH, &[], Most::ALL).await?;
        print_list(&api, verifiers, "no verifier was heard of in the last minute", &HEAD, row);
        return Ok(Exit::Done);
    }
    tokio::select! {
        () = signalled() => Ok(Exit::Done),
        outcome = watching(&api) => outcome,
    }
}

/// A table that is drawn anew each second; for programs, a line each second.
async fn watching(args: &ApiArgs) -> Outcome {
    loop {
        // A token may end in the meantime.
        let verifiers = Api::connect(args).await?.list(PATH, &[], Most::ALL).await?;
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        if args.json {
            output::line(&json!({"at": at, "items": verifiers}).to_string());
        } else {
            let rows: Vec<Vec<String>> = verifiers.iter().map(row).collect();
            let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
            output::line(&format!("{clear}{}\n{}", paint(DIM, &at), output::table(&HEAD, &rows)));
        }
        tokio::time::sleep(EACH).await;
    }
}

fn row(verifier: &Value) -> Vec<String> {
    let ms = |member: &str| match verifier.get(member).and_then(Value::as_u64) {
        Some(ms) => format!("{ms} ms"),
        None => "–".to_owned(),
    };
    let [service, instance, version, applied, head] =
        ["service", "instance", "version", "applied_seq", "head_seq"].map(|member| shown(verifier, member));
    vec![service, instance, version, applied, head, ms("lag_ms"), ms("lease_left_ms"), hits(verifier)]
}

/// The share of decisions that the cache answered.
fn hits(verifier: &Value) -> String {
    let count = |member: &str| verifier.pointer(&format!("/cache/{member}")).and_then(Value::as_u64);
    match (count("hits"), count("misses")) {
        (Some(hits), Some(misses)) if hits + misses > 0 => format!("{} %", hits * 100 / (hits + misses)),
        _ => "–".to_owned(),
    }
}
