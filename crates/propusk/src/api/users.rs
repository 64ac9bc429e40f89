//! `propusk user`.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    Api, Change, Made, Most, cells, changed, members, print_list, print_one, prompt, role_names, seen, segment, shown,
};
use crate::cli::{ApiArgs, At, OnceArgs, SeenArgs, UserCommand, WaitArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, GREEN, RED, paint};

const HEAD: [&str; 5] = ["ID", "USERNAME", "EMAIL", "DISABLED", "CREATED"];
const COLUMNS: [&str; 5] = ["id", "username", "email", "disabled", "created_at"];
const MEMBERS: [&str; 6] = ["id", "username", "email", "disabled", "created_at", "roles"];
const PATH: &str = "/admin/v1/users";

/// Runs one of them.
pub(crate) async fn run(at: At<UserCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        UserCommand::List { username, limit } => list(username.as_deref(), Most::of(limit.limit), &api).await,
        UserCommand::Show { user } => show(&user, &api).await,
        UserCommand::Create { username, password_file, no_password, email, once } => {
            let password = new_password(&username, password_file.as_deref(), no_password)?;
            let body = members([
                ("username", Some(username.into())),
                ("password", password.map(Value::from)),
                ("email", email.map(Value::from)),
            ]);
            create(body, &once, &api).await
        }
        UserCommand::Change { user, username, email, no_email, seen, wait } => {
            let email = if no_email { Some(Value::Null) } else { email.map(Value::from) };
            let body = members([("username", username.map(Value::from)), ("email", email)]);
            change(&user, body, &seen, &wait, &api).await
        }
        UserCommand::Disable { user, wait } => {
            act(&user, &wait, &api, &format!("{user} is disabled"), |path| Change::post(path + "/disable").once()).await
        }
        UserCommand::Enable { user, wait } => {
            act(&user, &wait, &api, &format!("{user} is enabled"), |path| Change::post(path + "/enable").once()).await
        }
        UserCommand::Delete { user, sure, seen, wait } => {
            prompt::sure(
                &sure,
                &format!("Erase {user}? The name, the address and the sessions cannot be brought back."),
            )?;
            act(&user, &wait, &api, &format!("{user} is erased"), |path| Change::delete(path).if_match(seen.if_match))
                .await
        }
        UserCommand::Password { user, password_file, wait } => {
            let password = prompt::new_password(password_file.as_deref(), &format!("New password of {user}"))?;
            let body = json!({"password": password.as_str()});
            let done = format!("{user} has another password");
            act(&user, &wait, &api, &done, |path| Change::put(path + "/password").body(body)).await
        }
        UserCommand::Why { user, permission, service } => why(&user, &permission, service.as_deref(), &api).await,
    }
}

fn new_password(username: &str, file: Option<&Path>, without: bool) -> Result<Option<String>, Failure> {
    if without {
        return Ok(None);
    }
    let password = prompt::new_password(file, &format!("Password for {username}"));
    match password {
        Ok(password) => Ok(Some(password.as_str().to_owned())),
        Err(failure) if file.is_none() => Err(failure.advise("Or make an account without one: --no-password")),
        Err(failure) => Err(failure),
    }
}

async fn list(username: Option<&str>, most: Most, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let query: Vec<_> = username.map(|username| ("username", username)).into_iter().collect();
    let users = api.list(PATH, &query, most).await?;
    let none = username.map_or_else(|| "there are no users".to_owned(), |name| format!("there is no user {name}"));
    print_list(args, users, &none, &HEAD, |user| cells(user, &COLUMNS));
    Ok(Exit::Done)
}

async fn show(user: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = path(&api, user).await?;
    let mut user = api.get_versioned(&path).await?;
    let roles = api.get(&format!("{path}/roles"), &[]).await?;
    if let Some(members) = user.as_object_mut() {
        members.insert("roles".to_owned(), role_names(roles.get("items")));
    }
    print_one(args, &user, &MEMBERS);
    Ok(Exit::Done)
}

async fn create(body: Value, once: &OnceArgs, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let user = api.change(Change::post(PATH).body(body).once_as(once)).await?.document;
    print_one(args, &user, &MEMBERS);
    Ok(Exit::Done)
}

