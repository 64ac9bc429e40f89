//! A connection that is cut, delayed and repeated on its way: a TCP proxy between a service and the feed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a proxy did so far.
#[derive(Debug, Default)]
pub struct Mischief {
    /// Connections that were let in.
    pub connections: AtomicU64,
    /// Connections that it cut.
    pub cuts: AtomicU64,
    /// Pieces that it held back.
    pub delays: AtomicU64,
    /// Pieces that it sent twice.
    pub repeats: AtomicU64,
}

/// Forwards connections to one address, badly for as long as it is told to. Ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    target: String,
    bad: AtomicBool,
    mischief: Mischief,
    random: Mutex<u64>,
    /// Changes whenever all connections are to be cut.
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// In front of `target` (`host:port`), on a free port of the loopback interface; well-behaved at first.
    pub async fn start(target: &str, seed: u64) -> Self {
        let listener = crate::raw::listener();
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            bad: AtomicBool::new(false),
            mischief: Mischief::default(),
            // An odd number is never the fixed point of the generator.
            random: Mutex::new(seed | 1),
            cut: watch::Sender::new(0),
        });
        let accepted = shared.clone();
        let accepting = crate::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                crate::spawn(forward(stream, accepted.clone()));
            }
        });
        Self { address, shared, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts, delays and repeats from now on, or no longer.
    pub fn behave(&self, well: bool) {
        self.shared.bad.store(!well, Ordering::SeqCst);
    }

    /// Cuts every connection that there is.
    pub fn cut_all(&self) {
        self.shared.cut.send_modify(|turn| *turn += 1);
    }

    /// What it did so far.
    pub fn mischief(&self) -> &Mischief {
        &self.shared.mischief
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut_all();
    }
}

impl Shared {
    /// A number below `bound`, from a generator of which the same seed makes the same numbers (xorshift64).
    fn random(&self, bound: u64) -> u64 {
        let mut state = self.random.lock().expect("random");
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % bound
    }
}

async fn forward(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(&shared.target).await else { return };
    shared.mischief.connections.fetch_add(1, Ordering::SeqCst);
    let mut cut = shared.cut.subscribe();
    cut.mark_unchanged();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = pump(client_in, server_out, &shared) => {}
        () = pump(server_in, client_out, &shared) => {}
        _ = cut.changed() => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut buffer = vec![0; 4_096];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            return;
        }
        let piece = &buffer[..length];
        let luck = if shared.bad.load(Ordering::SeqCst) { shared.random(100) } else { 100 };
        let mischief = &shared.mischief;
        match luck {
            0..4 => {
                mischief.cuts.fetch_add(1, Ordering::SeqCst);
                // In the middle of a piece, so that half a frame has arrived.
                drop(to.write_all(&piece[..length / 2]).await);
                return;
            }
            4..24 => {
                mischief.delays.fetch_add(1, Ordering::SeqCst);
                let delay = Duration::from_millis(shared.random(400));
                tokio::time::sleep(delay).await;
            }
            24..28 => {
                mischief.repeats.fetch_add(1, Ordering::SeqCst);
                if to.write_all(piece).await.is_err() {
                    return;
                }
            }
            _ => {}
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
