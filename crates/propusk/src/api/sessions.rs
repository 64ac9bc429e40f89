//! `propusk session`.

use super::{Api, Change, Most, cells, changed, print_list, prompt, segment};
use crate::cli::{ApiArgs, At, SessionCommand};
use crate::exit::{Exit, Failure, Outcome};

const HEAD: [&str; 6] = ["ID", "CLIENT", "CREATED", "LAST USED", "ADDRESS", "USER AGENT"];

/// Runs one of them.
pub(crate) async fn run(at: At<SessionCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        SessionCommand::List { user } => list(&user, &api).await,
        SessionCommand::End { session, all_of, sure, wait } => {
            if let Some(user) = &all_of {
                prompt::sure(&sure, &format!("Sign {user} out everywhere?"))?;
            }
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
            changed(&authority, &api, &wait, Change::delete(path), &done).await
        }
    }
}

async fn list(user: &str, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let id = api.user_id(user).await?;
    let sessions = api.list("/admin/v1/sessions", &[("user_id", &id)], Most::ALL).await?;
    let members = ["id", "client_id", "created_at", "last_used_at", "address", "user_agent"];
    print_list(args, sessions, &format!("{user} has no sessions"), &HEAD, |session| cells(session, &members));
    Ok(Exit::Done)
}
