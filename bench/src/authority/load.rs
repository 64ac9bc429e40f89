//! Callers that cost as little as possible: HTTP/1.1 by hand, each caller on a connection of its own that waits for one
//! answer before it asks again.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::server::Server;
use crate::stats::median;

/// What one connection asks, again and again.
pub(super) trait Caller: Send + 'static {
    /// The next request, whole.
    fn request(&mut self) -> &[u8];
    /// The body of its answer, which was a 200.
    fn answered(&mut self, _body: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Asks the same each time.
pub(super) struct Same(pub(super) Vec<u8>);

impl Caller for Same {
    fn request(&mut self) -> &[u8] {
        &self.0
    }
}

/// One kind of call, as it is measured again and again.
pub(super) struct Calls<C> {
    callers: Vec<C>,
    seen: Vec<Measured>,
}

impl<C: Caller> Calls<C> {
    pub(super) fn of(callers: Vec<C>) -> Self {
        Self { callers, seen: Vec::new() }
    }

    /// Measures once more.
    pub(super) async fn measure(&mut self, server: &Server, duration: Duration) -> Result<()> {
        let (callers, measured) = run(server, std::mem::take(&mut self.callers), duration).await?;
        self.callers = callers;
        self.seen.push(measured);
        Ok(())
    }

    pub(super) fn median(&self) -> Measured {
        let of = |pick: fn(&Measured) -> f64| median(self.seen.iter().map(pick).collect());
        Measured { rate: of(|seen| seen.rate), cpu: of(|seen| seen.cpu) }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Answers a second.
    pub(super) rate: f64,
    /// Seconds of the server's processor for each answer.
    pub(super) cpu: f64,
}

impl Measured {
    /// Answers that a whole core of the server would give in a second.
    pub(super) fn per_core(&self) -> f64 {
        1.0 / self.cpu
    }
}

/// Lets all of them call for a while; the first part of it is not counted.
async fn run<C: Caller>(server: &Server, callers: Vec<C>, duration: Duration) -> Result<(Vec<C>, Measured)> {
    // All of them, before anybody calls: a server that is busy accepts late.
    let mut connected = Vec::with_capacity(callers.len());
    for caller in callers {
        connected.push((Connection::open(server.address).await?, caller));
    }
    let from = Instant::now() + duration / 5;
    let until = from + duration;
    let mut running = JoinSet::new();
    for (connection, caller) in connected {
        running.spawn(call_on(connection, caller, from, until));
    }
    let awake = tokio::spawn(stay_awake(until));
    tokio::time::sleep_until(from.into()).await;
    let (before, begun) = (server.usage()?, Instant::now());
    tokio::time::sleep_until(until.into()).await;
    let (cpu, elapsed) = (server.usage()?.cpu_since(before), begun.elapsed());
    awake.await?;
    let (mut callers, mut answers) = (Vec::new(), 0_u32);
    while let Some(ended) = running.join_next().await {
        let (caller, answered) = ended??;
        callers.push(caller);
        answers += answered;
    }
    if answers == 0 {
        bail!("nothing was answered in {duration:?}");
    }
    let answers = f64::from(answers);
    Ok((callers, Measured { rate: answers / elapsed.as_secs_f64(), cpu: cpu.as_secs_f64() / answers }))
}

/// Keeps the callers' core busy, and answers nothing. A caller that sleeps would have to be woken by the server, which
/// costs it as much as a signature and happens only if the caller is on the same machine and waits.
async fn stay_awake(until: Instant) {
    while Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

/// How many answers came between the two moments, beside the caller as it is then.
async fn call_on<C: Caller>(
    mut connection: Connection,
    mut caller: C,
    from: Instant,
    until: Instant,
) -> Result<(C, u32)> {
    let mut answers = 0;
    loop {
        let body = connection.call(caller.request()).await?;
        caller.answered(&body)?;
        let now = Instant::now();
        if now >= until {
            return Ok((caller, answers));
        }
        answers += u32::from(now >= from);
    }
}

/// A kept connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 * 1024) })
    }

    /// The body of the answer to a request, if it is a good one.
    pub(super) async fn call(&mut self, request: &[u8]) -> Result<impl std::ops::Deref<Target = [u8]> + use<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server hung up");
            }
            if let Some(body) = body(&self.buffer)? {
                return Ok(self.buffer.get(body).unwrap_or_default());
            }
        }
    }
}

/// Where the body is, if all of it has come.
fn body(answer: &[u8]) -> Result<Option<Range<usize>>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    let length = head.split("\r\n").skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    let body = end + 4..end + 4 + length.context("an answer without its length")?;
    if answer.len() < body.end {
        return Ok(None);
    }
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("the server answered {head}\n{}", String::from_utf8_lossy(answer.get(body).unwrap_or_default()));
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(body(answer).unwrap(), Some(38..41));
        for cut in [0, 10, 36, 40] {
            assert_eq!(body(&answer[..cut]).unwrap(), None, "{cut}");
        }
        assert!(body(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(body(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
