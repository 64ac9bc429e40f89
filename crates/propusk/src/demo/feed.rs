//! What sets Propusk apart: a revocation that is enforced although a service sleeps, and services that go on for a
//! bounded time although the authority is gone.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::Value;

use super::screen::{Cut, Shown};
use super::{Tokens, Tour, claim, enforced, people};

/// The service that is frozen. Having held up a revocation, it gets no lease for a while after that.
const FROZEN: &str = "cars";
/// The service that is watched while the authority is gone.
const WATCHED: &str = "posts";

/// The defaults that a system of our own runs with.
const LEASE: Duration = Duration::from_secs(3);
const MAX_STALENESS: Duration = Duration::from_secs(5);
/// For requests and scheduling on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);
/// How long a verifier may take to find an authority that is back.
const RECONNECT: Duration = Duration::from_secs(10);
/// Between two questions of the same kind.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn freeze(tour: &mut Tour) -> Shown {
    demand_own(tour)?;
    tour.administer(Method::GET, "/verifiers").await?.expect(200)?;
    let tokens = tour.login(FROZEN).await?;
    demand_lease(tour, FROZEN, &tokens).await?;
    let session = claim(tokens.access.expose(), "sid")?;
    let pid = tour.stage.signal(FROZEN, Signal::SIGSTOP)?;
    tour.screen.did(&format!("SIGSTOP {FROZEN} (process {pid}): it holds a lease and hears nothing any more"));
    let revoked = tour.administer(Method::DELETE, &format!("/sessions/{session}")).await;
    let woken = tour.stage.signal(FROZEN, Signal::SIGCONT);
    let revoked = revoked?.expect(200)?;
    let reached = enforced(&revoked)?;
    demand_laggard(&revoked.json)?;
    woken?;
    tour.screen.did(&format!("SIGCONT {FROZEN}"));
    let call = tour.service(FROZEN, Method::GET, &elite(FROZEN))?.bearer(tokens.access.expose());
    call.send(&tour.screen).await?.expect_problem(401, "token-revoked")?;
    Ok(format!("{reached}: the call waited for the sleeper's lease to end, named it, and awake it refuses"))
}

fn demand_laggard(enforcement: &Value) -> Result<(), Cut> {
    let laggards = enforcement.get("laggards").and_then(Value::as_array);
    let text = |laggard: &Value, member: &str| laggard.get(member).and_then(Value::as_str).map(str::to_owned);
    let named = laggards.into_iter().flatten().any(|laggard| {
        text(laggard, "service").as_deref() == Some(FROZEN) && text(laggard, "state").as_deref() == Some("lease_ended")
    });
    if named { Ok(()) } else { Err(Cut::Failed(format!("{FROZEN} is not named as a laggard: {enforcement}"))) }
}

pub(super) async fn authority_away(tour: &mut Tour) -> Shown {
    demand_own(tour)?;
    people::sign_in_browser(tour).await?;
    let tokens = tour.login(WATCHED).await?;
    demand_lease(tour, WATCHED, &tokens).await?;
    let pid = tour.stage.signal("authority", Signal::SIGKILL)?;
    tour.screen.did(&format!("SIGKILL the authority (process {pid})"));
    let endings = watch(tour, &tokens).await?;
    endings.check()?;
    let pid = tour.stage.restart("authority")?;
    tour.screen.did(&format!("start the authority again (process {pid})"));
    until_elite_again(tour, &tokens).await?;
    until_gateway_again(tour).await?;
    let call = tour.gateway(Method::GET, "/session");
    tour.browse(call).await?.expect(200)?;
    let call = tour.gateway(Method::GET, "/users/me");
    tour.browse(call).await?.expect(200)?;
    Ok(format!(
        "elite ended with the lease ({:.1} s), ordinary with the bound ({:.1} s); then the same token and the same cookie were good again",
        endings.elite.as_secs_f64(),
        endings.ordinary.as_secs_f64()
    ))
}

/// How long after the authority's death each class of endpoint still said yes.
struct Endings {
    elite: Duration,
    ordinary: Duration,
}

impl Endings {
    fn check(&self) -> Result<(), Cut> {
        let too_long = |class: &str, took: Duration, limit: Duration| {
            Cut::Failed(format!(
                "{class} still said yes after {:.1} s; {:.1} s is the limit",
                took.as_secs_f64(),
                limit.as_secs_f64()
            ))
        };
        if self.elite > LEASE + SLACK {
            return Err(too_long("elite", self.elite, LEASE));
        }
        if self.ordinary > MAX_STALENESS + SLACK {
            return Err(too_long("ordinary", self.ordinary, MAX_STALENESS));
        }
        if self.ordinary <= self.elite {
            return Err(Cut::Failed("ordinary did not go on longer than elite".to_owned()));
        }
        Ok(())
    }
}

