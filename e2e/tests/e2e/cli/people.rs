//! Users, groups, sessions, roles, and why somebody may do something.

use e2e::http::Refusal;
use e2e::people::PASSWORD;
use e2e::{run, unique};
use serde_json::json;

use super::{Operator, complaint, items, list, printed, problem, texts};
use crate::shared::PLAIN;

#[test]
fn a_person_from_the_first_day_to_the_last() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let (name, renamed) = (unique("person"), unique("renamed"));
        let file = operator.secret_file("password", PASSWORD);
        let made = operator.done(&["user", "create", &name, "--password-file", &file, "--email", "p@example.com"]);
        let id = made["id"].as_str().unwrap().to_owned();
        assert_eq!((&made["username"], &made["email"]), (&json!(name), &json!("p@example.com")), "{made}");
        system.try_login(&name, PASSWORD, None).await.expect(200);
        // By name wherever an id is wanted.
        let shown = operator.done(&["user", "show", &name]);
        assert_eq!((&shown["id"], list(&shown, "roles")), (&json!(id), vec![]), "{shown}");
        let changed = operator.done(&["user", "change", &name, "--username", &renamed, "--no-email"]);
        assert_eq!((&changed["username"], &changed["email"]), (&json!(renamed), &json!(null)), "{changed}");
        assert_eq!(changed["enforcement"]["outcome"], "enforced", "{changed}");
        assert_ne!(changed["etag"], shown["etag"], "a new version: {changed}");

        let person = system.try_login(&renamed, PASSWORD, Some("cars")).await.expect(200).field("access_token");
        assert_eq!(operator.done(&["user", "disable", &renamed])["outcome"], "enforced");
        system.elite("cars", &person).await.expect_refusal(Refusal::Revoked);
        assert_eq!(operator.done(&["user", "show", &id])["disabled"], true);
        assert_eq!(operator.done(&["user", "enable", &renamed])["outcome"], "enforced");
        let other = operator.secret_file("other", "nine yellow umbrellas 8823");
        assert_eq!(operator.done(&["user", "password", &renamed, "--password-file", &other])["outcome"], "enforced");
        system.try_login(&renamed, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        system.try_login(&renamed, "nine yellow umbrellas 8823", None).await.expect(200);

        assert_eq!(operator.done(&["user", "delete", &renamed])["outcome"], "enforced");
        problem(&operator.json(&["user", "show", &renamed]), 1);
        problem(&operator.json(&["user", "show", &id]), 1);
        let log = operator.done(&["audit", "list", "--subject", &id, "--limit", "100"]);
        let actions: Vec<&str> = items(&log).iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert!(actions.first().is_some_and(|newest| newest.contains("delete")), "newest first: {actions:?}");
        assert!(actions.len() >= 6, "{actions:?}");
    });
}

#[test]
fn an_account_without_a_password_signs_nobody_in() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("no-password");
        // Nobody to ask, and nothing said: no account.
        let told = complaint(&operator.command(&["user", "create", &name]).output().unwrap(), 2);
        assert!(told.contains("--password-file FILE") && told.contains("--no-password"), "{told}");
        operator.done(&["user", "create", &name, "--no-password"]);
        system.try_login(&name, "", None).await.expect_problem(401, "invalid-credentials");
        system.try_login(&name, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        let file = operator.secret_file("password", PASSWORD);
        operator.done(&["user", "password", &name, "--password-file", &file]);
        system.try_login(&name, PASSWORD, None).await.expect(200);
        // Every member that is wrong is named, and nothing of the secret.
        let short = operator.secret_file("short", "hunter2");
        let output = operator.json(&["user", "create", "no spaces", "--password-file", &short]);
        let refused = problem(&output, 1);
        let pointers: Vec<&str> =
            refused["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["/username", "/password"], "{refused}");
        assert!(!texts(&output).1.contains("hunter2"), "{refused}");
    });
}

