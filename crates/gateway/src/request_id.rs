//! `X-Request-Id`: on every answer, in every log line, and on every request that goes on.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX: usize = 128;

/// What the client calls this request if that is harmless in logs and headers, else a new name.
pub(crate) fn of(headers: &HeaderMap) -> String {
    let mut given = headers.get_all(REQUEST_ID).iter();
    let (first, second) = (given.next(), given.next());
    let sane = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok()).filter(|id| {
        (1..=MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    });
    match sane {
        Some(id) => id.to_owned(),
        // Without randomness no session works either; a request without a name can still be answered.
        None => crate::random::id().unwrap_or_else(|_| "-".to_owned()),
    }
}

/// Puts it on.
pub(crate) fn set(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ones_are_taken() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("abc-DEF_1.2:3"));
        assert_eq!(of(&headers), "abc-DEF_1.2:3");
        headers.append(REQUEST_ID, HeaderValue::from_static("second"));
        assert_eq!(of(&headers).len(), 22);
        for wrong in ["", "a b", "a\"b", "a=b", &"a".repeat(129)] {
            headers.insert(REQUEST_ID, HeaderValue::from_str(wrong).unwrap());
            assert_eq!(of(&headers).len(), 22, "{wrong}");
        }
    }
}
