//! Whatever is taken away is refused by elite endpoints as soon as the call that took it away has answered, with the
//! verdict that tells the client what to do; by ordinary ones within the bound of their view.

use std::sync::LazyLock;
use std::time::Duration;

use e2e::browser::Browser;
use e2e::http::Refusal;
use e2e::people::{PASSWORD, Person, Tokens};
use e2e::run;
use e2e::system::{Options, System};
use futures_util::future::join_all;
use serde_json::json;

use crate::shared::PLAIN;

const SERVICES: [&str; 3] = ["users", "posts", "cars"];
/// How old the view of an ordinary endpoint may be.
const MAX_STALENESS: Duration = Duration::from_secs(5);

/// For what would be felt by other tests.
static APART: LazyLock<System> = LazyLock::new(|| System::start(&Options::new()));

/// One token for each service, all of one session.
async fn tokens_everywhere(system: &System, person: &Person) -> (Tokens, Vec<(&'static str, String)>) {
    let session = system.login(person, "propusk").await;
    let mut all = Vec::new();
    for service in SERVICES {
        // An honest replay: the same successor, another audience.
        let tokens = Tokens::of(system.refresh(&session.refresh, Some(service)).await);
        all.push((service, tokens.access));
    }
    (session, all)
}

/// Elite endpoints at once, directly and through the gateway; ordinary ones within the bound.
async fn assert_refused_everywhere(system: &System, tokens: &[(&'static str, String)], refusal: Refusal) {
    for (service, token) in tokens {
        system.elite(service, token).await.expect_refusal(refusal);
        let by_gateway = system.gateway(&format!("/{service}/-/whoami/elite"));
        system.http.get(&by_gateway).bearer(token).send().await.expect_refusal(refusal);
    }
    for (service, token) in tokens {
        let answer = e2e::eventually_async("ordinary endpoints refuse too", MAX_STALENESS, || async {
            let answer = system.ordinary(service, token).await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        answer.expect_refusal(refusal);
    }
}

async fn assert_accepted_everywhere(system: &System, tokens: &[(&'static str, String)]) {
    for (service, token) in tokens {
        system.elite(service, token).await.expect(200);
        system.ordinary(service, token).await.expect(200);
    }
}

#[test]
fn a_role_taken_away_is_gone_at_once_and_a_refresh_tells_what_is_left() {
    run(async {
        let system = &*PLAIN;
        let person = system.register_with_role("role", "cars", "buyer").await;
        let tokens = system.login(&person, "cars").await;
        let seen = system.elite("cars", &tokens.access).await.expect(200);
        assert_eq!(seen.json()["roles"], json!(["buyer"]), "\n{seen}");

        system.role("DELETE", &person.id, "cars", "buyer").await;
        assert_refused_everywhere(system, &[("cars", tokens.access.clone())], Refusal::Stale).await;
        let tokens = Tokens::of(system.refresh(&tokens.refresh, Some("cars")).await);
        let seen = system.elite("cars", &tokens.access).await.expect(200);
        assert_eq!(seen.json()["roles"], json!([]), "\n{seen}");
        let buy = system.http.post(&system.service("cars", "/cars/whichever/buy")).bearer(&tokens.access);
        buy.send().await.expect_refusal(Refusal::Forbidden);

        // Given again, it is there after a refresh.
        system.role("PUT", &person.id, "cars", "buyer").await;
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Stale);
        let tokens = Tokens::of(system.refresh(&tokens.refresh, Some("cars")).await);
        let seen = system.elite("cars", &tokens.access).await.expect(200);
        assert_eq!(seen.json()["roles"], json!(["buyer"]), "\n{seen}");
    });
}

#[test]
fn a_role_at_one_service_shows_in_no_token_for_another() {
    run(async {
        let system = &*PLAIN;
        let person = system.register_with_role("elsewhere", "cars", "buyer").await;
        for service in ["users", "posts", "propusk"] {
            let tokens = system.login(&person, service).await;
            assert_eq!(e2e::forge::claims(&tokens.access)["roles"], json!([]), "{service}");
        }
    });
}

#[test]
fn a_logout_ends_every_token_of_its_session_and_of_no_other() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("logout").await;
        let (_, others) = tokens_everywhere(system, &person).await;
        for by_refresh_token in [false, true] {
            let (session, tokens) = tokens_everywhere(system, &person).await;
            assert_accepted_everywhere(system, &tokens).await;
            let request = system.http.post(&system.authority("/auth/logout"));
            let request = if by_refresh_token {
                request.json(&json!({"refresh_token": session.refresh}))
            } else {
                request.bearer(&session.access)
            };
            request.send().await.expect(204).expect_enforced_header();
            assert_refused_everywhere(system, &tokens, Refusal::Revoked).await;
            system.refresh(&session.refresh, None).await.expect_problem(401, "invalid-refresh-token");
            let me = system.http.get(&system.authority("/auth/me")).bearer(&session.access).send().await;
            me.expect_refusal(Refusal::Revoked);
            for (service, token) in &tokens {
                assert_eq!(system.introspect(service, token).await, json!({"active": false}));
            }
        }
        assert_accepted_everywhere(system, &others).await;
        // Without a session there is nothing to end; that is no error, and nothing is told.
        let unknown = json!({"refresh_token": "prt_nobody-ever-had-this"});
        system.http.post(&system.authority("/auth/logout")).json(&unknown).send().await.expect(204);
        system.http.post(&system.authority("/auth/logout")).send().await.expect_refusal(Refusal::None);
    });
}

#[test]
fn a_person_ends_one_session_or_all_of_them() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("sessions").await;
        let (first, first_tokens) = tokens_everywhere(system, &person).await;
        let (second, second_tokens) = tokens_everywhere(system, &person).await;
        let stranger = system.register("stranger").await;
        let theirs = system.login(&stranger, "propusk").await;

        let listed =
            system.http.get(&system.authority("/auth/sessions")).bearer(&first.access).send().await.expect(200);
        let ids: Vec<String> = listed.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 2, "\n{listed}");
        assert!(ids.contains(&first.sid()) && ids.contains(&second.sid()), "\n{listed}");

        let end = |sid: String, token: String| async move {
            let url = system.authority(&format!("/auth/sessions/{sid}"));
            system.http.request("DELETE", &url).bearer(&token).send().await
        };
        end(second.sid(), theirs.access.clone()).await.expect_problem(404, "not-found");
        assert_accepted_everywhere(system, &second_tokens).await;
        end(second.sid(), first.access.clone()).await.expect_enforced();
        assert_refused_everywhere(system, &second_tokens, Refusal::Revoked).await;
        assert_accepted_everywhere(system, &first_tokens).await;

        let (_, third_tokens) = tokens_everywhere(system, &person).await;
        let all = system.http.request("DELETE", &system.authority("/auth/sessions")).bearer(&first.access);
        all.send().await.expect_enforced();
        assert_refused_everywhere(system, &first_tokens, Refusal::Revoked).await;
        assert_refused_everywhere(system, &third_tokens, Refusal::Revoked).await;
        assert!(system.sessions(&person.id).await.is_empty());
        // Out everywhere is not locked out.
        let (_, again) = tokens_everywhere(system, &person).await;
        assert_accepted_everywhere(system, &again).await;
    });
}

