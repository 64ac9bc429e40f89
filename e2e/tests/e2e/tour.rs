//! The narrated demo is itself a test: it ends with 0 only if every step that is built went well.

use std::time::Duration;

use e2e::process::{Log, Process};
use e2e::run;
use e2e::system::product;

/// As many as the tour has; the last line has one more tick.
const STEPS: usize = 14;

#[test]
fn the_tour_goes_well_from_start_to_end() {
    run(async {
        let log = Log::default();
        let mut command = product();
        command.args(["demo", "--ephemeral"]);
        let (status, text) = Process::start(&mut command, &log).finish(Duration::from_secs(180));
        assert_eq!(status.code(), Some(0), "{text}\n{}", log.text());
        assert!(!text.contains('✗'), "{text}");
        assert!(!text.contains("skipped"), "a system of its own lacks nothing that a step needs: {text}");
        assert!(text.matches('✓').count() > STEPS, "{text}");
        let rotation = outcome(&text, "Rotate the key of cars under load");
        let emergency = outcome(&text, "Revoke a key of cars in an emergency, under the same load");
        for shown in [rotation, emergency] {
            assert!(number_before(shown, " requests,") >= 500, "{shown}");
            assert!(number_before(shown, " refreshed") > 0, "{shown}");
            assert_eq!(number_before(shown, " failed;"), 0, "{shown}");
            assert!(shown.contains("new key in the tokens of 12 of 12"), "{shown}");
        }
        assert!(number_before(emergency, " of them as stale)") > 0, "the emergency hit nobody: {emergency}");
        assert!(emergency.contains("enforced in ") && emergency.contains(" 0 of 20 sessions lost"), "{emergency}");
    });
}

/// How a step ended.
fn outcome<'t>(text: &'t str, title: &str) -> &'t str {
    let step = text.split_once(title).unwrap_or_else(|| panic!("no step {title}: {text}")).1;
    step.lines().map(str::trim).find(|line| line.starts_with('✓')).expect("it went well")
}

/// The number before these words.
fn number_before(text: &str, words: &str) -> u64 {
    let before = text.split_once(words).unwrap_or_else(|| panic!("no{words} in {text}")).0;
    let digits = before.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("no number before{words} in {text}"))
}
