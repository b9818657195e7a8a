//! Encryption, with a certificate authority of one's own.

use std::fs;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use crate::redis::real::free_port;

/// A server that only speaks TLS, and the file of its authority.
fn encrypted(name: &str) -> (Real, u16, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("randomness");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let key = KeyPair::generate().expect("randomness");
    let certificate = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = certificate.signed_by(&key, &authority).expect("a certificate");
    let mut real = Real::start(&[]);
    let port = free_port();
    for (file, text) in [("ca", authority.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())] {
        fs::write(real.path(file), text).expect("a file");
    }
    let port_text = port.to_string();
    real.with(&[
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        "cert",
        "--tls-key-file",
        "key",
        "--tls-ca-cert-file",
        "ca",
        "--tls-auth-clients",
        "no",
    ]);
    real.restart();
    let authority = real.path("ca").display().to_string();
    (real, port, authority)
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_its_name() {
    let (mut real, port, authority) = encrypted("localhost");
    let servers = open(&format!("rediss://localhost:{port}?ca={authority}")).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    real.kill();
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    real.restart();
    servers.until_up().await;
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_not_entered() {
    let (real, port, authority) = encrypted("localhost");
    for url in [format!("rediss://127.0.0.1:{port}?ca={authority}"), format!("rediss://localhost:{port}")] {
        let refused = Servers::open(ServerSettings { require: true, ..settings(&url) }).await;
        let problem = refused.expect_err("it is refused").to_string();
        assert!(problem.contains("certificate"), "{problem}");
    }
    let plain = ServerSettings { require: true, ..settings(&format!("redis://localhost:{port}")) };
    assert!(Servers::open(plain).await.is_err());
    drop(real);
}
