//! Changes, and how far they have reached when the authority answers.

use reqwest::Method;
use serde_json::Value;

use super::client::Api;
use super::shown;
use crate::cli::{ApiArgs, WaitArgs, WaitFor};
use crate::exit::{Exit, Outcome};
use crate::output::{self, GREEN, YELLOW, paint};

/// Makes a change and tells what it reached. `done` says what was done, in words.
pub(super) async fn changed(
    api: &Api,
    args: &ApiArgs,
    wait: &WaitArgs,
    method: Method,
    path: &str,
    done: &str,
) -> Outcome {
    let wanted = match wait.wait {
        WaitFor::Enforced => "enforced",
        WaitFor::Committed => "committed",
    };
    let wait_ms = wait.wait_ms.map(|ms| ms.to_string());
    let mut query = vec![("wait", wanted)];
    query.extend(wait_ms.as_deref().map(|ms| ("wait_ms", ms)));
    let (_, answer) = api.change(method, path, &query, None).await?;
    if args.json {
        output::line(&answer.to_string());
    } else {
        output::line(&in_words(&answer, done));
    }
    Ok(exit(&answer, wait.wait))
}

/// What was reached, and who is behind.
fn in_words(answer: &Value, done: &str) -> String {
    let outcome = shown(answer, "outcome");
    let style = if outcome == "enforced" { GREEN } else { YELLOW };
    let what =
        format!("{done}: {} in {} ms (seq {})", paint(style, &outcome), shown(answer, "took_ms"), shown(answer, "seq"));
    let laggards = answer.get("laggards").and_then(Value::as_array).into_iter().flatten().map(|laggard| {
        let [service, instance, state] = ["service", "instance", "state"].map(|member| shown(laggard, member));
        format!("  {service} {instance}: {}", state.replace('_', " "))
    });
    std::iter::once(what).chain(laggards).collect::<Vec<_>>().join("\n")
}

/// Committed is less than was asked for, unless it was asked for.
fn exit(answer: &Value, wanted: WaitFor) -> Exit {
    let is_enforced = answer.get("outcome").and_then(Value::as_str) == Some("enforced");
    if is_enforced || wanted == WaitFor::Committed { Exit::Done } else { Exit::NotEnforced }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
}
