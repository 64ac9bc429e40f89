//! `propusk login` and `logout`.

use reqwest::Method;
use serde_json::json;

use super::client::Place;
use super::credentials::{self, Login};
use super::prompt;
use crate::cli::{LoginArgs, LogoutArgs};
use crate::exit::{Exit, Outcome};
use crate::output;

/// Signs in and keeps the tokens in a file of mode 0600.
pub(crate) async fn run(args: LoginArgs) -> Outcome {
    let place = Place::find(&args.api)?;
    let question = format!("Password of {} at {}", args.username, place.base);
    let password = prompt::password(args.password_file.as_deref(), &question)?;
    let body = json!({"username": args.username, "password": password.as_str()});
    let answer = place.send(place.request(Method::POST, "/auth/login").json(&body)).await?;
    let login = Login::of(args.username, &answer.document)?;
    let username = login.username.clone();
    let file = credentials::store(&place.base, login)?;
    if args.api.json {
        output::line(&json!({"authority": place.base, "username": username, "file": file}).to_string());
    } else {
        output::line(&format!("signed in as {username} at {}; kept in {}", place.base, file.display()));
    }
    Ok(Exit::Done)
}

/// Forgets the session here, then ends it at the authority: also when that cannot be reached, nothing stays in the file.
pub(crate) async fn log_out(args: LogoutArgs) -> Outcome {
    let place = Place::find(&args.api)?;
    let login = credentials::forget(&place.base)?;
    let said = match &login {
        Some(login) => {
            let body = json!({"refresh_token": login.refresh_token().expose()});
            place.send(place.request(Method::POST, "/auth/logout").json(&body)).await?;
            format!("{} is signed out at {}", login.username, place.base)
        }
        None => format!("nobody was signed in at {}", place.base),
    };
    if args.api.json {
        let username = login.map(|login| login.username);
        output::line(&json!({"authority": place.base, "username": username}).to_string());
    } else {
        output::line(&said);
    }
    Ok(Exit::Done)
}
