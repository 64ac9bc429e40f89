//! People, as opposed to programs: a browser that goes to a page is led to the sign-in page and back, where a program
//! gets a refusal.

use http::header::{HOST, REFERER};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use url::Url;

use crate::body::AnswerBody;
use crate::pages::{BouncePage, page, see_other};
use crate::return_to;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a request wants to go.
pub(crate) struct Destination {
    /// Path and query.
    target: String,
    /// It is a browser that goes to a page.
    is_navigation: bool,
}

impl Destination {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let target = request.uri().path_and_query().map(|target| target.as_str().to_owned()).unwrap_or_default();
        Self { target, is_navigation: says(request.headers(), &FETCH_MODE, "navigate") }
    }

    /// Of a request that is never a person's.
    pub(crate) fn nowhere() -> Self {
        Self { target: String::new(), is_navigation: false }
    }

    /// The way to the sign-in page, for people.
    pub(crate) fn sign_in(&self) -> Option<Response<AnswerBody>> {
        self.is_navigation.then(|| see_other(&return_to::login_url(&self.target)))
    }
}

/// What a person without a cookie gets; `None` for programs.
///
/// Who comes by a link on another site may well be signed in: the browser holds back the `SameSite=Strict` cookie. The
/// answer is a page that reloads itself, and that request comes from this site.
pub(crate) fn without_cookie<B>(request: &Request<B>, destination: &Destination) -> Option<Response<AnswerBody>> {
    if !destination.is_navigation {
        return None;
    }
    let headers = request.headers();
    let is_from_elsewhere = says(headers, &FETCH_SITE, "cross-site") && !comes_from_here(headers);
    match return_to::parse(&destination.target) {
        Some(url) if is_from_elsewhere && request.method() == Method::GET => {
            Some(page(StatusCode::OK, &BouncePage { url }))
        }
        _ => destination.sign_in(),
    }
}

/// The page before this one was ours, so it was the bounce, and another would be no better.
fn comes_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(referrer) = text(&REFERER).and_then(|referrer| Url::parse(referrer).ok()) else { return false };
    let here = Url::parse(&format!("{}://{}/", referrer.scheme(), text(&HOST).unwrap_or_default()));
    here.is_ok_and(|here| here.origin() == referrer.origin())
}

fn says(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers.get(name).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::header::LOCATION;

    use super::*;

    fn answered(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Option<Response<AnswerBody>> {
        let mut request = Request::builder().method(method).uri(target).header(HOST, "gw.example:8080");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        without_cookie(&request, &Destination::of(&request))
    }

    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
    const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");

    fn location(answer: Option<Response<AnswerBody>>) -> String {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 303);
        answer.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn people_are_led_to_the_sign_in_page() {
        assert!(answered("GET", "/cars", &[]).is_none());
        assert!(answered("GET", "/cars", &[("sec-fetch-mode", "cors"), CROSS_SITE]).is_none());
        let same = ("sec-fetch-site", "same-origin");
        assert_eq!(location(answered("GET", "/cars?a=b", &[NAVIGATE, same])), "/login?return_to=%2Fcars%3Fa%3Db");
        assert_eq!(location(answered("POST", "/cars", &[NAVIGATE, CROSS_SITE])), "/login?return_to=%2Fcars");
    }

    #[test]
    fn who_comes_from_elsewhere_is_bounced_once() {
        let answer = answered("GET", "/cars", &[NAVIGATE, CROSS_SITE]).unwrap();
        assert_eq!(answer.status(), 200);
        assert!(
            answered("GET", "/cars", &[NAVIGATE, CROSS_SITE, ("referer", "https://evil.example/")]).unwrap().status()
                == 200
        );
        let again = [NAVIGATE, CROSS_SITE, ("referer", "http://gw.example:8080/cars")];
        assert_eq!(location(answered("GET", "/cars", &again)), "/login?return_to=%2Fcars");
    }

    #[test]
    fn a_bounce_never_leaves_this_origin() {
        assert_eq!(location(answered("GET", "//evil.example/", &[NAVIGATE, CROSS_SITE])), "/login?return_to=%2F");
    }
}
