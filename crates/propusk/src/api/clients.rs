//! `propusk client`. A secret is shown once, or goes into a file that only its owner can read.

use serde_json::{Value, json};

use super::{
    Api, Change, Made, Most, cells, changed, members, print_list, print_one, prompt, role_names, seen, segment,
};
use crate::cli::{ApiArgs, At, ClientChangeArgs, ClientCommand, NewClientArgs, NewSecretArgs, WaitArgs, WaitFor};
use crate::exit::{Exit, Failure, Outcome};
use crate::private::{PrivateFileError, Reserved};

const HEAD: [&str; 7] = ["CLIENT", "NAME", "GRANTS", "AUDIENCES", "FIRST PARTY", "DISABLED", "CREATED"];
const COLUMNS: [&str; 7] =
    ["client_id", "client_name", "grant_types", "audiences", "first_party", "disabled", "created_at"];
const MEMBERS: [&str; 13] = [
    "client_id",
    "client_name",
    "grant_types",
    "token_endpoint_auth_method",
    "redirect_uris",
    "audiences",
    "first_party",
    "disabled",
    "created_at",
    "roles",
    "client_secret",
    "secret_file",
    "previous_valid_until",
];
const PATH: &str = "/admin/v1/clients";

/// Runs one of them.
pub(crate) async fn run(at: At<ClientCommand>) -> Outcome {
    let At { command, api } = at;
    match command {
        ClientCommand::List { limit } => list(Most::of(limit.limit), &api).await,
        ClientCommand::Show { client } => show(&client, &api).await,
        ClientCommand::Create(new) => create(new, &api).await,
        ClientCommand::Change(new) => change(new, &api).await,
        ClientCommand::NewSecret(new) => new_secret(new, &api).await,
        ClientCommand::Delete { client, sure, seen, wait } => {
            prompt::sure(&sure, &format!("Delete the client {client}? Its id is never given again."))?;
            let change = Change::delete(path(&client)).if_match(seen.if_match);
            send(change, &wait, &api, &format!("{client} is deleted")).await
        }
        ClientCommand::Disable { client, wait } => {
            let change = Change::post(path(&client) + "/disable").once();
            send(change, &wait, &api, &format!("{client} is disabled")).await
        }
        ClientCommand::Enable { client, wait } => {
            let change = Change::post(path(&client) + "/enable").once();
            send(change, &wait, &api, &format!("{client} is enabled")).await
        }
        ClientCommand::RevokeTokens { client, sure, wait } => {
            prompt::sure(&sure, &format!("Refuse every token that {client} got until now?"))?;
            let change = Change::post(path(&client) + "/revoke-tokens").once();
            send(change, &wait, &api, &format!("every token of {client} is refused")).await
        }
    }
}

async fn list(most: Most, args: &ApiArgs) -> Outcome {
    let clients = Api::connect(args).await?.list(PATH, &[], most).await?;
    print_list(args, clients, "there are no clients", &HEAD, |client| cells(client, &COLUMNS));
    Ok(Exit::Done)
}

async fn show(client: &str, args: &ApiArgs) -> Outcome {
    let mut client = Api::connect(args).await?.get_versioned(&path(client)).await?;
    if let Some(members) = client.as_object_mut() {
        let roles = role_names(members.get("roles"));
        members.insert("roles".to_owned(), roles);
    }
    print_one(args, &client, &MEMBERS);
    Ok(Exit::Done)
}

async fn create(new: NewClientArgs, args: &ApiArgs) -> Outcome {
    let name = new.name.or_else(|| new.client.clone());
    let name = name.ok_or_else(|| Failure::usage("a client has an id or a name: give CLIENT, --name NAME, or both"))?;
    let body = members([
        ("client_id", new.client.map(Value::from)),
        ("client_name", Some(name.into())),
        ("grant_types", Some(new.grants.into())),
        ("token_endpoint_auth_method", Some(new.auth_method.into())),
        ("redirect_uris", Some(new.redirect_uris.into())),
        ("audiences", Some(new.audiences.into())),
        ("first_party", Some(new.first_party.into())),
    ]);
    let file = new.secret_file.as_deref().map(Reserved::new_file).transpose().map_err(unwritable)?;
    let api = Api::connect(args).await?;
    let made = Made::by(&api, &COMMITTED, Change::post(PATH).body(body).once_as(&new.once)).await?;
    tell_secret(made, file, args, "")
}

/// Nobody has decided about a client that is new.
const COMMITTED: WaitArgs = WaitArgs { wait: WaitFor::Committed, wait_ms: None };

async fn change(new: ClientChangeArgs, args: &ApiArgs) -> Outcome {
    let some = |texts: Vec<String>| (!texts.is_empty()).then(|| Value::from(texts));
    let body = members([
        ("client_name", new.name.map(Value::from)),
        ("grant_types", some(new.grants)),
        ("token_endpoint_auth_method", new.auth_method.map(Value::from)),
        ("redirect_uris", some(new.redirect_uris)),
        ("audiences", some(new.audiences)),
        ("first_party", new.first_party.map(Value::from)),
    ]);
    let api = Api::connect(args).await?;
    let path = path(&new.client);
    let etag = seen(&api, &new.seen, &path).await?;
    let made = Made::by(&api, &new.wait, Change::patch(path).body(body).if_match(etag)).await?;
    Ok(made.tell(args, &MEMBERS, &format!("{} is changed", new.client)))
}

async fn new_secret(new: NewSecretArgs, args: &ApiArgs) -> Outcome {
    let NewSecretArgs { client, overlap_s, secret_file, sure, once, wait } = new;
    if overlap_s == 0 {
        let question = format!("The secret that {client} has ends at once; --overlap-s N gives N seconds more. Go on?");
        prompt::sure(&sure, &question)?;
    }
    let file = secret_file.as_deref().map(Reserved::replacing).transpose().map_err(unwritable)?;
    let api = Api::connect(args).await?;
    let change = Change::post(path(&client) + "/secret").body(json!({"overlap_s": overlap_s})).once_as(&once);
    let made = Made::by(&api, &wait, change).await?;
    tell_secret(made, file, args, &format!("{client} has another secret"))
}

/// Whether the file can be written is made sure of before there is a secret.
fn unwritable(error: PrivateFileError) -> Failure {
    Failure::new(Exit::Usage, anyhow::Error::new(error).context("no secret was made: --secret-file cannot be written"))
}

/// Prints what was made; its secret only if it does not go into a file.
fn tell_secret(mut made: Made, file: Option<Reserved>, args: &ApiArgs, done: &str) -> Outcome {
    if let (Some(file), Some(members)) = (file, made.thing.as_object_mut()) {
        let secret = members.remove("client_secret");
        let path = file.fill(secret.as_ref().and_then(Value::as_str).unwrap_or_default());
        members.insert("secret_file".to_owned(), path.map_err(anyhow::Error::from)?.to_string_lossy().into());
    }
    Ok(made.tell(args, &MEMBERS, done))
}

async fn send(change: Change, wait: &WaitArgs, args: &ApiArgs, done: &str) -> Outcome {
    let api = Api::connect(args).await?;
    changed(&api, args, wait, change, done).await
}

fn path(client: &str) -> String {
    format!("{PATH}/{}", segment(client))
}