#[test]
fn an_administrator_ends_sessions() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("ended").await;
        let (first, first_tokens) = tokens_everywhere(system, &person).await;
        let (_, second_tokens) = tokens_everywhere(system, &person).await;
        system.admin("DELETE", &format!("/sessions/{}", first.sid())).await.expect_enforced();
        assert_refused_everywhere(system, &first_tokens, Refusal::Revoked).await;
        assert_accepted_everywhere(system, &second_tokens).await;
        system.admin("DELETE", &format!("/users/{}/sessions", person.id)).await.expect_enforced();
        assert_refused_everywhere(system, &second_tokens, Refusal::Revoked).await;
        system.admin("DELETE", "/sessions/s_nobody").await.expect_problem(404, "not-found");
    });
}

#[test]
fn a_disabled_person_is_out_at_once_and_looks_like_nobody() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("disabled").await;
        let (session, tokens) = tokens_everywhere(system, &person).await;
        let browser = Browser::sign_in(system, &person).await;
        browser.get("/cars/-/whoami/elite").await.expect(200);
        system.admin("POST", &format!("/users/{}/disable", person.id)).await.expect_enforced();

        assert_refused_everywhere(system, &tokens, Refusal::Revoked).await;
        let refused = system.refresh(&session.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        let unknown = system.refresh("prt_nobody-ever-had-this", None).await;
        assert_eq!(refused.json(), unknown.json(), "a disabled person's token looks like nobody's");
        let locked =
            system.try_login(&person.username, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        let wrong = system.try_login("nobody-of-this-name", PASSWORD, None).await;
        assert_eq!(locked.json(), wrong.json(), "a disabled person looks like nobody");
        assert_eq!(browser.get("/cars/-/whoami/elite").await.status, 401);
        let basic = system.http.get(&system.gateway("/cars/-/whoami")).basic(&person.username, PASSWORD);
        basic.send().await.expect_problem(401, "invalid-credentials");

        // Enabled again, one signs in again; what was out before stays refused.
        system.admin("POST", &format!("/users/{}/enable", person.id)).await.expect_enforced();
        let (_, again) = tokens_everywhere(system, &person).await;
        assert_accepted_everywhere(system, &again).await;
        assert_refused_everywhere(system, &tokens, Refusal::Revoked).await;
        system.refresh(&session.refresh, None).await.expect_problem(401, "invalid-refresh-token");
    });
}

