//! A client that sends exactly the bytes that a test wrote, and a server that a test can watch.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longer than anything here takes; a test that would hang fails.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: nothing came"))
}

/// A request in the making.
#[derive(Clone)]
pub struct Req {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub fn get(target: &str) -> Req {
    req("GET", target)
}

pub fn post(target: &str) -> Req {
    req("POST", target)
}

pub fn req(method: &str, target: &str) -> Req {
    Req { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
}

impl Req {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn headers(self, lines: &[(&str, &str)]) -> Self {
        lines.iter().fold(self, |req, (name, value)| req.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub fn cookie(self, value: &str) -> Self {
        self.header("Cookie", &format!("__Host-Http-propusk={value}"))
    }

    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }

    pub fn form(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it on a connection of its own.
    pub async fn send(&self, to: SocketAddr) -> Answer {
        let mut client = Client::connect(to).await;
        client.send(self).await;
        client.answer(self.method == "HEAD").await
    }
}

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// All values of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The values of that name, joined; empty without any.
    pub fn header(&self, name: &str) -> String {
        self.all(name).join(", ")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}\n{self:?}"))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "\n{self:?}");
        self
    }

    /// A problem document, which every refusal is.
    #[track_caller]
    pub fn expect_problem(self, status: u16, slug: &str) -> Self {
        assert_eq!(self.status, status, "\n{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "\n{self:?}");
        assert_eq!(self.json()["type"], format!("urn:propusk:problem:{slug}"), "\n{self:?}");
        assert_eq!(self.json()["status"], status, "\n{self:?}");
        self
    }

    /// The session cookie's value that it sets: `None` if none, empty if it is cleared.
    pub fn session_cookie(&self) -> Option<String> {
        let cookie = self.all("set-cookie").into_iter().find_map(|line| line.strip_prefix("__Host-Http-propusk="))?;
        Some(cookie.split(';').next().unwrap_or_default().to_owned())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        f.write_str(&self.text())
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    input: Vec<u8>,
    host: String,
}

impl Client {
    pub async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        Self { stream, input: Vec::new(), host: to.to_string() }
    }

    pub async fn send(&mut self, req: &Req) {
        let bytes = req.bytes(&self.host);
        self.write(&bytes).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        soon("writing", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Reads more; `false` at the end of the connection.
    async fn read(&mut self) -> bool {
        let mut piece = vec![0; 16 * 1024];
        let n = soon("reading", self.stream.read(&mut piece)).await.unwrap_or(0);
        self.input.extend_from_slice(&piece[..n]);
        n > 0
    }

    pub async fn head(&mut self) -> Answer {
        loop {
            if let Some(end) = self.input.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.input.drain(..end + 4).collect();
                let answer = parse_head(&String::from_utf8(head).unwrap());
                if answer.status != 100 {
                    return answer;
                }
                continue;
            }
            assert!(
                self.read().await,
                "the connection ended before an answer: {:?}",
                String::from_utf8_lossy(&self.input)
            );
        }
    }

    /// Exactly so many bytes of what comes.
    pub async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.input.len() < n {
            assert!(self.read().await, "the connection ended early");
        }
        self.input.drain(..n).collect()
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.input.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            assert!(self.read().await, "the connection ended early");
        }
    }

    /// The next chunk of a chunked body; empty at its end.
    pub async fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line().await, 16).unwrap();
        let chunk = self.exactly(size).await;
        self.exactly(2).await;
        chunk
    }

    pub async fn answer(&mut self, is_head: bool) -> Answer {
        let mut answer = self.head().await;
        if is_head || answer.status == 204 || answer.status == 304 {
            return answer;
        }
        if answer.header("transfer-encoding") == "chunked" {
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    return answer;
                }
                answer.body.extend(chunk);
            }
        }
        if let Ok(length) = answer.header("content-length").parse() {
            answer.body = self.exactly(length).await;
            return answer;
        }
        while self.read().await {}
        answer.body = std::mem::take(&mut self.input);
        answer
    }

    /// Whether the other side closes without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.input.is_empty() && !self.read().await
    }
}

fn parse_head(text: &str) -> Answer {
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    });
    Answer { status, headers: headers.collect(), body: Vec::new() }
}

pub type Body = BoxBody<Bytes, hyper::Error>;

/// A server on a free port, ended when dropped.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let counter = connections.clone();
        let accepting = tokio::spawn(async move {
            // In the task, so that connections end with it.
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let handler = handler.clone();
                let service = service_fn(move |request| {
                    let answering = handler(request);
                    async move { Ok::<_, std::convert::Infallible>(answering.await) }
                });
                tasks.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, connections, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Nobody listens any more, and connections are cut.
    pub async fn stop(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
