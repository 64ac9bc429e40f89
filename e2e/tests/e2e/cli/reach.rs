//! Every operation of the admin API has a command that calls it.
//!
//! **Who adds an operation** adds a command and a row here.

use std::collections::BTreeSet;

use e2e::run;
use e2e::stand_in::StandIn;
use serde_json::Value;

use super::{Operator, texts};
use crate::shared::PLAIN;

/// An operation, below `/admin/v1`, and a command that calls it. `FILE` is one that is not there yet, `PASSWORD` one with a
/// password, `PEOPLE` one with somebody to import.
const COMMANDS: &[(&str, &str)] = &[
    ("GET /users", "user list"),
    ("POST /users", "user create somebody --no-password"),
    ("GET /users/{id}", "user show u_1"),
    ("PATCH /users/{id}", "user change u_1 --username other"),
    ("DELETE /users/{id}", "user delete u_1"),
    ("POST /users/{id}/disable", "user disable u_1"),
    ("POST /users/{id}/enable", "user enable u_1"),
    ("PUT /users/{id}/password", "user password u_1 --password-file PASSWORD"),
    ("DELETE /users/{id}/sessions", "session end --all-of u_1"),
    ("GET /users/{id}/why", "user why u_1 cars:buy"),
    ("GET /users/{id}/roles", "user show u_1"),
    ("PUT /users/{id}/roles/{service}/{role}", "role give u_1 cars/buyer"),
    ("DELETE /users/{id}/roles/{service}/{role}", "role take u_1 cars/buyer"),
    ("PUT /clients/{id}/roles/{service}/{role}", "role give client:program cars/buyer"),
    ("DELETE /clients/{id}/roles/{service}/{role}", "role take client:program cars/buyer"),
    ("PUT /groups/{id}/roles/{service}/{role}", "role give group:drivers cars/buyer"),
    ("DELETE /groups/{id}/roles/{service}/{role}", "role take group:drivers cars/buyer"),
    ("POST /users/import", "import PEOPLE --format csv"),
    ("GET /users/export", "export FILE"),
    ("GET /sessions", "session list u_1"),
    ("DELETE /sessions/{id}", "session end s_1"),
    ("POST /tokens/revoke", "token revoke --jti j1"),
    ("GET /services/{id}/roles", "role list cars"),
    ("GET /services/{service}/roles/{role}", "role show cars/buyer"),
    ("PUT /services/{service}/roles/{role}", "role define cars/buyer --permit cars:buy"),
    ("DELETE /services/{service}/roles/{role}", "role delete cars/buyer"),
    ("PUT /services/{service}/roles/{role}/permissions/{permission}", "role permit cars/buyer cars:buy"),
    ("DELETE /services/{service}/roles/{role}/permissions/{permission}", "role forbid cars/buyer cars:buy"),
    ("GET /groups", "group list"),
    ("POST /groups", "group create drivers"),
    ("GET /groups/{id}", "group show drivers"),
    ("DELETE /groups/{id}", "group delete drivers"),
    ("GET /groups/{id}/members", "group show drivers"),
    ("PUT /groups/{id}/members/{user_id}", "group add-member drivers u_1"),
    ("DELETE /groups/{id}/members/{user_id}", "group remove-member drivers u_1"),
    ("GET /clients", "client list"),
    ("POST /clients", "client create program --audience cars"),
    ("GET /clients/{id}", "client show program"),
    ("PATCH /clients/{id}", "client change program --name other"),
    ("DELETE /clients/{id}", "client delete program"),
    ("POST /clients/{id}/secret", "client new-secret program"),
    ("POST /clients/{id}/revoke-tokens", "client revoke-tokens program"),
    ("POST /clients/{id}/disable", "client disable program"),
    ("POST /clients/{id}/enable", "client enable program"),
    ("GET /services", "service list"),
    ("POST /services", "service create lamps"),
    ("GET /services/{id}", "service show lamps"),
    ("PATCH /services/{id}", "service change lamps --access-ttl-s 60"),
    ("DELETE /services/{id}", "service delete lamps"),
    ("PUT /exchange-rules/{actor_client}/{audience}", "exchange-rule put cars users --from cars"),
    ("DELETE /exchange-rules/{actor_client}/{audience}", "exchange-rule delete cars users"),
    ("GET /services/{id}/keys", "keys list cars"),
    ("POST /services/{id}/keys/rotate", "keys rotate cars"),
    ("POST /keys/{kid}/revoke", "keys revoke k1"),
    ("GET /verifiers", "verifier list"),
    ("GET /audit", "audit list"),
    ("POST /backup", "backup FILE"),
];

