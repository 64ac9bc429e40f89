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
    use std::path::Path;
    use std::time::Duration;

    use propusk_core::audit::Actor;
    use propusk_core::env::SystemRandom;
    use propusk_core::id::{SessionId, UserId};
    use propusk_core::secret::TokenKey;
    use propusk_core::store::{LastUse, RefreshToken, Session, SessionOrigin, StoreError, TokenPlace, User};
    use propusk_core::{introspection, refresh_token, sessions};

    use super::*;
    use crate::demo;

    /// At one of the demo's clients, for an audience.
    async fn refresh_at(
        [client, audience]: [&str; 2],
        app: &Arc<App>,
        presented: &PlainSecret,
    ) -> Result<Refreshed, GrantError> {
        let (settings, presented, client) = (app.settings.clone(), presented.clone(), client.parse().unwrap());
        let target = Target { audience: Some(audience.to_owned()), resource: None };
        let refreshed = app.write(move |tx, env| {
            let client = tx.client(&client)?.unwrap();
            refresh::grant(tx, env, &settings, &Actor::system(), &Presenter::Client(client), &presented, &target)
        });
        refreshed.await
    }

    const CLIENT: &str = "demo-first-party";

    async fn refresh(app: &Arc<App>, presented: &PlainSecret) -> Result<Refreshed, GrantError> {
        refresh_at([CLIENT, "cars"], app, presented).await
    }

    async fn successor(app: &Arc<App>, presented: &PlainSecret) -> PlainSecret {
        match refresh(app, presented).await.unwrap() {
            Refreshed::Tokens(set) => set.refresh.unwrap().0,
            Refreshed::FamilyEnded(_) => panic!("the family has ended"),
        }
    }

    /// Somebody new who has signed in, with this as the first refresh token.
    async fn signed_in(app: &Arc<App>, place: &TokenPlace, token_key: Option<TokenKey>, token: &PlainSecret) {
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
                client_id: CLIENT.parse().unwrap(),
                epoch: tx.log_state()?.head,
                scope: None,
                created_at: env.now,
                expires_at: env.now.plus(settings.session_absolute_ttl),
                token_key,
                ended_at: None,
                origin: SessionOrigin::default(),
            })?;
            let last_use = LastUse { at: env.now, idle_expires_at: env.now.plus(settings.session_idle_ttl) };
            let token = RefreshToken { place, hash, created_at: env.now, last_use, rotation: None };
            tx.insert_refresh_token(&token)?;
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
    }

    /// Nobody has to sign in again for an upgrade.
    #[tokio::test]
    async fn a_refresh_token_of_an_earlier_version_yields_one_of_this_version() {
        let dir = tempfile::tempdir().unwrap();
        let app = demo::tests::opened(dir.path()).await;
        let old = PlainSecret::generate(refresh_token::PREFIX, &SystemRandom);
        let place = TokenPlace { session_id: SessionId::generate(&SystemRandom), number: -1 };
        signed_in(&app, &place, None, &old).await;
        let first = successor(&app, &old).await;
        assert!(first.expose().starts_with("prt_s_"), "the first that names its place");
        assert_eq!(successor(&app, &old).await, first, "its answer may have been lost");
        let second = successor(&app, &first).await;
        assert!(second != first);
        app.store.close().await;
    }

    /// A session and all its tokens after many uses; only the last one was not used.
    struct Long {
        session_id: SessionId,
        tokens: Vec<PlainSecret>,
    }

    const USES: usize = 100;

    impl Long {
        async fn of(app: &Arc<App>, key: Option<TokenKey>) -> Self {
            let session_id = SessionId::generate(&SystemRandom);
            let first = TokenPlace { session_id: session_id.clone(), number: 0 };
            let mut tokens = vec![refresh_token::generate(&first, key.as_ref(), &SystemRandom)];
            signed_in(app, &first, key, &tokens[0]).await;
            for n in 0..USES {
                // A window that is none ends with the millisecond.
                let begun = crate::app::env().now;
                while crate::app::env().now == begun {
                    tokio::task::yield_now().await;
                }
                tokens.push(successor(app, &tokens[n]).await);
            }
            Self { session_id, tokens }
        }

        /// Which are kept.
        async fn kept(&self, app: &Arc<App>) -> Vec<usize> {
            let session_id = self.session_id.clone();
            let found = app.read(move |tx, _| {
                let mut kept = Vec::new();
                for n in 0..=USES {
                    let place = TokenPlace { session_id: session_id.clone(), number: i64::try_from(n).unwrap() };
                    kept.extend(tx.refresh_token(&place)?.map(|_| n));
                }
                Ok::<_, StoreError>(kept)
            });
            found.await.unwrap()
        }
    }

    /// Whether whoever presents this at the client is taken to own a session: to end it, and to ask about it.
    async fn is_owned(app: &Arc<App>, presented: &PlainSecret) -> [bool; 2] {
        let (presented, issuer) = (presented.clone(), app.settings.issuer.clone());
        let asked = app.read(move |tx, env| {
            let client = tx.client(&CLIENT.parse().unwrap())?.unwrap();
            let ends = sessions::of_refresh_token(tx, &presented, &client.id)?.is_some();
            let active = introspection::refresh_token(tx, env, &issuer, &client, &presented)?.is_some();
            Ok::<_, StoreError>([ends, active])
        });
        asked.await.unwrap()
    }

    async fn without_grace(dir: &Path) -> Arc<App> {
        demo::tests::opened_with(dir, |settings| settings.refresh_grace = Duration::ZERO).await
    }

    #[tokio::test]
    async fn what_is_kept_of_a_session_does_not_grow_with_its_refreshes() {
        let dir = tempfile::tempdir().unwrap();
        let app = without_grace(dir.path()).await;
        let long = Long::of(&app, Some(TokenKey::generate(&SystemRandom))).await;
        let kept = long.kept(&app).await;
        assert!((2..40).contains(&kept.len()) && kept.contains(&USES), "{kept:?} of {USES}");
        assert_eq!(is_owned(&app, &long.tokens[USES]).await, [true, true]);
        for n in [0, 1, kept[0] - 1, kept[0], USES - 1] {
            assert_eq!(is_owned(&app, &long.tokens[n]).await, [true, false], "{n}, of {kept:?}");
        }
        app.store.close().await;
    }

    /// As long as a token is of use to its thief, and however long after.
    #[tokio::test]
    async fn a_used_token_ends_the_session_whether_it_is_kept_or_not_and_wherever_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let app = without_grace(dir.path()).await;
        for n in [0, USES - 2] {
            for at in [[CLIENT, "cars"], ["gateway", "cars"], [CLIENT, "no-such-service"]] {
                let long = Long::of(&app, Some(TokenKey::generate(&SystemRandom))).await;
                assert_eq!(long.kept(&app).await.contains(&n), n > 0);
                let ended = refresh_at(at, &app, &long.tokens[n]).await;
                assert!(matches!(ended, Ok(Refreshed::FamilyEnded(seq)) if seq > 0), "{n} {at:?}");
                assert!(refresh(&app, &long.tokens[USES]).await.is_err(), "the session has ended");
            }
        }
        app.store.close().await;
    }

    #[tokio::test]
    async fn nothing_is_forgotten_within_the_grace_window() {
        let dir = tempfile::tempdir().unwrap();
        let app =
            demo::tests::opened_with(dir.path(), |settings| settings.refresh_grace = Duration::from_secs(600)).await;
        let long = Long::of(&app, Some(TokenKey::generate(&SystemRandom))).await;
        for n in [0, 1, USES / 2, USES - 1] {
            assert_eq!(successor(&app, &long.tokens[n]).await, long.tokens[n + 1], "{n}");
        }
        app.store.close().await;
    }

    /// Anybody who sees an access token knows its session, and numbers can be guessed.
    #[tokio::test]
    async fn a_token_that_was_never_handed_out_ends_no_session_though_its_place_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let app = without_grace(dir.path()).await;
        let (key, other) = (TokenKey::generate(&SystemRandom), TokenKey::generate(&SystemRandom));
        for key in [Some(key), None] {
            let long = Long::of(&app, key).await;
            assert_eq!(long.kept(&app).await.len() == USES + 1, key.is_none(), "one without a key forgets none");
            let mut made_up = Vec::new();
            for n in [0, USES / 2, USES, USES + 1] {
                let place = TokenPlace { session_id: long.session_id.clone(), number: i64::try_from(n).unwrap() };
                made_up.extend([None, Some(&other)].map(|key| refresh_token::generate(&place, key, &SystemRandom)));
            }
            // As one that was lost with the power after it was handed out.
            let beyond = TokenPlace { session_id: long.session_id.clone(), number: i64::try_from(USES + 1).unwrap() };
            made_up.push(refresh_token::generate(&beyond, key.as_ref(), &SystemRandom));
            // The place of one, the rest of another.
            let (first, second) = (long.tokens[0].expose(), long.tokens[1].expose());
            made_up.push(PlainSecret::presented(second.replacen(".1.", ".0.", 1)));
            made_up.push(PlainSecret::presented(format!("{first}A")));
            made_up.push(PlainSecret::presented(&first[..first.len() - 1]));
            for made_up in made_up {
                assert!(refresh(&app, &made_up).await.is_err(), "{}", made_up.expose());
                assert_eq!(is_owned(&app, &made_up).await, [false, false], "{}", made_up.expose());
            }
            successor(&app, &long.tokens[USES]).await;
        }
        app.store.close().await;
    }
}
