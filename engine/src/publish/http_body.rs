//! The answer to a GET whose body never ends: its head, and the chunks of its body (RFC 9112 §7.1) taken apart as
//! they come. It refuses what it does not understand, since a body that is read wrongly would be read on.

use std::io::{self, Read, Write};

use super::stream::Stream;

/// Longest head, bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most of a refusal's body that is kept, bytes.
const REFUSAL_BYTES_MAX: u64 = 4 * 1024;
/// How long it is waited for.
const REFUSAL_NS: u64 = 1_000_000_000;

/// What a venue answered instead of a stream.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: Option<u16>,
    pub(super) why: String,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { status: None, why: error.to_string() }
    }
}

/// How the body is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// It ends with the connection.
    Plain,
    /// A chunk's size comes; so far read, and whether its digits have ended.
    Size(u64, bool),
    /// So many bytes of a chunk are left, with the line end behind them.
    Data(u64),
    /// The last chunk has come.
    Ended,
}

/// Asks for `target` and reads the head. What came of the body already is returned beside it.
pub(super) fn get(
    stream: &mut Stream,
    host: &str,
    target: &str,
    headers: &[(&'static str, String)],
) -> Result<(Body, Vec<u8>), Refusal> {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n");
    headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
    request.push_str(concat!("User-Agent: tickline/", env!("CARGO_PKG_VERSION"), "\r\n\r\n"));
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut read = Vec::new();
    loop {
        let mut block = [0; 4096];
        let bytes = stream.read(&mut block)?;
        if bytes == 0 || read.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("the answer ended inside its head").into());
        }
        read.extend_from_slice(block.get(..bytes).unwrap_or_default());
        if let Some(head) = head(&read)? {
            read.drain(..head.bytes);
            return if head.status == 200 {
                Ok((head.body, read))
            } else {
                Err(refusal(stream, &head, read))
            };
        }
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body: Body,
    /// Length of the body, if it is told.
    length: Option<u64>,
    /// Length of the head itself.
    bytes: usize,
}

/// The head; none: more must come.
fn head(read: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) = response.parse(read).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let chunked =
        header("transfer-encoding").is_some_and(|header| header.value.eq_ignore_ascii_case(b"chunked"));
    let length = header("content-length")
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
    let body = if chunked { Body::Size(0, false) } else { Body::Plain };
    Ok(Some(Head { status: response.code.unwrap_or(0), body, length, bytes }))
}

/// What the venue wrote; a connection that stays open behind it is not waited for.
fn refusal(stream: &mut Stream, head: &Head, mut body: Vec<u8>) -> Refusal {
    let length = head.length.unwrap_or(REFUSAL_BYTES_MAX).min(REFUSAL_BYTES_MAX);
    let missing = length.saturating_sub(body.len() as u64);
    stream.hurry(REFUSAL_NS);
    let more = stream.take(missing).read_to_end(&mut body);
    let end = if more.is_err() && body.is_empty() { "no reason was given" } else { "" };
    Refusal { status: Some(head.status), why: format!("{}{end}", String::from_utf8_lossy(&body).trim()) }
}

impl Body {
    /// Appends what of `read` belongs to the body.
    pub(super) fn take(&mut self, mut read: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while let Some((&byte, behind)) = read.split_first() {
            match *self {
                Body::Plain => {
                    out.extend_from_slice(read);
                    return Ok(());
                }
                Body::Ended => return Ok(()),
                Body::Size(size, ended) => {
                    *self = size_byte(size, ended, byte)?;
                    read = behind;
                }
                Body::Data(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    let data = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX).min(taken);
                    out.extend_from_slice(read.get(..data).unwrap_or_default());
                    read = read.get(taken..).unwrap_or_default();
                    *self = match left - taken as u64 {
                        0 => Body::Size(0, false),
                        left => Body::Data(left),
                    };
                }
            }
        }
        Ok(())
    }
}

/// One byte of the line that names a chunk's size; extensions behind it are passed over.
fn size_byte(size: u64, ended: bool, byte: u8) -> io::Result<Body> {
    match (byte, ended, char::from(byte).to_digit(16)) {
        (b'\n', _, _) if size == 0 => Ok(Body::Ended),
        (b'\n', _, _) => Ok(Body::Data(size + 2)),
        (b'\r' | b';', _, _) | (_, true, _) => Ok(Body::Size(size, true)),
        (_, false, Some(digit)) if size < 1 << 40 => Ok(Body::Size(size << 4 | u64::from(digit), false)),
        _ => Err(io::Error::other("a chunk's size must be a hexadecimal number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"4\r\nab\nc\r\n10;x=y\r\n0123456789abcdef\r\n1\r\n\n\r\n0\r\n\r\n";

    #[test]
    fn a_chunked_body_is_the_same_however_it_is_cut() {
        for cut in 0..CHUNKED.len() {
            let (mut body, mut out) = (Body::Size(0, false), Vec::new());
            let (front, back) = CHUNKED.split_at(cut);
            body.take(front, &mut out).unwrap();
            body.take(back, &mut out).unwrap();
            assert_eq!(
                (out.as_slice(), body),
                (&b"ab\nc0123456789abcdef\n"[..], Body::Ended),
                "cut at {cut}"
            );
        }
        let (mut body, mut out) = (Body::Size(0, false), Vec::new());
        CHUNKED.iter().try_for_each(|byte| body.take(&[*byte], &mut out)).unwrap();
        assert_eq!(out, b"ab\nc0123456789abcdef\n");
    }

    #[test]
    fn a_chunk_without_a_size_is_refused() {
        assert!(Body::Size(0, false).take(b"xyz\r\n", &mut Vec::new()).is_err());
        assert!(Body::Size(0, false).take(b"fffffffffffffffff\r\n", &mut Vec::new()).is_err());
    }

    #[test]
    fn a_head_says_status_and_kind_of_body_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5";
        let (body, bytes) = (Body::Size(0, false), text.len() - 1);
        assert_eq!(head(text).unwrap(), Some(Head { status: 200, body, length: None, bytes }));
        assert_eq!(head(&text[..30]).unwrap(), None);
        let refused = Head { status: 401, body: Body::Plain, length: Some(7), bytes: 38 };
        assert_eq!(head(b"HTTP/1.0 401 No\r\ncontent-length: 7\r\n\r\n").unwrap(), Some(refused));
        assert!(head(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
