//! A certificate authority of one test, and what servers on 127.0.0.1 need of it.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::scratch::Scratch;

/// PEM files, until this is dropped.
#[derive(Debug)]
pub struct Certificates {
    /// What clients must trust.
    pub authority: PathBuf,
    /// Of all servers, for `127.0.0.1` and `localhost`.
    pub(crate) certificate: PathBuf,
    /// The private key of the servers.
    pub(crate) key: PathBuf,
    _folder: Scratch,
}

impl Certificates {
    /// Makes new ones, of an authority that nobody knows yet.
    ///
    /// # Panics
    ///
    /// If the folder of the test cannot be written.
    #[must_use]
    pub fn create() -> Self {
        let folder = Scratch::new();
        let path = |name| folder.path().join(name);
        let (authority, certificate, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
        let files = Self { authority, certificate, key, _folder: folder };
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
    // Servers would take what it has signed for signed by itself, if both had the same name.
    parameters.distinguished_name.push(DnType::CommonName, "the authority of a test");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}
