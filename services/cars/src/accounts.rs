//! The accounts of people, which `users` keeps: charging one in the name of its owner, and voiding that in our own name.

use propusk_verify::axum::ApiError;
use propusk_verify::exchange::{ExchangeError, TokenExchange};
use propusk_verify::problem::{Problem, TYPE_PREFIX};
use propusk_verify::{Permit, RawToken, Reason, Refusal};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::sale::Sale;

/// The service that keeps them, and the audience of its tokens.
const USERS: &str = "users";

/// Talks to `users`, with tokens from the authority.
#[derive(Clone)]
pub(crate) struct Accounts {
    http: reqwest::Client,
    users_url: String,
    token_endpoint: String,
    client_id: String,
    client_secret: Zeroizing<String>,
    exchange: TokenExchange,
}

/// How an attempt to charge ended.
#[derive(Debug)]
pub(crate) enum Charge {
    /// The buyer was charged, now or at an earlier attempt.
    Confirmed,
    /// Not by this attempt. The problem is for the buyer.
    Refused(Problem),
    /// No answer, or none that says.
    Unknown,
}

impl Accounts {
    pub(crate) fn new(
        http: reqwest::Client,
        users_url: &str,
        token_endpoint: String,
        client_id: String,
        client_secret: Zeroizing<String>,
        exchange: TokenExchange,
    ) -> Self {
        let users_url = users_url.trim_end_matches('/').to_owned();
        Self { http, users_url, token_endpoint, client_id, client_secret, exchange }
    }

    /// A token for `users` that speaks for the buyer and names us as the one who acts (RFC 8693).
    pub(crate) async fn token_for(&self, buyer: &Permit) -> Result<RawToken, ApiError> {
        let exchanged = self.exchange.exchange(&buyer.token(), USERS).await;
        exchanged.map_err(|error| {
            tracing::warn!(%error, "a buyer's token was not exchanged");
            match error {
                // The authority knows more of the token than we do. A refresh tells the client what.
                ExchangeError::Refused(code) if code == "invalid_request" => Refusal::from(Reason::Stale).into(),
                ExchangeError::Refused(_) => charge_refused().into(),
                ExchangeError::Unavailable(_) => {
                    let title = "The authority cannot be asked at the moment";
                    Problem::new(503, "authority-unavailable", title).retry_after(1).into()
                }
            }
        })
    }

    /// Charges the buyer, whose exchanged token it is, with the sale's id as the reference.
    pub(crate) async fn charge(&self, token: &RawToken, sale: &Sale) -> Charge {
        let debit = json!({ "amount": sale.price, "reference": sale.id });
        let url = format!("{}/users/me/debits", self.users_url);
        let answer = match self.http.post(url).bearer_auth(token.expose()).json(&debit).send().await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, sale_id = sale.id, "nobody knows whether the buyer was charged");
                return Charge::Unknown;
            }
        };
        let status = answer.status();
        if matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Charge::Confirmed;
        }
        tracing::info!(%status, sale_id = sale.id, "users did not confirm a debit");
        if !status.is_client_error() {
            return Charge::Unknown;
        }
        match slug_of(answer).await.as_deref() {
            Some("insufficient-funds") => {
                Charge::Refused(Problem::new(409, "insufficient-funds", "The balance does not cover the price"))
            }
            _ => Charge::Refused(charge_refused()),
        }
    }

    /// Has the debit of that reference undone, or kept from ever being done. However often.
    pub(crate) async fn void(&self, reference: &str) -> Result<(), reqwest::Error> {
        let token = self.own_token().await?;
        let url = format!("{}/users/debits/{reference}/void", self.users_url);
        self.http.post(url).bearer_auth(token.expose()).send().await?.error_for_status()?;
        Ok(())
    }

    /// A token that speaks for nobody but ourselves (RFC 6749 section 4.4).
    async fn own_token(&self) -> Result<RawToken, reqwest::Error> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
        }
        let answer: Answer = self
            .http
            .post(&self.token_endpoint)
            .basic_auth(&self.client_id, Some(self.client_secret.as_str()))
            .form(&[("grant_type", "client_credentials"), ("audience", USERS)])
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(answer.access_token.into())
    }
}

fn charge_refused() -> Problem {
    Problem::new(502, "charge-refused", "The account cannot be charged").detail("This attempt has charged nothing.")
}

/// The type of a problem document.
async fn slug_of(answer: reqwest::Response) -> Option<String> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "type")]
        kind: String,
    }
    let document: Document = answer.json().await.ok()?;
    document.kind.strip_prefix(TYPE_PREFIX).map(str::to_owned)
}
