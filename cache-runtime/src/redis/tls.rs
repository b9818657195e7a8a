//! Encryption. Certificates are always checked, and so is the host they are for.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::redis::target::Trust;

/// Encrypts streams to those that are trusted.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// What is wrong with the file of authorities, if something is.
    pub(crate) fn new(trust: &Trust) -> Result<Self, String> {
        let roots = match trust {
            Trust::Public => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
            Trust::File(path) => roots(path).map_err(|problem| format!("`ca`, {}: {problem}", path.display()))?,
        };
        // Named, not the program's default: that one is missing, or a matter of chance, where several crates bring one.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) async fn wrap(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.0.connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| format!("no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("no certificate of an authority: {error}"))?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_authorities_are_built_in() {
        Tls::new(&Trust::Public).expect("they are");
    }

    #[test]
    fn a_file_without_authorities_is_told() {
        let check = |path: &str, told: &str| {
            let problem = Tls::new(&Trust::File(path.into())).expect_err("no authorities");
            assert!(problem.starts_with(&format!("`ca`, {path}: ")) && problem.contains(told), "{problem}");
        };
        check("/nowhere/ca.pem", "No such file");
        check(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "there is no certificate in it");
    }
}
