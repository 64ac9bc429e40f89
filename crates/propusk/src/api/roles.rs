//! `propusk role`.

use serde_json::json;

use super::{Api, Change, Most, cells, changed, print_list, print_one, prompt, segment};
use crate::cli::{ApiArgs, At, HolderArg, RoleArg, RoleCommand, SeenArgs, WaitArgs};
use crate::exit::{Exit, Failure, Outcome};

const HEAD: [&str; 4] = ["ROLE", "PERMISSIONS", "INHERITS", "ALL TOGETHER"];
const MEMBERS: [&str; 4] = ["role", "permissions", "inherits", "effective_permissions"];

/// Runs one of them.
pub(crate) async fn run(at: At<RoleCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        RoleCommand::List { service, limit } => list(&service, Most::of(limit.limit), &api).await,
        RoleCommand::Show { role } => show(&role, &api).await,
        RoleCommand::Define { role, permissions, inherits, seen, wait } => {
            let body = json!({"permissions": permissions, "inherits": inherits});
            define(&role, Change::put(path(&role)).body(body), &seen, &wait, &api).await
        }
        RoleCommand::Delete { role, sure, seen, wait } => {
            prompt::sure(&sure, &format!("Delete the role {role}? Whoever has it loses it."))?;
            let change = Change::delete(path(&role)).if_match(seen.if_match);
            send(change, &wait, &api, &format!("{role} is deleted")).await
        }
        RoleCommand::Permit { role, permission, seen, wait } => {
            let change = Change::put(path_of_permission(&role, &permission)).if_match(seen.if_match);
            send(change, &wait, &api, &format!("{role} permits {permission}")).await
        }
        RoleCommand::Forbid { role, permission, seen, wait } => {
            let change = Change::delete(path_of_permission(&role, &permission)).if_match(seen.if_match);
            send(change, &wait, &api, &format!("{role} does not permit {permission} any more")).await
        }
        RoleCommand::Give { holder, role, wait } => {
            assign(Change::put, &holder, &role, &wait, &api, &format!("{holder} has {role}")).await
        }
        RoleCommand::Take { holder, role, wait } => {
            assign(Change::delete, &holder, &role, &wait, &api, &format!("{holder} has no {role} any more")).await
        }
    }
}

async fn list(service: &str, most: Most, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let roles = api.list(&format!("/admin/v1/services/{}/roles", segment(service)), &[], most).await?;
    let none = format!("{service} has no roles: propusk role define {service}/ROLE --permit {service}:ACTION");
    print_list(args, roles, &none, &HEAD, |role| cells(role, &MEMBERS));
    Ok(Exit::Done)
}

async fn show(role: &RoleArg, args: &ApiArgs) -> Outcome {
    let role = Api::connect(args).await?.get_versioned(&path(role)).await?;
    print_one(args, &role, &MEMBERS);
    Ok(Exit::Done)
}

/// A role that is there is replaced only if nobody changed it meanwhile; one that is not there is made.
async fn define(role: &RoleArg, change: Change, seen: &SeenArgs, wait: &WaitArgs, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let etag = match super::seen(&api, seen, &path(role)).await {
        Err(failure) if failure.slug() == Some("not-found") => None,
        etag => etag?,
    };
    changed(&api, args, wait, change.if_match(etag), &format!("{role} is defined")).await
}

async fn send(change: Change, wait: &WaitArgs, args: &ApiArgs, done: &str) -> Outcome {
    let api = Api::connect(args).await?;
    changed(&api, args, wait, change, done).await
}

async fn assign(
    change: impl FnOnce(String) -> Change,
    holder: &HolderArg,
    role: &RoleArg,
    wait: &WaitArgs,
    args: &ApiArgs,
    done: &str,
) -> Outcome {
    let api = Api::connect(args).await?;
    let holder = path_of_holder(&api, holder).await?;
    let path = format!("{holder}/roles/{}/{}", segment(&role.service), segment(&role.name));
    changed(&api, args, wait, change(path), done).await
}

async fn path_of_holder(api: &Api, holder: &HolderArg) -> Result<String, Failure> {
    Ok(match holder {
        HolderArg::User(user) => format!("/admin/v1/users/{}", segment(&api.user_id(user).await?)),
        HolderArg::Group(group) => format!("/admin/v1/groups/{}", segment(group)),
        HolderArg::Client(client) => format!("/admin/v1/clients/{}", segment(client)),
    })
}

fn path(role: &RoleArg) -> String {
    format!("/admin/v1/services/{}/roles/{}", segment(&role.service), segment(&role.name))
}

fn path_of_permission(role: &RoleArg, permission: &str) -> String {
    format!("{}/permissions/{}", path(role), segment(permission))
}
