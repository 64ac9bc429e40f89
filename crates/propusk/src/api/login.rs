//! `propusk login`.

use reqwest::Method;
use serde_json::json;

use super::client::Place;
use super::credentials::{self, Login};
use super::prompt;
use crate::cli::LoginArgs;
use crate::exit::{Exit, Outcome};
use crate::output;

/// Signs in and keeps the tokens in a file of mode 0600.
pub(crate) async fn run(args: LoginArgs) -> Outcome {
    let place = Place::find(&args.api)?;
    let question = format!("Password of {} at {}", args.username, place.base);
    let password = prompt::password(args.password_file.as_deref(), &question)?;
    let body = json!({"username": args.username, "password": password.as_str()});
    let (_, answer) = place.send(place.request(Method::POST, "/auth/login").json(&body)).await?;
    let login = Login::of(args.username, &answer)?;
    let username = login.username.clone();
    let file = credentials::store(&place.base, login)?;
    if args.api.json {
        output::line(&json!({"authority": place.base, "username": username, "file": file}).to_string());
    } else {
        output::line(&format!("signed in as {username} at {}; kept in {}", place.base, file.display()));
    }
    Ok(Exit::Done)
}
