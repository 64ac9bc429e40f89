//! The exit statuses, and what goes with them.

use e2e::run;
use e2e::system::{Options, System, product};

use super::{Operator, complaint, printed, problem};
use crate::shared::PLAIN;

#[test]
fn exit_statuses_tell_failures_apart() {
    run(async {
        let system = &*PLAIN;
        let authority = &system.ready.authority;
        let person = system.register("not-an-admin").await;
        let token = system.login(&person, "propusk").await.access;
        let list = ["user", "list", "--limit", "1"];
        // Done; failed; not understood.
        let admin = Operator::admin(system).await;
        admin.done(&list);
        let failed = problem(&admin.json(&["user", "show", "nobody-of-this-name"]), 1);
        assert!(failed["detail"].as_str().unwrap().contains("propusk user list"), "{failed}");
        problem(&admin.json(&["user", "fly"]), 2);
        problem(&admin.json(&["user", "change", &person.id]), 2);
        assert_eq!(product().output().unwrap().status.code(), Some(2), "without a command it shows what there is");
        // Signed in, but not allowed; not signed in, whatever the reason. Each says what to try.
        let person = Operator::with_token(authority, &token);
        assert_eq!(problem(&person.json(&list), 4)["type"], "urn:propusk:problem:missing-permission");
        let told = complaint(&person.command(&list).output().unwrap(), 4);
        assert!(told.contains("propusk role give USER propusk/admin"), "{told}");
        let stranger = Operator::with_token(authority, "no-token");
        problem(&stranger.json(&list), 4);
        let told = complaint(&stranger.command(&list).output().unwrap(), 4);
        assert!(told.contains("PROPUSK_TOKEN is not accepted") && !told.contains("no-token"), "{told}");
        let nobody = Operator::at(authority);
        problem(&nobody.json(&list), 4);
        let told = complaint(&nobody.command(&list).output().unwrap(), 4);
        assert!(told.contains("not signed in") && told.contains("propusk login"), "{told}");
        // Not reachable, and nothing that runs here.
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let away = format!("http://{}", unused.local_addr().unwrap());
        drop(unused);
        let told = problem(&Operator::with_token(&away, &token).json(&list), 5);
        assert!(told["detail"].as_str().unwrap().contains(&away), "{told}");
        let mut lost = nobody.command(&list);
        let lost = complaint(&lost.env_remove("PROPUSK_AUTHORITY").output().unwrap(), 5);
        assert!(lost.contains("--authority URL") && lost.contains("PROPUSK_AUTHORITY"), "{lost}");
    });
}

#[test]
fn a_change_that_is_not_enforced_in_time_has_a_status_of_its_own_and_names_who_lagged() {
    run(async {
        let system = System::start(&Options::new().split());
        crate::feed::wait_until_live(&system).await;
        let operator = Operator::admin(&system).await;
        let person = system.register("slow").await;
        let frozen = crate::feed::freeze_with_lease(&system, "posts").await;
        let disable = ["user", "disable", &person.username, "--wait-ms", "100"];
        let report = printed(&operator.json(&disable), 3);
        assert_eq!(report["outcome"], "committed", "{report}");
        assert_eq!(report["laggards"][0]["service"], "posts", "{report}");
        let output = operator.command(&["user", "enable", &person.username, "--wait", "committed"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "no more than this was asked for");
        frozen.wake();

        // Also where the answer is the thing itself and only a header says how far it got.
        let frozen = crate::feed::freeze_with_lease(&system, "posts").await;
        let rename = ["user", "change", &person.username, "--username", "slow-renamed", "--wait-ms", "100"];
        let report = printed(&operator.json(&rename), 3);
        assert_eq!(report["username"], "slow-renamed", "{report}");
        assert_eq!(report["enforcement"]["outcome"], "committed", "{report}");
        assert_eq!(report["enforcement"]["laggards"][0]["service"], "posts", "{report}");
        frozen.wake();
    });
}

#[test]
fn the_last_administrator_stays() {
    run(async {
        let system = System::start(&Options::new());
        let operator = Operator::admin(&system).await;
        for command in [
            ["user", "delete", "admin"].as_slice(),
            &["user", "disable", "admin"],
            &["role", "take", "admin", "propusk/admin"],
            &["role", "delete", "propusk/admin"],
            &["role", "forbid", "propusk/admin", "propusk:*"],
        ] {
            let refused = problem(&operator.json(command), 1);
            assert_eq!(refused["type"], "urn:propusk:problem:last-admin", "{command:?}: {refused}");
            let told = complaint(&operator.command(command).output().unwrap(), 1);
            assert!(told.contains("Give propusk/admin to somebody else first"), "{command:?}: {told}");
        }
        operator.done(&["role", "give", "alice", "propusk/admin"]);
        operator.done(&["role", "take", "admin", "propusk/admin"]);
    });
}
