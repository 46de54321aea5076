//! What a writer does after each outcome: settle, wait or split. Pure: the caller owns the clock, the random
//! numbers and the attempts.

use crate::sink::{Fault, FaultKind, Outcome, RejectReason, Request};

/// First wait after trouble that goes away by itself, ms.
const TRANSIENT_FIRST_MS: u64 = 100;
/// Longest such wait, ms.
const TRANSIENT_MAX_MS: u64 = 10_000;
/// First wait after trouble that someone must end, ms.
const HOLD_FIRST_MS: u64 = 1_000;
/// Longest such wait, ms.
const HOLD_MAX_MS: u64 = 60_000;
/// Longest `Retry-After` that is honoured, ms: the quota window of InfluxDB Cloud.
const RETRY_AFTER_MAX_MS: u64 = 300_000;
/// No wait is shorter than this, however the dice fall, ms.
const WAIT_MIN_MS: u64 = 10;

/// Failures of one request after which a server that fails on it is not asked again for some time.
pub const PARK_AFTER: u32 = 5;

/// What to do with a request next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Done: every point is written or rejected.
    Settled {
        /// Points stored.
        written: u64,
        /// Points refused for good, by reason.
        rejected: Vec<(RejectReason, u64)>,
    },
    /// Keep the request until the sink's next commit.
    Held,
    /// Send the same bytes again after this time.
    Wait {
        /// How long, ms.
        ms: u64,
        /// Someone must act before it can work: say so plainly.
        hold: bool,
    },
    /// Send the two parts that [`split`] makes, each from attempt 0.
    Split,
}

/// The step after `outcome`. `attempt` counts the failures of this request before this one, `points` are the
/// request's (for a commit: all that is held), `jitter` is any random number.
pub fn next_step(outcome: &Outcome, attempt: u32, points: u64, jitter: u64) -> Step {
    match outcome {
        Outcome::Stored { rejected, .. } => {
            let refused: u64 = rejected.iter().map(|(_, n)| n).sum();
            Step::Settled { written: points.saturating_sub(refused), rejected: rejected.clone() }
        }
        Outcome::Held => Step::Held,
        Outcome::Split(_) if points > 1 => Step::Split,
        Outcome::Split(fault) => refuse(fault, points),
        Outcome::NotSent(fault) | Outcome::InDoubt(fault) => wait(fault, attempt, jitter),
    }
}

/// Settles a request that cannot be split further: its points are refused for good.
pub fn refuse(fault: &Fault, points: u64) -> Step {
    let reason = match fault.code {
        _ if fault.kind == FaultKind::Limit => RejectReason::ServerLimit,
        413 => RejectReason::TooLarge,
        _ => RejectReason::BadLine,
    };
    Step::Settled { written: 0, rejected: vec![(reason, points)] }
}

/// Exponential back-off with full jitter: a random part of a ceiling that doubles, so that many writers who
/// failed together do not come back together.
fn wait(fault: &Fault, attempt: u32, jitter: u64) -> Step {
    let hold = fault.kind != FaultKind::Transient;
    let (first, max) =
        if hold { (HOLD_FIRST_MS, HOLD_MAX_MS) } else { (TRANSIENT_FIRST_MS, TRANSIENT_MAX_MS) };
    let ceiling = first.saturating_mul(1 << attempt.min(16)).min(max);
    let drawn = (jitter % (ceiling + 1)).max(WAIT_MIN_MS);
    let asked = fault.retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS);
    // Never earlier than asked, and still apart from the others.
    let ms = if asked > 0 { asked + drawn.min(first) } else { drawn };
    Step::Wait { ms, hold }
}

