//! An account, signing in, the three services.

use reqwest::Method;
use serde_json::{Value, json};

use super::screen::{Cut, Shown};
use super::{Hero, Tour, random_word};
use crate::secret::SecretText;

/// One ordinary call to each service.
const CALLS: [&str; 3] = ["/users/me", "/posts", "/cars"];

pub(super) async fn register(tour: &mut Tour) -> Shown {
    let username = format!("tour-{}", random_word(6));
    let password = SecretText::new(random_word(24));
    let body = json!({"username": username, "password": password.expose()});
    let answer = tour.gateway(Method::POST, "/auth/register").json(&body).send(&tour.screen).await?.expect(201)?;
    let id = answer.text("/id")?;
    let shown = format!("{username} has an account, and no role yet");
    tour.hero = Some(Hero { id, username, password });
    Ok(shown)
}

pub(super) async fn sign_in(tour: &mut Tour) -> Shown {
    let hero = tour.hero()?;
    let tokens = tour.login("propusk").await?;
    let call = tour.authority(Method::GET, "/auth/me").bearer(tokens.access.expose());
    let me = call.send(&tour.screen).await?.expect(200)?;
    if me.text("/id")? != hero.id {
        return Err(Cut::Failed(format!("that is somebody else: {}", me.in_short())));
    }
    Ok(format!(
        "an access token of {} s, signed for one service only, and a refresh token that changes with each use",
        tokens.expires_in
    ))
}

pub(super) async fn call_with_basic(tour: &mut Tour) -> Shown {
    let hero = tour.hero()?;
    for path in CALLS {
        let call = tour.gateway(Method::GET, path).basic(&hero.username, hero.password.expose());
        call.send(&tour.screen).await?.expect(200)?;
    }
    tour.gateway(Method::GET, "/cars")
        .basic(&hero.username, "not the password")
        .send(&tour.screen)
        .await?
        .expect(401)?;
    Ok("the gateway signs in once and gives each service a token of its own; a wrong password is refused".to_owned())
}

pub(super) async fn call_with_cookie(tour: &mut Tour) -> Shown {
    sign_in_browser(tour).await?;
    for path in CALLS {
        let call = tour.gateway(Method::GET, path);
        tour.browse(call).await?.expect(200)?;
    }
    tour.gateway(Method::GET, "/cars").send(&tour.screen).await?.expect_problem(401, "no-credentials")?;
    Ok("the cookie is sealed: no script and no service sees a token in it; without it there is no entry".to_owned())
}

/// Opens a session at the gateway.
pub(super) async fn sign_in_browser(tour: &mut Tour) -> Result<(), Cut> {
    let hero = tour.hero()?;
    let body = json!({"username": hero.username, "password": hero.password.expose()});
    let call = tour.gateway(Method::POST, "/login").same_origin().json(&body);
    let answer = call.send(&tour.screen).await?.expect(200)?;
    let cookie = answer.cookie().filter(|cookie| !cookie.is_empty());
    tour.cookie = Some(cookie.ok_or_else(|| Cut::Failed("the answer sets no cookie".to_owned()))?);
    Ok(())
}

pub(super) async fn posts(tour: &mut Tour) -> Shown {
    let hero = tour.hero()?;
    let content = format!("hello from {}", hero.username);
    let call = tour.gateway(Method::POST, "/posts").json(&json!({"content": content}));
    let post = tour.browse(call).await?.expect(201)?.text("/post_id")?;
    let call = tour.gateway(Method::GET, "/posts");
    let posts = tour.browse(call).await?.expect(200)?;
    let ours = posts
        .json
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item.get("post_id") == Some(&Value::from(post.as_str())));
    let author = ours.and_then(|item| item.pointer("/user_data/username")).and_then(Value::as_str);
    match author {
        Some(author) if author == hero.username => {
            Ok(format!("posts asked users who {author} is, with a token that it exchanged ours for"))
        }
        _ => Err(Cut::Failed(format!("no post of ours with its author: {}", posts.in_short()))),
    }
}
