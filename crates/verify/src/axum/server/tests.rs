//! The server as clients meet it, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rustls::NamedGroup;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Listener, Server};
use crate::tls::Certificate;

/// However busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);

struct Pair {
    chain: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["id.example".to_owned()]).unwrap();
        Self { chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

/// A running server.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    /// Lets `/slow` answer.
    go_on: Arc<Notify>,
    /// Tells that a request for `/slow` has come in.
    begun: Arc<Notify>,
}

impl Running {
    async fn start(certificate: Option<Certificate>, edit: impl FnOnce(Server) -> Server) -> Self {
        let (go_on, begun) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let (waits, tells) = (Arc::clone(&go_on), Arc::clone(&begun));
        let router = Router::new()
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
            .route(
                "/slow",
                get(|| async move {
                    tells.notify_one();
                    waits.notified().await;
                    "at last"
                }),
            );
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = edit(Server::on(Listener::new(tcp, certificate)));
        let served = tokio::spawn(server.run(router, async move { drop(stopped.await) }));
        Self { address, stop, served, go_on, begun }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A client that trusts this certificate.
    async fn connect_tls(&self, trusted: &Pair, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = crate::tls::client_config(Some(&trusted.chain)).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("id.example").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.connect().await).await
    }

    async fn end(self) {
        let _ = self.stop.send(());
        soon(self.served).await.unwrap();
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("in time")
}

/// Sends a request for `path` and reads the whole answer.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    send(stream, path).await;
    rest(stream).await
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// What comes until the other side closes or breaks the connection.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 OK\r\n")
}

#[tokio::test]
async fn plain_requests_are_answered_and_know_their_client() {
    let server = Running::start(None, |server| server).await;
    let mut client = server.connect().await;
    let own = client.local_addr().unwrap().to_string();
    let answer = ask(&mut client, "/peer").await;
    assert!(is_ok(&answer) && answer.ends_with(&own), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn tls_agrees_on_the_strongest_of_everything() {
    let pair = Pair::new();
    let server = Running::start(Some(pair.certificate()), |server| server).await;
    let mut client = server.connect_tls(&pair, &["http/1.1"]).await.unwrap();
    let own = client.get_ref().0.local_addr().unwrap().to_string();
    let answer = ask(&mut client, "/peer").await;
    assert!(is_ok(&answer) && answer.ends_with(&own), "{answer}");
    let session = client.get_ref().1;
    assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let both = server.connect_tls(&pair, &["http/1.1", "h2"]).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    server.end().await;
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_ask_for_it() {
    let pair = Pair::new();
    for http2_only in [false, true] {
        let edit = |server: Server| if http2_only { server.http2_only() } else { server };
        let server = Running::start(Some(pair.certificate()), edit).await;
        let client = server.connect_tls(&pair, &["h2"]).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(client);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get("https://id.example/peer").body(axum::body::Body::empty()).unwrap();
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
        let none_in_common = server.connect_tls(&pair, &["http/1.1"]).await;
        assert_eq!(none_in_common.is_err(), http2_only);
        drop(sender);
        server.end().await;
        drop(connection.await);
    }
}

#[tokio::test]
async fn who_does_not_encrypt_is_not_answered() {
    let server = Running::start(Some(Pair::new().certificate()), |server| server).await;
    let mut client = server.connect().await;
    let answer = ask(&mut client, "/peer").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    server.end().await;
}

/// Silent clients and bad ones, more than could be served one after the other, and one good client behind them.
#[tokio::test]
async fn handshakes_that_fail_or_hang_hold_nobody_up() {
    let pair = Pair::new();
    let server = Running::start(Some(pair.certificate()), |server| server).await;
    let mut others = Vec::new();
    for turn in 0..100 {
        let mut client = server.connect().await;
        match turn % 4 {
            0 => {}
            1 => client.write_all(b"\x16\x03\x01").await.unwrap(),
            2 => client.write_all(&[0xff; 64]).await.unwrap(),
            _ => {
                let distrusting = server.connect_tls(&Pair::new(), &[]).await;
                assert!(distrusting.is_err(), "not the certificate that it trusts");
                continue;
            }
        }
        others.push(client);
    }
    let begun = Instant::now();
    let mut good = soon(server.connect_tls(&pair, &[])).await.unwrap();
    let answer = ask(&mut good, "/peer").await;
    assert!(is_ok(&answer), "{answer}");
    assert!(begun.elapsed() < super::super::listener::HANDSHAKE, "it did not wait for the silent ones");
    // And those are let go in the end, the bad ones at once.
    for mut client in others {
        let heard = rest(&mut client).await;
        assert!(!heard.contains("HTTP"), "{heard}");
    }
    server.end().await;
}

#[tokio::test]
async fn another_certificate_is_shown_from_one_connection_to_the_next() {
    let (old, new) = (Pair::new(), Pair::new());
    let certificate = old.certificate();
    let server = Running::start(Some(certificate.clone()), |server| server).await;
    let shown = |stream: &TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned().map(CertificateDer::into_owned)
    };
    let mut early = server.connect_tls(&old, &[]).await.unwrap();
    assert_eq!(shown(&early).unwrap(), CertificateDer::from_pem_slice(old.chain.as_bytes()).unwrap());
    certificate.replace(new.chain.as_bytes(), old.key.as_bytes()).unwrap_err();
    server.connect_tls(&old, &[]).await.expect("what cannot be used changes nothing");
    certificate.replace(new.chain.as_bytes(), new.key.as_bytes()).unwrap();
    let late = server.connect_tls(&new, &[]).await.unwrap();
    assert_eq!(shown(&late).unwrap(), CertificateDer::from_pem_slice(new.chain.as_bytes()).unwrap());
    assert!(server.connect_tls(&old, &[]).await.is_err());
    let answer = ask(&mut early, "/peer").await;
    assert!(is_ok(&answer), "an open connection goes on: {answer}");
    server.end().await;
}

#[tokio::test]
async fn a_stop_lets_what_was_begun_be_answered() {
    let server = Running::start(None, |server| server.drain(LIMIT)).await;
    let mut idle = server.connect().await;
    let mut silent = server.connect().await;
    idle.write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    soon(idle.read_exact(&mut first)).await.unwrap();
    let mut client = server.connect().await;
    send(&mut client, "/slow").await;
    soon(server.begun.notified()).await;
    server.stop.send(()).unwrap();
    rest(&mut idle).await;
    rest(&mut silent).await;
    let refused = soon(async {
        loop {
            if let Err(error) = TcpStream::connect(server.address).await {
                return error;
            }
        }
    });
    assert_eq!(refused.await.kind(), std::io::ErrorKind::ConnectionRefused, "nobody new is let in");
    assert!(!server.served.is_finished());
    server.go_on.notify_one();
    let answer = rest(&mut client).await;
    assert!(is_ok(&answer) && answer.ends_with("at last"), "{answer}");
    soon(server.served).await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_its_limit() {
    let server = Running::start(None, |server| server.drain(Duration::from_millis(50))).await;
    let mut client = server.connect().await;
    send(&mut client, "/slow").await;
    soon(server.begun.notified()).await;
    server.stop.send(()).unwrap();
    soon(server.served).await.unwrap();
    assert_eq!(rest(&mut client).await, "", "cut off");
}
