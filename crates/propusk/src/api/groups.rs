//! `propusk group`.

use serde_json::{Value, json};

use super::{Api, Change, Most, cells, changed, print_list, print_one, prompt, role_names, segment, shown};
use crate::cli::{ApiArgs, At, GroupCommand, OnceArgs, WaitArgs};
use crate::exit::{Exit, Outcome};

const PATH: &str = "/admin/v1/groups";
const MEMBERS: [&str; 4] = ["id", "created_at", "roles", "members"];

/// Runs one of them.
pub(crate) async fn run(at: At<GroupCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        GroupCommand::List { limit } => list(Most::of(limit.limit), &api).await,
        GroupCommand::Show { group } => show(&group, &api).await,
        GroupCommand::Create { group, once } => create(&group, &once, &api).await,
        GroupCommand::Delete { group, sure, wait } => {
            prompt::sure(&sure, &format!("Delete the group {group}? Its members lose the roles that it has."))?;
            let authority = Api::connect(&api).await?;
            changed(&authority, &api, &wait, Change::delete(path(&group)), &format!("group {group} is deleted")).await
        }
        GroupCommand::AddMember { group, user, wait } => {
            member(&group, &user, &wait, &api, Change::put, &format!("{user} is in {group}")).await
        }
        GroupCommand::RemoveMember { group, user, wait } => {
            member(&group, &user, &wait, &api, Change::delete, &format!("{user} is not in {group} any more")).await
        }
    }
}

async fn list(most: Most, args: &ApiArgs) -> Outcome {
    let groups = Api::connect(args).await?.list(PATH, &[], most).await?;
    let none = "there are no groups: propusk group create NAME";
    print_list(args, groups, none, &["GROUP", "CREATED"], |group| cells(group, &MEMBERS[..2]));
    Ok(Exit::Done)
}

async fn show(group: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = path(group);
    let mut group = api.get(&path, &[]).await?;
    let people = api.list(&format!("{path}/members"), &[], Most::ALL).await?;
    let names: Value = people.iter().map(|member| shown(member, "username")).collect();
    if let Some(members) = group.as_object_mut() {
        let roles = role_names(members.get("roles"));
        members.insert("roles".to_owned(), roles);
        members.insert("members".to_owned(), if args.json { people.into() } else { names });
    }
    print_one(args, &group, &MEMBERS);
    Ok(Exit::Done)
}

async fn create(group: &str, once: &OnceArgs, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let made = api.change(Change::post(PATH).body(json!({"id": group})).once_as(once)).await?;
    print_one(args, &made.document, &MEMBERS);
    Ok(Exit::Done)
}

async fn member(
    group: &str,
    user: &str,
    wait: &WaitArgs,
    args: &ApiArgs,
    change: impl FnOnce(String) -> Change,
    done: &str,
) -> Outcome {
    let api = Api::connect(args).await?;
    let path = format!("{}/members/{}", path(group), segment(&api.user_id(user).await?));
    changed(&api, args, wait, change(path), done).await
}

fn path(group: &str) -> String {
    format!("{PATH}/{}", segment(group))
}
