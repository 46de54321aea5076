//! Promise: over https only a server is believed whose certificate an authority of ours has signed for its name and
//! for now, and a server that asks for our certificate gets the one that is configured. There is no way around it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tickline_config::model::{Influx, InfluxTarget};
use tickline_sinks::open::OpenError;
use tickline_sinks::sink::{Outcome, Request, Sink};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key.
struct Card {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn card(by: &Authority, name: &str, expired: bool, usage: ExtendedKeyUsagePurpose) -> Card {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    if expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
    }
    let key = KeyPair::generate().unwrap();
    Card { certificate: params.signed_by(&key, by).unwrap(), key }
}

/// Serves one connection: answers 204 to one request, if there is a handshake. Returns the bytes of the request that
/// it has decrypted.
fn serve(own: &Card, clients: Option<&Authority>) -> (String, std::thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let builder = ServerConfig::builder();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(own.certificate.der().to_vec())];
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let thread = std::thread::Builder::new().name("tls-server".into()).spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        let mut seen = Vec::new();
        let mut chunk = [0; 4_096];
        while !seen.windows(4).any(|end| end == b"v=1\n") {
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return seen.len(),
                Ok(bytes) => seen.extend_from_slice(&chunk[..bytes]),
            }
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        seen.len()
    });
    (url, thread.unwrap())
}

struct Files(tempfile::TempDir);

impl Files {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn card(&self, name: &str, card: &Card) -> PathBuf {
        self.write(name, &format!("{}{}", card.certificate.pem(), card.key.serialize_pem()))
    }
}

fn open(url: &str, ca: Option<&Path>, client: Option<&Path>) -> Result<Box<dyn Sink>, OpenError> {
    let influx = Influx {
        url: url.to_owned(),
        target: InfluxTarget::V1 { database: "tick".into(), retention_policy: None, login: None },
        connections: 1,
        timeout: Duration::from_secs(10),
        gzip: false,
        request_bytes_max: 1 << 20,
        proxy: None,
        tls_ca: ca.map(Path::to_owned),
        tls_client: client.map(Path::to_owned),
    };
    tickline_sinks::influx::InfluxSink::open("influx", &influx).map(|sink| Box::new(sink) as Box<dyn Sink>)
}

fn write(sink: &mut Box<dyn Sink>) -> Outcome {
    sink.write(&Request { lines: Bytes::from_static(b"m v=1\n"), points: 1 })
}

#[test]
fn only_a_server_with_a_valid_certificate_of_our_authority_is_written_to() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let files = Files(tempfile::tempdir().unwrap());
    let (ours, theirs) = (authority(), authority());
    let ca = files.write("ca.pem", &ours.pem());
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    for (case, card, believed) in [
        ("valid", card(&ours, "127.0.0.1", false, server.clone()), true),
        ("expired", card(&ours, "127.0.0.1", true, server.clone()), false),
        ("another name", card(&ours, "db.example", false, server.clone()), false),
        ("another authority", card(&theirs, "127.0.0.1", false, server.clone()), false),
        (
            "a client's certificate",
            card(&ours, "127.0.0.1", false, ExtendedKeyUsagePurpose::ClientAuth),
            false,
        ),
    ] {
        let (url, thread) = serve(&card, None);
        let mut sink = open(&url, Some(&ca), None).unwrap();
        let outcome = write(&mut sink);
        let seen = thread.join().unwrap();
        assert_eq!(outcome == Outcome::accepted(), believed, "{case}: {outcome:?}");
        assert_eq!(seen > 0, believed, "{case}: the server has read {seen} bytes");
        assert!(believed || matches!(outcome, Outcome::NotSent(_)), "{case}: {outcome:?}");
    }
    let (url, thread) = serve(&card(&ours, "127.0.0.1", false, server), None);
    let outcome = write(&mut open(&url, None, None).unwrap());
    assert!(matches!(outcome, Outcome::NotSent(_)), "the system does not know our authority: {outcome:?}");
    assert_eq!(thread.join().unwrap(), 0);
}

#[test]
fn a_server_that_asks_for_our_certificate_gets_the_one_that_is_configured() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let files = Files(tempfile::tempdir().unwrap());
    let (ours, theirs) = (authority(), authority());
    let ca = files.write("ca.pem", &ours.pem());
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let known = files.card("known.pem", &card(&ours, "tickline", false, client.clone()));
    let unknown = files.card("unknown.pem", &card(&theirs, "tickline", false, client));
    for (case, own, let_in) in
        [("ours", Some(&known), true), ("another authority's", Some(&unknown), false), ("none", None, false)]
    {
        let own_server = card(&ours, "127.0.0.1", false, ExtendedKeyUsagePurpose::ServerAuth);
        let (url, thread) = serve(&own_server, Some(&ours));
        let mut sink = open(&url, Some(&ca), own.map(PathBuf::as_path)).unwrap();
        let outcome = write(&mut sink);
        assert_eq!(outcome == Outcome::accepted(), let_in, "{case}: {outcome:?}");
        assert_eq!(thread.join().unwrap() > 0, let_in, "{case}");
    }
}

#[test]
fn a_file_that_is_no_certificate_is_named_with_its_key() {
    let files = Files(tempfile::tempdir().unwrap());
    let broken = files.write("broken.pem", "not a certificate\n");
    let missing = files.0.path().join("missing.pem");
    for (ca, client, key) in [
        (Some(&missing), None, "tls_ca"),
        (None, Some(&missing), "tls_client"),
        (None, Some(&broken), "tls_client"),
    ] {
        let opened = open("https://127.0.0.1:1", ca.map(PathBuf::as_path), client.map(PathBuf::as_path));
        let error = opened.err().unwrap().to_string();
        assert!(error.starts_with(&format!("sinks.influx.{key}: must be a readable PEM file")), "{error}");
    }
}
