//! OANDA's v20 requests: who may ask, what is asked for, and the answers that are not streams
//! (<https://developer.oanda.com/rest-live-v20/introduction/>).

use super::super::exchange::{Market, State};
use super::super::fault::FaultKind;
use super::super::http::{Answer, Request};
use super::market::{Oanda, Profile};
use super::prices::Instrument;
use super::{Account, when};

/// What comes of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Answer),
    /// A stream of these instruments' prices, or of transactions.
    Stream {
        profile: Profile,
        instruments: Vec<String>,
        snapshot: bool,
    },
}

fn error(status: u16, text: &str) -> Outcome {
    Outcome::Answer(Answer::status(status, format!("{{\"errorMessage\":{text:?}}}")))
}

fn ok(json: String) -> Outcome {
    Outcome::Answer(Answer::ok(json))
}

/// Takes one request.
pub(super) fn take(state: &mut State<Oanda>, request: &Request, account: &Account) -> Outcome {
    state.hear(0, &request.line());
    let outcome = find(state, request, account);
    if let Outcome::Answer(answer) = &outcome {
        state.answered(&request.path, &answer.body);
    }
    outcome
}

fn find(state: &mut State<Oanda>, request: &Request, account: &Account) -> Outcome {
    if state.is_closed() {
        return error(503, "The system is under maintenance.");
    }
    if state.take(FaultKind::RateLimit, None) {
        return error(429, "Maximum allowable rate exceeded.");
    }
    let bearer = request.header("Authorization").and_then(|header| header.strip_prefix("Bearer "));
    if state.take(FaultKind::ExpiredToken, None) || bearer != Some(account.token.as_str()) {
        return error(401, "Insufficient authorization to perform request.");
    }
    if request.method != "GET" {
        return error(405, "Method Not Allowed");
    }
    if request.path == "/v3/accounts" {
        return ok(format!("{{\"accounts\":[{{\"id\":\"{}\",\"tags\":[]}}]}}", account.id));
    }
    let path = request.path.strip_prefix("/v3/accounts/").and_then(|rest| rest.split_once('/'));
    let Some((id, what)) = path else { return error(404, "Not Found") };
    if id != account.id {
        return error(400, "Invalid value specified for 'accountID'");
    }
    let unix = request.header("Accept-Datetime-Format").is_some_and(|form| form == "UNIX");
    match what {
        "pricing/stream" => priced(state, request, unix, true),
        "pricing" => priced(state, request, unix, false),
        "transactions/stream" => Outcome::Stream {
            profile: Profile { transactions: true, unix },
            instruments: Vec::new(),
            snapshot: false,
        },
        "transactions/sinceid" => since(&state.market, request, unix),
        "instruments" => {
            let all: Vec<String> = state.market.instruments.iter().map(Instrument::description).collect();
            let last = state.market.transactions.last_id();
            ok(format!("{{\"instruments\":[{}],\"lastTransactionID\":\"{last}\"}}", all.join(",")))
        }
        _ => error(404, "Not Found"),
    }
}

fn priced(state: &mut State<Oanda>, request: &Request, unix: bool, stream: bool) -> Outcome {
    let Some(asked) = request.asked("instruments").filter(|asked| !asked.is_empty()) else {
        return error(400, "Invalid value specified for 'instruments'");
    };
    let names: Vec<String> = asked.split(',').map(str::to_owned).collect();
    for name in &names {
        let refused = stream && state.take(FaultKind::Refuse, Some(&format!("pricing {name}")));
        if refused || state.market.instrument(name).is_none() {
            return error(400, "Invalid value specified for 'instruments'");
        }
    }
    if stream {
        let snapshot = request.asked("snapshot").is_none_or(|asked| !asked.eq_ignore_ascii_case("false"));
        return Outcome::Stream {
            profile: Profile { transactions: false, unix },
            instruments: names,
            snapshot,
        };
    }
    let now = state.wall();
    for name in &names {
        let stream = format!("pricing {name}");
        let is_recorded = state.market.recorded_ns(&stream).is_some();
        if !state.is_streamed(&stream) && !is_recorded {
            // What nobody has subscribed to moves when it is asked for.
            state.market.make(&stream, now);
        }
    }
    // What REST says more than the stream.
    let further = "\"quoteHomeConversionFactors\":{\"positiveUnits\":\"1.00000000\",\"negativeUnits\":\"1.00000000\"},\
                   \"unitsAvailable\":{\"default\":{\"long\":\"1000000\",\"short\":\"1000000\"}},";
    let prices = names.iter().filter_map(|name| state.market.instrument(name));
    let prices: Vec<String> = prices.map(|instrument| instrument.price(unix, now, further)).collect();
    ok(format!("{{\"time\":\"{}\",\"prices\":[{}]}}", when(now, unix), prices.join(",")))
}

fn since(market: &Oanda, request: &Request, unix: bool) -> Outcome {
    let Some(id) = request.asked("id").and_then(|id| id.parse().ok()) else {
        return error(400, "Invalid value specified for 'id'");
    };
    let (transactions, last) = (market.transactions.since(id, unix), market.transactions.last_id());
    ok(format!("{{\"transactions\":[{}],\"lastTransactionID\":\"{last}\"}}", transactions.join(",")))
}
