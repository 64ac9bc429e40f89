//! The gateway, as configured.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use propusk_gateway::{GatewayConfig, Route};
use zeroize::Zeroizing;

use super::needs::{Needs, Upwards, feed_options};
use crate::config::{Config, OpsAccess, RouteClass, RouteSpec};
use crate::exit::Failure;
use crate::tls::Tls;

/// What the gateway needs, with its secrets read.
pub(super) fn gateway_config(config: &Config, tls: &Tls) -> Result<GatewayConfig, Failure> {
    let mut needs = Needs::default();
    let upwards = Upwards::of(config, &mut needs);
    let secret = needs.secret("gateway.client_secret_file", config.gateway_client_secret_file.as_ref());
    let cookie_key = needs.secret("gateway.cookie_key_file", config.gateway_cookie_key_file.as_ref());
    let cookie_key = cookie_key.and_then(|text| decode_key("gateway.cookie_key_file", &text, &mut needs));
    let previous = config.gateway_previous_cookie_key_file.as_ref().and_then(|path| {
        let key = "gateway.previous_cookie_key_file";
        let text = needs.secret(key, Some(path))?;
        decode_key(key, &text, &mut needs)
    });
    if config.gateway_routes.0.is_empty() {
        needs.wrong("gateway.routes", "is empty: nothing would be forwarded".to_owned());
    }
    needs.check()?;
    let (Some(upwards), Some(secret), Some(cookie_key)) = (upwards, secret, cookie_key) else {
        return Err(Needs::bug());
    };
    let Upwards { issuer, authority, feed } = upwards;
    let client_id = config.gateway_client_id.clone();
    let mut gateway = GatewayConfig::new(issuer, authority, feed, client_id, secret.as_str(), cookie_key);
    gateway.tls = tls.certificate.as_ref().map(|certificate| certificate.server_config(&["http/1.1"]));
    gateway.roots_pem.clone_from(&tls.roots_pem);
    gateway.previous_cookie_keys = previous.into_iter().collect();
    gateway.public_origin = config.gateway_public_origin.as_ref().map(|origin| origin.0.clone());
    gateway.trusted_proxies = config.gateway_trusted_proxies.parsed();
    gateway.routes = config.gateway_routes.0.iter().map(route).collect();
    gateway.feed_options = feed_options(config);
    gateway.leeway = config.token_leeway;
    gateway.max_staleness = config.verify_max_staleness;
    gateway.past_bound = config.verify_past_bound.into();
    gateway.debug_headers = config.debug_decision_headers;
    gateway.ops_anywhere = config.listen_ops == OpsAccess::Anywhere;
    Ok(gateway)
}

fn route(spec: &RouteSpec) -> Route {
    let mut route = Route::new(spec.path.as_str(), spec.upstream.as_str(), spec.audience.as_str());
    route.host.clone_from(&spec.host);
    route.class = match spec.class {
        RouteClass::Ordinary => propusk_gateway::RouteClass::Ordinary,
        RouteClass::Elite => propusk_gateway::RouteClass::Elite,
    };
    route.permission.clone_from(&spec.permission);
    route.past_bound = spec.past_bound.map(Into::into);
    route
}

fn decode_key(key: &str, text: &str, needs: &mut Needs) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let decoded = Base64UrlUnpadded::decode(text, bytes.as_mut()).map(<[u8]>::len);
    if decoded == Ok(32) {
        return Some(bytes);
    }
    needs.wrong(key, "the file does not hold 32 bytes in base64url without padding (43 characters)".to_owned());
    None
}
