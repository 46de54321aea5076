//! Making a connection: addresses, TCP, TLS, and the first request of what runs over it. It waits, and so runs on a
//! thread of its own beside the publisher's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tickline_feeds::clock::Clock;
use tickline_feeds::connect::Target;
use tickline_feeds::socket;
use tungstenite::handshake::HandshakeError;

use super::feed;
use super::http_body::{self, Body, Refusal};
use super::link::{Channel, Lines};
use super::pace::Pace;
use super::stream::{Deadline, Stream};
use super::{PublishError, Shared, Spec};
use crate::stop::Stop;

/// Messages of the bus that may wait for a connector.
const BUS_RCVHWM: i32 = 100_000;

/// What connections are made with.
pub(super) struct Dialer {
    context: zmq::Context,
    tls: Arc<ClientConfig>,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    pace: Arc<Pace>,
}

impl Dialer {
    /// Reads the certificates.
    pub(super) fn new(spec: &Spec, shared: &Shared) -> Result<Self, PublishError> {
        let wrong = |key, path: &Path, why: String| PublishError::Tls {
            name: spec.name.clone(),
            key,
            path: path.to_owned(),
            why,
        };
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?;
        let builder = match &spec.tls_ca {
            Some(path) => {
                let roots = authorities(path).map_err(|why| wrong("tls_ca", path, why))?;
                builder.with_root_certificates(roots)
            }
            None => builder.with_platform_verifier().map_err(io::Error::other)?,
        };
        let tls = match &spec.tls_client {
            Some(path) => identity(path)
                .and_then(|(chain, key)| builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string()))
                .map_err(|why| wrong("tls_client", path, why))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            context: shared.context.clone(),
            tls: Arc::new(tls),
            clock: Arc::clone(&shared.clock),
            stop: Arc::clone(&shared.stop),
            pace: Arc::clone(&shared.pace),
        })
    }

    /// Makes a connection that waits for nothing from then on.
    pub(super) fn dial(&self, target: &Target, wake: &Arc<mio::Waker>) -> Result<Channel, Refusal> {
        match target {
            Target::WebSocket { url } => self.web_socket(url),
            Target::Stream { url, headers } => {
                let wait_ns = self.pace.wait_ns(&place(url)?.authority, self.clock.mono());
                self.stop.wait(Duration::from_nanos(wait_ns));
                let (mut stream, place) = self.connect(url)?;
                let (body, read) = http_body::get(&mut stream, &place.authority, &place.target, headers)?;
                lines(stream, body, &read)
            }
            Target::Lines { address, plain } => {
                let (host, port) = host_and_port(address, None)?;
                let tls = (!plain).then_some(&self.tls);
                lines(Stream::connect(&host, port, tls, &Deadline::of(&self.clock))?, Body::Plain, &[])
            }
            Target::Bus { endpoint, topics } => {
                self.bus(endpoint, topics).map_err(|error| io::Error::from(error).into())
            }
            Target::File { path } => Ok(Channel::Fed(feed::open(path, Arc::clone(wake), &self.stop)?)),
        }
    }

    fn connect(&self, url: &str) -> Result<(Stream, Place), Refusal> {
        let place = place(url)?;
        let tls = place.tls.then_some(&self.tls);
        let stream = Stream::connect(&place.host, place.port, tls, &Deadline::of(&self.clock))?;
        Ok((stream, place))
    }

    fn web_socket(&self, url: &str) -> Result<Channel, Refusal> {
        let (stream, _) = self.connect(url)?;
        match tungstenite::client(url, stream) {
            Ok((mut socket, _)) => {
                socket.get_mut().set_nonblocking()?;
                Ok(Channel::Socket(Box::new(socket)))
            }
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let status = response.status();
                Err(Refusal { status: Some(status.as_u16()), why: status.to_string() })
            }
            Err(HandshakeError::Failure(error)) => Err(Refusal { status: None, why: error.to_string() }),
            Err(HandshakeError::Interrupted(_)) => {
                Err(Refusal { status: None, why: "no answer to the WebSocket handshake in 10 s".to_owned() })
            }
        }
    }

    fn bus(&self, endpoint: &str, topics: &[String]) -> Result<Channel, zmq::Error> {
        let subscriber = socket::subscriber(&self.context, BUS_RCVHWM, socket::KERNEL_BUFFER_BYTES)?;
        topics.iter().try_for_each(|topic| subscriber.set_subscribe(topic.as_bytes()))?;
        subscriber.connect(endpoint)?;
        Ok(Channel::Bus(subscriber))
    }
}

fn lines(mut stream: Stream, body: Body, read: &[u8]) -> Result<Channel, Refusal> {
    stream.set_nonblocking()?;
    Ok(Channel::Lines(Box::new(Lines::new(stream, body, read)?)))
}

/// An address taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    authority: String,
    target: String,
}

fn place(url: &str) -> io::Result<Place> {
    let wrong = || io::Error::other(format!("{url:?} is no address"));
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "https" | "wss" => true,
        "http" | "ws" => false,
        _ => return Err(wrong()),
    };
    let (authority, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = host_and_port(authority, Some(if tls { 443 } else { 80 }))?;
    let target = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
    Ok(Place { tls, host, port, authority: authority.to_owned(), target })
}

fn host_and_port(address: &str, default: Option<u16>) -> io::Result<(String, u16)> {
    let split = address.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let (host, port) = match (split, default) {
        (Some((host, port)), _) => (host, port.parse().ok()),
        (None, default) => (address, default),
    };
    let port = port.ok_or_else(|| io::Error::other(format!("{address:?} has no port")))?;
    Ok((host.to_owned(), port))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(roots) }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(path: &Path) -> Result<Identity, String> {
    let chain = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_file(path);
    let key = key.map_err(|error| format!("its private key must stand behind the certificate: {error}"))?;
    if chain.is_empty() { Err("no certificate in it".to_owned()) } else { Ok((chain, key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_host_port_path_and_whether_it_is_encrypted() {
        let place = |url| place(url).map(|p| (p.tls, p.host, p.port, p.target)).map_err(|e| e.to_string());
        let ok = |tls, host: &str, port, target: &str| Ok((tls, host.to_owned(), port, target.to_owned()));
        assert_eq!(place("wss://ws.kraken.com/v2"), ok(true, "ws.kraken.com", 443, "/v2"));
        assert_eq!(place("http://127.0.0.1:81/a?b=c"), ok(false, "127.0.0.1", 81, "/a?b=c"));
        assert_eq!(place("ws://[::1]:9"), ok(false, "[::1]", 9, "/"));
        assert_eq!(place("ftp://a"), Err("\"ftp://a\" is no address".to_owned()));
        assert_eq!(place("ws://a:port"), Err("\"a:port\" has no port".to_owned()));
    }
}