#[test]
fn one_token_is_revoked_and_its_siblings_stay() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("single").await;
        let jti = |token: &str| e2e::forge::claims(token)["jti"].as_str().unwrap().to_owned();
        let (session, tokens) = tokens_everywhere(system, &person).await;
        let of = |service: &str| tokens.iter().find(|(name, _)| *name == service).unwrap().clone();
        let bodies = [json!({"jti": jti(&of("cars").1)}), json!({"token": of("posts").1})];
        for body in &bodies {
            system.admin_json("POST", "/tokens/revoke", body).await.expect_enforced();
        }
        assert_refused_everywhere(system, &[of("cars"), of("posts")], Refusal::Revoked).await;
        assert_accepted_everywhere(system, &[of("users")]).await;
        Tokens::of(system.refresh(&session.refresh, None).await);
        // Once more is no error, and nothing else is understood.
        system.admin_json("POST", "/tokens/revoke", &bodies[0]).await.expect_enforced();
        let both = json!({"jti": "a", "token": "b"});
        system.admin_json("POST", "/tokens/revoke", &both).await.expect_problem(400, "bad-request");
    });
}

#[test]
fn a_client_revokes_what_is_its_own() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("rfc7009").await;
        let token = system.client_token("demo-m2m", "cars").await;
        let spared = system.client_token("demo-m2m", "cars").await;
        let revoke = |client: &'static str, token: String| async move {
            let answer = system.oauth("/oauth/revoke", client, &[("token", &token)]).send().await.expect(200);
            assert!(answer.body.is_empty(), "\n{answer}");
            answer
        };
        // Somebody else's is left alone, and the answer does not tell.
        revoke("posts", token.clone()).await;
        system.elite("cars", &token).await.expect(200);
        revoke("demo-m2m", token.clone()).await.expect_enforced_header();
        assert_refused_everywhere(system, &[("cars", token)], Refusal::Revoked).await;
        system.elite("cars", &spared).await.expect(200);

        let fields = [
            ("grant_type", "password"),
            ("username", person.username.as_str()),
            ("password", PASSWORD),
            ("audience", "cars"),
        ];
        let granted = Tokens::of(system.token("demo-first-party", &fields).await);
        revoke("gateway", granted.refresh.clone()).await;
        system.elite("cars", &granted.access).await.expect(200);
        revoke("demo-first-party", granted.refresh.clone()).await.expect_enforced_header();
        assert_refused_everywhere(system, &[("cars", granted.access)], Refusal::Revoked).await;
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", granted.refresh.as_str())];
        system.token("demo-first-party", &refresh).await.expect_oauth_error(400, "invalid_grant");
        revoke("demo-m2m", "no token at all".to_owned()).await;
    });
}

#[test]
fn a_new_password_ends_all_other_sessions() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("password").await;
        let (own, own_tokens) = tokens_everywhere(system, &person).await;
        let (_, other_tokens) = tokens_everywhere(system, &person).await;
        let change = |current: &'static str, new: &'static str| {
            let body = json!({"current_password": current, "new_password": new});
            system.http.post(&system.authority("/auth/password")).bearer(&own.access).json(&body).send()
        };
        change("not the current password", "nine amber kettles 8820").await.expect(401);
        change(PASSWORD, "short").await.expect_problem(422, "invalid-field");
        assert_accepted_everywhere(system, &other_tokens).await;
        change(PASSWORD, "nine amber kettles 8820").await.expect_enforced();
        assert_refused_everywhere(system, &other_tokens, Refusal::Revoked).await;
        // This session goes on; its tokens are to be refreshed, for credentials changed.
        assert_refused_everywhere(system, &own_tokens, Refusal::Stale).await;
        let tokens = Tokens::of(system.refresh(&own.refresh, Some("cars")).await);
        assert_eq!(tokens.sid(), own.sid());
        system.elite("cars", &tokens.access).await.expect(200);
        assert_eq!(system.sessions(&person.id).await.len(), 1);
        system.try_login(&person.username, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        Tokens::of(system.try_login(&person.username, "nine amber kettles 8820", None).await);

        // Set by an administrator, it ends them all.
        let body = json!({"password": "ten copper lanterns 1203"});
        system.admin_json("PUT", &format!("/users/{}/password", person.id), &body).await.expect_enforced();
        assert_refused_everywhere(system, &[("cars", tokens.access)], Refusal::Revoked).await;
        Tokens::of(system.try_login(&person.username, "ten copper lanterns 1203", None).await);
    });
}

