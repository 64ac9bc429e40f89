//! Signing in at the gateway: the page, the form, JSON, where it leads, and who may send it.

use e2e::browser::{Browser, COOKIE, cookie_of};
use e2e::http::Answer;
use e2e::people::{PASSWORD, Person};
use e2e::run;
use e2e::system::System;
use serde_json::json;

use crate::shared::PLAIN;

async fn form(system: &System, person: &Person, return_to: Option<&str>) -> Answer {
    let mut fields = vec![("username", person.username.as_str()), ("password", PASSWORD)];
    fields.extend(return_to.map(|path| ("return_to", path)));
    let request = system.http.post(&system.gateway("/login")).header("sec-fetch-site", "same-origin");
    request.form(&fields).send().await
}

#[test]
fn the_page_works_without_scripts_and_brings_no_foreign_ones() {
    run(async {
        let system = &*PLAIN;
        let page = system.http.get(&system.gateway("/login?return_to=/cars")).send().await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"), "\n{page}");
        let text = page.text();
        for piece in
            ["name=\"username\"", "name=\"password\"", "name=\"return_to\" value=\"/cars\"", "id=\"sign-in\"", "<form"]
        {
            assert!(text.contains(piece), "{piece}\n{text}");
        }
        assert!(!text.contains("<script"), "{text}");
        let policy = page.header("content-security-policy");
        for piece in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
            assert!(policy.contains(piece), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
    });
}

#[test]
fn signing_in_leads_back_to_a_path_of_this_origin_and_nowhere_else() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("returning").await;
        for path in ["/", "/cars", "/cars?a=b&c=d", "/posts#x"] {
            let answer = form(system, &person, Some(path)).await.expect(303);
            assert_eq!(answer.header("location"), path, "\n{answer}");
            assert!(cookie_of(&answer).is_some_and(|cookie| !cookie.is_empty()), "\n{answer}");
        }
        for foreign in [
            "https://evil.example/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/.//evil.example",
            "javascript:alert(1)",
            "http:evil.example",
            "@evil.example",
            " /cars",
            "cars",
            "",
            "/a\r\nset-cookie: x=y",
        ] {
            let answer = form(system, &person, Some(foreign)).await.expect(303);
            assert_eq!(answer.header("location"), "/", "{foreign:?}\n{answer}");
            assert!(!answer.headers_joined("set-cookie").contains("x=y"), "\n{answer}");
            let url = system.gateway("/login");
            let page = system.http.get(&format!("{url}?{}", query(foreign))).send().await.expect(200);
            assert!(page.text().contains("name=\"return_to\" value=\"/\""), "{foreign:?}\n{page}");
        }
        let answer = form(system, &person, None).await.expect(303);
        assert_eq!(answer.header("location"), "/");
    });
}

fn query(return_to: &str) -> String {
    let encoded: String = return_to.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("return_to={encoded}")
}

#[test]
fn the_cookie_is_one_that_scripts_and_foreign_sites_do_not_get() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("cookie").await;
        let answer = form(system, &person, None).await.expect(303);
        let set: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(set.len(), 1, "\n{answer}");
        assert!(set[0].len() < 4_096, "{} bytes", set[0].len());
        let mut parts = set[0].split("; ");
        assert!(parts.next().unwrap().starts_with(&format!("{COOKIE}=")), "{}", set[0]);
        let attributes: Vec<&str> = parts.collect();
        assert_eq!(attributes, ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"]);
        // No token can be read out of it.
        let value = cookie_of(&answer).unwrap();
        assert!(!value.contains('.') && !value.contains(&person.username), "{value}");
    });
}

#[test]
fn a_wrong_password_shows_the_page_again_without_it() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("retry").await;
        let fields = [("username", "\"><script>x"), ("password", "hunter2 hunter2 hunter2"), ("return_to", "/cars")];
        let request = system.http.post(&system.gateway("/login")).header("sec-fetch-site", "same-origin");
        let page = request.form(&fields).send().await.expect(401);
        let text = page.text();
        assert!(text.contains("role=\"alert\"") && text.contains("value=\"/cars\""), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("<script"), "{text}");
        assert_eq!(page.header("set-cookie"), "", "\n{page}");
        let body = json!({"username": person.username, "password": "wrong wrong wrong wrong"});
        let request = system.http.post(&system.gateway("/login")).header("propusk-csrf", "1");
        request.json(&body).send().await.expect_problem(401, "invalid-credentials");
        let unknown = json!({"username": person.username, "password": PASSWORD, "remember": true});
        let request = system.http.post(&system.gateway("/login")).header("propusk-csrf", "1");
        let answer = request.json(&unknown).send().await.expect(400);
        assert!(answer.text().contains("remember"), "the unknown member is named\n{answer}");
    });
}

