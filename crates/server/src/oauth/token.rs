//! `POST /oauth/token`.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderMap;
use propusk_core::grants::refresh::{self, Presenter, Refreshed};
use propusk_core::grants::{GrantError, TokenSet, client_credentials, password, token_exchange};
use propusk_core::secret::PlainSecret;
use propusk_core::sessions::NewSession;
use propusk_core::store::{Client, GrantType};
use propusk_core::target::Target;

use super::client_auth;
use super::error::OAuthError;
use super::form::Form;
use crate::app::App;
use crate::extract::{Origin, SecretText};
use crate::sign_in;
use crate::tokens::TokenAnswer;

const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    form: Form,
) -> Result<TokenAnswer, OAuthError> {
    if form.get("grant_type") == Some(GrantType::ClientCredentials.as_str()) && form.get("scope").is_none() {
        let set = for_client(&app, &origin, &headers, &form).await?;
        return Ok(TokenAnswer::sign(&app, set).await?);
    }
    let client = client_auth::authenticate(&app, &origin, &headers, &form).await?;
    let grant: GrantType = form.need("grant_type")?.parse().map_err(|_| OAuthError::unsupported_grant_type())?;
    if form.get("scope").is_some() {
        return Err(OAuthError::invalid_scope());
    }
    let target = target(&form);
    let set = match grant {
        // Without a scope it was answered above.
        GrantType::ClientCredentials => return Err(OAuthError::invalid_scope()),
        GrantType::Password => for_password(&app, &origin, client, &form, target).await?,
        GrantType::RefreshToken => for_refresh_token(&app, &origin, client, &form, target).await?,
        GrantType::TokenExchange => for_subject_token(&app, client, &form, target).await?,
    };
    let answer = TokenAnswer::sign(&app, set).await?;
    Ok(if grant == GrantType::TokenExchange { answer.exchanged() } else { answer })
}

fn target(form: &Form) -> Target {
    Target { audience: form.get("audience").map(str::to_owned), resource: form.get("resource").map(str::to_owned) }
}

/// The token is minted from the snapshot in which the client is authenticated.
async fn for_client(app: &App, origin: &Origin, headers: &HeaderMap, form: &Form) -> Result<TokenSet, OAuthError> {
    let (settings, target) = (Arc::clone(&app.settings), target(form));
    client_auth::answer_to(app, origin, headers, form, move |tx, env, client| {
        Ok(client_credentials::grant(tx, env, &settings, client, &target)?)
    })
    .await
}

async fn for_password(
    app: &App,
    origin: &Origin,
    client: Client,
    form: &Form,
    target: Target,
) -> Result<TokenSet, OAuthError> {
    let client_id = client.id.clone();
    let origin = origin.behind(&client);
    let asked = app.read_briefly(move |tx, _| password::admit(tx, &client, &target)).await?;
    let username = form.need("username")?.to_owned();
    let typed = SecretText::new(form.need("password")?);
    let attempt = app.throttle.person(&username, origin.throttled_as()).await?;
    let signed_in = async {
        let candidate = app.read_briefly(move |tx, _| password::candidate(tx, &username)).await?;
        let (actor, session_origin) = (origin.actor(client_id.to_string()), origin.of_session());
        let checked = sign_in::check(app, candidate, &typed, &actor, &session_origin).await?;
        let Some(who) = checked else { return Ok(None) };
        let new = NewSession { who, client_id, audience: asked, origin: session_origin };
        let settings = Arc::clone(&app.settings);
        match app.write(move |tx, env| password::grant(tx, env, &settings, &actor, new)).await {
            Ok(set) => Ok(Some(set)),
            Err(GrantError::InvalidGrant(_)) => Ok(None),
            Err(error) => Err(OAuthError::from(error)),
        }
    };
    let signed_in = signed_in.await;
    attempt.note(&signed_in);
    signed_in?.ok_or_else(|| GrantError::InvalidGrant("invalid credentials").into())
}

