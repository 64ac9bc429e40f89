//! Listeners: free, or ours and answering.

use std::net::TcpListener;
use std::time::Duration;

use super::finding::Findings;
use super::patient::Patient;
use crate::config::Config;
use crate::run_file::Running;
use crate::serve::Part;
use crate::{ports, tls};

const AREA: &str = "network";
/// For one answer of a server that is well.
const LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn check(patient: &Patient, findings: &mut Findings) {
    match &patient.running {
        Some(running) => parts(running, findings).await,
        None if propusk_store::holder(&patient.database).is_some() => {
            findings.fine(AREA, "the authority runs: its listeners are taken, as they should be");
        }
        None => listeners(&patient.config, findings),
    }
}

/// Each is bound and given back. Port 0 is always free.
fn listeners(config: &Config, findings: &mut Findings) {
    let mut config = config.clone();
    let mut all: Vec<_> = Part::ALL.map(|part| (part.listen_key(), *part.listen(&mut config))).to_vec();
    all.push(("listen.feed", config.listen_feed));
    let before = findings.all.len();
    for (key, address) in all.into_iter().filter(|(_, address)| address.port() != 0) {
        match ports::bind(key, address) {
            Ok(listener) => drop::<TcpListener>(listener),
            Err(error) => findings.wrong_as_told(AREA, format!("{error:#}")),
        }
    }
    if findings.all.len() == before {
        findings.fine(AREA, "every port that is configured is free");
    }
}

async fn parts(running: &Running, findings: &mut Findings) {
    let roots = running.ca.as_deref().and_then(|ca| tls::roots(ca).ok());
    let Ok(Ok(client)) = tls::client(roots.as_deref()).map(|builder| builder.timeout(LIMIT).build()) else { return };
    let named = [("authority", &running.authority), ("gateway", &running.gateway)];
    let services = running.services.iter().map(|(name, url)| (name.as_str(), url));
    for (name, url) in named.into_iter().chain(services) {
        let answer = client.get(format!("{url}/-/ready")).send().await;
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200) => findings.fine(AREA, format!("{name} is ready at {url}")),
            Ok(status) => {
                let what = format!("{name} at {url} is not ready ({status})");
                findings.wrong(AREA, what, format!("see which check fails: curl {url}/-/ready; and its log"));
            }
            Err(error) => {
                let what = format!("{name} does not answer at {url}: {}", cause(error));
                findings.wrong(AREA, what, "start it again; of a split `up`, by its command line in the ready line");
            }
        }
    }
    feed(&running.feed, findings).await;
}

/// What is behind reqwest's own words.
fn cause(error: reqwest::Error) -> String {
    let error = anyhow::Error::new(error.without_url());
    error.root_cause().to_string()
}

async fn feed(url: &str, findings: &mut Findings) {
    let address = url.split("://").last().unwrap_or(url).to_owned();
    let connected = tokio::time::timeout(LIMIT, tokio::net::TcpStream::connect(address)).await;
    match connected {
        Ok(Ok(_)) => findings.fine(AREA, format!("the feed is served at {url}")),
        _ => findings.wrong(
            AREA,
            format!("nobody serves the feed at {url}: services decide by their leases and then not at all"),
            "start the authority again",
        ),
    }
}

/// What a server's clock shows, in Unix seconds, by the header that every answer has.
pub(super) async fn date(url: &str, config: &Config) -> Option<i64> {
    let roots = config.tls_ca.as_deref().and_then(|ca| tls::roots(ca).ok());
    let client = tls::client(roots.as_deref()).ok()?.timeout(LIMIT).build().ok()?;
    let answer = client.get(format!("{url}/-/live")).send().await.ok()?;
    let text = answer.headers().get("date")?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second())
}
