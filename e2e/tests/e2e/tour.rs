//! The narrated demo is itself a test: it ends with 0 only if every step that is built went well.

use std::time::Duration;

use e2e::process::{Log, Process};
use e2e::run;
use e2e::system::product;

#[test]
fn the_tour_goes_well_from_start_to_end() {
    run(async {
        let log = Log::default();
        let mut command = product();
        command.args(["demo", "--ephemeral"]);
        let (status, text) = Process::start(&mut command, &log).finish(Duration::from_secs(180));
        assert_eq!(status.code(), Some(0), "{text}\n{}", log.text());
        assert!(!text.contains('✗'), "{text}");
        let steps = text.matches('✓').count();
        assert!(steps >= 10, "{steps} steps:\n{text}");
        eprintln!("{steps} steps, {} not built", text.matches("not built").count());
    });
}
