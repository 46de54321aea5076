//! From the configuration to a session: of several servers the first that takes writes.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tickline_config::model::Postgres;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::status::Failed;
use crate::open::OpenError;

/// Connecting takes at most this part of the time-out of a request.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Makes sessions.
pub(crate) struct Connector {
    settings: Postgres,
    pub(crate) schema: String,
    tls: Option<Arc<ClientConfig>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A runtime on the caller's own thread: nothing runs beside it.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

impl Connector {
    pub(crate) fn new(sink: &str, settings: &Postgres) -> Result<Self, OpenError> {
        let tls = settings.tls.then(|| tls(sink, settings)).transpose()?;
        Ok(Self { settings: settings.clone(), schema: settings.schema.clone(), tls })
    }

    /// A session with a server that takes writes. The password is read anew from its file each time.
    pub(crate) async fn connect(&mut self) -> Result<Client, Failed> {
        if let Some(password) = &mut self.settings.password
            && let Some(renewed) = password.renewed()
        {
            *password = renewed;
        }
        let mut config = Config::new();
        config
            .user(&self.settings.username)
            .dbname(&self.settings.database)
            .application_name("tickline")
            .connect_timeout(self.settings.timeout.min(CONNECT_MAX))
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        if let Some(password) = &self.settings.password {
            config.password(password.expose());
        }
        for (host, port) in &self.settings.servers {
            config.host(host).port(*port);
        }
        let Some(tls) = &self.tls else {
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
            tokio::spawn(connection);
            return Ok(client);
        };
        let tls = MakeRustlsConnect::new(ClientConfig::clone(tls));
        let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn tls(sink: &str, settings: &Postgres) -> Result<Arc<ClientConfig>, OpenError> {
    let broken = |detail: String| OpenError::Tls {
        sink: sink.to_owned(),
        key: "tls_ca",
        path: settings.tls_ca.clone().unwrap_or_default(),
        detail,
    };
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(error.to_string()))?;
    let builder = match &settings.tls_ca {
        Some(path) => builder.with_root_certificates(authorities(path).map_err(broken)?),
        None => builder.with_platform_verifier().map_err(|error| broken(error.to_string()))?,
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}
