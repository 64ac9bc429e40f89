//! Changes, and how far they have reached when the authority answers.

use propusk_core::env::SystemRandom;
use propusk_core::secret::PlainSecret;
use reqwest::Method;
use reqwest::header::{ETAG, HeaderMap};
use serde_json::{Map, Value, json};

use super::client::{Api, Most};
use super::{print_one, shown};
use crate::cli::{ApiArgs, OnceArgs, WaitArgs, WaitFor};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, GREEN, YELLOW, paint};

/// A call that changes something, to be sent.
pub(super) struct Change {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// What the change is made to.
    pub(super) if_match: Option<String>,
    /// The key under which it is done once, however often it is sent.
    pub(super) once: Option<String>,
}

/// What the authority answered.
pub(super) struct Answer {
    pub(super) document: Value,
    pub(super) etag: Option<String>,
    /// How far the change reached, where the document is another.
    enforcement: Option<Value>,
}

impl Change {
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, if_match: None, once: None }
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Only to this version, if there is one.
    pub(super) fn if_match(mut self, etag: Option<String>) -> Self {
        self.if_match = etag;
        self
    }

    /// Under a key of this run: an answer that is lost is asked for again, and nothing is done twice.
    pub(super) fn once(mut self) -> Self {
        let key = PlainSecret::generate("cli_", &SystemRandom);
        self.once = Some(key.expose().to_owned());
        self
    }

    /// The same, under the key that the caller chose if there is one.
    pub(super) fn once_as(self, args: &OnceArgs) -> Self {
        match &args.idempotency_key {
            Some(key) => Self { once: Some(key.clone()), ..self },
            None => self.once(),
        }
    }

    fn waits(mut self, wait: &WaitArgs) -> Self {
        let wanted = match wait.wait {
            WaitFor::Enforced => "enforced",
            WaitFor::Committed => "committed",
        };
        self.query.push(("wait", wanted.to_owned()));
        self.query.extend(wait.wait_ms.map(|ms| ("wait_ms", ms.to_string())));
        self
    }
}

impl Answer {
    pub(super) fn new(headers: &HeaderMap, document: Value) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let etag = text(ETAG.as_str()).map(str::to_owned);
        Self { document, etag, enforcement: text("propusk-enforcement").and_then(from_header) }
    }
}

/// Makes a change and tells what it reached. `done` says what was done, in words.
pub(super) async fn changed(api: &Api, args: &ApiArgs, wait: &WaitArgs, change: Change, done: &str) -> Outcome {
    let answer = api.change(change.waits(wait)).await?.document;
    if args.json {
        output::line(&answer.to_string());
    } else {
        output::line(&in_words(&answer, done));
    }
    Ok(exit(&answer, wait.wait))
}

/// Makes a change that is answered with the thing itself: what it is now, and how far the change reached.
pub(super) struct Made {
    pub(super) thing: Value,
    enforcement: Option<Value>,
    wanted: WaitFor,
}

impl Made {
    pub(super) async fn by(api: &Api, wait: &WaitArgs, change: Change) -> Result<Self, Failure> {
        let Answer { document, etag, enforcement } = api.change(change.waits(wait)).await?;
        let enforcement = match enforcement {
            Some(reached) if !is_enforced(&reached) => Some(with_laggards(api, reached).await),
            other => other,
        };
        let mut made = Self { thing: document, enforcement, wanted: wait.wait };
        made.add("etag", etag.map(Value::from));
        Ok(made)
    }

    fn add(&mut self, member: &str, value: Option<Value>) {
        if let (Some(value), Some(members)) = (value, self.thing.as_object_mut()) {
            members.insert(member.to_owned(), value);
        }
    }

    /// Prints it: these members for people, all of them for programs.
    pub(super) fn tell(mut self, args: &ApiArgs, members: &[&str], done: &str) -> Exit {
        let status = self.enforcement.as_ref().map_or(Exit::Done, |reached| exit(reached, self.wanted));
        if args.json {
            self.add("enforcement", self.enforcement.clone());
        }
        print_one(args, &self.thing, members);
        if let (false, Some(reached)) = (args.json, &self.enforcement) {
            output::line(&in_words(reached, done));
        }
        status
    }
}

