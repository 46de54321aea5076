//! Exit codes and their precedence.

use std::fmt::Display;

use tickline_config::report::{Report, Verdict};

use crate::control::Ended;
use crate::report::Standard;
use crate::run::StartError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Ok,
    /// 1: something failed while running.
    Failed,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: the load generator was the limit.
    Invalid,
    /// 4: the ledger does not balance, or points were left at exit.
    Ledger,
    /// 5: it is up and does not work as it should.
    NotValidated,
    /// 78: the configuration cannot be carried out.
    Configuration,
}

impl Exit {
    /// The code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Invalid => 3,
            Exit::Ledger => 4,
            Exit::NotValidated => 5,
            Exit::Configuration => 78,
        }
    }

    /// How a run ended: a failure outranks the ledger, the ledger an invalid run.
    pub fn of_run(ended: Ended, report: &Report, standard: Standard) -> Self {
        let ledger = &report.ledger;
        let shutdown = ledger.dropped.get("shutdown").copied().unwrap_or(0);
        let remainder = !ledger.balanced || ledger.in_flight > 0 || ledger.queued > 0 || shutdown > 0;
        if ended == Ended::Failed {
            Exit::Failed
        } else if remainder || (standard == Standard::Lossless && report.verdict == Verdict::Fail) {
            Exit::Ledger
        } else if report.verdict == Verdict::Invalid {
            Exit::Invalid
        } else {
            Exit::Ok
        }
    }
}

/// Why a command could not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What is said on standard error.
    pub message: String,
}

impl Failure {
    /// The configuration cannot be carried out.
    pub fn configuration(error: impl Display) -> Self {
        Self { exit: Exit::Configuration, message: error.to_string() }
    }

    /// Something failed while running.
    pub fn failed(error: impl Display) -> Self {
        Self { exit: Exit::Failed, message: error.to_string() }
    }

    /// The command line makes no sense.
    pub fn usage(error: impl Display) -> Self {
        Self { exit: Exit::Usage, message: error.to_string() }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Thread(_) => Failure::failed(error),
            _ => Failure::configuration(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_outranks_the_ledger_and_the_ledger_an_invalid_run() {
        let mut report = crate::report::blank("test");
        report.verdict = Verdict::Invalid;
        report.ledger.balanced = true;
        let exit = |ended, report: &Report, standard| Exit::of_run(ended, report, standard).code();
        assert_eq!(exit(Ended::Drained, &report, Standard::Lossless), 3);
        report.ledger.dropped.insert("queue_full".into(), 7);
        report.verdict = Verdict::Fail;
        assert_eq!(exit(Ended::Drained, &report, Standard::Ended), 0, "a policy the user chose");
        assert_eq!(exit(Ended::Drained, &report, Standard::Lossless), 4);
        report.ledger.dropped.insert("shutdown".into(), 1);
        assert_eq!(exit(Ended::Drained, &report, Standard::Ended), 4);
        assert_eq!(exit(Ended::Failed, &report, Standard::Ended), 1);
    }
}