/// Asks both classes again and again until neither says yes. Each "no" has to be "cannot tell".
async fn watch(tour: &mut Tour, tokens: &Tokens) -> Result<Endings, Cut> {
    let begun = Instant::now();
    let by_lease = until_cannot_tell(tour, tokens, &elite(WATCHED), begun).await?;
    let call = tour.service(WATCHED, Method::GET, &ordinary(WATCHED))?.bearer(tokens.access.expose());
    call.send(&tour.screen).await?.expect(200)?;
    let by_memory = until_cannot_tell(tour, tokens, &ordinary(WATCHED), begun).await?;
    Ok(Endings { elite: by_lease, ordinary: by_memory })
}

async fn until_cannot_tell(tour: &mut Tour, tokens: &Tokens, path: &str, begun: Instant) -> Result<Duration, Cut> {
    let limit = (LEASE.max(MAX_STALENESS) + SLACK) * 2;
    let mut last_yes = begun.elapsed();
    while begun.elapsed() < limit {
        let asked = begun.elapsed();
        let call = tour.service(WATCHED, Method::GET, path)?.bearer(tokens.access.expose());
        let answer = call.quietly().await?;
        if answer.status != 200 {
            tour.screen
                .did(&format!("GET {WATCHED} {path}, again and again, until {:.1} s", begun.elapsed().as_secs_f64()));
            tour.screen.saw(&answer.in_short());
            answer.expect_problem(503, "cannot-tell")?;
            return Ok(last_yes);
        }
        last_yes = asked;
        tokio::time::sleep(PAUSE).await;
    }
    Err(Cut::Failed(format!("{path} still says yes after {:.1} s", limit.as_secs_f64())))
}

/// The same token, as soon as the service has found the authority again. It may be asked for as long as it lives.
async fn until_elite_again(tour: &mut Tour, tokens: &Tokens) -> Result<(), Cut> {
    loop {
        let call = tour.service(WATCHED, Method::GET, &elite(WATCHED))?.bearer(tokens.access.expose());
        let answer = call.quietly().await?;
        if answer.status != 503 {
            tour.screen.did(&format!("GET {WATCHED} {}  the same token", elite(WATCHED)));
            tour.screen.saw(&answer.in_short());
            answer.expect(200)?;
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The gateway and the service behind it find the authority again by themselves, as every verifier does. It may take a
/// few seconds.
async fn until_gateway_again(tour: &mut Tour) -> Result<(), Cut> {
    let cookie = tour.cookie.clone().unwrap_or_default();
    let end = Instant::now() + RECONNECT;
    while tour.gateway(Method::GET, "/users/me").cookie(&cookie).quietly().await?.status == 503 {
        if Instant::now() >= end {
            return Err(Cut::Failed(format!(
                "the gateway has no answer {} s after the authority",
                RECONNECT.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn elite(service: &str) -> String {
    format!("/{service}/-/whoami/elite")
}

fn ordinary(service: &str) -> String {
    format!("/{service}/-/whoami")
}

fn demand_own(tour: &Tour) -> Result<(), Cut> {
    if tour.stage.is_own() {
        return Ok(());
    }
    Err(Cut::Skipped("it stops processes, which is for a system of the tour's own: --ephemeral".to_owned()))
}

/// Without leases there is nothing to see here. One that ran out comes back at the next renewal.
async fn demand_lease(tour: &mut Tour, service: &str, tokens: &Tokens) -> Result<(), Cut> {
    let end = Instant::now() + LEASE;
    loop {
        let call = tour.service(service, Method::GET, &elite(service))?.bearer(tokens.access.expose());
        let answer = call.quietly().await?.expect(200)?;
        if answer.decided_by() == "lease" || Instant::now() >= end {
            tour.screen.did(&format!("GET {service} {}  Bearer …", elite(service)));
            tour.screen.saw(&answer.in_short());
            return match answer.decided_by() {
                "lease" => Ok(()),
                by => Err(Cut::Failed(format!("elite endpoints are decided by {by}, not by lease"))),
            };
        }
        tokio::time::sleep(PAUSE).await;
    }
}
