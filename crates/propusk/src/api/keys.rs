//! `propusk keys`: the keys of a service, which verifiers have confirmed the next one, and which are waited for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Api, Change, Most, changed, print_list, prompt, segment, shown};
use crate::cli::{ApiArgs, At, KeysCommand};
use crate::exit::{Exit, Outcome};
use crate::output;

const HEAD: [&str; 8] = ["KID", "ALG", "STATE", "CREATED", "ACTIVE FROM", "GONE", "CONFIRMED BY", "WAITING FOR"];

/// Runs one of them.
pub(crate) async fn run(at: At<KeysCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        KeysCommand::List { audience } => list(&audience, &api).await,
        KeysCommand::Rotate { audience } => rotate(&audience, &api).await,
        KeysCommand::Revoke { kid, sure, wait } => {
            let question = format!("Take the key {kid} back at once? Every token that it signed is to be refreshed.");
            prompt::sure(&sure, &question)?;
            let authority = Api::connect(&api).await?;
            let path = format!("/admin/v1/keys/{}/revoke", segment(&kid));
            changed(&authority, &api, &wait, Change::post(path), &format!("key {kid} revoked")).await
        }
    }
}

async fn list(audience: &str, args: &ApiArgs) -> Outcome {
    let keys = Api::connect(args).await?.list(&keys_of(audience), &[], Most::ALL).await?;
    print_list(args, keys, &format!("{audience} has no keys"), &HEAD, row);
    Ok(Exit::Done)
}

async fn rotate(audience: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let answer = api.change(Change::post(keys_of(audience) + "/rotate")).await?.document;
    if args.json {
        output::line(&answer.to_string());
    } else {
        let kid = shown(&answer, "kid");
        output::line(&format!("{kid} will sign once every verifier has it: propusk keys list {audience}"));
    }
    Ok(Exit::Done)
}

fn keys_of(audience: &str) -> String {
    format!("/admin/v1/services/{}/keys", segment(audience))
}

fn row(key: &Value) -> Vec<String> {
    let members = ["kid", "alg", "state", "created_at", "activates_at", "gone_at"];
    members.iter().map(|member| shown(key, member)).chain([confirmed_by(key), waiting_for(key)]).collect()
}

/// The services whose verifiers have confirmed that they hold a staged key, each once with the number of instances.
fn confirmed_by(key: &Value) -> String {
    let Some(confirmed) = key.get("confirmed_by").and_then(Value::as_array) else { return "–".to_owned() };
    let mut services: BTreeMap<String, usize> = BTreeMap::new();
    for instance in confirmed {
        *services.entry(shown(instance, "service")).or_default() += 1;
    }
    let names = services.into_iter().map(|(name, count)| if count == 1 { name } else { format!("{name} ×{count}") });
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() { "nobody".to_owned() } else { names }
}

/// The instances that have not confirmed the next key; its time alone if there are none.
fn waiting_for(key: &Value) -> String {
    let Some(waiting) = key.get("waiting_for").and_then(Value::as_array) else { return "–".to_owned() };
    if waiting.is_empty() {
        return "nobody; its time comes".to_owned();
    }
    let names =
        waiting.iter().map(|instance| format!("{} {}", shown(instance, "service"), shown(instance, "instance")));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_waited_for_is_named() {
        assert_eq!(waiting_for(&json!({"kid": "k", "state": "active"})), "–");
        assert_eq!(waiting_for(&json!({"kid": "k", "waiting_for": []})), "nobody; its time comes");
        let frozen = json!({"service": "cars", "instance": "i1", "acked_seq": 7});
        assert_eq!(waiting_for(&json!({"kid": "k", "waiting_for": [frozen]})), "cars i1");
    }

    #[test]
    fn who_has_confirmed_is_named() {
        assert_eq!(confirmed_by(&json!({"kid": "k", "state": "active"})), "–");
        assert_eq!(confirmed_by(&json!({"kid": "k", "confirmed_by": []})), "nobody");
        let by = |service: &str| json!({"service": service, "instance": "i", "acked_seq": 7});
        let confirmed = json!({"confirmed_by": [by("posts"), by("cars"), by("posts")]});
        assert_eq!(confirmed_by(&confirmed), "cars, posts ×2");
    }
}