async fn for_refresh_token(
    app: &App,
    origin: &Origin,
    client: Client,
    form: &Form,
    target: Target,
) -> Result<TokenSet, OAuthError> {
    let presented = PlainSecret::presented(form.need("refresh_token")?);
    let actor = origin.actor(client.id.to_string());
    let settings = Arc::clone(&app.settings);
    let presenter = Presenter::Client(client);
    let refreshed =
        app.write(move |tx, env| refresh::grant(tx, env, &settings, &actor, &presenter, &presented, &target)).await?;
    match refreshed {
        Refreshed::Tokens(set) => Ok(*set),
        Refreshed::FamilyEnded(_) => Err(GrantError::InvalidGrant("a used refresh token").into()),
    }
}

async fn for_subject_token(app: &App, client: Client, form: &Form, target: Target) -> Result<TokenSet, OAuthError> {
    let raw = form.need("subject_token")?;
    if !matches!(form.need("subject_token_type")?, ACCESS_TOKEN_TYPE | JWT_TYPE) {
        return Err(OAuthError::invalid_request(format!("subject_token_type is {ACCESS_TOKEN_TYPE}")));
    }
    if form.get("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN_TYPE && kind != JWT_TYPE) {
        return Err(OAuthError::invalid_request(format!("requested_token_type is {ACCESS_TOKEN_TYPE}")));
    }
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("no actor_token: the actor is the client that authenticates"));
    }
    let token = app.verify_any(raw).map_err(|reason| {
        tracing::info!(reason = reason.code(), "subject token refused");
        GrantError::InvalidSubjectToken("it is not a valid access token of ours".to_owned())
    })?;
    let settings = Arc::clone(&app.settings);
    let grant = app.read_briefly(move |tx, env| token_exchange::grant(tx, env, &settings, &client, &token, &target));
    Ok(grant.await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use propusk_core::audit::Actor;
    use propusk_core::env::SystemRandom;
    use propusk_core::id::{SessionId, UserId};
    use propusk_core::refresh_token;
    use propusk_core::store::{RefreshToken, Session, SessionOrigin, StoreError, TokenPlace, User};

    use super::*;
    use crate::demo;

    async fn refresh(app: &Arc<App>, presented: &PlainSecret) -> Result<Refreshed, GrantError> {
        let (settings, presented) = (app.settings.clone(), presented.clone());
        let refreshed = app.write(move |tx, env| {
            let client = tx.client(&"demo-first-party".parse().unwrap())?.unwrap();
            let target = Target { audience: Some("cars".to_owned()), resource: None };
            refresh::grant(tx, env, &settings, &Actor::system(), &Presenter::Client(client), &presented, &target)
        });
        refreshed.await
    }

    async fn successor(app: &Arc<App>, presented: &PlainSecret) -> PlainSecret {
        match refresh(app, presented).await.unwrap() {
            Refreshed::Tokens(set) => set.refresh.unwrap().0,
            Refreshed::FamilyEnded(_) => panic!("the family has ended"),
        }
    }

    /// Somebody new who has signed in, with this as the first refresh token.
    async fn signed_in(app: &Arc<App>, place: &TokenPlace, token: &PlainSecret) {
        let (place, hash, settings) = (place.clone(), token.hash(), app.settings.clone());
        let written = app.write(move |tx, env| {
            let user = UserId::generate(&SystemRandom);
            tx.insert_user(&User {
                id: user.clone(),
                username: user.to_string(),
                email: None,
                password_hash: None,
                disabled: false,
                ended_seq: 0,
                created_at: env.now,
                version: 1,
            })?;
            tx.insert_session(&Session {
                id: place.session_id.clone(),
                user_id: user,
                client_id: "demo-first-party".parse().unwrap(),
                epoch: tx.log_state()?.head,
                scope: None,
                created_at: env.now,
                expires_at: env.now.plus(settings.session_absolute_ttl),
                ended_at: None,
                origin: SessionOrigin::default(),
            })?;
            let idle_expires_at = env.now.plus(settings.session_idle_ttl);
            let token = RefreshToken { place, hash, created_at: env.now, idle_expires_at, rotation: None };
            tx.insert_refresh_token(&token)?;
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
    }

    /// How many tokens of a session are kept, of the first `count`.
    async fn kept(app: &Arc<App>, first: &TokenPlace, count: usize) -> usize {
        let mut place = first.clone();
        let counted = app.read(move |tx, _| {
            let mut kept = 0;
            for _ in 0..count {
                kept += usize::from(tx.refresh_token(&place)?.is_some());
                place = place.next();
            }
            Ok::<_, StoreError>(kept)
        });
        counted.await.unwrap()
    }

    /// Nobody has to sign in again for an upgrade.
    #[tokio::test]
    async fn a_refresh_token_of_an_earlier_version_yields_one_of_this_version() {
        let dir = tempfile::tempdir().unwrap();
        let app = demo::tests::opened(dir.path()).await;
        let old = PlainSecret::generate(refresh_token::PREFIX, &SystemRandom);
        signed_in(&app, &TokenPlace { session_id: SessionId::generate(&SystemRandom), number: -1 }, &old).await;
        let first = successor(&app, &old).await;
        assert!(first.expose().starts_with("prt_s_"), "the first that names its place");
        assert_eq!(successor(&app, &old).await, first, "its answer may have been lost");
        let second = successor(&app, &first).await;
        assert!(second != first);
        app.store.close().await;
    }

    const USES: usize = 200;

    /// Uses one after the other, without a grace window; all of them, and the one that was not used.
    async fn used(app: &Arc<App>, first: &TokenPlace) -> Vec<PlainSecret> {
        let mut tokens = vec![refresh_token::generate(first, &SystemRandom)];
        signed_in(app, first, &tokens[0]).await;
        for n in 0..USES {
            // The window ends with the millisecond.
            let begun = crate::app::env().now;
            while crate::app::env().now == begun {
                tokio::task::yield_now().await;
            }
            tokens.push(successor(app, &tokens[n]).await);
        }
        tokens
    }

    #[tokio::test]
    async fn what_is_kept_of_a_session_does_not_grow_with_its_refreshes() {
        let dir = tempfile::tempdir().unwrap();
        let app = demo::tests::opened_with(dir.path(), |settings| settings.refresh_grace = Duration::ZERO).await;
        let first = refresh_token::first_place(SessionId::generate(&SystemRandom), &SystemRandom);
        let tokens = used(&app, &first).await;
        let kept = kept(&app, &first, USES + 1).await;
        assert!((2..40).contains(&kept), "{kept} of {}", USES + 1);
        // A used one gives a thief away, kept or not.
        assert!(matches!(refresh(&app, &tokens[USES / 2]).await, Ok(Refreshed::FamilyEnded(_))));
        assert!(refresh(&app, &tokens[USES]).await.is_err(), "the session has ended");
        app.store.close().await;
    }

    /// Anybody who sees an access token could end its session otherwise.
    #[tokio::test]
    async fn a_session_whose_numbers_can_be_guessed_forgets_none_and_ends_for_no_guess() {
        let dir = tempfile::tempdir().unwrap();
        let app = demo::tests::opened_with(dir.path(), |settings| settings.refresh_grace = Duration::ZERO).await;
        let first = TokenPlace { session_id: SessionId::generate(&SystemRandom), number: 0 };
        let tokens = used(&app, &first).await;
        assert_eq!(kept(&app, &first, USES + 1).await, USES + 1);
        for number in [0, 1, 100, USES] {
            let number = i64::try_from(number).unwrap();
            let guess = refresh_token::generate(&TokenPlace { number, ..first.clone() }, &SystemRandom);
            assert!(refresh(&app, &guess).await.is_err(), "{number}");
        }
        successor(&app, &tokens[USES]).await;
        assert!(matches!(refresh(&app, &tokens[USES / 2]).await, Ok(Refreshed::FamilyEnded(_))));
        app.store.close().await;
    }
}
