//! `ETag` and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1): a change is made to what its author saw, or not at all.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use propusk_core::version::Expected;

use crate::error::Problem;

/// The version of a thing, as its `ETag`.
pub(super) fn etag(version: u64) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    (header::ETAG, value)
}

/// What `If-Match` asks for; anything without it.
pub(super) struct IfMatch(pub(super) Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let lines: Vec<_> = parts.headers.get_all(header::IF_MATCH).iter().collect();
        if lines.is_empty() {
            return Ok(Self(Expected::Anything));
        }
        let mut tags = Vec::new();
        for line in lines {
            let line = line.to_str().map_err(|_| malformed())?;
            tags.extend(line.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned));
        }
        // A line with nothing on it names nothing that could match.
        if tags.is_empty() { Err(malformed()) } else { parse(&tags).map(Self).ok_or_else(malformed) }
    }
}

/// What `If-Match` asks for where a change without it is refused.
pub(super) struct NeededIfMatch(pub(super) Expected);

impl<S: Send + Sync> FromRequestParts<S> for NeededIfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match IfMatch::from_request_parts(parts, state).await?.0 {
            Expected::Anything => {
                let status = StatusCode::PRECONDITION_REQUIRED;
                let problem = Problem::new(status, "precondition-required", "Say what you have seen");
                Err(problem.detail("Read it first and send its ETag as If-Match."))
            }
            expected => Ok(Self(expected)),
        }
    }
}

/// Tags of other forms are no version of ours, so they match nothing; weak ones never match (RFC 9110 13.1.1).
fn parse(tags: &[String]) -> Option<Expected> {
    if tags == ["*"] {
        return Some(Expected::Existing);
    }
    let mut versions = Vec::new();
    for tag in tags {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        if !tag.starts_with("W/") {
            versions.extend(opaque.parse::<u64>().ok().filter(|version| version.to_string() == opaque));
        }
    }
    Some(Expected::OneOf(versions))
}

fn malformed() -> Problem {
    Problem::bad_request("If-Match is * or a list of ETags in double quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tags: &[&str]) -> Option<Expected> {
        parse(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn tags_are_versions() {
        assert_eq!(read(&["*"]), Some(Expected::Existing));
        assert_eq!(read(&["\"7\"", "\"8\""]), Some(Expected::OneOf(vec![7, 8])));
        assert_eq!(read(&["W/\"7\"", "\"07\"", "\"x\""]), Some(Expected::OneOf(vec![])));
        assert_eq!(read(&["7"]), None);
        assert_eq!(read(&["\"7\"", "*"]), None);
    }
}
