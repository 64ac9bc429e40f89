//! `propusk user`.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::segment;
use super::{Api, changed, print_list, prompt, shown};
use crate::cli::{ApiArgs, UserCommand};
use crate::exit::{Exit, Outcome};
use crate::output;

const HEAD: [&str; 5] = ["ID", "USERNAME", "EMAIL", "DISABLED", "CREATED"];

/// Runs one of them.
pub(crate) async fn run(command: UserCommand) -> Outcome {
    match command {
        UserCommand::List { username, api } => list(username.as_deref(), &api).await,
        UserCommand::Show { user, api } => show(&user, &api).await,
        UserCommand::Create { username, password_file, email, api } => {
            let question = format!("Password for {username}");
            let password = prompt::password(password_file.as_deref(), &question)?;
            let mut body = json!({"username": username, "password": password.as_str()});
            if let (Some(email), Some(members)) = (email, body.as_object_mut()) {
                members.insert("email".to_owned(), email.into());
            }
            create(&body, &api).await
        }
        UserCommand::Disable { user, wait, api } => {
            let authority = Api::connect(&api).await?;
            let path = format!("/admin/v1/users/{}/disable", segment(&authority.user_id(&user).await?));
            changed(&authority, &api, &wait, Method::POST, &path, &format!("{user} is disabled")).await
        }
        UserCommand::Enable { user, wait, api } => {
            let authority = Api::connect(&api).await?;
            let path = format!("/admin/v1/users/{}/enable", segment(&authority.user_id(&user).await?));
            changed(&authority, &api, &wait, Method::POST, &path, &format!("{user} is enabled")).await
        }
    }
}

async fn list(username: Option<&str>, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let query: Vec<_> = username.map(|username| ("username", username)).into_iter().collect();
    let users = api.list("/admin/v1/users", &query).await?;
    print_list(args, users, &HEAD, row);
    Ok(Exit::Done)
}

async fn show(user: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = format!("/admin/v1/users/{}", segment(&api.user_id(user).await?));
    let mut user = api.get(&path, &[]).await?;
    let roles = api.get(&format!("{path}/roles"), &[]).await?;
    let roles = roles.get("items").and_then(Value::as_array).into_iter().flatten();
    let roles: Vec<Value> =
        roles.map(|held| format!("{}/{}", shown(held, "service"), shown(held, "role")).into()).collect();
    if let Some(members) = user.as_object_mut() {
        members.insert("roles".to_owned(), roles.into());
    }
    print_one(args, &user);
    Ok(Exit::Done)
}

async fn create(body: &Value, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let (_, user) = api.change(Method::POST, "/admin/v1/users", &[], Some(body)).await?;
    print_one(args, &user);
    Ok(Exit::Done)
}

fn row(user: &Value) -> Vec<String> {
    ["id", "username", "email", "disabled", "created_at"].map(|member| shown(user, member)).to_vec()
}

fn print_one(args: &ApiArgs, user: &Value) {
    if args.json {
        output::line(&user.to_string());
        return;
    }
    for member in ["id", "username", "email", "disabled", "created_at", "roles"] {
        if user.get(member).is_some() {
            output::line(&format!("{member:<12}{}", shown(user, member)));
        }
    }
}