#[test]
fn a_disabled_client_is_out_with_all_it_acts_for() {
    run(async {
        let system = &*APART;
        let person = system.register("behind").await;
        let machine = system.client_token("demo-m2m", "cars").await;
        system.elite("cars", &machine).await.expect(200);
        let subject = system.login(&person, "posts").await.access;
        let exchanged = Tokens::of(system.exchange("posts", &subject, "users").await).access;
        system.elite("users", &exchanged).await.expect(200);

        system.admin("POST", "/clients/demo-m2m/disable").await.expect_enforced();
        assert_refused_everywhere(system, &[("cars", machine)], Refusal::Revoked).await;
        let fields = [("grant_type", "client_credentials"), ("audience", "cars")];
        system.token("demo-m2m", &fields).await.expect_oauth_error(401, "invalid_client");

        // An actor that is out takes along what it acts in, not the person it acted for.
        system.admin("POST", "/clients/posts/disable").await.expect_enforced();
        assert_refused_everywhere(system, &[("users", exchanged)], Refusal::Revoked).await;
        let others = system.login(&person, "users").await.access;
        system.elite("users", &others).await.expect(200);
        system.exchange("posts", &subject, "users").await.expect_oauth_error(401, "invalid_client");
        for client in ["demo-m2m", "posts"] {
            system.admin("POST", &format!("/clients/{client}/enable")).await.expect_enforced();
        }
        let machine = system.client_token("demo-m2m", "cars").await;
        system.elite("cars", &machine).await.expect(200);
    });
}

#[test]
fn the_last_administrator_stays() {
    run(async {
        let system = &*APART;
        let listed = system.admin("GET", "/users?username=admin").await.expect(200);
        let id = listed.json()["items"][0]["id"].as_str().unwrap().to_owned();
        system.admin("POST", &format!("/users/{id}/disable")).await.expect_problem(409, "last-admin");
        system.admin("DELETE", &format!("/users/{id}/roles/propusk/admin")).await.expect_problem(409, "last-admin");
        // With a second one either may go, but not both.
        let second = system.register_with_role("admin", "propusk", "admin").await;
        system.admin("DELETE", &format!("/users/{}/roles/propusk/admin", second.id)).await.expect_enforced();
        system.admin("DELETE", &format!("/users/{id}/roles/propusk/admin")).await.expect_problem(409, "last-admin");
    });
}

#[test]
fn an_administrator_s_role_is_checked_as_of_now() {
    run(async {
        let system = &*PLAIN;
        let deputy = system.register_with_role("deputy", "propusk", "admin").await;
        let tokens = system.login(&deputy, "propusk").await;
        let list =
            |token: String| system.http.get(&system.authority("/admin/v1/users?username=alice")).bearer(&token).send();
        list(tokens.access.clone()).await.expect(200);
        system.role("DELETE", &deputy.id, "propusk", "admin").await;
        list(tokens.access).await.expect_refusal(Refusal::Stale);
        let tokens = Tokens::of(system.refresh(&tokens.refresh, None).await);
        list(tokens.access).await.expect_refusal(Refusal::Forbidden);
    });
}

#[test]
fn many_revocations_at_once_all_hold() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("many").await;
        let sessions = join_all((0..24).map(|_| system.login(&person, "cars"))).await;
        let end = |tokens: &Tokens| {
            let body = json!({"refresh_token": tokens.refresh});
            system.http.post(&system.authority("/auth/logout")).json(&body).send()
        };
        let (gone, kept) = sessions.split_at(12);
        for answer in join_all(gone.iter().map(end)).await {
            answer.expect(204).expect_enforced_header();
        }
        for tokens in gone {
            system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Revoked);
        }
        for tokens in kept {
            system.elite("cars", &tokens.access).await.expect(200);
        }
    });
}
