//! `propusk service`.

use serde_json::Value;

use super::{Api, Change, Made, Most, cells, changed, members, print_list, print_one, prompt, seen, segment};
use crate::cli::{ApiArgs, At, SeenArgs, ServiceCommand, WaitArgs};
use crate::exit::{Exit, Outcome};

const HEAD: [&str; 6] = ["SERVICE", "ALG", "JWS ALG", "URI", "TOKEN TTL S", "CREATED"];
const COLUMNS: [&str; 6] = ["id", "alg", "jws_alg", "resource_uri", "access_ttl_s", "created_at"];
const MEMBERS: [&str; 7] = ["id", "alg", "jws_alg", "resource_uri", "access_ttl_s", "created_at", "secret"];
const PATH: &str = "/admin/v1/services";

/// Runs one of them.
pub(crate) async fn run(at: At<ServiceCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        ServiceCommand::List { limit } => list(Most::of(limit.limit), &api).await,
        ServiceCommand::Show { service } => {
            let found = Api::connect(&api).await?.get_versioned(&path(&service)).await?;
            print_one(&api, &found, &MEMBERS);
            Ok(Exit::Done)
        }
        ServiceCommand::Create { service, alg, jws_alg, resource_uri, access_ttl_s, once, wait } => {
            let body = members([
                ("id", Some(service.as_str().into())),
                ("alg", Some(alg.into())),
                ("jws_alg", jws_alg.map(Value::from)),
                ("resource_uri", resource_uri.map(Value::from)),
                ("access_ttl_s", access_ttl_s.map(Value::from)),
            ]);
            let authority = Api::connect(&api).await?;
            let made = Made::by(&authority, &wait, Change::post(PATH).body(body).once_as(&once)).await?;
            Ok(made.tell(&api, &MEMBERS, &format!("{service} is made")))
        }
        ServiceCommand::Change { service, resource_uri, no_resource_uri, access_ttl_s, no_access_ttl, seen, wait } => {
            let uri = if no_resource_uri { Some(Value::Null) } else { resource_uri.map(Value::from) };
            let ttl = if no_access_ttl { Some(Value::Null) } else { access_ttl_s.map(Value::from) };
            change(&service, members([("resource_uri", uri), ("access_ttl_s", ttl)]), &seen, &wait, &api).await
        }
        ServiceCommand::Delete { service, sure, seen, wait } => {
            let question = format!("Delete {service} with its keys and roles? Its id is never given again.");
            prompt::sure(&sure, &question)?;
            let authority = Api::connect(&api).await?;
            let change = Change::delete(path(&service)).if_match(seen.if_match);
            changed(&authority, &api, &wait, change, &format!("{service} is deleted")).await
        }
    }
}

async fn list(most: Most, args: &ApiArgs) -> Outcome {
    let services = Api::connect(args).await?.list(PATH, &[], most).await?;
    print_list(args, services, "there are no services", &HEAD, |service| cells(service, &COLUMNS));
    Ok(Exit::Done)
}

async fn change(service: &str, body: Value, as_seen: &SeenArgs, wait: &WaitArgs, args: &ApiArgs) -> Outcome {
    let api = Api::connect(args).await?;
    let path = path(service);
    let etag = seen(&api, as_seen, &path).await?;
    let made = Made::by(&api, wait, Change::patch(path).body(body).if_match(etag)).await?;
    Ok(made.tell(args, &MEMBERS, &format!("{service} is changed")))
}

fn path(service: &str) -> String {
    format!("{PATH}/{}", segment(service))
}
