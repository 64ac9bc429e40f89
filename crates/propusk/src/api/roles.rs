//! `propusk role`.

use reqwest::Method;
use serde_json::Value;

use super::client::segment;
use super::{Api, changed, print_list, shown};
use crate::cli::{ApiArgs, RoleCommand, WaitArgs};
use crate::exit::{Exit, Failure, Outcome};

/// Runs one of them.
pub(crate) async fn run(command: RoleCommand) -> Outcome {
    match command {
        RoleCommand::List { service, api } => list(&service, &api).await,
        RoleCommand::Give { user, role, wait, api } => {
            let done = format!("{user} has {role}");
            change(Method::PUT, &user, &role, &wait, &api, &done).await
        }
        RoleCommand::Take { user, role, wait, api } => {
            let done = format!("{user} has no {role} any more");
            change(Method::DELETE, &user, &role, &wait, &api, &done).await
        }
    }
}

async fn list(service: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = format!("/admin/v1/services/{}/roles", segment(service));
    let roles = api.get(&path, &[]).await?;
    let items = roles.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    print_list(args, items, &["ROLE", "PERMISSIONS"], |role| vec![shown(role, "role"), shown(role, "permissions")]);
    Ok(Exit::Done)
}

async fn change(method: Method, user: &str, role: &str, wait: &WaitArgs, args: &ApiArgs, done: &str) -> Outcome {
    let Some((service, name)) = role.split_once('/') else {
        return Err(Failure::usage(format!("{role:?} is not of the form SERVICE/ROLE, as in cars/buyer")));
    };
    let api = Api::connect(args).await?;
    let id = api.user_id(user).await?;
    let path = format!("/admin/v1/users/{}/roles/{}/{}", segment(&id), segment(service), segment(name));
    changed(&api, args, wait, method, &path, done).await
}
