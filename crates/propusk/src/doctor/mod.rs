//! `propusk doctor`: what is wrong, and the command or setting that mends it.
//!
//! It changes nothing, and looks at a system that runs as well as at one that is stopped. A file for each area, a function
//! for each check, all of them run whatever the others find.

mod clock;
mod config;
mod database;
mod files;
mod finding;
mod keys;
mod limits;
mod network;
mod patient;
mod tls;

use serde_json::json;

use crate::cli::DataArgs;
use crate::exit::{Exit, Outcome};
use crate::output::{self, BOLD, GREEN, RED, YELLOW, paint};

use finding::{Finding, Findings, Level};
use patient::Patient;

/// Runs every check. Whatever is wrong is told in its answer, so there is no other error.
pub(crate) async fn run(args: DataArgs) -> Outcome {
    let mut findings = Findings::default();
    let patient = Patient::admit(&args, &mut findings);
    config::check(&patient, &mut findings);
    files::check(&patient, &mut findings);
    tls::check(&patient, &mut findings);
    limits::check(&patient, &mut findings);
    let examined = database::check(&patient, &mut findings);
    if let Some(examination) = &examined {
        keys::check(&patient, examination, &mut findings);
    }
    clock::check(&patient, examined.as_ref(), &mut findings).await;
    network::check(&patient, &mut findings).await;
    tell(&args, &findings.all);
    Ok(if findings.is_well() { Exit::Done } else { Exit::Failed })
}

fn tell(args: &DataArgs, findings: &[Finding]) {
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    if args.json {
        let document = json!({"ok": count(Level::Wrong) == 0, "findings": findings});
        return output::line(&document.to_string());
    }
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            area = finding.area;
            output::line(&paint(BOLD, area));
        }
        let (sign, style) = match finding.level {
            Level::Fine => ("✓", GREEN),
            Level::Warning => ("!", YELLOW),
            Level::Wrong => ("✗", RED),
        };
        output::line(&format!("  {} {}", paint(style, sign), output::harmless(&finding.what)));
        if let Some(remedy) = &finding.remedy {
            output::line(&format!("      → {}", output::harmless(remedy)));
        }
    }
    let summary = format!("{} wrong, {} to mind", count(Level::Wrong), count(Level::Warning));
    output::line(&paint(BOLD, &summary));
}

#[cfg(test)]
mod tests;
