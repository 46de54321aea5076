//! How fast a simulated venue's messages come, and how many.

use std::str::FromStr;

/// How messages follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second over all streams, in turns.
    Rate(f64),
    /// As a recording has them, so many times faster.
    Recorded(f64),
    /// As fast as the clients read; with none of a stream's clients listening it stands still.
    Max,
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
        let rate = text.strip_suffix("/s").and_then(number).map(Self::Rate);
        rate.or_else(|| text.strip_suffix('x').and_then(number).map(Self::Recorded)).ok_or_else(|| {
            format!("rate: must be messages a second such as 50/s, a recording's speed such as 10x, or max, found {text:?}")
        })
    }
}

/// What a venue does by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) pace: Pace,
    /// Of each stream; none: without end.
    pub(super) messages: Option<u64>,
    /// Keep what is sent and received.
    pub(super) keep: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_has_a_unit() {
        assert_eq!("50/s".parse(), Ok(Pace::Rate(50.0)));
        assert_eq!("0.5x".parse(), Ok(Pace::Recorded(0.5)));
        assert_eq!("max".parse(), Ok(Pace::Max));
        for bad in ["50", "0/s", "-1x", "infx", ""] {
            let error = bad.parse::<Pace>().unwrap_err();
            assert!(error.starts_with("rate: must be messages a second"), "{error}");
        }
    }
}