/// Operations that no command calls, each with the reason.
const WITHOUT: &[(&str, &str)] = &[("GET /openapi.json", "the document is for programs that make clients of it")];

/// Enough of an answer for every command.
const ANSWER: &str = r#"{"items":[{"id":"u_1"}],"next_cursor":null,"outcome":"enforced","seq":1,"took_ms":0,
    "laggards":[],"granted":true,"client_secret":"psk_1"}"#;

#[test]
fn every_operation_of_the_document_has_a_command() {
    run(async {
        let document = PLAIN.admin("GET", "/openapi.json").await.expect(200).json();
        let documented: BTreeSet<String> = operations(&document).collect();
        let listed: BTreeSet<String> =
            COMMANDS.iter().chain(WITHOUT).map(|(operation, _)| (*operation).to_owned()).collect();
        let missing: Vec<_> = documented.difference(&listed).collect();
        assert!(missing.is_empty(), "no command for {missing:?}: add one, and a row in {}", file!());
        let gone: Vec<_> = listed.difference(&documented).collect();
        assert!(gone.is_empty(), "the document does not have {gone:?}");
        assert_eq!(COMMANDS.len() + WITHOUT.len(), listed.len(), "an operation is listed twice");
    });
}

#[test]
fn each_command_calls_the_operation_that_it_is_listed_for() {
    run(async {
        for (operation, command) in COMMANDS {
            let authority = StandIn::start().await;
            authority.otherwise("application/json", ANSWER);
            let operator = Operator::with_token(&authority.url(""), "a-token");
            let password = operator.secret_file("password", "a password of some length");
            let file = operator.path("file").display().to_string();
            let people = operator.secret_file("people.csv", "username\nsomebody\n");
            let word = |word| match word {
                "PASSWORD" => password.as_str(),
                "FILE" => file.as_str(),
                "PEOPLE" => people.as_str(),
                word => word,
            };
            let output = operator.json(&command.split(' ').map(word).collect::<Vec<_>>());
            let called: Vec<String> = authority.heads().iter().map(|head| request_line(head)).collect();
            let is_called = called.iter().any(|call| is_call_of(call, operation));
            assert!(is_called, "{command} calls {called:?}, not {operation}: {:?}", texts(&output));
        }
    });
}

/// `GET /users/{id}` and so on, of the admin API.
fn operations(document: &Value) -> impl Iterator<Item = String> {
    let paths = document["paths"].as_object().unwrap();
    let admin = paths.iter().filter_map(|(path, item)| Some((path.strip_prefix("/admin/v1")?, item)));
    admin.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|key| key.as_str() != "parameters");
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    })
}

/// Method and path of a request, below `/admin/v1`.
fn request_line(head: &str) -> String {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    format!("{method} {}", path.strip_prefix("/admin/v1").unwrap_or(path))
}

fn is_call_of(call: &str, operation: &str) -> bool {
    let (call, operation): (Vec<_>, Vec<_>) = (call.split('/').collect(), operation.split('/').collect());
    let fits = |(called, wanted): (&&str, &&str)| called == wanted || wanted.starts_with('{');
    call.len() == operation.len() && call.iter().zip(&operation).all(fits)
}
