//! What an answer of InfluxDB means for the points of a request. Pure: no network, no clock. Only 204 says
//! that everything is stored; whatever is not known to be refused is kept and sent again.

use serde::Deserialize;

use crate::sink::{Fault, FaultKind, Outcome, RejectReason};

/// Longest piece of a server's words that is kept for the log.
const DETAIL_BYTES_MAX: usize = 1024;
/// InfluxDB 3 lists at most this many refused lines; a full list may be cut.
const V3_LINES_MAX: usize = 100;

/// Which write endpoint answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// `/write`
    V1,
    /// `/api/v2/write`
    V2,
    /// `/api/v3/write_lp`
    V3,
}

/// The parts of an answer that the decision reads.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// Header `Date`, against which a date in `Retry-After` is read.
    pub date: Option<&'a str>,
    /// Body, or its beginning.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All is said.
    Final(Outcome),
    /// At least `dropped` points are beyond retention and others are stored. InfluxDB 1 and 2 name one trouble
    /// only: lines that they could not read may hide behind it.
    BeyondRetention {
        /// How many the server names.
        dropped: u64,
        /// The server's own words.
        detail: String,
    },
}

/// Reads one answer to a request of `points` points.
pub fn decide(generation: Generation, answer: &Answer<'_>, points: u64) -> Decision {
    let text = message(answer.body);
    let said = || format!("status {}: {}", answer.status, cut(&text));
    let fault = |kind| Fault { kind, code: answer.status, detail: said(), retry_after_ms: None };
    Decision::Final(match answer.status {
        204 => Outcome::accepted(),
        200..=299 => Outcome::InDoubt(fault(FaultKind::Transient)),
        400 | 422 | 500 if is_limit(&text) => Outcome::Split(fault(FaultKind::Limit)),
        422 if generation == Generation::V3 && !text.is_empty() => Outcome::Split(fault(FaultKind::Limit)),
        400 if generation == Generation::V3 => lines_refused(answer, points, fault(FaultKind::Content)),
        400 | 422 if generation != Generation::V3 => {
            return content(generation, &text, points, fault(FaultKind::Content));
        }
        401 | 403 => Outcome::NotSent(fault(FaultKind::Auth)),
        404 => Outcome::NotSent(fault(FaultKind::Missing)),
        413 => Outcome::Split(fault(FaultKind::Content)),
        429 | 503 => Outcome::NotSent(Fault {
            retry_after_ms: answer.retry_after.and_then(|after| retry_after_ms(after, answer.date)),
            ..fault(FaultKind::Transient)
        }),
        // Older 2.x answers partial writes with 500; retrying those as they are would never end.
        500 if text.contains("partial write") => {
            return content(generation, &text, points, fault(FaultKind::Content));
        }
        500 if text.contains("retention policy not found") => Outcome::NotSent(fault(FaultKind::Missing)),
        408 | 500..=599 => Outcome::InDoubt(fault(FaultKind::Transient)),
        _ => Outcome::NotSent(fault(FaultKind::Config)),
    })
}

/// Whether the server refuses points for what it has already, not for what they are.
fn is_limit(text: &str) -> bool {
    ["max-values-per-tag", "max-series-per-database", "max series per database"]
        .iter()
        .any(|limit| text.contains(limit))
}

/// 400 and 422 of the first two generations.
fn content(generation: Generation, text: &str, points: u64, fault: Fault) -> Decision {
    if let Some(partial) = text.find("partial write: ").and_then(|at| text.get(at + 15..)) {
        return partial_write(partial, points, fault);
    }
    if generation == Generation::V1 && text.starts_with("unable to parse '") {
        // Without "partial write" not one line could be read.
        return Decision::Final(refused(RejectReason::BadLine, points, fault.detail));
    }
    // A page of HTML or nothing at all comes from a proxy, which knows nothing of the lines.
    let api = !text.is_empty() && !text.starts_with('<');
    let about_the_lines =
        fault.code == 422 || text.contains("unable to parse") || text.contains("field type conflict");
    let about_the_request =
        ["database is required", "precision", "provide either", "bucket", "gzip", "unexpected EOF"];
    if api && (about_the_lines || !about_the_request.iter().any(|words| text.contains(words))) {
        Decision::Final(Outcome::Split(fault))
    } else {
        Decision::Final(Outcome::NotSent(Fault { kind: FaultKind::Config, ..fault }))
    }
}

