//! Where one request ends and the next begins, decided strictly and before the HTTP engine sees a byte.
//!
//! An engine is free to mend what RFC 9112 calls ambiguous, as hyper drops `Content-Length` when there is a
//! `Transfer-Encoding`; but whoever stands behind this gateway may mend it the other way, and that difference is how
//! requests are smuggled. So nothing is mended here: a head or a chunk that could be read in two ways is refused, the
//! client gets 400 and the connection is closed. [`Framing`] is the machine, without IO; [`io::GuardedIo`] puts it
//! between socket and engine.

mod chunked;
mod head;
pub(crate) mod io;

pub(crate) use head::HeadLimits;

use chunked::Chunked;

/// Why a request was refused before it became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reject {
    /// Ambiguous or malformed; 400. The text names the rule.
    Malformed(&'static str),
    /// Too long a target; 414.
    TargetTooLong,
    /// Too many headers or too long a head; 431.
    HeadTooLarge,
    /// `CONNECT` and `TRACE`; 405.
    Method,
}

/// What to do with the front of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to say yet: read more.
    NeedMore,
    /// The first so many bytes are fine. `true`: they are a whole head.
    Release(usize, bool),
    /// No further byte of this connection may be used.
    Reject(Reject),
}

enum State {
    /// Before or in a head, of which so many bytes were looked at.
    Head { seen: usize },
    /// In a body with so many bytes left.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// Refused.
    Dead(Reject),
}

/// Follows the requests of one connection.
pub(crate) struct Framing {
    state: State,
    limits: HeadLimits,
}

impl Framing {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self { state: State::Head { seen: 0 }, limits }
    }

    /// Judges the front of `input`, which begins where the last release ended.
    pub(crate) fn step(&mut self, input: &[u8]) -> Step {
        let step = match &mut self.state {
            State::Dead(reject) => Step::Reject(*reject),
            _ if input.is_empty() => Step::NeedMore,
            State::Head { seen } => match head::judge(input, seen, &self.limits) {
                Ok(None) => Step::NeedMore,
                Ok(Some(head)) => {
                    self.state = match head.body {
                        head::Body::None => State::Head { seen: 0 },
                        head::Body::Length(length) => State::Length(length),
                        head::Body::Chunked => State::Chunked(Chunked::default()),
                    };
                    Step::Release(head.length, true)
                }
                Err(reject) => Step::Reject(reject),
            },
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::Head { seen: 0 };
                }
                Step::Release(here, false)
            }
            State::Chunked(chunked) => match chunked.advance(input) {
                Ok((used, done)) => {
                    if done {
                        self.state = State::Head { seen: 0 };
                    }
                    Step::Release(used, false)
                }
                Err(reject) => Step::Reject(reject),
            },
        };
        if let Step::Reject(reject) = step {
            self.state = State::Dead(reject);
        }
        step
    }

    /// So many bytes of body may be read straight through, however they come.
    pub(crate) fn plain_bytes(&self) -> u64 {
        if let State::Length(left) = self.state { left } else { 0 }
    }

    /// Between head and end of a body.
    pub(crate) fn in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) const LIMITS: HeadLimits = HeadLimits { head_bytes: 2048, target_bytes: 256, headers: 20 };

    /// All released bytes, the number of heads, and the refusal, fed in pieces of the given sizes.
    fn run(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, usize, Option<Reject>) {
        let mut framing = Framing::new(LIMITS);
        let (mut buffer, mut released, mut heads) = (Vec::new(), Vec::new(), 0);
        let (mut rest, mut sizes) = (bytes, pieces.iter().copied().cycle());
        loop {
            match framing.step(&buffer) {
                Step::Release(n, head) => {
                    released.extend(buffer.drain(..n));
                    heads += usize::from(head);
                }
                Step::Reject(reject) => return (released, heads, Some(reject)),
                Step::NeedMore if rest.is_empty() => return (released, heads, None),
                Step::NeedMore => {
                    let n = sizes.next().unwrap_or(1).clamp(1, rest.len());
                    buffer.extend_from_slice(&rest[..n]);
                    rest = &rest[n..];
                }
            }
        }
    }

    #[test]
    fn pipelined_requests_pass_unchanged() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: h\r\n\r\n\
            POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwiki\r\n0\r\nt: v\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n";
        let (released, heads, reject) = run(bytes, &[7]);
        assert_eq!((released.as_slice(), heads, reject), (&bytes[..], 4, None));
    }

    #[test]
    fn what_follows_a_refused_head_is_never_released() {
        let bytes = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n";
        let (released, heads, reject) = run(bytes, &[1000]);
        assert_eq!(released, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(heads, 1);
        assert!(matches!(reject, Some(Reject::Malformed(_))));
    }

    /// Requests, mostly right, with pieces that are wrong in the ways attackers use.
    fn traffic() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
            "GET /a HTTP/1.1\nHost: h\n\n",
            "\r\n",
            "0\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
            "Content-Length: 5\r\n",
        ]);
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_does_not_matter(bytes in traffic(), pieces in prop::collection::vec(1usize..40, 1..8)) {
            let (whole, cut) = (run(&bytes, &[usize::MAX]), run(&bytes, &pieces));
            prop_assert_eq!((whole.1, whole.2), (cut.1, cut.2));
            // Of a chunk that turns out wrong, the beginning may have been passed on.
            prop_assert!(cut.0.starts_with(&whole.0));
        }

        #[test]
        fn what_is_right_passes_however_it_is_cut(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..5), pieces in prop::collection::vec(1usize..40, 1..8)) {
            let mut bytes = Vec::new();
            for (index, body) in bodies.iter().enumerate() {
                if index % 2 == 0 {
                    bytes.extend(format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).bytes());
                    bytes.extend(body);
                } else {
                    bytes.extend(b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
                    for chunk in body.chunks(7) {
                        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
                    }
                    bytes.extend(b"0\r\n\r\n");
                }
            }
            let (released, heads, reject) = run(&bytes, &pieces);
            prop_assert_eq!((released, heads, reject), (bytes, bodies.len(), None));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), pieces in prop::collection::vec(1usize..40, 1..8)) {
            let (released, _, _) = run(&bytes, &pieces);
            prop_assert!(bytes.starts_with(&released));
        }
    }
}
