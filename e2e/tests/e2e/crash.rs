//! A crash of the authority: what it acknowledged is there afterwards.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use e2e::http::Refusal;
use e2e::people::{PASSWORD, Tokens};
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};
use e2e::unique;
use futures_util::future::join_all;
use serde_json::json;

/// What a client was told and may rely on.
#[derive(Default)]
struct Acknowledged {
    /// Username and id.
    people: Vec<(String, String)>,
    /// The newest refresh token of a session, and its session.
    sessions: Vec<(String, String)>,
}

const WANTED: usize = 200;

/// Registers people and refreshes their sessions until nobody answers any more.
async fn client(system: &System, told: &Mutex<Acknowledged>, count: &AtomicUsize, cut: &AtomicBool) {
    while !cut.load(Ordering::SeqCst) {
        let username = unique("crash");
        let body = json!({"username": username, "password": PASSWORD});
        let Ok(answer) = system.http.post(&system.authority("/auth/register")).json(&body).try_send().await else {
            return;
        };
        let id = answer.expect(201).field("id");
        told.lock().unwrap().people.push((username, id));
        count.fetch_add(1, Ordering::SeqCst);

        let username = told.lock().unwrap().people.last().unwrap().0.clone();
        let body = json!({"username": username, "password": PASSWORD});
        let Ok(answer) = system.http.post(&system.authority("/auth/login")).json(&body).try_send().await else {
            return;
        };
        let mut tokens = Tokens::of(answer);
        let index = {
            let mut told = told.lock().unwrap();
            told.sessions.push((tokens.refresh.clone(), tokens.sid()));
            told.sessions.len() - 1
        };
        for _ in 0..3 {
            let body = json!({"refresh_token": tokens.refresh});
            let Ok(answer) = system.http.post(&system.authority("/auth/refresh")).json(&body).try_send().await else {
                return;
            };
            tokens = Tokens::of(answer);
            told.lock().unwrap().sessions[index].0.clone_from(&tokens.refresh);
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    run(async {
        let system = System::start(&Options::new().split().set("refresh.grace", "120s"));
        let (told, count, cut) = (Mutex::<Acknowledged>::default(), AtomicUsize::new(0), AtomicBool::new(false));
        let killer = async {
            // In the middle: many are acknowledged, eight are always under way.
            while count.load(Ordering::SeqCst) < WANTED {
                tokio::task::yield_now().await;
            }
            system.kill("authority");
            cut.store(true, Ordering::SeqCst);
        };
        tokio::join!(killer, join_all((0..8).map(|_| client(&system, &told, &count, &cut))));
        system.restart("authority");
        system.wait_ready("authority").await;

        let told = told.into_inner().unwrap();
        eprintln!("acknowledged: {} people, {} sessions", told.people.len(), told.sessions.len());
        assert!(told.people.len() + told.sessions.len() > WANTED / 4);
        for (username, id) in &told.people {
            let tokens = Tokens::of(system.try_login(username, PASSWORD, None).await);
            let me = system.http.get(&system.authority("/auth/me")).bearer(&tokens.access).send().await.expect(200);
            assert_eq!(me.field("id"), *id);
            system.try_register(username, PASSWORD).await.expect_problem(409, "username-taken");
        }
        for (refresh, sid) in &told.sessions {
            let tokens = Tokens::of(system.refresh(refresh, None).await);
            assert_eq!(tokens.sid(), *sid, "the same session goes on");
            Tokens::of(system.refresh(&tokens.refresh, None).await);
        }
    });
}

#[test]
fn a_revocation_that_was_answered_survives_sigkill() {
    run(async {
        let system = System::start(&Options::new().split());
        let person = system.register("ended").await;
        let other = system.login(&person, "cars").await;
        let tokens = system.login(&person, "cars").await;
        let body = json!({"refresh_token": tokens.refresh});
        let logout = system.http.post(&system.authority("/auth/logout")).json(&body);
        logout.send().await.expect(204).expect_enforced_header();
        system.kill("authority");
        // What the service knows it goes on to know, and a service that has just started does not guess.
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Revoked);
        system.kill("cars");
        system.restart("cars");
        e2e::eventually_async("the service is back", START_LIMIT, || async {
            system.http.get(&system.service("cars", "/-/live")).try_send().await.ok()
        })
        .await;
        for token in [&tokens.access, &other.access] {
            system.elite("cars", token).await.expect_refusal(Refusal::Unknown);
            system.ordinary("cars", token).await.expect_refusal(Refusal::Unknown);
        }
        system.restart("authority");
        system.wait_ready("authority").await;
        e2e::eventually_async("the service follows the new process", START_LIMIT, || async {
            (system.elite("cars", &other.access).await.status == 200).then_some(())
        })
        .await;
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Revoked);
        system.refresh(&tokens.refresh, None).await.expect_problem(401, "invalid-refresh-token");
    });
}

#[test]
fn a_power_cut_of_everything_loses_nothing_acknowledged() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on(folder.path()).split();
        let system = System::start(&options);
        let person = system.register("power").await;
        let tokens = system.login(&person, "users").await;
        let answer = system.http.post(&system.service("posts", "/posts"));
        let posts = system.login(&person, "posts").await;
        let post = answer.bearer(&posts.access).json(&json!({"content": "before the cut"})).send().await.expect(201);
        system.power_cut();
        let admin = system.ready.admin.password.clone().unwrap();
        drop(system);

        let system = System::start(&options);
        assert!(system.ready.admin.password.is_none(), "printed once");
        let again = system.login(&person, "posts").await;
        let posts = system.http.get(&system.service("posts", "/posts")).bearer(&again.access).send().await.expect(200);
        assert!(posts.text().contains(&post.field("post_id")), "\n{posts}");
        Tokens::of(system.refresh(&tokens.refresh, None).await);
        Tokens::of(system.try_login("admin", &admin, None).await);
    });
}
