//! `propusk token inspect`: the very code that services run, and why it says what it says.

use std::io::{self, BufRead as _, Read as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use propusk_verify::jose::{Alg, KeyRing};
use propusk_verify::token::{MAX_TOKEN_BYTES, Profile, UnverifiedToken, verify_access_token};
use serde::Serialize;
use serde_json::Value;

use crate::cli::InspectArgs;
use crate::config::ConfigErrors;
use crate::exit::{Exit, Failure, Outcome};
use crate::{output, tls};

/// No set of keys that we read is larger.
const MAX_JWKS_BYTES: u64 = 1024 * 1024;
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// What is told about a token.
#[derive(Debug, Serialize)]
struct Report {
    decision: &'static str,
    /// Why it was refused.
    reason: Option<&'static str>,
    signature: Signature,
    header: Value,
    claims: Value,
}

/// The bare cryptographic answer, whatever the claims say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Signature {
    Valid,
    Invalid,
    /// There is no key, or no algorithm of ours, to check it with.
    Unchecked,
}

/// Judges one token, or each line of the input.
pub(super) async fn run(args: InspectArgs) -> Outcome {
    let ring = read_ring(&args.jwks, args.ca.as_deref()).await?;
    let profile = Profile { issuer: args.issuer, audience: args.audience, leeway: args.leeway };
    let judge = |raw: &str| {
        let now = args.at.map_or_else(now, |at| u64::try_from(at.as_second()).unwrap_or(0));
        inspect(raw, &ring, &profile, now)
    };
    if args.lines {
        let given = args.token.filter(|token| token != "-");
        return each_line(given, |raw| judge(raw));
    }
    let raw = match args.token {
        Some(token) if token != "-" => token,
        _ => read_one()?,
    };
    let report = judge(raw.trim());
    output::line(&serde_json::to_string_pretty(&report).context("the report cannot be written")?);
    Ok(if report.reason.is_none() { Exit::Done } else { Exit::Failed })
}

fn each_line(given: Option<String>, judge: impl Fn(&str) -> Report) -> Outcome {
    let input: Box<dyn io::BufRead> = match given {
        Some(text) => Box::new(io::Cursor::new(text)),
        None => Box::new(io::stdin().lock()),
    };
    for line in input.split(b'\n') {
        let line = line.context("the input cannot be read")?;
        let report = judge(String::from_utf8_lossy(&line).trim_end_matches('\r'));
        output::line(&serde_json::to_string(&report).context("the report cannot be written")?);
    }
    Ok(Exit::Done)
}

fn inspect(raw: &str, ring: &KeyRing, profile: &Profile, now: u64) -> Report {
    let verified = verify_access_token(raw, ring, profile, now);
    let token = UnverifiedToken::parse(raw).ok();
    let claims = token.as_ref().and_then(|token| serde_json::from_slice(token.payload()).ok());
    Report {
        decision: if verified.is_ok() { "accepted" } else { "refused" },
        reason: verified.err().map(|reason| reason.code()),
        signature: token.as_ref().map_or(Signature::Unchecked, |token| check_signature(token, ring)),
        header: token.map_or(Value::Null, |token| Value::Object(token.header())),
        claims: claims.unwrap_or(Value::Null),
    }
}

fn check_signature(token: &UnverifiedToken<'_>, ring: &KeyRing) -> Signature {
    let header = token.header();
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let alg = text("alg").and_then(|name| name.parse::<Alg>().ok());
    let key = text("kid").and_then(|kid| ring.get(kid));
    match (alg, key) {
        (Some(alg), Some(key)) if key.accepts(alg) => {
            let is_valid = key.verify(alg, token.signing_input().as_bytes(), token.signature());
            if is_valid { Signature::Valid } else { Signature::Invalid }
        }
        _ => Signature::Unchecked,
    }
}

async fn read_ring(place: &str, ca: Option<&Path>) -> Result<KeyRing, Failure> {
    let is_url = ["http://", "https://"].iter().any(|scheme| place.starts_with(scheme));
    let bytes = if is_url {
        let roots = ca.map(tls::roots).transpose().map_err(ConfigErrors::from)?;
        fetch(place, roots.as_deref()).await.map_err(|error| Failure::new(Exit::Unreachable, error))?
    } else {
        read(place)?
    };
    KeyRing::from_jwks(&bytes).map_err(|error| Failure::usage(format!("{place}: {error}")))
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| Failure::usage(format!("--jwks {path}: {error}")))?;
    file.take(MAX_JWKS_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("--jwks {path}: {error}")))?;
    Ok(bytes)
}

async fn fetch(url: &str, roots_pem: Option<&str>) -> Result<Vec<u8>> {
    let http = tls::client(roots_pem)?.timeout(FETCH_TIMEOUT).build()?;
    let mut answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAX_JWKS_BYTES {
            anyhow::bail!("{url}: the key set is larger than {MAX_JWKS_BYTES} bytes");
        }
    }
    Ok(bytes)
}

fn read_one() -> Result<String> {
    let mut text = String::new();
    // More is no token; what is cut off is refused as too large all the same.
    let limit = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX).saturating_mul(2);
    io::stdin().lock().take(limit).read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map(|since| since.as_secs()).unwrap_or(0)
}