#[test]
fn why_names_the_way_through_group_and_inherited_role() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("why").await;
        let name = person.username.as_str();
        let (group, chief) = (unique("drivers"), unique("chief"));
        let role = format!("cars/{chief}");
        let asked = ["user", "why", name, "cars:delete"];

        let output = operator.command(&asked).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let (told, _) = texts(&output);
        assert!(told.contains(&format!("no: cars:delete at cars for {name}")), "{told}");
        assert!(told.contains("cars/admin") && told.contains(&format!("propusk role give {name} ")), "{told}");
        assert_eq!(printed(&operator.json(&asked), 1)["granted"], false);

        operator.done(&["group", "create", &group]);
        operator.done(&["role", "define", &role, "--inherit", "admin"]);
        operator.done(&["role", "give", &format!("group:{group}"), &role]);
        operator.done(&["group", "add-member", &group, name]);
        let told = operator.told(&asked);
        let way = format!("{name} → group {group} → role {role} → role cars/admin → cars:delete");
        assert!(told.contains(&format!("yes: cars:delete at cars for {name}")) && told.contains(&way), "{told}");
        let answer = operator.done(&asked);
        assert_eq!((&answer["granted"], &answer["paths"][0]["text"]), (&json!(true), &json!(way)), "{answer}");

        // Both ways when there are two; the other one when the first is gone.
        operator.done(&["role", "give", name, "cars/admin"]);
        assert_eq!(operator.done(&asked)["paths"].as_array().unwrap().len(), 2);
        operator.done(&["group", "remove-member", &group, name]);
        assert_eq!(operator.done(&asked)["paths"].as_array().unwrap().len(), 1);
        operator.done(&["role", "take", &person.id, "cars/admin"]);
        printed(&operator.json(&asked), 1);
        operator.done(&["group", "delete", &group]);
        operator.done(&["role", "delete", &role]);
    });
}

#[test]
fn groups_and_those_in_them() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("member").await;
        let group = unique("group");
        assert_eq!(operator.done(&["group", "create", &group])["id"], group.as_str());
        problem(&operator.json(&["group", "create", &group]), 1);
        operator.done(&["group", "add-member", &group, &person.username]);
        operator.done(&["role", "give", &format!("group:{group}"), "cars/buyer"]);
        let shown = operator.done(&["group", "show", &group]);
        assert_eq!(list(&shown, "roles"), ["cars/buyer"]);
        assert_eq!(shown["members"][0]["user_id"], person.id.as_str(), "{shown}");
        assert!(operator.told(&["group", "show", &group]).contains(&person.username));
        assert!(items(&operator.done(&["group", "list"])).iter().any(|one| one["id"] == group.as_str()));
        let token = system.login(&person, "cars").await.access;
        assert_eq!(system.elite("cars", &token).await.expect(200).json()["roles"], json!(["buyer"]));
        operator.done(&["role", "take", &format!("group:{group}"), "cars/buyer"]);
        operator.done(&["group", "delete", &group]);
        let told = complaint(&operator.command(&["group", "show", &group]).output().unwrap(), 1);
        assert!(told.contains("There is no such group") && told.contains("propusk group list"), "{told}");
    });
}

