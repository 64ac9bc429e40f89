//! What `up` says when everything is ready: a table for people, one line of JSON for programs.

use std::time::Duration;

use propusk_core::env::SystemRandom;
use propusk_core::secret::PlainSecret;
use propusk_server::demo::{DemoData, DemoUser};
use serde_json::{Map, Value, json};

use super::System;
use super::plan::Plan;
use crate::output::{BOLD, CYAN, DIM, GREEN, YELLOW, paint, shell_word};
use crate::serve::{Part, Service};

/// The version of the line below and of everything it leads to.
const CONTRACT: u32 = 1;

/// The one line of `--json`.
pub(super) fn json(plan: &Plan, system: &System, demo: &DemoData) -> Value {
    let expose = |secret: &Option<PlainSecret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let services = Service::ALL.map(|service| (service.name().to_owned(), json!(plan.url(Part::Demo(service)))));
    let users = demo
        .users
        .iter()
        .map(|user| json!({"username": user.username, "id": user.id, "password": expose(&user.password)}));
    let clients = demo
        .clients
        .iter()
        .map(|client| json!({"client_id": client.client_id, "client_secret": expose(&client.secret)}));
    let processes = Part::ALL.map(|part| {
        let (pid, argv) = system.process(part);
        (part.name().to_owned(), json!({"pid": pid, "argv": argv}))
    });
    json!({
        "contract": CONTRACT,
        "issuer": plan.issuer(),
        "authority": plan.url(Part::Authority),
        "gateway": plan.url(Part::Gateway),
        "feed": plan.feed_url(),
        "data": plan.data.path(),
        "services": Value::Object(Map::from_iter(services)),
        "admin": {"username": "admin", "password": demo.admin.as_ref().and_then(|admin| expose(&admin.password))},
        "users": users.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
        "processes": Value::Object(Map::from_iter(processes)),
    })
}

/// The table for people.
pub(super) fn text(plan: &Plan, demo: &DemoData, took: Duration) -> String {
    let heading = format!("{} ready in {:.1} s", paint(GREEN, "✓ Propusk is"), took.as_secs_f64());
    let mut lines = vec![String::new(), heading, String::new()];
    for part in [Part::Gateway, Part::Authority].into_iter().chain(Service::ALL.map(Part::Demo)) {
        lines.push(row(part.name(), &paint(CYAN, &plan.url(part))));
    }
    lines.push(row("data", &plan.data.path().display().to_string()));
    lines.push(String::new());
    let people = demo.admin.iter().chain(&demo.users);
    lines.extend(people.map(|user| row(&user.username, &person(user))));
    if demo.admin.as_ref().is_some_and(|admin| admin.password.is_some()) {
        lines.push(row("", &paint(YELLOW, "these passwords are shown this once; only hashes of them are stored")));
    }
    lines.push(String::new());
    lines.push(paint(BOLD, "  Try, in another terminal:"));
    for (what, command) in commands(plan, demo) {
        lines.push(format!("\n  {}\n  {command}", paint(DIM, &format!("# {what}"))));
    }
    lines.push(format!("\n  {}\n", paint(DIM, "Ctrl-C ends it.")));
    lines.join("\n")
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<11}{value}")
}

fn person(user: &DemoUser) -> String {
    let may = match user.username.as_str() {
        "admin" => "administers everything",
        "alice" => "may buy cars",
        _ => "has no roles",
    };
    let password = match &user.password {
        Some(password) => format!("{:<31}", password.expose()),
        None => "(password of the first start)  ".to_owned(),
    };
    format!("{password}{}", paint(DIM, may))
}

/// Commands that work when they are copied as they are.
fn commands(plan: &Plan, demo: &DemoData) -> Vec<(&'static str, String)> {
    let gateway = plan.url(Part::Gateway);
    let curl = match plan.ca() {
        Some(ca) => format!("curl --cacert {}", shell_word(&ca.to_string_lossy())),
        None => "curl".to_owned(),
    };
    let data = shell_word(&plan.data.path().to_string_lossy()).into_owned();
    let mut commands = Vec::new();
    let alice = demo.users.iter().find(|user| user.username == "alice");
    let known = alice.and_then(|user| Some((user.username.clone(), user.password.as_ref()?.expose().to_owned())));
    let (username, password, is_buyer) = match known {
        Some((username, password)) => (username, password, true),
        None => {
            let (username, password) = newcomer();
            let body = json!({"username": username, "password": password});
            commands.push((
                "register somebody",
                format!("{curl} {gateway}/auth/register -H 'Content-Type: application/json' -d '{body}'"),
            ));
            (username, password, false)
        }
    };
    let login = format!("{username}:{password}");
    commands
        .push(("who am I? The gateway signs in, and relays a token", format!("{curl} -u {login} {gateway}/users/me")));
    commands.push(("what is for sale", format!("{curl} -u {login} {gateway}/cars")));
    if is_buyer {
        let first = format!(
            "$({curl} -s -u {login} {gateway}/cars | grep -o '\"car_id\":\"[^\"]*' | head -1 | cut -d'\"' -f4)"
        );
        commands.push((
            "buy the first car: an elite endpoint",
            format!("{curl} -u {login} -X POST {gateway}/cars/{first}/buy"),
        ));
    }
    commands.push((
        "write a post; its author comes from another service",
        format!(
            "{curl} -u {login} {gateway}/posts -H 'Content-Type: application/json' -d '{{\"content\":\"hello\"}}' && {curl} -u {login} {gateway}/posts"
        ),
    ));
    commands.push(("in a browser", format!("{gateway}/login")));
    commands.push(("a tour of what it does, step by step", format!("{} demo --data {data}", program())));
    commands
}

/// A name and a password that nobody has, for somebody to be registered.
fn newcomer() -> (String, String) {
    let random = PlainSecret::generate("", &SystemRandom);
    let letters: String = random.expose().chars().filter(char::is_ascii_alphanumeric).collect();
    let (name, password) = letters.split_at_checked(6).unwrap_or(("someone", "long enough for the rules"));
    (format!("guest-{}", name.to_lowercase()), password.to_owned())
}

/// How this program was called.
fn program() -> String {
    let name = std::env::args().next().unwrap_or_else(|| "propusk".to_owned());
    shell_word(&name).into_owned()
}
