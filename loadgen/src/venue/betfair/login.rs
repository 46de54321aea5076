//! Betfair's login with a client's certificate, and keeping a session alive
//! (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687915>).

use super::super::exchange::State;
use super::super::fault::FaultKind;
use super::super::http::{Answer, Request, form};
use super::Credentials;
use super::market::Betfair;

/// Answers one request of a client that has shown a certificate of ours, or none.
pub(super) fn answer(
    state: &mut State<Betfair>,
    request: &Request,
    has_certificate: bool,
    credentials: &Credentials,
) -> Answer {
    state.hear(0, &request.line());
    match request.path.as_str() {
        "/api/certlogin" if request.method == "POST" => login(state, request, has_certificate, credentials),
        "/api/keepAlive" => keep_alive(state, request),
        _ => Answer::status(404, "{}"),
    }
}

fn login(
    state: &mut State<Betfair>,
    request: &Request,
    has_certificate: bool,
    credentials: &Credentials,
) -> Answer {
    let body = form(&request.body);
    let said = |key: &str| body.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let is_known = said("username") == Some(credentials.username.as_str())
        && said("password") == Some(credentials.password.as_str());
    let status = if state.take(FaultKind::RateLimit, Some("login")) {
        "TEMPORARY_BAN_TOO_MANY_REQUESTS"
    } else if !has_certificate {
        "CERT_AUTH_REQUIRED"
    } else if request.header("X-Application") != Some(credentials.app_key.as_str()) {
        "INPUT_VALIDATION_ERROR"
    } else if !is_known {
        "INVALID_USERNAME_OR_PASSWORD"
    } else {
        let session = format!("SESSION{:04}", state.market.sessions.len());
        state.market.sessions.push(session.clone());
        return Answer::ok(format!("{{\"sessionToken\":\"{session}\",\"loginStatus\":\"SUCCESS\"}}"));
    };
    Answer::ok(format!("{{\"loginStatus\":\"{status}\"}}"))
}

fn keep_alive(state: &State<Betfair>, request: &Request) -> Answer {
    let session = request.header("X-Authentication").unwrap_or_default();
    let key = request.header("X-Application").unwrap_or_default();
    let is_known = state.market.sessions.iter().any(|known| known == session);
    let (status, error) = if is_known { ("SUCCESS", "") } else { ("FAIL", "NO_SESSION") };
    Answer::ok(format!(
        "{{\"token\":{session:?},\"product\":{key:?},\"status\":\"{status}\",\"error\":\"{error}\"}}"
    ))
}
