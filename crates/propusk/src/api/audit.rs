//! `propusk audit`.

use super::{Api, Most, cells, print_list};
use crate::cli::{At, AuditCommand};
use crate::exit::{Exit, Failure, Outcome};

const HEAD: [&str; 8] = ["N", "AT", "ACTOR", "ACTION", "SUBJECT", "SERVICE", "OUTCOME", "REQUEST"];
const MEMBERS: [&str; 8] = ["n", "at", "actor", "action", "subject", "service", "outcome", "request_id"];

/// Runs one of them.
pub(crate) async fn run(at: At<AuditCommand>) -> Outcome {
    let At { command, api: args } = at;
    let AuditCommand::List { subject, user, actor, by, service, action, limit } = command;
    let api = Api::connect(&args).await?;
    let subject = id_or_person(&api, subject, user).await?;
    let actor = id_or_person(&api, actor, by).await?;
    let wanted = [("subject", &subject), ("actor", &actor), ("service", &service), ("action", &action)];
    let query: Vec<_> = wanted.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let entries = api.list("/admin/v1/audit", &query, Most::of(Some(limit))).await?;
    print_list(&args, entries, "nothing of this kind was done", &HEAD, |entry| cells(entry, &MEMBERS));
    Ok(Exit::Done)
}

async fn id_or_person(api: &Api, id: Option<String>, person: Option<String>) -> Result<Option<String>, Failure> {
    match person {
        Some(person) => api.user_id(&person).await.map(Some),
        None => Ok(id),
    }
}
