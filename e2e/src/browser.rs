//! A session at the gateway. The cookie is carried by hand: jars of HTTP libraries may drop a `Secure` cookie that came
//! over plain HTTP, and a test wants to see when it changes.

use std::sync::Mutex;

use serde_json::json;

use crate::http::{Answer, Request};
use crate::people::Person;
use crate::system::System;

/// The one cookie.
pub const COOKIE: &str = "__Host-Http-propusk";

/// A browser that is signed in, or was.
pub struct Browser<'a> {
    system: &'a System,
    cookie: Mutex<String>,
}

impl<'a> Browser<'a> {
    /// Nobody yet.
    pub fn new(system: &'a System) -> Self {
        Self { system, cookie: Mutex::default() }
    }

    /// Signed in by JSON.
    pub async fn sign_in(system: &'a System, person: &Person) -> Self {
        let browser = Self::new(system);
        let body = json!({"username": person.username, "password": person.password});
        let request = browser.request("POST", "/login").header("propusk-csrf", "1").json(&body);
        let answer = browser.send(request).await.expect(200);
        assert_eq!(answer.field("user_id"), person.id, "\n{answer}");
        assert_ne!(browser.cookie(), "", "\n{answer}");
        browser
    }

    /// The cookie's value now; empty if there is none.
    pub fn cookie(&self) -> String {
        self.cookie.lock().expect("cookie").clone()
    }

    /// Another value from now on.
    pub fn set_cookie(&self, value: &str) {
        value.clone_into(&mut self.cookie.lock().expect("cookie"));
    }

    /// A request with the cookie, as a page's own script sends it.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let request = self.system.http.request(method, &self.system.gateway(path));
        match self.cookie() {
            cookie if cookie.is_empty() => request,
            cookie => request.header("cookie", &format!("{COOKIE}={cookie}")),
        }
    }

    /// Sends a request and takes the cookie that its answer sets.
    pub async fn send(&self, request: Request) -> Answer {
        let answer = request.send().await;
        if let Some(value) = cookie_of(&answer) {
            self.set_cookie(&value);
        }
        answer
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// POST by a script of the same origin.
    pub async fn post(&self, path: &str) -> Answer {
        self.send(self.request("POST", path).header("sec-fetch-site", "same-origin")).await
    }
}

/// The session cookie's value that an answer sets; empty if it clears it.
pub fn cookie_of(answer: &Answer) -> Option<String> {
    let prefix = format!("{COOKIE}=");
    answer.headers.get_all("set-cookie").iter().find_map(|value| {
        let rest = value.to_str().ok()?.strip_prefix(&prefix)?;
        Some(rest.split(';').next().unwrap_or_default().to_owned())
    })
}
