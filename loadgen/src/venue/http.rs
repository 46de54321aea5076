//! Requests of HTTP/1.1 clients, read from a connection one after the other, and answers to them.

use std::io::{self, Read};

use super::duplex::{Duplex, Line};

/// Longest head and longest body that are read.
const BYTES_MAX: usize = 1 << 20;

/// Most header lines of a request.
const HEADERS_MAX: usize = 64;

/// One request.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the question mark and what follows.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    /// Value of a header, whatever the case of its name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Value of a key behind the question mark.
    pub(super) fn asked(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The first line, for the record.
    pub(super) fn line(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, query.join("&"))
    }
}

/// Keys and values of `a=1&b=2`, with `%xx` and `+` undone.
pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plain(key), plain(value))
        })
        .collect()
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The next request; none at the end of the connection. `seen` keeps what was read beyond it.
pub(super) fn read(line: &mut Line, seen: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let (mut request, head_bytes) = loop {
        if let Some(head) = parse(seen)? {
            break head;
        }
        if !more(line, seen)? {
            return Ok(None);
        }
    };
    let length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while seen.len() < head_bytes + length {
        if !more(line, seen)? {
            return Ok(None);
        }
    }
    let body = seen.get(head_bytes..head_bytes + length).unwrap_or_default();
    request.body = String::from_utf8_lossy(body).into_owned();
    seen.drain(..head_bytes + length);
    Ok(Some(request))
}

fn more(line: &mut Line, seen: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 4_096];
    let bytes = line.read(&mut chunk)?;
    seen.extend_from_slice(chunk.get(..bytes).unwrap_or_default());
    if seen.len() > BYTES_MAX {
        return Err(io::Error::other("a request is too long"));
    }
    Ok(bytes > 0)
}

fn parse(seen: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(bytes) = parsed.parse(seen).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: form(query),
        headers: parsed.headers.iter().map(text).collect(),
        body: String::new(),
    };
    Ok(Some((request, bytes)))
}

/// An answer with a JSON body; further header lines end with `\r\n` each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Answer {
    /// 200.
    pub(super) fn ok(body: String) -> Self {
        Self { status: 200, headers: String::new(), body }
    }

    /// Another status.
    pub(super) fn status(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: String::new(), body: body.into() }
    }

    pub(super) fn send(&self, line: &Duplex) -> io::Result<()> {
        let Self { status, headers, body } = self;
        let reason = reason(*status);
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        line.send(format!("{head}{body}").as_bytes())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_query_and_headers() {
        let text =
            b"GET /v3/x?instruments=EUR_USD%2CUSD_JPY&a=b+c HTTP/1.1\r\nHost: h\r\nAPI-Key: k\r\n\r\nrest";
        let (request, bytes) = parse(text).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v3/x"));
        assert_eq!(
            (request.asked("instruments"), request.asked("a")),
            (Some("EUR_USD,USD_JPY"), Some("b c"))
        );
        assert_eq!((request.header("api-key"), request.header("none")), (Some("k"), None));
        assert_eq!(&text[bytes..], b"rest");
        assert!(parse(&text[..40]).unwrap().is_none());
        assert!(parse(b"no request\r\n\r\n").is_err());
    }
}
