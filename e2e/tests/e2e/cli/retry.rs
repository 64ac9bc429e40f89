//! An answer that is lost on its way: what was asked for is done once, and the answer comes after all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::raw::address_of;
use e2e::{run, unique};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::{Operator, printed, problem};
use crate::shared::PLAIN;

/// In front of a server: the answers to the first connections are swallowed, once the server has given them.
struct Swallower {
    address: String,
    swallowed: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Swallower {
    async fn start(target: &str, count: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (target, swallowed) = (address_of(target), Arc::<AtomicU64>::default());
        let counter = swallowed.clone();
        let accepting = e2e::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                if counter.load(Ordering::SeqCst) < count {
                    swallow(client, server).await;
                    counter.fetch_add(1, Ordering::SeqCst);
                } else {
                    e2e::spawn(forward(client, server));
                }
            }
        });
        Self { address, swallowed, accepting }
    }
}

impl Drop for Swallower {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream) {
    drop(copy_bidirectional(&mut client, &mut server).await);
}

/// The request goes through. The first byte of the answer shows that it was done; the client gets none.
async fn swallow(client: TcpStream, mut server: TcpStream) {
    let (mut from_client, _to_client) = client.into_split();
    let mut buffer = vec![0; 16_384];
    let mut answer = [0; 1];
    loop {
        let (mut from_server, mut to_server) = server.split();
        tokio::select! {
            read = from_client.read(&mut buffer) => match read {
                Ok(length) if length > 0 => to_server.write_all(&buffer[..length]).await.unwrap(),
                _ => return,
            },
            _ = from_server.read(&mut answer) => return,
        }
    }
}

#[test]
fn a_lost_answer_is_asked_for_again_and_nothing_is_done_twice() {
    run(async {
        let system = &*PLAIN;
        let token = system.admin_token("propusk").await;
        for count in [1, 2] {
            let swallower = Swallower::start(&system.ready.authority, count).await;
            let operator = Operator::with_token(&swallower.address, &token);
            let name = unique("lost");
            let made = operator.done(&["user", "create", &name, "--no-password"]);
            assert_eq!(swallower.swallowed.load(Ordering::SeqCst), count);
            let id = made["id"].as_str().unwrap();
            assert_eq!(system.audited(id, "user_registered").await.len(), 1, "once: {made}");
            let direct = Operator::with_token(&system.ready.authority, &token);
            assert_eq!(direct.done(&["user", "show", &name])["id"], id);
        }
        // A secret whose answer was lost is the same secret when the answer comes.
        let swallower = Swallower::start(&system.ready.authority, 1).await;
        let operator = Operator::with_token(&swallower.address, &token);
        let made = operator.done(&["client", "create", &unique("lost"), "--audience", "cars"]);
        let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
        let form = [("grant_type", "client_credentials"), ("audience", "cars")];
        system.http.post(&system.authority("/oauth/token")).basic(id, secret).form(&form).send().await.expect(200);
    });
}

#[test]
fn what_may_have_been_done_is_not_done_again_on_its_own() {
    run(async {
        let system = &*PLAIN;
        let token = system.admin_token("propusk").await;
        // Giving a role has no key under which it is done once: who asked is told to look.
        let person = system.register("lost-delete").await;
        let swallower = Swallower::start(&system.ready.authority, 1).await;
        let operator = Operator::with_token(&swallower.address, &token);
        let told = problem(&operator.json(&["role", "give", &person.id, "cars/buyer"]), 5);
        assert!(told["detail"].as_str().unwrap().contains("look whether it was made"), "{told}");
        assert_eq!(swallower.swallowed.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_script_that_runs_again_under_its_key_gets_the_first_answer() {
    run(async {
        let operator = Operator::admin(&PLAIN).await;
        let (name, key) = (unique("again"), unique("key"));
        let create = ["client", "create", &name, "--audience", "cars", "--idempotency-key", &key];
        let first = operator.done(&create);
        let again = operator.done(&create);
        assert_eq!(first["client_secret"], again["client_secret"]);
        let other = ["client", "create", &unique("other"), "--audience", "cars", "--idempotency-key", &key];
        let refused = problem(&operator.json(&other), 1);
        assert_eq!(refused["type"], "urn:propusk:problem:idempotency-key-reused");
        // Without one, each run is a run of its own.
        problem(&operator.json(&["client", "create", &name, "--audience", "cars"]), 1);
        printed(&operator.json(&["client", "show", &name]), 0);
    });
}
