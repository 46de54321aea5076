//! Clients of simulated venues, independent of them: sockets, TLS, WebSocket and HTTP as libraries have them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tickline_loadgen::venue::{Certificates, Simulator};
use tungstenite::{Message, WebSocket};

/// Longer than anything here takes; a test that waits for it has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A folder of recordings, if there is one.
pub(crate) fn recordings(folder: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("TICKLINE_RECORDINGS") else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        println!("skipped: TICKLINE_RECORDINGS is not set");
        return None;
    };
    Some(PathBuf::from(root).join(folder))
}

/// A socket to `host:port`; over TLS where there are certificates, with the client's own one if `shown`.
pub(crate) fn connect(address: &str, certificates: Option<&Certificates>, shown: bool) -> Box<dyn Stream> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let Some(certificates) = certificates else { return Box::new(socket) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificates.authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = if shown {
        let own = CertificateDer::from_pem_slice(certificates.client.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificates.client_key.as_bytes()).unwrap();
        builder.with_client_auth_cert(vec![own], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket))
}

/// `host:port` of an address with a scheme.
pub(crate) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap()
}

/// A WebSocket client.
pub(crate) struct Socket(WebSocket<Box<dyn Stream>>);

impl Socket {
    pub(crate) fn open(venue: &Simulator) -> Self {
        Self::open_at(&venue.stream, venue.certificates.as_ref())
    }

    pub(crate) fn open_at(address: &str, certificates: Option<&Certificates>) -> Self {
        let stream = connect(host(address), certificates, false);
        Self(tungstenite::client(address, stream).unwrap_or_else(|error| panic!("{error}")).0)
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next message; none once the connection has ended.
    pub(crate) fn next(&mut self) -> Option<String> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub(crate) fn json(&mut self) -> Value {
        serde_json::from_str(&self.next().unwrap()).unwrap()
    }

    /// The next message of a channel; heartbeats alone are not waited through for ever.
    pub(crate) fn of(&mut self, channel: &str) -> String {
        let start = format!("{{\"channel\":\"{channel}\"");
        let mut heartbeats = 0;
        while let Some(text) = self.next().filter(|_| heartbeats < LIMIT.as_secs()) {
            if text.starts_with(&start) {
                return text;
            }
            heartbeats += u64::from(text.contains("\"heartbeat\""));
        }
        panic!("no {channel} comes")
    }
}

/// An HTTP answer: its status and its body.
pub(crate) fn request(
    venue: &Simulator,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let shown = headers.contains("X-Show-Certificate");
    let mut stream = connect(host(&venue.rest), venue.certificates.as_ref(), shown);
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.flush().unwrap();
    answer(&mut BufReader::new(stream))
}

pub(crate) fn get(venue: &Simulator, target: &str) -> Value {
    let (status, body) = request(venue, "GET", target, "", "");
    assert_eq!(status, 200, "{target}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Reads one answer with a length.
pub(crate) fn answer(stream: &mut impl BufRead) -> (u16, String) {
    let (status, length) = head(stream);
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// Status and length of an answer.
pub(crate) fn head(stream: &mut impl BufRead) -> (u16, Option<usize>) {
    let (mut status, mut length) = (0, None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            return (status, length);
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some((_, value)) =
            line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case("content-length"))
        {
            length = Some(value.parse().unwrap());
        }
    }
}
