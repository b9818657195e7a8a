//! Encryption, with a certificate authority of one's own.

use std::fs;

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;
use crate::redis::real::{free_port, poll};
use crate::redis::target::Address;

/// A server that speaks TLS too, by what its certificate names, and the files of that and of its authority.
struct Encrypted {
    real: Real,
    port: u16,
}

impl Encrypted {
    fn start(name: &str, options: &[&str]) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // A sentinel would take what it has signed for signed by itself, if both had the same name.
        authority.distinguished_name.push(DnType::CommonName, "the authority of a test");
        let key = KeyPair::generate().expect("randomness");
        let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
        let key = KeyPair::generate().expect("randomness");
        let certificate = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = certificate.signed_by(&key, &authority).expect("a certificate");
        let mut this = Self { real: Real::absent(), port: free_port() };
        for (file, text) in [("ca", authority.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())] {
            fs::write(this.path(file), text).expect("a file");
        }
        let settings = this.settings(this.port);
        let settings = settings.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]);
        let options: Vec<_> = settings.chain(options.iter().map(|&option| option.to_owned())).collect();
        this.real.with(&options.iter().map(String::as_str).collect::<Vec<_>>());
        this.real.restart();
        this
    }

    /// For who is to listen under the same certificate.
    fn settings(&self, port: u16) -> [(&'static str, String); 5] {
        [
            ("tls-port", port.to_string()),
            ("tls-cert-file", self.path("cert")),
            ("tls-key-file", self.path("key")),
            ("tls-ca-cert-file", self.path("ca")),
            ("tls-auth-clients", "no".to_owned()),
        ]
    }

    fn path(&self, file: &str) -> String {
        self.real.path(file).display().to_string()
    }
}

/// Why servers that are required are not entered.
async fn not_entered(url: &str) -> String {
    let refused = Servers::open(ServerSettings { require: true, ..settings(url) }).await;
    refused.expect_err("it is refused").to_string()
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_its_name() {
    let Encrypted { mut real, port } = Encrypted::start("localhost", &[]);
    let servers = open(&format!("rediss://localhost:{port}?ca={}", real.path("ca").display())).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    real.kill();
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    real.restart();
    servers.until_up().await;
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_not_entered() {
    let encrypted = Encrypted::start("localhost", &[]);
    let (port, authority) = (encrypted.port, encrypted.path("ca"));
    for url in [format!("rediss://127.0.0.1:{port}?ca={authority}"), format!("rediss://localhost:{port}")] {
        let problem = not_entered(&url).await;
        assert!(problem.contains("certificate"), "{problem}");
    }
    not_entered(&format!("redis://localhost:{port}")).await;
}

/// It is dialled by the name that it announces, and by that of the node that was asked if it announces none.
#[tokio::test]
async fn a_node_of_a_cluster_is_trusted_by_the_name_that_it_announces() {
    let encrypted = Encrypted::start("localhost", &["--cluster-enabled", "yes", "--tls-cluster", "yes"]);
    let (real, port) = (&encrypted.real, encrypted.port);
    let ok = |words: &[&str]| assert_eq!(real.cli(words).trim(), "OK", "{words:?}");
    ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    ok(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1", "cluster-announce-hostname", "localhost"]);
    poll("the cluster is ready", || real.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    let url = format!("rediss-cluster://localhost:{port}?ca={}", encrypted.path("ca"));
    for announced in ["hostname", "unknown-endpoint"] {
        ok(&["CONFIG", "SET", "cluster-preferred-endpoint-type", announced]);
        let servers = open(&url).await;
        assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
        let pools = servers.topology.pools();
        assert_eq!(pools.iter().map(|pool| pool.address()).collect::<Vec<_>>(), [&Address::tcp("localhost", port)]);
    }
    ok(&["CONFIG", "SET", "cluster-preferred-endpoint-type", "ip"]);
    let problem = not_entered(&url).await;
    assert!(problem.contains("certificate not valid for name \"127.0.0.1\""), "{problem}");
}

#[tokio::test]
async fn a_primary_is_trusted_by_the_name_that_its_sentinels_have_for_it() {
    let encrypted = Encrypted::start("localhost", &[]);
    let (mut sentinel, port) = (Real::absent(), free_port());
    let settings = encrypted.settings(port).map(|(name, value)| format!("{name} {value}\n")).concat();
    let watched = format!(
        "port {}\ntls-replication yes\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n\
         sentinel monitor main localhost {} 1\n",
        sentinel.port, encrypted.port
    );
    fs::write(sentinel.path("sentinel.conf"), settings + &watched).expect("a file");
    sentinel.restart();
    let url = format!("rediss-sentinel://localhost:{port}/main?ca={}", encrypted.path("ca"));
    let servers = open(&url).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    sentinel.cli(&["SENTINEL", "CONFIG", "SET", "announce-hostnames", "no"]);
    let problem = not_entered(&url).await;
    assert!(problem.contains("certificate not valid for name \"127.0.0.1\""), "{problem}");
}
