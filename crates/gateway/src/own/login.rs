//! `/login`: the sign-in page, and signing in by it or by JSON.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use url::form_urlencoded;

use crate::authority::{AUTHORITY_AUDIENCE, Asker, AuthorityError};
use crate::authorize::authority_problem;
use crate::body::AnswerBody;
use crate::credential::session_cookie;
use crate::ended::EndedSessions;
use crate::gateway::{Context, Gateway};
use crate::own::{Form, person, read};
use crate::pages::{LoginPage, page, see_other, set_retry_after};
use crate::problem::{Problem, Slug};
use crate::secret::Secret;
use crate::session::{Session, now_ms};
use crate::{csrf, random, return_to};

/// Who wants to sign in, and where to go then.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    username: String,
    password: Secret,
    #[serde(skip)]
    return_to: String,
}

/// The page, or a session.
pub(crate) async fn answer(
    gateway: &Arc<Gateway>,
    context: &Context,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    match *request.method() {
        Method::GET | Method::HEAD => empty_page(&request),
        Method::POST => sign_in(gateway, context, request).await,
        _ => Problem::method_not_allowed("GET, HEAD, POST").into(),
    }
}

fn empty_page(request: &Request<Incoming>) -> Response<AnswerBody> {
    let query = request.uri().query().unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return_to");
    let asked = asked.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let return_to = return_to::parse(&asked).unwrap_or("/");
    page(StatusCode::OK, &LoginPage { return_to, username: "", error: None, wrong: false })
}

async fn sign_in(gateway: &Arc<Gateway>, context: &Context, request: Request<Incoming>) -> Response<AnswerBody> {
    if let Err(problem) = csrf::check(request.headers(), gateway.public_origin.as_ref()) {
        return problem.into();
    }
    let (parts, body) = request.into_parts();
    let form = Form::of(&parts.headers);
    let read = read(body, gateway.limits.own_body_bytes, gateway.timeouts.header_read);
    let who = match read.await.and_then(|body| parse(form, &body)) {
        Ok(who) => who,
        Err(problem) => return problem.into(),
    };
    let asker = Asker::of(context, parts.headers.get(USER_AGENT));
    match begin(gateway, &who, asker).await {
        Ok(session) => signed_in(gateway, &parts.headers, form, &who, session),
        Err(error) => not_signed_in(form, &who, authority_problem(&error)),
    }
}

fn parse(form: Form, body: &[u8]) -> Result<SignIn, Problem> {
    match form {
        Form::Json => serde_json::from_slice(body).map_err(|error| not_json(&error)),
        Form::Html => parse_form(body),
        Form::Other => Err(Slug::UnsupportedMediaType.into()),
    }
}

/// Names members, never values: one of them is a password.
fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let names_a_member =
        ["unknown field", "missing field", "duplicate field"].iter().any(|kind| what.starts_with(kind));
    Problem::bad_request(match (error.is_data(), names_a_member) {
        (true, true) => what,
        (true, false) => "username and password are strings",
        (false, _) => "the body is not JSON",
    })
}

fn parse_form(body: &[u8]) -> Result<SignIn, Problem> {
    let (mut username, mut password, mut return_to) = (None, None, None);
    for (name, value) in form_urlencoded::parse(body) {
        let member = match &*name {
            "username" => &mut username,
            "password" => &mut password,
            "return_to" => &mut return_to,
            _ => continue,
        };
        if member.replace(Secret::from(value.into_owned())).is_some() {
            return Err(Problem::bad_request(format!("{name} is there twice")));
        }
    }
    let (Some(username), Some(password)) = (username, password) else {
        return Err(Problem::bad_request("username and password are needed"));
    };
    let return_to = return_to.as_ref().and_then(|path| return_to::parse(path.expose())).unwrap_or("/").to_owned();
    Ok(SignIn { username: username.expose().to_owned(), password, return_to })
}

/// A session that nobody has yet. Dropped, it ends at the authority.
struct NewSession {
    session: Session,
    ended: Option<EndedSessions>,
}

impl NewSession {
    fn keep(mut self) -> Session {
        self.ended = None;
        self.session.clone()
    }
}

impl Drop for NewSession {
    fn drop(&mut self) {
        if let Some(ended) = &self.ended {
            ended.end(self.session.refresh.clone());
        }
    }
}

