//! A sink for tests of those who call sinks: it answers as it was told and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sink::{Outcome, Request, Sink};

/// What a [`Scripted`] sink was asked to do.
#[derive(Clone, Debug)]
pub enum Call {
    /// [`Sink::write`] with this request.
    Write(Request),
    /// [`Sink::commit`], also as part of [`Sink::close`].
    Commit,
}

/// Answers from two lists, then accepts everything. Clones share lists and calls: a test keeps one and gives
/// the others away.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<Outcome>,
    commits: VecDeque<Outcome>,
    calls: Vec<Call>,
}

impl Scripted {
    /// A sink whose first writes and commits end as listed.
    pub fn new(
        writes: impl IntoIterator<Item = Outcome>,
        commits: impl IntoIterator<Item = Outcome>,
    ) -> Self {
        let state = State {
            writes: writes.into_iter().collect(),
            commits: commits.into_iter().collect(),
            calls: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Everything asked so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }
}

impl Sink for Scripted {
    fn write(&mut self, request: &Request) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.push(Call::Write(request.clone()));
        state.writes.pop_front().unwrap_or_else(Outcome::accepted)
    }

    fn commit(&mut self) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.push(Call::Commit);
        state.commits.pop_front().unwrap_or_else(Outcome::accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Fault, FaultKind};

    #[test]
    fn it_answers_as_told_then_accepts_and_remembers_both() {
        let fault = Fault { kind: FaultKind::Auth, code: 401, detail: String::new(), retry_after_ms: None };
        let kept = Scripted::new([Outcome::NotSent(fault.clone()), Outcome::Held], []);
        let mut sink = kept.clone();
        let request = Request { lines: bytes::Bytes::from_static(b"m v=1 1\n"), points: 1 };
        assert_eq!(sink.write(&request), Outcome::NotSent(fault));
        assert_eq!(sink.write(&request), Outcome::Held);
        assert_eq!(sink.write(&request), Outcome::accepted());
        assert_eq!(sink.close(), Outcome::accepted());
        assert!(matches!(
            kept.calls().as_slice(),
            [Call::Write(_), Call::Write(_), Call::Write(_), Call::Commit]
        ));
    }
}