async fn change(user: &str, body: Value, as_seen: &SeenArgs, wait: &WaitArgs, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = path(&api, user).await?;
    let etag = seen(&api, as_seen, &path).await?;
    let made = Made::by(&api, wait, Change::patch(path).body(body).if_match(etag)).await?;
    let done = format!("{user} is changed");
    Ok(made.tell(args, &MEMBERS, &done))
}

async fn act(
    user: &str,
    wait: &WaitArgs,
    args: &ApiArgs,
    done: &str,
    change: impl FnOnce(String) -> Change,
) -> Outcome {
    let api = Api::connect(args).await?;
    let path = path(&api, user).await?;
    changed(&api, args, wait, change(path), done).await
}

async fn path(api: &Api, user: &str) -> Result<String, Failure> {
    Ok(format!("{PATH}/{}", segment(&api.user_id(user).await?)))
}

/// Every way from a person to a permission; if there is none, what would make one.
async fn why(user: &str, permission: &str, service: Option<&str>, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = format!("{}/why", path(&api, user).await?);
    let mut query = vec![("permission", permission)];
    query.extend(service.map(|service| ("service", service)));
    let answer = api.get(&path, &query).await?;
    let is_granted = answer.get("granted").and_then(Value::as_bool) == Some(true);
    if args.json {
        output::line(&answer.to_string());
    } else {
        let roles = if is_granted { Vec::new() } else { roles_with(&api, &answer).await? };
        output::line(&in_words(&answer, is_granted, &roles));
    }
    Ok(if is_granted { Exit::Done } else { Exit::Failed })
}

fn in_words(answer: &Value, is_granted: bool, roles: &[String]) -> String {
    let [username, permission, service] = ["username", "permission", "service"].map(|member| shown(answer, member));
    let verdict = if is_granted { paint(GREEN, "yes") } else { paint(RED, "no") };
    let mut lines = vec![format!("{verdict}: {permission} at {service} for {username}")];
    let paths = answer.get("paths").and_then(Value::as_array).into_iter().flatten();
    lines.extend(paths.map(|path| format!("  {}", shown(path, "text"))));
    if !is_granted {
        lines.push(match roles.first() {
            None => format!("  no role of {service} permits it: propusk role permit {service}/ROLE {permission}"),
            Some(role) => format!(
                "  no role of theirs permits it; {} would: propusk role give {username} {role}",
                roles.join(" or ")
            ),
        });
    }
    if answer.get("disabled").and_then(Value::as_bool) == Some(true) {
        lines
            .push(format!("  {username} is disabled and gets no token to use it with: propusk user enable {username}"));
    }
    lines.join("\n")
}

/// The roles of the service that permit it.
async fn roles_with(api: &Api, answer: &Value) -> Result<Vec<String>, Failure> {
    let [permission, service] = ["permission", "service"].map(|member| shown(answer, member));
    let everything = format!("{service}:*");
    let roles = api.list(&format!("/admin/v1/services/{}/roles", segment(&service)), &[], Most::ALL).await?;
    let permits = |role: &&Value| {
        let all = role.get("effective_permissions").and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).any(|one| one == permission || one == everything)
    };
    Ok(roles.iter().filter(permits).map(|role| format!("{service}/{}", shown(role, "role"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(answer: &Value, is_granted: bool, roles: &[&str]) -> String {
        let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        anstream::adapter::strip_str(&in_words(answer, is_granted, &roles)).to_string()
    }

    #[test]
    fn a_way_is_named_and_what_is_missing_too() {
        let answer = |paths: Value, disabled: bool| {
            json!({
                "username": "alice", "permission": "cars:delete", "service": "cars", "paths": paths, "disabled": disabled,
            })
        };
        let way = json!([{"text": "alice → role cars/admin → cars:delete"}]);
        assert_eq!(
            plain(&answer(way.clone(), false), true, &[]),
            "yes: cars:delete at cars for alice\n  alice → role cars/admin → cars:delete"
        );
        assert!(plain(&answer(way, true), true, &[]).ends_with("propusk user enable alice"));
        let none = plain(&answer(json!([]), false), false, &["cars/admin", "cars/chief"]);
        assert!(none.ends_with("cars/admin or cars/chief would: propusk role give alice cars/admin"), "{none}");
        let none = plain(&answer(json!([]), false), false, &[]);
        assert!(none.ends_with("propusk role permit cars/ROLE cars:delete"), "{none}");
    }
}
