//! `propusk session`.

use reqwest::Method;

use super::client::segment;
use super::{Api, changed, print_list, shown};
use crate::cli::{ApiArgs, SessionCommand};
use crate::exit::{Exit, Failure, Outcome};

const HEAD: [&str; 6] = ["ID", "CLIENT", "CREATED", "LAST USED", "ADDRESS", "USER AGENT"];

/// Runs one of them.
pub(crate) async fn run(command: SessionCommand) -> Outcome {
    match command {
        SessionCommand::List { user, api } => list(&user, &api).await,
        SessionCommand::End { session, all_of, wait, api } => {
            let authority = Api::connect(&api).await?;
            let (path, done) = match (session, all_of) {
                (Some(session), _) => {
                    (format!("/admin/v1/sessions/{}", segment(&session)), format!("session {session} ended"))
                }
                (None, Some(user)) => {
                    let id = authority.user_id(&user).await?;
                    (format!("/admin/v1/users/{}/sessions", segment(&id)), format!("every session of {user} ended"))
                }
                (None, None) => return Err(Failure::usage("which session? Give its id, or --all-of USER")),
            };
            changed(&authority, &api, &wait, Method::DELETE, &path, &done).await
        }
    }
}

async fn list(user: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let id = api.user_id(user).await?;
    let sessions = api.list("/admin/v1/sessions", &[("user_id", &id)]).await?;
    let members = ["id", "client_id", "created_at", "last_used_at", "address", "user_agent"];
    print_list(args, sessions, &HEAD, |session| members.map(|member| shown(session, member)).to_vec());
    Ok(Exit::Done)
}
