//! Small HTTP servers that take the place of a part, or are the attacker's own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct State {
    pages: HashMap<String, (String, Vec<u8>)>,
    otherwise: Option<(String, Vec<u8>)>,
    heads: Vec<String>,
}

/// Answers with fixed pages, 404 elsewhere, and keeps what was asked for. Ends when dropped.
pub struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl StandIn {
    /// On a free port of the loopback interface.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    /// On an address that somebody else had before.
    pub async fn start_on(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap_or_else(|error| panic!("bind {address}: {error}"));
        let address = listener.local_addr().expect("an address");
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let accepting = crate::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                crate::spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, state, accepting }
    }

    /// Address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a path answers from now on.
    pub fn page(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) {
        let page = (content_type.to_owned(), body.into());
        self.state.lock().expect("state").pages.insert(path.to_owned(), page);
    }

    /// What every other path answers from now on, whatever the method.
    pub fn otherwise(&self, content_type: &str, body: impl Into<Vec<u8>>) {
        self.state.lock().expect("state").otherwise = Some((content_type.to_owned(), body.into()));
    }

    /// The heads of all requests so far, request line first.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().expect("state").heads.clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < 65_536 {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    // Read to its end: a connection that is closed before is reset, and the answer may be lost with it.
    let mut body = vec![0; length(&text)];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    let answer = {
        let mut state = state.lock().expect("state");
        state.heads.push(text);
        match state.pages.get(&path).or(state.otherwise.as_ref()) {
            Some((content_type, body)) => answer("200 OK", content_type, body),
            None => answer("404 Not Found", "text/plain", b"nothing here"),
        }
    };
    drop(stream.write_all(&answer).await);
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    length.filter_map(|value| value.parse().ok()).next().unwrap_or(0)
}

fn answer(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
