//! The sink that forgets: takes everything at once, for measuring what lies before it.

use crate::sink::{Outcome, Request, Sink};

/// Accepts every request and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn write(&mut self, _request: &Request) -> Outcome {
        Outcome::accepted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_accepted() {
        let request = Request { lines: bytes::Bytes::from_static(b"m v=1 1\n"), points: 1 };
        assert_eq!(NullSink.write(&request), Outcome::accepted());
        assert_eq!(NullSink.close(), Outcome::accepted());
    }
}
