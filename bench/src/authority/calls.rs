//! What is asked.

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use super::load::{Caller, Connection, Same};
use super::server::Server;
use super::world::{M2M, PASSWORD, SIGN_IN, World};

/// The audience of all tokens; its client asks about them.
const AUDIENCE: &str = "cars";

/// A route that does nothing, through the same server.
pub(super) fn constants(callers: usize) -> Vec<Same> {
    same(callers, b"GET /-/live HTTP/1.1\r\nhost: bench\r\n\r\n".to_vec())
}

/// A token for the client itself.
pub(super) fn client_credentials(world: &World, callers: usize) -> Result<Vec<Same>> {
    Ok(same(callers, token_request(world)?))
}

/// The same live token each time, asked about by the service that it is for.
pub(super) async fn introspection(server: &Server, world: &World, callers: usize) -> Result<Vec<Introspection>> {
    let mut connection = Connection::open(server.address).await?;
    let token = text(&connection.call(&token_request(world)?).await?, "access_token")?;
    let request = form("/oauth/introspect", &basic(world, AUDIENCE)?, &format!("token={token}"));
    Ok((0..callers).map(|_| Introspection(request.clone())).collect())
}

/// Asks about one token, which has to be active as long as it is measured.
pub(super) struct Introspection(Vec<u8>);

impl Caller for Introspection {
    fn request(&mut self) -> &[u8] {
        &self.0
    }

    fn answered(&mut self, body: &[u8]) -> Result<()> {
        if body.starts_with(br#"{"active":true"#) { Ok(()) } else { bail!("the token is not active any more") }
    }
}

/// Each caller keeps a session alive.
pub(super) fn refresh(world: &World, callers: usize) -> Result<Vec<Session>> {
    let authorization = basic(world, SIGN_IN)?;
    let people = world.people.get(..callers).context("too few people")?.iter();
    Ok(people.map(|person| Session::new(authorization.clone(), &person.refresh_token)).collect())
}

/// Each caller is one of the people, and signs in again and again.
pub(super) fn login(world: &World, callers: usize) -> Result<Vec<Same>> {
    let people = world.people.get(..callers).context("too few people")?;
    let request = |username: &str| {
        let body = json!({ "username": username, "password": PASSWORD, "audience": AUDIENCE }).to_string();
        post("/auth/login", "application/json", "", &body)
    };
    Ok(people.iter().map(|person| Same(request(&person.username))).collect())
}

/// A session: each answer has the token of the next request.
pub(super) struct Session {
    authorization: String,
    request: Vec<u8>,
}

impl Session {
    fn new(authorization: String, refresh_token: &str) -> Self {
        let mut session = Self { authorization, request: Vec::new() };
        session.next(refresh_token);
        session
    }

    fn next(&mut self, refresh_token: &str) {
        let body = format!("grant_type=refresh_token&audience={AUDIENCE}&refresh_token={refresh_token}");
        self.request = form("/oauth/token", &self.authorization, &body);
    }
}

impl Caller for Session {
    fn request(&mut self) -> &[u8] {
        &self.request
    }

    fn answered(&mut self, body: &[u8]) -> Result<()> {
        // Without parsing all of it: the callers' core is not what is measured.
        let body = std::str::from_utf8(body)?;
        let token = body.split_once(r#""refresh_token":""#).and_then(|(_, rest)| rest.split('"').next());
        self.next(token.context("an answer without a refresh token")?);
        Ok(())
    }
}

fn same(callers: usize, request: Vec<u8>) -> Vec<Same> {
    (0..callers).map(|_| Same(request.clone())).collect()
}

fn token_request(world: &World) -> Result<Vec<u8>> {
    let body = format!("grant_type=client_credentials&audience={AUDIENCE}");
    Ok(form("/oauth/token", &basic(world, M2M)?, &body))
}

fn basic(world: &World, client: &str) -> Result<String> {
    let secret = world.secrets.get(client).with_context(|| format!("no client {client}"))?;
    let credentials = Base64::encode_string(format!("{client}:{secret}").as_bytes());
    Ok(format!("authorization: Basic {credentials}\r\n"))
}

fn form(path: &str, authorization: &str, body: &str) -> Vec<u8> {
    post(path, "application/x-www-form-urlencoded", authorization, body)
}

fn post(path: &str, kind: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: {kind}\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn text(answer: &[u8], member: &str) -> Result<String> {
    let answer: Value = serde_json::from_slice(answer)?;
    Ok(answer.get(member).and_then(Value::as_str).with_context(|| format!("no {member} in an answer"))?.to_owned())
}