/// `outcome=enforced;seq=42;took-ms=7`, in the form of a body.
fn from_header(text: &str) -> Option<Value> {
    let mut members = Map::new();
    for (name, value) in text.split(';').filter_map(|part| part.split_once('=')) {
        let value = value.parse::<u64>().map_or_else(|_| value.into(), Value::from);
        members.insert(name.trim().replace('-', "_"), value);
    }
    members.contains_key("outcome").then_some(Value::Object(members))
}

/// A header does not say who is behind; the list of verifiers does.
async fn with_laggards(api: &Api, mut reached: Value) -> Value {
    let seq = reached.get("seq").and_then(Value::as_u64).unwrap_or(u64::MAX);
    // The change is made, whether this works or not.
    let verifiers = api.list("/admin/v1/verifiers", &[], Most::ALL).await.unwrap_or_default();
    let number = |verifier: &Value, member: &str| verifier.get(member).and_then(Value::as_u64).unwrap_or(0);
    let behind = verifiers.iter().filter(|verifier| number(verifier, "applied_seq") < seq).map(|verifier| {
        let left = number(verifier, "lease_left_ms");
        json!({
            "service": verifier.get("service"),
            "instance": verifier.get("instance"),
            "acked_seq": number(verifier, "applied_seq"),
            "lease_left_ms": left,
            "state": if left == 0 { "lease_ended" } else { "outstanding" },
        })
    });
    let laggards: Vec<Value> = behind.collect();
    if let Some(members) = reached.as_object_mut() {
        members.insert("laggards".to_owned(), laggards.into());
    }
    reached
}

/// What was reached, and who is behind.
fn in_words(answer: &Value, done: &str) -> String {
    let outcome = shown(answer, "outcome");
    let style = if is_enforced(answer) { GREEN } else { YELLOW };
    let what =
        format!("{done}: {} in {} ms (seq {})", paint(style, &outcome), shown(answer, "took_ms"), shown(answer, "seq"));
    let laggards = answer.get("laggards").and_then(Value::as_array).into_iter().flatten().map(|laggard| {
        let [service, instance, state] = ["service", "instance", "state"].map(|member| shown(laggard, member));
        format!("  {service} {instance}: {}", state.replace('_', " "))
    });
    std::iter::once(what).chain(laggards).collect::<Vec<_>>().join("\n")
}

fn is_enforced(answer: &Value) -> bool {
    answer.get("outcome").and_then(Value::as_str) == Some("enforced")
}

/// Committed is less than was asked for, unless it was asked for.
fn exit(answer: &Value, wanted: WaitFor) -> Exit {
    if is_enforced(answer) || wanted == WaitFor::Committed { Exit::Done } else { Exit::NotEnforced }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_a_status_of_its_own() {
        let answer = |outcome: &str| json!({"outcome": outcome, "seq": 7, "took_ms": 3, "laggards": []});
        assert_eq!(exit(&answer("enforced"), WaitFor::Enforced), Exit::Done);
        assert_eq!(exit(&answer("committed"), WaitFor::Enforced), Exit::NotEnforced);
        assert_eq!(exit(&answer("committed"), WaitFor::Committed), Exit::Done);
    }

    #[test]
    fn laggards_are_named() {
        let laggard = json!({"service": "cars", "instance": "ab12", "state": "lease_ended"});
        let answer = json!({"outcome": "enforced", "seq": 7, "took_ms": 3000, "laggards": [laggard]});
        let text = anstream::adapter::strip_str(&in_words(&answer, "session s_1 ended")).to_string();
        assert_eq!(text, "session s_1 ended: enforced in 3000 ms (seq 7)\n  cars ab12: lease ended");
    }

    #[test]
    fn a_header_says_the_same_as_a_body() {
        let reached = from_header("outcome=committed;seq=42;took-ms=7").unwrap();
        assert_eq!(reached, json!({"outcome": "committed", "seq": 42, "took_ms": 7}));
        assert_eq!(from_header("nonsense"), None);
    }

    #[test]
    fn a_key_is_of_one_run() {
        let key = || Change::post("/x").once().once.unwrap();
        assert_ne!(key(), key());
        let args = OnceArgs { idempotency_key: Some("mine".to_owned()) };
        assert_eq!(Change::post("/x").once_as(&args).once.as_deref(), Some("mine"));
    }
}
