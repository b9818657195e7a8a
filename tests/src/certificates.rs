//! A certificate authority of one test, and what a server on 127.0.0.1 needs of it.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// PEM files in a folder.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// What clients must trust.
    pub(crate) authority: PathBuf,
    /// Of the server, for `127.0.0.1` and `localhost`.
    pub(crate) certificate: PathBuf,
    /// The private key of the server.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes new ones.
    pub(crate) fn create(folder: &Path) -> Self {
        let files = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        let (authority, certificate, key) = generate().expect("all parameters are ours");
        for (path, pem) in [(&files.authority, authority), (&files.certificate, certificate), (&files.key, key)] {
            fs::write(path, pem).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        }
        files
    }
}

/// Certificate of the authority, certificate of the server, key of the server.
fn generate() -> Result<(String, String, String), rcgen::Error> {
    let mut parameters = CertificateParams::new([])?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}
