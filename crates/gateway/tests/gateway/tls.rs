//! Speaking TLS with clients.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{Client, get, soon};
use crate::world::World;

fn certificates() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["gw.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

#[tokio::test]
async fn requests_come_encrypted_and_services_hear_of_it() {
    let (server, client) = certificates();
    let world = World::with(|config| config.tls = Some(Arc::new(server))).await;
    let stream = TcpStream::connect(world.gateway).await.unwrap();
    let name = "gw.example".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let request = get("/cars/1").bearer(&world.token("cars")).header("Connection", "close").bytes("gw.example");
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    soon("the answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    let seen = world.service.last().headers;
    assert_eq!(seen["x-forwarded-proto"], "https");
    assert_eq!(seen["x-forwarded-host"], "gw.example");
}

#[tokio::test]
async fn who_does_not_encrypt_is_not_answered() {
    let (server, _) = certificates();
    let world = World::with(|config| config.tls = Some(Arc::new(server))).await;
    let mut client = Client::connect(world.gateway).await;
    client.send(&get("/-/live")).await;
    let mut heard = Vec::new();
    let _ = soon("the end", client.stream.read_to_end(&mut heard)).await;
    assert!(!heard.starts_with(b"HTTP"), "{heard:?}");
}
