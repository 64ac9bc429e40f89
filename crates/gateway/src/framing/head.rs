//! Judges a request's head by RFC 9112, with every "MAY accept" read as "refuse".

use super::Reject;

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    /// All of it.
    pub(crate) head_bytes: usize,
    /// The request target.
    pub(crate) target_bytes: usize,
    /// Header lines.
    pub(crate) headers: usize,
}

/// A head that can be read in one way only.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its bytes.
    pub(super) length: usize,
    /// What follows it.
    pub(super) body: Body,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
}

/// `None`: not complete yet. `seen` is how much was looked at before, so that a slow client costs no more.
pub(super) fn judge(input: &[u8], seen: &mut usize, limits: &HeadLimits) -> Result<Option<Head>, Reject> {
    // RFC 9112 2.2 lets a server skip one empty line before a request; two are no client we know.
    let start = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let Some(end) = find_end(input, start, seen)? else {
        let too_long = input.len() - start >= limits.head_bytes;
        return if too_long { Err(too_large(input, start, limits)) } else { Ok(None) };
    };
    if end - start > limits.head_bytes {
        return Err(too_large(input, start, limits));
    }
    let lines = input.get(start..end.saturating_sub(4)).unwrap_or_default();
    let body = judge_lines(lines, limits)?;
    Ok(Some(Head { length: end, body }))
}

/// Just behind the empty line. Refuses line ends that are not CRLF as soon as they show.
fn find_end(input: &[u8], start: usize, seen: &mut usize) -> Result<Option<usize>, Reject> {
    let at = |i: usize| input.get(i).copied();
    let mut i = (*seen).max(start);
    while let Some(byte) = at(i) {
        let before = if i > start { at(i - 1) } else { None };
        match (before, byte) {
            (Some(b'\r'), b'\n') => {
                if i >= start + 3 && at(i - 2) == Some(b'\n') {
                    return Ok(Some(i + 1));
                }
                if i == start + 1 {
                    return Err(Reject::Malformed("an empty line before the request"));
                }
            }
            (_, b'\n') => return Err(Reject::Malformed("a line feed without a carriage return")),
            (Some(b'\r'), _) => return Err(Reject::Malformed("a carriage return without a line feed")),
            (_, 0) => return Err(Reject::Malformed("a zero byte")),
            _ => {}
        }
        i += 1;
        *seen = i;
    }
    Ok(None)
}

/// A head without end is a long target or many headers.
fn too_large(input: &[u8], start: usize, limits: &HeadLimits) -> Reject {
    let line = input.iter().skip(start).take_while(|byte| **byte != b'\r').count();
    if line > limits.target_bytes { Reject::TargetTooLong } else { Reject::HeadTooLarge }
}

/// `lines` is the head without its last two line ends.
fn judge_lines(lines: &[u8], limits: &HeadLimits) -> Result<Body, Reject> {
    let mut lines = lines.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_http_11 = judge_request_line(lines.next().unwrap_or_default(), limits)?;
    let mut seen = Seen::default();
    for (count, line) in lines.enumerate() {
        if count >= limits.headers {
            return Err(Reject::HeadTooLarge);
        }
        seen.take(line)?;
    }
    if is_http_11 && !seen.host {
        return Err(Reject::Malformed("no Host"));
    }
    match (seen.length, seen.chunked) {
        (Some(_), true) => Err(Reject::Malformed("both Content-Length and Transfer-Encoding")),
        (None, true) if !is_http_11 => Err(Reject::Malformed("Transfer-Encoding in HTTP/1.0")),
        (None, true) => Ok(Body::Chunked),
        (Some(0) | None, false) => Ok(Body::None),
        (Some(length), false) => Ok(Body::Length(length)),
    }
}