/// In a task of its own: what the authority began for a client that went away has to be ended.
async fn begin(gateway: &Arc<Gateway>, who: &SignIn, asker: Asker) -> Result<NewSession, AuthorityError> {
    let (gateway, username, password) = (gateway.clone(), who.username.clone(), who.password.clone());
    let begun = tokio::spawn(async move { ask(&gateway, &username, &password, &asker).await });
    begun.await.unwrap_or(Err(NOTHING))
}

const NOTHING: AuthorityError = AuthorityError::Unavailable { retry_after_s: None };

async fn ask(
    gateway: &Gateway,
    username: &str,
    password: &Secret,
    asker: &Asker,
) -> Result<NewSession, AuthorityError> {
    let id = random::id().map_err(|_| NOTHING)?;
    let asked_at_ms = now_ms();
    let tokens = gateway.authority.password(username, password, AUTHORITY_AUDIENCE, asker).await?;
    let nobody = (String::new(), String::new());
    let session = Session::begin(id, nobody, u64::MAX, AUTHORITY_AUDIENCE, &tokens, asked_at_ms).ok_or(NOTHING)?;
    let mut new = NewSession { session, ended: Some(gateway.ended.clone()) };
    let me = gateway.authority.me(&tokens.access_token, &asker.request_id).await?;
    new.session.expires_at = me.expires_at();
    (new.session.user_id, new.session.username) = (me.id, me.username);
    // It was for that one question.
    new.session.tokens.clear();
    Ok(new)
}

fn signed_in(
    gateway: &Gateway,
    headers: &HeaderMap,
    form: Form,
    who: &SignIn,
    new: NewSession,
) -> Response<AnswerBody> {
    let Ok(cookie) = gateway.cookies.seal(&new.session) else { return Problem::from(Slug::Internal).into() };
    let session = new.keep();
    end_former(gateway, headers);
    let mut answer = if form == Form::Html { see_other(&who.return_to) } else { person(&session) };
    answer.headers_mut().insert(SET_COOKIE, cookie);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The session that this browser had so far.
fn end_former(gateway: &Gateway, headers: &HeaderMap) {
    let former = session_cookie(headers).ok().flatten().and_then(|value| gateway.cookies.open(&value));
    if let Some(refresh) = former.and_then(|session| gateway.sessions.attach(session).take_end()) {
        gateway.ended.end(refresh);
    }
}

fn not_signed_in(form: Form, who: &SignIn, problem: Problem) -> Response<AnswerBody> {
    if form != Form::Html {
        return problem.into();
    }
    let wrong = problem.slug == Slug::InvalidCredentials;
    let error = Some(problem.slug.sentence());
    let (status, retry_after_s) = (problem.slug.status(), problem.retry_after_s);
    let mut answer = page(status, &LoginPage { return_to: &who.return_to, username: &who.username, error, wrong });
    set_retry_after(&mut answer, retry_after_s);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json() {
        let who = parse(Form::Json, br#"{"username":"alice","password":"p"}"#).unwrap();
        assert_eq!((who.username.as_str(), who.password.expose()), ("alice", "p"));
        for (body, named) in [
            (r#"{"username":"alice"}"#, "password"),
            (r#"{"username":"alice","password":"p","admin":true}"#, "admin"),
            (r#"{"username":"alice","password":"p","return_to":"/x"}"#, "return_to"),
            (r#"{"username":"alice","username":"bob","password":"p"}"#, "username"),
            (r#"{"username":1,"password":"p"}"#, "strings"),
            (r#"{"username":"alice","password":"p""#, "not JSON"),
        ] {
            let problem = parse(Form::Json, body.as_bytes()).unwrap_err();
            assert!(format!("{problem:?}").contains(named), "{body} {problem:?}");
        }
        let problem = parse(Form::Json, br#"{"username":"alice","password":424242}"#).unwrap_err();
        assert!(!format!("{problem:?}").contains("424242"), "{problem:?}");
    }

    #[test]
    fn a_form() {
        let who = parse(Form::Html, b"username=al%20ice&password=p%26&return_to=%2Fcars&button=").unwrap();
        assert_eq!((who.username.as_str(), who.password.expose(), who.return_to.as_str()), ("al ice", "p&", "/cars"));
        let who = parse(Form::Html, b"username=a&password=b&return_to=//evil.example").unwrap();
        assert_eq!(who.return_to, "/");
        for body in
            ["", "username=a", "password=b", "username=a&username=b&password=c", "username=a&password=b&password=c"]
        {
            assert!(parse(Form::Html, body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse(Form::Other, b"username=a&password=b").is_err());
    }
}