#[test]
fn a_role_and_what_it_permits() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("clerk");
        let role = format!("cars/{name}");
        operator.done(&["role", "define", &role, "--permit", "cars:create", "--inherit", "buyer"]);
        operator.done(&["role", "permit", &role, "cars:delete"]);
        operator.done(&["role", "forbid", &role, "cars:create"]);
        let shown = operator.done(&["role", "show", &role]);
        assert_eq!(list(&shown, "permissions"), ["cars:delete"]);
        assert_eq!(list(&shown, "inherits"), ["buyer"]);
        assert_eq!(list(&shown, "effective_permissions"), ["cars:buy", "cars:delete"]);
        let seen = shown["etag"].as_str().unwrap();

        // Two administrators: the second saw what the first has changed since.
        operator.done(&["role", "define", &role, "--permit", "cars:buy", "--if-match", seen]);
        let late = ["role", "define", &role, "--permit", "cars:create", "--if-match", seen];
        assert_eq!(problem(&operator.json(&late), 1)["type"], "urn:propusk:problem:changed");
        let told = complaint(&operator.command(&late).output().unwrap(), 1);
        assert!(told.contains("changed meanwhile") && told.contains("propusk role list cars"), "{told}");
        for (action, permission) in [("permit", "cars:create"), ("forbid", "cars:buy")] {
            problem(&operator.json(&["role", action, &role, permission, "--if-match", seen]), 1);
        }
        problem(&operator.json(&["role", "delete", &role, "--if-match", seen]), 1);
        assert_eq!(list(&operator.done(&["role", "show", &role]), "permissions"), ["cars:buy"]);

        let holder = system.register("holder").await;
        operator.done(&["role", "give", &holder.username, &role]);
        assert_eq!(list(&operator.done(&["user", "show", &holder.id]), "roles"), [role.as_str()]);
        operator.done(&["role", "give", "client:demo-m2m", &role]);
        let client = operator.done(&["client", "show", "demo-m2m"]);
        assert!(list(&client, "roles").contains(&role.as_str()), "{client}");
        operator.done(&["role", "take", "client:demo-m2m", &role]);
        assert!(operator.told(&["role", "list", "cars"]).contains(&name));
        operator.done(&["role", "delete", &role]);
        assert_eq!(list(&operator.done(&["user", "show", &holder.id]), "roles"), [""; 0]);
        problem(&operator.json(&["role", "give", &holder.username, &role]), 1);
        let told = complaint(&operator.command(&["role", "show", "buyer"]).output().unwrap(), 2);
        assert!(told.contains("SERVICE/ROLE"), "{told}");
    });
}

#[test]
fn sessions_end_one_by_one_or_all_at_once() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("sessions").await;
        let (first, second) = (system.login(&person, "cars").await, system.login(&person, "cars").await);
        let sessions = operator.done(&["session", "list", &person.username]);
        let ids: Vec<&str> = items(&sessions).iter().map(|session| session["id"].as_str().unwrap()).collect();
        assert!(ids.contains(&first.sid().as_str()) && ids.contains(&second.sid().as_str()), "{sessions}");
        assert_eq!(operator.done(&["session", "end", &first.sid()])["outcome"], "enforced");
        system.elite("cars", &first.access).await.expect_refusal(Refusal::Revoked);
        system.elite("cars", &second.access).await.expect(200);
        assert_eq!(operator.done(&["session", "end", "--all-of", &person.username])["outcome"], "enforced");
        system.elite("cars", &second.access).await.expect_refusal(Refusal::Revoked);
        assert!(items(&operator.done(&["session", "list", &person.id])).is_empty());
        // Again does no harm; what never was is told.
        operator.done(&["session", "end", &first.sid()]);
        problem(&operator.json(&["session", "end", "s_AAAAAAAAAAAAAAAAAAAAAA"]), 1);
        problem(&operator.json(&["session", "end"]), 2);
    });
}

#[test]
fn the_audit_log_is_filtered_and_names_who_did_what() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("audited").await;
        operator.done(&["role", "give", &person.username, "cars/buyer"]);
        operator.done(&["role", "take", &person.username, "cars/buyer"]);
        let log = operator.done(&["audit", "list", "--user", &person.username, "--action", "role_given"]);
        let [entry] = items(&log).as_slice() else { panic!("one entry: {log}") };
        assert_eq!((&entry["subject"], &entry["service"]), (&json!(person.id), &json!("cars")), "{entry}");
        let log = operator.done(&["audit", "list", "--user", &person.id, "--by", "admin", "--service", "cars"]);
        assert_eq!(items(&log).len(), 2, "{log}");
        assert_eq!(items(&operator.done(&["audit", "list", "--limit", "3"])).len(), 3);
        assert!(operator.told(&["audit", "list", "--user", &person.id]).contains("role_given"));
        let none = operator.command(&["audit", "list", "--subject", "nobody"]).output().unwrap();
        assert_eq!((none.status.code(), texts(&none).0), (Some(0), String::new()));
        assert!(texts(&none).1.contains("nothing of this kind"), "{}", texts(&none).1);
    });
}
