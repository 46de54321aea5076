//! The certificates of simulated venues: an authority made for the run, a server's certificate for this host, and a
//! client's for the venue that asks for one. Nothing of them outlives the run unless it is written to a folder.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::VenueError;

/// Names of this host in a server's certificate.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// What a client needs to trust the venue, and to be trusted by it; PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority.
    pub authority: String,
    /// A client's certificate.
    pub client: String,
    /// The key to it.
    pub client_key: String,
}

impl Certificates {
    /// Writes `ca.pem`, `client.pem` and `client.key` into a folder.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, text) in
            [("ca.pem", &self.authority), ("client.pem", &self.client), ("client.key", &self.client_key)]
        {
            std::fs::write(folder.join(name), text)?;
        }
        Ok(())
    }
}

fn wrong(error: impl std::fmt::Display) -> VenueError {
    VenueError::Tls(error.to_string())
}

/// A new authority with what it has signed. The server asks for a client's certificate and takes a client without;
/// what that one may do is the venue's matter.
pub(super) fn make() -> Result<(Certificates, Arc<ServerConfig>), VenueError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "tickline simulated venue");
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(wrong)?).map_err(wrong)?;
    let signed = |names: &[&str], usage| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(wrong)?;
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().map_err(wrong)?;
        let certificate = params.signed_by(&key, &authority).map_err(wrong)?;
        Ok::<_, VenueError>((certificate, key))
    };
    let (server, server_key) = signed(&NAMES, ExtendedKeyUsagePurpose::ServerAuth)?;
    let (client, client_key) = signed(&["client"], ExtendedKeyUsagePurpose::ClientAuth)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der().to_vec())).map_err(wrong)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().map_err(wrong)?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).map_err(wrong)?;
    let config = builder
        .map_err(wrong)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![CertificateDer::from(server.der().to_vec())], key)
        .map_err(wrong)?;
    let certificates = Certificates {
        authority: authority.pem(),
        client: client.pem(),
        client_key: client_key.serialize_pem(),
    };
    Ok((certificates, Arc::new(config)))
}