/// `REASON dropped=N`, what follows "partial write: ".
fn partial_write(partial: &str, points: u64, fault: Fault) -> Decision {
    let (reason_text, count) = partial.rsplit_once("dropped=").unwrap_or((partial, ""));
    let digits = count.bytes().take_while(u8::is_ascii_digit).count();
    let dropped = count.get(..digits).and_then(|n| n.parse::<u64>().ok());
    if reason_text.starts_with("unable to parse '") {
        // Every point that could be read is stored: halves, down to the line that cannot be.
        return Decision::Final(Outcome::Split(fault));
    }
    if reason_text.contains("pending deletion") {
        return Decision::Final(Outcome::InDoubt(Fault { kind: FaultKind::Transient, ..fault }));
    }
    let reason = if reason_text.contains("beyond retention policy")
        || reason_text.contains("outside retention policy")
    {
        RejectReason::BeyondRetention
    } else if reason_text.contains("field type conflict") || reason_text.contains("invalid") {
        RejectReason::BadLine
    } else {
        RejectReason::PartialWrite
    };
    match dropped {
        Some(n) if n == points => Decision::Final(refused(reason, points, fault.detail)),
        Some(n) if n > 0 && n < points && reason == RejectReason::BeyondRetention => {
            Decision::BeyondRetention { dropped: n, detail: fault.detail }
        }
        _ => Decision::Final(Outcome::Split(fault)),
    }
}

/// 400 of the third generation, which lists the refused lines and stores the others.
fn lines_refused(answer: &Answer<'_>, points: u64, fault: Fault) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        error: String,
        data: Option<serde_json::Value>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(answer.body) else {
        return Outcome::NotSent(Fault { kind: FaultKind::Config, ..fault });
    };
    let listed = body.data.as_ref().and_then(serde_json::Value::as_array).map_or(&[][..], Vec::as_slice);
    let number =
        |entry: &serde_json::Value| u32::try_from(entry.get("line_number")?.as_u64()?.checked_sub(1)?).ok();
    let lines: Vec<u32> = listed.iter().filter_map(number).collect();
    let complete = !listed.is_empty() && listed.len() < V3_LINES_MAX && lines.len() == listed.len();
    if body.error.contains("partial write") && complete && lines.len() as u64 <= points {
        let words = listed.iter().filter_map(|entry| entry.get("error_message")?.as_str());
        let detail = format!("{}: {}", fault.detail, words.collect::<Vec<_>>().join("; "));
        let rejected = vec![(RejectReason::BadLine, lines.len() as u64)];
        Outcome::Stored { rejected, detail: Some(cut(&detail).to_owned()), lines }
    } else if body.data.is_some() || body.error.contains("pars") {
        Outcome::Split(fault)
    } else {
        Outcome::NotSent(Fault { kind: FaultKind::Config, ..fault })
    }
}

/// All stored but `count` points.
pub(super) fn refused(reason: RejectReason, count: u64, detail: String) -> Outcome {
    Outcome::Stored { rejected: vec![(reason, count)], detail: Some(detail), lines: Vec::new() }
}

/// The server's words: `error` of versions 1 and 3, `message` of version 2, else the body as it is.
pub(crate) fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Option<String>,
        message: Option<String>,
    }
    let parsed = serde_json::from_slice::<Body>(body).ok();
    let named = parsed.and_then(|b| b.error.or(b.message));
    named.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(DETAIL_BYTES_MAX)).unwrap_or(text)
}

/// Wait asked for by `Retry-After`: seconds, or an HTTP date read against the answer's own `Date`.
pub fn retry_after_ms(value: &str, date: Option<&str>) -> Option<u64> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let until = http_date_seconds(value)?;
    let now = http_date_seconds(date?)?;
    Some(u64::try_from(until - now).unwrap_or(0).saturating_mul(1000))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970.
pub(super) fn http_date_seconds(text: &str) -> Option<i64> {
    let stamp = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(stamp.as_second())
}

#[cfg(test)]
mod tests;
