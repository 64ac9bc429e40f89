//! `propusk keys`: the keys of a service, and who of its verifiers has yet to confirm the next one.

use reqwest::Method;
use serde_json::Value;

use super::client::segment;
use super::{Api, changed, print_list, shown};
use crate::cli::{ApiArgs, KeysCommand};
use crate::exit::{Exit, Outcome};
use crate::output;

const HEAD: [&str; 7] = ["KID", "ALG", "STATE", "CREATED", "ACTIVE FROM", "GONE", "WAITING FOR"];

/// Runs one of them.
pub(crate) async fn run(command: KeysCommand) -> Outcome {
    match command {
        KeysCommand::List { audience, api } => list(&audience, &api).await,
        KeysCommand::Rotate { audience, api } => rotate(&audience, &api).await,
        KeysCommand::Revoke { kid, wait, api } => {
            let authority = Api::connect(&api).await?;
            let path = format!("/admin/v1/keys/{}/revoke", segment(&kid));
            changed(&authority, &api, &wait, Method::POST, &path, &format!("key {kid} revoked")).await
        }
    }
}

async fn list(audience: &str, args: &ApiArgs) -> Outcome {
    let keys = Api::connect(args).await?.list(&keys_of(audience), &[]).await?;
    print_list(args, keys, &HEAD, row);
    Ok(Exit::Done)
}

async fn rotate(audience: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let (_, answer) = api.change(Method::POST, &format!("{}/rotate", keys_of(audience)), &[], None).await?;
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
    members.iter().map(|member| shown(key, member)).chain([waiting_for(key)]).collect()
}

/// The instances that have not confirmed the next key; time alone if there are none.
fn waiting_for(key: &Value) -> String {
    let Some(waiting) = key.get("waiting_for").and_then(Value::as_array) else { return "–".to_owned() };
    if waiting.is_empty() {
        return "its time".to_owned();
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
        assert_eq!(waiting_for(&json!({"kid": "k", "waiting_for": []})), "its time");
        let frozen = json!({"service": "cars", "instance": "i1", "acked_seq": 7});
        assert_eq!(waiting_for(&json!({"kid": "k", "waiting_for": [frozen]})), "cars i1");
    }
}
