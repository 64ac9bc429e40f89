//! How tokens and sessions end.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::screen::{Cut, Shown};
use super::stage::{OWN_ACCESS_TTL, OWN_LEEWAY};
use super::{Tour, enforced_header};

pub(super) async fn expire(tour: &mut Tour) -> Shown {
    let tokens = tour.login("cars").await?;
    if !tour.stage.is_own() {
        let why = format!("tokens live {} s here; --ephemeral makes shorter ones", tokens.expires_in);
        return Err(Cut::Skipped(why));
    }
    let direct =
        |tour: &Tour| Ok::<_, Cut>(tour.service("cars", Method::GET, "/cars/-/whoami")?.bearer(tokens.access.expose()));
    direct(tour)?.send(&tour.screen).await?.expect(200)?;
    let call = tour.gateway(Method::GET, "/cars/-/whoami");
    let before = tour.browse(call).await?.expect(200)?.text("/jti")?;
    let until_past = OWN_ACCESS_TTL + OWN_LEEWAY + Duration::from_millis(500);
    tour.screen.wait(until_past, "both tokens end").await;
    direct(tour)?.send(&tour.screen).await?.expect_problem(401, "token-expired")?;
    let call = tour.gateway(Method::GET, "/cars/-/whoami");
    let refreshed = tour.browse(call).await?.expect(200)?;
    if refreshed.text("/jti")? == before {
        return Err(Cut::Failed("the gateway sent the same token again".to_owned()));
    }
    if refreshed.cookie().is_none_or(|cookie| cookie.is_empty()) {
        return Err(Cut::Failed("the answer brings no new cookie".to_owned()));
    }
    Ok("alone, the token is refused; the gateway refreshed the session and sent a new one, with a new cookie"
        .to_owned())
}

pub(super) async fn log_out(tour: &mut Tour) -> Shown {
    let tokens = tour.login("cars").await?;
    let elite = |tour: &Tour| {
        Ok::<_, Cut>(tour.service("cars", Method::GET, "/cars/-/whoami/elite")?.bearer(tokens.access.expose()))
    };
    elite(tour)?.send(&tour.screen).await?.expect(200)?;
    let body = json!({"refresh_token": tokens.refresh.expose()});
    let out = tour.authority(Method::POST, "/auth/logout").json(&body).send(&tour.screen).await?.expect(204)?;
    let reached = enforced_header(&out)?;
    elite(tour)?.send(&tour.screen).await?.expect_problem(401, "token-revoked")?;
    let call = tour.authority(Method::POST, "/auth/refresh").json(&body);
    call.send(&tour.screen).await?.expect_problem(401, "invalid-refresh-token")?;

    let old = tour.cookie.clone();
    let call = tour.gateway(Method::POST, "/logout");
    tour.browse(call).await?.expect(204)?;
    tour.cookie = old;
    let call = tour.gateway(Method::GET, "/users/me");
    tour.browse(call).await?.expect(401)?;
    tour.cookie = None;
    Ok(format!("{reached}: the token, the refresh token and the old cookie open nothing any more"))
}
