//! People and clients at the authority: registering, signing in, refreshing, OAuth calls, the administrator.

use serde_json::{Value, json};

use crate::http::{Answer, Request};
use crate::system::System;
use crate::unique;

/// Long enough for the rules, and on no list of common ones.
pub const PASSWORD: &str = "seven violet staplers 4417";

/// Token exchange (RFC 8693).
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The kind of token that is exchanged.
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Somebody with an account.
#[derive(Debug, Clone)]
pub struct Person {
    /// Id, `u_…`.
    pub id: String,
    /// Username as stored.
    pub username: String,
    /// Password.
    pub password: String,
}

/// What signing in or refreshing yields.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token; empty for grants without one.
    pub refresh: String,
    /// Seconds of the access token's life.
    pub expires_in: u64,
}

impl Tokens {
    /// Out of an answer of `/auth/*` or `/oauth/token`, whose form is checked on the way.
    #[track_caller]
    pub fn of(answer: Answer) -> Self {
        let answer = answer.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store", "\n{answer}");
        assert_eq!(answer.field("token_type"), "Bearer", "\n{answer}");
        let json = answer.json();
        Self {
            access: answer.field("access_token"),
            refresh: json["refresh_token"].as_str().unwrap_or_default().to_owned(),
            expires_in: json["expires_in"].as_u64().unwrap_or_else(|| panic!("expires_in\n{answer}")),
        }
    }

    /// The session that the access token names.
    pub fn sid(&self) -> String {
        crate::forge::claims(&self.access)["sid"].as_str().expect("sid").to_owned()
    }
}

impl System {
    /// A new account.
    pub async fn register(&self, name: &str) -> Person {
        let username = unique(name);
        let answer = self.try_register(&username, PASSWORD).await.expect(201);
        Person { id: answer.field("id"), username: answer.field("username"), password: PASSWORD.to_owned() }
    }

    /// POST `/auth/register`.
    pub async fn try_register(&self, username: &str, password: &str) -> Answer {
        let body = json!({"username": username, "password": password});
        self.http.post(&self.authority("/auth/register")).json(&body).send().await
    }

    /// A person of the demo data, with the password of the first start.
    pub fn demo(&self, username: &str) -> Person {
        let account = self.ready.users.iter().find(|user| user.username == username).expect("a demo user");
        Person {
            id: account.id.clone().expect("an id"),
            username: account.username.clone(),
            password: account.password.clone().expect("first start"),
        }
    }

    /// Signs in for an audience.
    pub async fn login(&self, person: &Person, audience: &str) -> Tokens {
        Tokens::of(self.try_login(&person.username, &person.password, Some(audience)).await)
    }

    /// POST `/auth/login`.
    pub async fn try_login(&self, username: &str, password: &str, audience: Option<&str>) -> Answer {
        let mut body = json!({"username": username, "password": password});
        if let Some(audience) = audience {
            body["audience"] = audience.into();
        }
        self.http.post(&self.authority("/auth/login")).json(&body).send().await
    }

    /// POST `/auth/refresh`.
    pub async fn refresh(&self, refresh_token: &str, audience: Option<&str>) -> Answer {
        let mut body = json!({"refresh_token": refresh_token});
        if let Some(audience) = audience {
            body["audience"] = audience.into();
        }
        self.http.post(&self.authority("/auth/refresh")).json(&body).send().await
    }

    /// The secret of a demo client, as of the first start.
    pub fn secret(&self, client: &str) -> String {
        let account = self.ready.clients.iter().find(|account| account.client_id == client);
        account.and_then(|account| account.client_secret.clone()).unwrap_or_else(|| panic!("no secret of {client}"))
    }

    /// A form to an OAuth endpoint, by a client that authenticates with Basic.
    pub fn oauth(&self, path: &str, client: &str, fields: &[(&str, &str)]) -> Request {
        self.http.post(&self.authority(path)).basic(client, &self.secret(client)).form(fields)
    }

    /// POST `/oauth/token` by a client that authenticates with Basic.
    pub async fn token(&self, client: &str, fields: &[(&str, &str)]) -> Answer {
        self.oauth("/oauth/token", client, fields).send().await
    }

    /// `client_credentials`.
    pub async fn client_token(&self, client: &str, audience: &str) -> String {
        let fields = [("grant_type", "client_credentials"), ("audience", audience)];
        Tokens::of(self.token(client, &fields).await).access
    }

    /// Token exchange: `client` turns a token made for itself into one for `audience`.
    pub async fn exchange(&self, client: &str, subject_token: &str, audience: &str) -> Answer {
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject_token),
            ("subject_token_type", ACCESS_TOKEN_TYPE),
            ("audience", audience),
        ];
        self.token(client, &fields).await
    }

    /// POST `/oauth/introspect`; always 200.
    pub async fn introspect(&self, client: &str, token: &str) -> Value {
        self.oauth("/oauth/introspect", client, &[("token", token)]).send().await.expect(200).json()
    }

    /// A call of the administrator.
    pub async fn admin(&self, method: &str, path: &str) -> Answer {
        self.admin_request(method, path).await.send().await
    }

    /// A call of the administrator with a JSON body.
    pub async fn admin_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.admin_request(method, path).await.json(body).send().await
    }

    /// A call of the administrator, not yet sent, with a fresh token.
    pub async fn admin_request(&self, method: &str, path: &str) -> Request {
        let token = self.admin_token("propusk").await;
        self.http.request(method, &self.authority(&format!("/admin/v1{path}"))).bearer(&token)
    }

    /// An access token of the administrator.
    pub async fn admin_token(&self, audience: &str) -> String {
        let password = self.ready.admin.password.clone().expect("first start");
        Tokens::of(self.try_login(&self.ready.admin.username, &password, Some(audience)).await).access
    }

    /// Gives or takes a role; goes on when it is enforced.
    pub async fn role(&self, method: &str, user_id: &str, service: &str, role: &str) {
        self.admin(method, &format!("/users/{user_id}/roles/{service}/{role}")).await.expect_enforced();
    }

    /// A new account with one role.
    pub async fn register_with_role(&self, name: &str, service: &str, role: &str) -> Person {
        let person = self.register(name).await;
        self.role("PUT", &person.id, service, role).await;
        person
    }

    /// Asks the ordinary endpoint of a service who the caller is.
    pub async fn ordinary(&self, service: &str, token: &str) -> Answer {
        self.http.get(&self.service(service, &format!("/{service}/-/whoami"))).bearer(token).send().await
    }

    /// Asks the elite endpoint of a service who the caller is.
    pub async fn elite(&self, service: &str, token: &str) -> Answer {
        self.http.get(&self.service(service, &format!("/{service}/-/whoami/elite"))).bearer(token).send().await
    }

    /// What is audited about a subject under this action.
    pub async fn audited(&self, subject: &str, action: &str) -> Vec<Value> {
        let answer = self.admin("GET", &format!("/audit?subject={subject}&action={action}")).await.expect(200);
        answer.json()["items"].as_array().expect("items").clone()
    }

    /// The sessions of a person.
    pub async fn sessions(&self, user_id: &str) -> Vec<Value> {
        let answer = self.admin("GET", &format!("/sessions?user_id={user_id}")).await.expect(200);
        answer.json()["items"].as_array().expect("items").clone()
    }
}
