//! Keys change while clients are at work: by rotation, and at once in an emergency.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::load::{APPS, LOADED, Load, Tally};
use super::screen::{Cut, Shown};
use super::{Tour, enforced};
use crate::secret::SecretText;

/// How long a rotation is waited for: less than an administrator's token lives. By the default settings it can take two
/// minutes, which nobody wants to watch: it goes on by itself.
const PATIENCE: Duration = Duration::from_secs(12);
/// Traffic before a change, to compare with.
const BEFORE: Duration = Duration::from_secs(1);
/// Traffic after an emergency, for those who notice late.
const AFTER: Duration = Duration::from_secs(2);
/// Between two looks at the keys.
const PAUSE: Duration = Duration::from_millis(200);

/// Both changes, under the same load.
pub(super) async fn tell(tour: &mut Tour) {
    let mut load = None;
    tour.step(&format!("Rotate the key of {LOADED} under load"), async |tour| rotate(tour, &mut load).await).await;
    let title = format!("Revoke a key of {LOADED} in an emergency, under the same load");
    tour.step(&title, async |tour| revoke(tour, load).await).await;
}

async fn rotate(tour: &mut Tour, slot: &mut Option<Load>) -> Shown {
    let admin = tour.admin_token().await?;
    let load = slot.insert(Load::start(tour).await?);
    tour.screen.did(&Load::description());
    tokio::time::sleep(BEFORE).await;
    let rotation = tour.administer(Method::POST, &format!("/services/{LOADED}/keys/rotate")).await?.expect(202)?;
    let next = rotation.text("/kid")?;
    let took = until_active(tour, &admin, &next).await?;
    load.until_all_use(&next).await?;
    let tally = load.so_far()?;
    Ok(format!("{next} signs after {:.1} s: {}", took.as_secs_f64(), counts(&tally)))
}

async fn revoke(tour: &mut Tour, load: Option<Load>) -> Shown {
    let admin = tour.admin_token().await?;
    let load = load.ok_or_else(|| Cut::Skipped("no client could be set to work, see above".to_owned()))?;
    let active = active(&keys(tour, &admin).await?)?;
    let revoked = tour.administer(Method::POST, &format!("/keys/{active}/revoke")).await?.expect(200)?;
    let reached = enforced(&revoked)?;
    let next = self::active(&keys(tour, &admin).await?)?;
    if next == active {
        return Err(Cut::Failed(format!("{active} still signs")));
    }
    load.until_all_use(&next).await?;
    tokio::time::sleep(AFTER).await;
    let (tally, sessions) = load.finish().await?;
    Ok(format!("{reached}, {next} signs: {}, {sessions}", counts(&tally)))
}

/// What clients noticed: refreshing, and nothing else.
fn counts(tally: &Tally) -> String {
    let Tally { requests, refreshed, stale, failed, .. } = tally;
    let stale = if *stale > 0 { format!(" ({stale} of them as stale)") } else { String::new() };
    format!(
        "{requests} requests, {refreshed} refreshed{stale}, {failed} failed; new key in the tokens of {APPS} of {APPS}"
    )
}

/// Looks until this key signs, and tells each time that something else is waited for.
async fn until_active(tour: &Tour, admin: &SecretText, next: &str) -> Result<Duration, Cut> {
    let begun = Instant::now();
    tour.screen.did(&format!("GET authority /admin/v1/services/{LOADED}/keys, again and again, until it signs"));
    let mut told = String::new();
    loop {
        let keys = keys(tour, admin).await?;
        let key = keys.iter().find(|key| text(key, "kid") == next);
        let key = key.ok_or_else(|| Cut::Failed(format!("{next} is not in the list")))?;
        if text(key, "state") == "active" {
            tour.screen.saw("active: what it signs, everybody can check");
            return Ok(begun.elapsed());
        }
        let still = obstacle(key);
        if still != told {
            tour.screen.saw(&format!("staged: {still}"));
            told = still;
        }
        if begun.elapsed() >= PATIENCE || seconds_until(text(key, "activates_at")) > PATIENCE.as_secs_f64() {
            return Err(not_yet(tour, key));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A rotation that takes longer than anybody watches. With settings of the tour's own that is a failure.
fn not_yet(tour: &Tour, key: &Value) -> Cut {
    let (next, still, earliest) = (text(key, "kid"), obstacle(key), text(key, "activates_at"));
    if tour.stage.is_own() {
        return Cut::Failed(format!("{next} does not sign after {} s: {still}", PATIENCE.as_secs()));
    }
    let how = format!("it takes over by itself, at {earliest} or later: propusk keys list {LOADED}");
    Cut::Skipped(format!("{next} is staged, {still}; {how}"))
}

/// What keeps a staged key from signing.
fn obstacle(key: &Value) -> String {
    let waiting = key.get("waiting_for").and_then(Value::as_array);
    let names: Vec<String> = waiting
        .into_iter()
        .flatten()
        .map(|verifier| format!("{} {}", text(verifier, "service"), text(verifier, "instance")))
        .collect();
    if names.is_empty() {
        return "confirmed by every verifier, and waits until whoever fetches keys has had the time".to_owned();
    }
    format!("waits for {}", names.join(", "))
}

async fn keys(tour: &Tour, admin: &SecretText) -> Result<Vec<Value>, Cut> {
    let call = tour.authority(Method::GET, &format!("/admin/v1/services/{LOADED}/keys")).bearer(admin.expose());
    let listed = call.quietly().await?.expect(200)?;
    Ok(listed.json.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn active(keys: &[Value]) -> Result<String, Cut> {
    let active = keys.iter().find(|key| text(key, "state") == "active");
    active.map(|key| text(key, "kid").to_owned()).ok_or_else(|| Cut::Failed(format!("no key signs for {LOADED}")))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// From now until a time as the authority tells it; none if it is past.
fn seconds_until(time: &str) -> f64 {
    let time: Option<jiff::Timestamp> = time.parse().ok();
    time.map_or(0.0, |time| time.duration_since(jiff::Timestamp::now()).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_waited_for_is_named() {
        let frozen = json!({"service": "cars", "instance": "i1", "acked_seq": 7});
        assert_eq!(obstacle(&json!({"waiting_for": [frozen]})), "waits for cars i1");
        assert!(obstacle(&json!({"waiting_for": []})).starts_with("confirmed by every verifier"));
    }

    #[test]
    fn what_clients_noticed_is_told_in_numbers() {
        let tally = Tally { requests: 900, refreshed: 40, ..Tally::default() };
        assert!(counts(&tally).starts_with("900 requests, 40 refreshed, 0 failed"), "{}", counts(&tally));
        let tally = Tally { stale: 12, ..tally };
        assert!(counts(&tally).contains("40 refreshed (12 of them as stale)"), "{}", counts(&tally));
    }

    #[test]
    fn the_time_until_a_key_may_sign() {
        assert!(seconds_until("2020-01-01T00:00:00Z") < 0.0);
        assert!(seconds_until("9000-01-01T00:00:00Z") > PATIENCE.as_secs_f64());
        assert!(seconds_until("").abs() < f64::EPSILON);
    }
}