/// Whether the version is 1.1.
fn judge_request_line(line: &[u8], limits: &HeadLimits) -> Result<bool, Reject> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, parts.next()) else {
        return Err(Reject::Malformed("not METHOD SP TARGET SP VERSION"));
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Reject::Malformed("the method"));
    }
    if method == b"CONNECT" || method == b"TRACE" {
        return Err(Reject::Method);
    }
    if target.len() > limits.target_bytes {
        return Err(Reject::TargetTooLong);
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) || target.contains(&b'#') {
        return Err(Reject::Malformed("the target"));
    }
    // What the engine would refuse by itself, it would refuse without a word.
    if http::Uri::try_from(target).is_err() {
        return Err(Reject::Malformed("the target"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(Reject::Malformed("the version")),
    }
}

/// What decides over framing and routing; each at most once.
#[derive(Default)]
struct Seen {
    host: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Seen {
    fn take(&mut self, line: &[u8]) -> Result<(), Reject> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Reject::Malformed("a header without a colon"))?;
        let (name, rest) = line.split_at(colon);
        // This refuses folded lines and whitespace before the colon too.
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(Reject::Malformed("a header's name"));
        }
        let value = rest.get(1..).unwrap_or_default().trim_ascii();
        if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(Reject::Malformed("a control character in a header"));
        }
        let known = |wanted: &str| {
            name.len() == wanted.len() && name.iter().zip(wanted.bytes()).all(|(have, want)| dashed(*have) == want)
        };
        let (is_length, is_encoding, is_host) = (known("content-length"), known("transfer-encoding"), known("host"));
        // Upstreams that make variables of headers cannot tell these from the real ones.
        if (is_length || is_encoding) && name.contains(&b'_') {
            return Err(Reject::Malformed("a look-alike of a framing header"));
        }
        if is_length {
            self.take_length(value)?;
        } else if is_encoding {
            if std::mem::replace(&mut self.chunked, true) || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Reject::Malformed("a Transfer-Encoding other than chunked, once"));
            }
        } else if is_host && (std::mem::replace(&mut self.host, true) || !is_host_value(value)) {
            return Err(Reject::Malformed("Host"));
        }
        Ok(())
    }

    fn take_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (length, self.length) {
            (Some(length), None) => self.length = Some(length),
            (None, _) => return Err(Reject::Malformed("a Content-Length that is no number")),
            (Some(_), Some(_)) => return Err(Reject::Malformed("more than one Content-Length")),
        }
        Ok(())
    }
}

fn dashed(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A name or address with an optional port; nothing that a URL parser would take for more.
fn is_host_value(value: &[u8]) -> bool {
    !value.is_empty()
        && value.len() <= 255
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]%~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::super::tests::LIMITS;
    use super::*;

    fn whole(head: &str) -> Result<Option<Head>, Reject> {
        judge(head.as_bytes(), &mut 0, &LIMITS)
    }

    fn body(extra: &str) -> Result<Body, Reject> {
        whole(&format!("POST /x HTTP/1.1\r\nHost: h\r\n{extra}\r\n")).map(|head| head.unwrap().body)
    }

    #[test]
    fn bodies() {
        assert_eq!(body(""), Ok(Body::None));
        assert_eq!(body("Content-Length: 0\r\n"), Ok(Body::None));
        assert_eq!(body("content-length:  17 \r\n"), Ok(Body::Length(17)));
        assert_eq!(body("TRANSFER-ENCODING: Chunked\r\n"), Ok(Body::Chunked));
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for extra in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 9999999999999999999\r\n",
            "Content-Length : 1\r\n",
            "Content_Length: 1\r\n",
            "Transfer_Encoding: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\x0bchunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "X: a\r\n Transfer-Encoding: chunked\r\n",
            "X: a\r\n\tb\r\n",
            "X: a\nTransfer-Encoding: chunked\r\n",
            "X: a\rTransfer-Encoding: chunked\r\n",
            "X: \0\r\n",
            "no colon\r\n",
            ": no name\r\n",
            "Host: other\r\n",
        ] {
            assert!(matches!(body(extra), Err(Reject::Malformed(_))), "{extra:?}");
        }
    }

    #[test]
    fn request_lines() {
        assert!(whole("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n").is_ok());
        assert!(whole("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").is_ok());
        assert!(whole("GET / HTTP/1.0\r\n\r\n").is_ok());
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
            "GET /\r\nHost: h\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /a<b> HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET a/b HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET http:// HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
            "GET / http/1.1\r\nHost: h\r\n\r\n",
            "G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(matches!(whole(head), Err(Reject::Malformed(_))), "{head:?}");
        }
        assert_eq!(whole("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Reject::Method));
        assert_eq!(whole("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Reject::Method));
    }

    #[test]
    fn sizes() {
        let target = "a".repeat(LIMITS.target_bytes);
        assert_eq!(whole(&format!("GET /{target} HTTP/1.1\r\nHost: h\r\n\r\n")), Err(Reject::TargetTooLong));
        assert_eq!(whole(&format!("GET /{}", "a".repeat(4000))), Err(Reject::TargetTooLong));
        let headers = "x: y\r\n".repeat(LIMITS.headers);
        assert_eq!(body(&headers), Err(Reject::HeadTooLarge));
        let header = format!("x: {}\r\n", "y".repeat(4000));
        assert_eq!(body(&header), Err(Reject::HeadTooLarge));
    }
}
