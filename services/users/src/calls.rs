//! The client for calls to others.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

/// A connection is not used again after this long; servers close theirs a little later.
const IDLE: Duration = Duration::from_secs(60);

/// Gives each call `timeout`, all in all. `https` trusts these roots and no others; without them, the machine's own.
pub(crate) fn client(timeout: Duration, roots_pem: Option<&str>) -> Result<Client, reqwest::Error> {
    let builder = Client::builder().timeout(timeout).pool_idle_timeout(IDLE).redirect(Policy::none()).no_proxy();
    match roots_pem {
        Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes())?).build(),
        None => builder.build(),
    }
}
