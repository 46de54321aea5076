//! What follows from the venue's error codes, login states and HTTP statuses. Codes that are not known are tried again
//! like an unexpected error: the waits between attempts keep that harmless.

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Connect again after the usual wait.
    Retry,
    /// Connect again after a long wait: too many asked, or too often.
    RetryLater,
    /// No login for twenty minutes.
    Banned,
    /// The session is not taken: another one, once.
    LogIn,
    /// The clocks are not taken: subscribe without them.
    Afresh,
    /// Too many markets: the connection stays open, without data.
    Limited,
    /// Asking again does not help.
    Refused,
}

/// By the `errorCode` of a `status`.
pub(super) fn of_error(code: &str) -> Ending {
    match code {
        "NO_APP_KEY" | "INVALID_APP_KEY" | "NOT_AUTHORIZED" | "INVALID_INPUT" | "INVALID_REQUEST" => {
            Ending::Refused
        }
        "NO_SESSION" | "INVALID_SESSION_INFORMATION" => Ending::LogIn,
        "INVALID_CLOCK" => Ending::Afresh,
        "SUBSCRIPTION_LIMIT_EXCEEDED" => Ending::Limited,
        "MAX_CONNECTION_LIMIT_EXCEEDED" | "TOO_MANY_REQUESTS" => Ending::RetryLater,
        // UNEXPECTED_ERROR, TIMEOUT, CONNECTION_FAILED and what comes one day.
        _ => Ending::Retry,
    }
}

/// By the `loginStatus` of a login that was none.
pub(super) fn of_login(status: &str) -> Ending {
    match status {
        "TEMPORARY_BAN_TOO_MANY_REQUESTS" => Ending::Banned,
        "INTERNAL_ERROR" => Ending::Retry,
        // Some forty states of an account, from ACCOUNT_NOW_LOCKED to SELF_EXCLUDED: none passes by itself.
        _ => Ending::Refused,
    }
}

/// By the HTTP status of an answer that is none to the question; none: there was no answer.
pub(super) fn of_http(status: Option<u16>) -> Ending {
    match status {
        Some(429) => Ending::RetryLater,
        Some(408) => Ending::Retry,
        Some(400..=499) => Ending::Refused,
        _ => Ending::Retry,
    }
}