#[test]
fn a_browser_is_led_to_the_page_and_a_program_is_not() {
    run(async {
        let system = &*PLAIN;
        let url = system.gateway("/cars?sort=price");
        let request = system.http.get(&url).header("sec-fetch-mode", "navigate").header("sec-fetch-site", "none");
        let answer = request.send().await.expect(303);
        assert_eq!(answer.header("location"), "/login?return_to=%2Fcars%3Fsort%3Dprice", "\n{answer}");
        system.http.get(&url).header("sec-fetch-mode", "cors").send().await.expect_problem(401, "no-credentials");
        system.http.get(&url).send().await.expect_problem(401, "no-credentials");
    });
}

#[test]
fn a_link_from_elsewhere_is_bounced_once() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("linked").await;
        let browser = Browser::sign_in(system, &person).await;
        let navigate = |path: &str, site: &str| {
            let request = system.http.get(&system.gateway(path)).header("sec-fetch-mode", "navigate");
            request.header("sec-fetch-site", site).header("sec-fetch-dest", "document")
        };
        // The browser kept the cookie back: the page makes it come again from this site.
        let bounce = navigate("/cars?limit=7", "cross-site").send().await.expect(200);
        let text = bounce.text();
        let address = text.split("url=").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        let address = address.replace("&amp;", "&").replace("&#38;", "&").replace("&#x26;", "&");
        assert!(address.starts_with("/cars?limit=7"), "{text}");
        assert_eq!(bounce.header("cache-control"), "no-store", "\n{bounce}");
        let cookie = format!("{COOKIE}={}", browser.cookie());
        navigate(&address, "same-origin").header("cookie", &cookie).send().await.expect(200);
        // Whoever has no cookie then has none at all, and is not bounced for ever.
        let answer = navigate(&address, "same-origin").send().await.expect(303);
        assert!(answer.header("location").starts_with("/login?return_to="), "\n{answer}");
        let again = navigate(&address, "cross-site").header("referer", &system.gateway("/cars"));
        let answer = again.send().await.expect(303);
        assert!(answer.header("location").starts_with("/login?return_to="), "\n{answer}");
    });
}

#[test]
fn cross_site_requests_are_refused() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("csrf").await;
        let browser = Browser::sign_in(system, &person).await;
        let own = system.ready.gateway.trim_end_matches('/').to_owned();
        let foreign: &[&[(&str, &str)]] = &[
            &[],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("propusk-csrf", "1")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "https://evil.example"), ("propusk-csrf", "1")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("propusk-csrf", "0")],
        ];
        let ours: &[&[(&str, &str)]] =
            &[&[("sec-fetch-site", "same-origin")], &[("origin", &own)], &[("propusk-csrf", "1")]];
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            for (lines, refused) in foreign.iter().map(|l| (l, true)).chain(ours.iter().map(|l| (l, false))) {
                let mut request = browser.request(method, "/cars/some-id/buy");
                for (name, value) in *lines {
                    request = request.header(name, value);
                }
                let answer = request.send().await;
                if refused {
                    answer.expect_problem(403, "csrf");
                } else {
                    assert!(!answer.text().contains(":csrf"), "{lines:?}\n{answer}");
                }
            }
        }
        // Reading is not changing, and a bearer token is nothing that a browser adds by itself.
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            browser.request("GET", "/cars").header(name, value).send().await.expect(200);
            let token = system.login(&person, "cars").await.access;
            let post = system.http.post(&system.gateway("/cars/some-id/buy")).bearer(&token).header(name, value);
            assert!(!post.send().await.text().contains(":csrf"));
        }
        // Signing somebody in as the attacker is refused as well; and so is signing them out.
        for lines in foreign {
            let body = json!({"username": person.username, "password": PASSWORD});
            let mut login = system.http.post(&system.gateway("/login")).json(&body);
            let mut logout = browser.request("POST", "/logout");
            for (name, value) in *lines {
                login = login.header(name, value);
                logout = logout.header(name, value);
            }
            let answer = login.send().await.expect_problem(403, "csrf");
            assert_eq!(answer.header("set-cookie"), "", "\n{answer}");
            logout.send().await.expect_problem(403, "csrf");
        }
        browser.get("/session").await.expect(200);
    });
}
