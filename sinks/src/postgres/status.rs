//! What an error of PostgreSQL means for the rows: SQLSTATE to outcome (PostgreSQL documentation, appendix A).

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::sink::{Fault, FaultKind, Outcome};

/// Why a request was not stored, before it is known whether its transaction was being ended.
#[derive(Debug)]
pub(crate) struct Failed {
    kind: Kind,
    detail: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// The server has answered: nothing is stored.
    Refused(FaultKind),
    /// Rows that are there already.
    Conflict,
    /// No answer.
    Silent,
}

impl Failed {
    pub(super) fn timed_out(after: Duration) -> Self {
        Self { kind: Kind::Silent, detail: format!("no answer within {after:?}") }
    }

    pub(super) fn closed() -> Self {
        Self { kind: Kind::Silent, detail: "no connection".to_owned() }
    }

    /// The table must be made.
    pub(super) fn missing(detail: String) -> Self {
        Self {
            kind: Kind::Refused(FaultKind::Missing),
            detail: format!("{detail}: tickline db apply creates it"),
        }
    }

    /// The table must be made right: tickline db plan says how.
    pub(super) fn schema(detail: String) -> Self {
        Self {
            kind: Kind::Refused(FaultKind::Config),
            detail: format!("{detail}: tickline db plan compares"),
        }
    }

    /// The table is not what it was a moment ago; the next try looks at it anew.
    pub(super) fn altered(detail: String) -> Self {
        Self { kind: Kind::Refused(FaultKind::Transient), detail }
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// What the caller is told; `committing`: the end of the transaction was asked for.
    pub(super) fn outcome(self, committing: bool) -> Outcome {
        let fault = |kind| Fault { kind, code: 0, detail: self.detail.clone(), retry_after_ms: None };
        match self.kind {
            Kind::Silent if committing => Outcome::InDoubt(fault(FaultKind::Transient)),
            Kind::Refused(FaultKind::Content) => Outcome::Split(fault(FaultKind::Content)),
            Kind::Refused(kind) => Outcome::NotSent(fault(kind)),
            // A conflict in the staging table's statement is that of a constraint of somebody else's.
            Kind::Conflict => Outcome::Split(fault(FaultKind::Content)),
            Kind::Silent => Outcome::NotSent(fault(FaultKind::Transient)),
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            let mut detail = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                detail.push_str(": ");
                detail.push_str(&inner.to_string());
                cause = inner.source();
            }
            return Self { kind: Kind::Silent, detail };
        };
        let mut detail = format!("{}: {}", answer.code().code(), answer.message());
        if let Some(more) = answer.detail() {
            detail.push_str(": ");
            detail.push_str(more);
        }
        Self { kind: kind(answer.code()), detail }
    }
}

fn kind(code: &SqlState) -> Kind {
    if *code == SqlState::UNIQUE_VIOLATION {
        return Kind::Conflict;
    }
    // The end of the server's process may come while it commits.
    if code.code().starts_with("57P") {
        return Kind::Silent;
    }
    let (class, _) = code.code().split_at_checked(2).unwrap_or_default();
    Kind::Refused(match (class, code.code()) {
        ("28", _) | (_, "42501") => FaultKind::Auth,
        ("3D" | "3F", _) | (_, "42P01") => FaultKind::Missing,
        // A column of somebody else's that must not be null, a partition that is not there.
        (_, "23502" | "42703" | "42804" | "22P03" | "22P04") | ("42", _) => FaultKind::Config,
        // A constraint or trigger of somebody else's, a text that the database's encoding lacks.
        ("22" | "23" | "P0", _) => FaultKind::Content,
        _ => FaultKind::Transient,
    })
}
