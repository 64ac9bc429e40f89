//! `propusk keys`.

use serde_json::Value;

use super::client::segment;
use super::{Api, print_list, shown};
use crate::cli::KeysCommand;
use crate::exit::{Exit, Outcome};

/// Runs one of them.
pub(crate) async fn run(command: KeysCommand) -> Outcome {
    let KeysCommand::List { audience, api: args } = command;
    let api = Api::connect(&args).await?;
    let keys = api.get(&format!("/admin/v1/services/{}/keys", segment(&audience)), &[]).await?;
    let items = keys.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let members = ["kid", "alg", "state", "created_at", "activates_at", "gone_at"];
    let head = ["KID", "ALG", "STATE", "CREATED", "ACTIVE FROM", "GONE"];
    print_list(&args, items, &head, |key| members.map(|member| shown(key, member)).to_vec());
    Ok(Exit::Done)
}