/// Two requests with the lines of one, cut at the newline nearest the middle; none if it has one line.
pub fn split(request: &Request) -> Option<(Request, Request)> {
    let lines = &request.lines;
    let middle = lines.len() / 2;
    let inner = lines.get(..lines.len().saturating_sub(1))?; // the last newline parts nothing
    let before = inner.get(..middle.min(inner.len()))?.iter().rposition(|b| *b == b'\n');
    let after = inner.get(middle..).and_then(|t| t.iter().position(|b| *b == b'\n')).map(|at| at + middle);
    let cut = match (before, after) {
        (Some(b), Some(a)) if middle - b <= a - middle => b,
        (_, Some(a)) => a,
        (Some(b), None) => b,
        (None, None) => return None,
    } + 1;
    let points = lines.get(..cut)?.iter().filter(|b| **b == b'\n').count() as u64;
    let first = Request { lines: lines.slice(..cut), points };
    let second = Request { lines: lines.slice(cut..), points: request.points.saturating_sub(points) };
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn fault(kind: FaultKind, code: u16, retry_after_ms: Option<u64>) -> Fault {
        Fault { kind, code, detail: String::new(), retry_after_ms }
    }

    #[test]
    fn each_outcome_leads_to_its_step() {
        let partial = vec![(RejectReason::BeyondRetention, 3)];
        let stored = Outcome::Stored { rejected: partial.clone(), detail: None, lines: vec![] };
        let spoiled = |code| Outcome::Split(fault(FaultKind::Content, code, None));
        let settled = |written, rejected| Step::Settled { written, rejected };
        let table = [
            (Outcome::accepted(), 10, settled(10, vec![])),
            (stored, 10, settled(7, partial)),
            (Outcome::Held, 10, Step::Held),
            (spoiled(400), 2, Step::Split),
            (spoiled(400), 1, settled(0, vec![(RejectReason::BadLine, 1)])),
            (spoiled(413), 1, settled(0, vec![(RejectReason::TooLarge, 1)])),
        ];
        for (outcome, points, expected) in table {
            assert_eq!(next_step(&outcome, 0, points, 0), expected, "{outcome:?}");
        }
    }

    #[test]
    fn waits_double_up_to_their_cap_and_lie_anywhere_below_it() {
        // kind, attempt, jitter -> ms, hold
        let table = [
            (FaultKind::Transient, 0, 100, 100, false),
            (FaultKind::Transient, 0, 101, 10, false),
            (FaultKind::Transient, 3, 800, 800, false),
            (FaultKind::Transient, 7, 10_000, 10_000, false),
            (FaultKind::Transient, u32::MAX, 10_000, 10_000, false),
            (FaultKind::Auth, 0, 1_000, 1_000, true),
            (FaultKind::Missing, 6, 60_000, 60_000, true),
            (FaultKind::Config, 99, 60_000, 60_000, true),
            (FaultKind::Config, 99, 0, 10, true),
        ];
        for (kind, attempt, jitter, ms, hold) in table {
            for outcome in [Outcome::NotSent, Outcome::InDoubt] {
                let outcome = outcome(fault(kind, 0, None));
                assert_eq!(next_step(&outcome, attempt, 5, jitter), Step::Wait { ms, hold });
            }
        }
    }

    #[test]
    fn retry_after_is_never_undercut_and_is_capped() {
        let table = [(7_000, 0, 7_010), (7_000, u64::MAX, 7_078), (86_400_000, 0, 300_010), (0, 50, 50)];
        for (asked, jitter, ms) in table {
            let outcome = Outcome::NotSent(fault(FaultKind::Transient, 429, Some(asked)));
            assert_eq!(next_step(&outcome, 0, 5, jitter), Step::Wait { ms, hold: false }, "{asked}");
        }
    }

    #[test]
    fn a_request_is_cut_at_the_newline_nearest_its_middle() {
        let table = [
            ("a\nb\n", Some(("a\n", "b\n"))),
            ("aaaaaaaa\nb\n", Some(("aaaaaaaa\n", "b\n"))),
            ("a\nbbbbbbbb\n", Some(("a\n", "bbbbbbbb\n"))),
            ("aa\nbb\ncc\n", Some(("aa\nbb\n", "cc\n"))),
            ("a\nbb\nccc\ndddd\n", Some(("a\nbb\nccc\n", "dddd\n"))),
            ("a\n", None),
            ("", None),
        ];
        for (lines, expected) in table {
            let points = lines.lines().count() as u64;
            let parts = split(&Request { lines: Bytes::from_static(lines.as_bytes()), points });
            let got = parts.as_ref().map(|(a, b)| (a.lines.as_ref(), b.lines.as_ref()));
            assert_eq!(got, expected.map(|(a, b)| (a.as_bytes(), b.as_bytes())), "{lines:?}");
            if let Some((a, b)) = parts {
                assert_eq!(a.points + b.points, points);
                assert_eq!(a.points, a.lines.iter().filter(|c| **c == b'\n').count() as u64);
            }
        }
    }

    #[test]
    fn splitting_again_and_again_ends_in_single_lines_with_every_byte_kept() {
        let text: String = (0..57).map(|n| format!("m v={}\n", "9".repeat(n % 11 + 1))).collect();
        let whole = Request { lines: Bytes::from(text.clone()), points: 57 };
        let (mut waiting, mut done) = (vec![whole], String::new());
        while let Some(request) = waiting.pop() {
            match split(&request) {
                Some((a, b)) => waiting.extend([b, a]),
                None => {
                    assert_eq!(request.points, 1);
                    done.push_str(std::str::from_utf8(&request.lines).unwrap());
                }
            }
        }
        assert_eq!(done, text);
    }
}
