//! The layer that lets a request through, or answers it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tower::{Layer, Service};

use super::extract::Granted;
use super::json::problem_response;
use crate::decision::{Demand, PastBound, Refusal, Report};
use crate::reason::Reason;
use crate::secret::RawToken;
use crate::verifier::Verifier;

const VERDICT: HeaderName = HeaderName::from_static("propusk-verdict");
const DECISION: HeaderName = HeaderName::from_static("propusk-decision");

/// Guards a route or a router: a [`tower::Layer`].
#[derive(Debug, Clone)]
pub struct Guard {
    verifier: Verifier,
    /// `None` lets everybody through. Shared, for each request takes it along.
    demand: Option<Arc<Demand>>,
}

impl Verifier {
    /// Everybody may come.
    pub fn public(&self) -> Guard {
        Guard { verifier: self.clone(), demand: None }
    }

    /// Decided from memory.
    pub fn ordinary(&self) -> Guard {
        Guard { verifier: self.clone(), demand: Some(Arc::new(Demand::ordinary())) }
    }

    /// Decided on current status and roles.
    pub fn elite(&self) -> Guard {
        Guard { verifier: self.clone(), demand: Some(Arc::new(Demand::elite())) }
    }
}

impl Guard {
    /// One of the caller's roles has to give this permission.
    #[must_use]
    pub fn permission(self, permission: impl Into<String>) -> Self {
        self.demanding(|demand| demand.permission(permission))
    }

    /// What this route does when memory is older than the bound, if not what the verifier does by default.
    #[must_use]
    pub fn past_bound(self, policy: PastBound) -> Self {
        self.demanding(|demand| demand.past_bound(policy))
    }

    fn demanding(self, change: impl FnOnce(Demand) -> Demand) -> Self {
        Self { demand: self.demand.map(|demand| Arc::new(change(Arc::unwrap_or_clone(demand)))), ..self }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A service behind a [`Guard`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Guard { verifier, demand } = self.guard.clone();
        let clone = self.inner.clone();
        // The one that was polled ready is the one to call.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Some(demand) = demand else { return Ok(inner.call(request).await?.into_response()) };
            let decided = match one_bearer(request.headers()) {
                Ok(raw) => verifier.decide(raw, &demand).await,
                Err(refusal) => Err(refusal),
            };
            let permit = match decided {
                Ok(permit) => permit,
                Err(refusal) => return Ok(refuse(&verifier, &refusal)),
            };
            let granted = Arc::new(Granted { permit, verifier, demand });
            request.extensions_mut().insert(Arc::clone(&granted));
            let mut response = inner.call(request).await?.into_response();
            // The handler found that the caller is not to be let through after all.
            if let Some(mut refusal) = response.extensions_mut().remove::<Refusal>() {
                refusal.report.get_or_insert(*granted.permit.report());
                return Ok(refuse(&granted.verifier, &refusal));
            }
            tell(&granted.verifier, &mut response, granted.permit.report());
            Ok(response)
        })
    }
}

/// The one bearer token of a request (RFC 6750 section 2.1). Tokens in the query or in a form do not count.
///
/// # Errors
/// No credential, one of another scheme, several, or a malformed one.
pub fn bearer(headers: &HeaderMap) -> Result<RawToken, Refusal> {
    one_bearer(headers).map(RawToken::new)
}

/// The same without a copy of it.
fn one_bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let value = values.next().ok_or(Reason::NoCredentials)?;
    if values.next().is_some() {
        return Err(Reason::TwoCredentials.into());
    }
    let mut parts = value.as_bytes().splitn(2, |byte| *byte == b' ');
    let (scheme, token) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        let is_text = value.to_str().is_ok();
        return Err(if is_text { Reason::OtherScheme } else { Reason::MalformedHeader }.into());
    }
    // Not `all`: a loop that goes to the end whatever comes is one that looks at many bytes at a time.
    let fits = token.iter().fold(true, |fits, byte| fits & byte.is_ascii_graphic() & (*byte != b','));
    let token = std::str::from_utf8(token).unwrap_or_default();
    if fits && !token.is_empty() { Ok(token) } else { Err(Reason::MalformedHeader.into()) }
}

/// The answer to a caller who is not let through. The exact reason goes to our log alone.
pub fn refuse(verifier: &Verifier, refusal: &Refusal) -> Response {
    let verdict = refusal.verdict();
    tracing::info!(reason = %refusal.reason, verdict = %verdict, audience = verifier.audience(), "refused");
    let mut problem = verdict.problem();
    if let Some(seconds) = verdict.retry_after() {
        problem = problem.retry_after(seconds);
    }
    let mut response = problem_response(&problem);
    let headers = response.headers_mut();
    headers.insert(VERDICT, HeaderValue::from_static(verdict.header()));
    let challenge = verdict.www_authenticate(verifier.audience()).and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(challenge) = challenge {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(report) = &refusal.report {
        tell(verifier, &mut response, report);
    }
    response
}

/// How the decision came about, where that is told.
fn tell(verifier: &Verifier, response: &mut Response, report: &Report) {
    if verifier.debug_headers()
        && let Ok(value) = HeaderValue::try_from(report.to_string())
    {
        response.headers_mut().insert(DECISION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers).map(|token| token.expose().to_owned()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn exactly_one_bearer_token() {
        assert_eq!(read(&["Bearer a.b.c"]).unwrap(), "a.b.c");
        assert_eq!(read(&["bEaReR a.b.c="]).unwrap(), "a.b.c=");
        assert_eq!(read(&[]), Err(Reason::NoCredentials));
        assert_eq!(read(&["Basic YTpi"]), Err(Reason::OtherScheme));
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(Reason::TwoCredentials));
        assert_eq!(read(&["Basic \u{e9}"]), Err(Reason::MalformedHeader));
        for malformed in
            ["Bearer", "Bearer ", "Bearer \u{e9}", "Bearer  a", "Bearer a b", "Bearer a,Basic b", "Bearer a\tb"]
        {
            assert_eq!(read(&[malformed]), Err(Reason::MalformedHeader), "{malformed:?}");
        }
    }
}
