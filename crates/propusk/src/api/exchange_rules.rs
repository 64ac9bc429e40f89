//! `propusk exchange-rule`.

use serde_json::json;

use super::{Api, Change, changed, prompt, segment};
use crate::cli::{ApiArgs, At, ExchangeRuleCommand, WaitArgs};
use crate::exit::Outcome;

/// Runs one of them.
pub(crate) async fn run(at: At<ExchangeRuleCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        ExchangeRuleCommand::Put { actor, audience, subjects, from, wait } => {
            let change = Change::put(path(&actor, &audience)).body(json!({"subjects": subjects, "from": from}));
            let done = format!("{actor} may exchange tokens for {} for tokens for {audience}", from.join(" or "));
            send(change, &wait, &api, &done).await
        }
        ExchangeRuleCommand::Delete { actor, audience, sure, wait } => {
            prompt::sure(&sure, &format!("Let {actor} exchange no more tokens for {audience}?"))?;
            let done = format!("{actor} may not exchange tokens for {audience} any more");
            send(Change::delete(path(&actor, &audience)), &wait, &api, &done).await
        }
    }
}

async fn send(change: Change, wait: &WaitArgs, args: &ApiArgs, done: &str) -> Outcome {
    let api = Api::connect(args).await?;
    changed(&api, args, wait, change, done).await
}

fn path(actor: &str, audience: &str) -> String {
    format!("/admin/v1/exchange-rules/{}/{}", segment(actor), segment(audience))
}
