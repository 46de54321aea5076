//! Kraken's REST: the public calls that a connector needs, and the private one that gives it a token. An error is said
//! in the body of an answer with status 200 (<https://docs.kraken.com/api/docs/guides/spot-rest-intro>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use super::super::exchange::{Market, State};
use super::super::fault::FaultKind;
use super::super::http::{Answer, Request, form};
use super::Credentials;
use super::QTY_DIGITS;
use super::market::{Kraken, Pair};

const TOKEN_PATH: &str = "/0/private/GetWebSocketsToken";

fn result(json: &str) -> Answer {
    Answer::ok(format!("{{\"error\":[],\"result\":{json}}}"))
}

fn error(text: &str) -> Answer {
    Answer::ok(format!("{{\"error\":[{text:?}]}}"))
}

/// Answers one request.
pub(super) fn answer(state: &mut State<Kraken>, request: &Request, credentials: &Credentials) -> Answer {
    state.hear(0, &request.line());
    let answer = find(state, request, credentials);
    state.answered(&request.path, &answer.body);
    answer
}

/// What nobody has subscribed to moves when it is asked for, so that who polls sees a market that lives.
fn go_on(state: &mut State<Kraken>, channel: &str, at: WallNanos) {
    let names: Vec<String> = state.market.pairs.iter().map(|pair| pair.walk.name.clone()).collect();
    for name in names {
        let stream = format!("{channel} {name}");
        if !state.is_streamed(&stream) && state.market.recorded(&stream).is_none() {
            state.market.make(&stream, at);
        }
    }
}

fn find(state: &mut State<Kraken>, request: &Request, credentials: &Credentials) -> Answer {
    if state.take(FaultKind::RateLimit, None) {
        return error("EAPI:Rate limit exceeded");
    }
    let at = state.wall();
    let system = if state.is_closed() { "maintenance" } else { "online" };
    match request.path.as_str() {
        "/0/public/Time" => {
            let seconds = at.0.div_euclid(1_000_000_000);
            let text = jiff::Timestamp::from_second(seconds).unwrap_or_default();
            let text = text.strftime("%a, %d %b %y %H:%M:%S +0000");
            result(&format!("{{\"unixtime\":{seconds},\"rfc1123\":\"{text}\"}}"))
        }
        "/0/public/SystemStatus" => {
            result(&format!("{{\"status\":\"{system}\",\"timestamp\":\"{}\"}}", rfc3339(at, 0)))
        }
        "/0/public/AssetPairs" => by_pair(&state.market, request, asset_pair),
        "/0/public/Ticker" => {
            go_on(state, "ticker", at);
            by_pair(&state.market, request, |pair| pair.ticker.rest())
        }
        "/0/public/Depth" => {
            go_on(state, "book", at);
            depth(&state.market, request, at)
        }
        "/0/public/Trades" => trades(&state.market, request),
        TOKEN_PATH => token(state, request, credentials),
        _ => error("EGeneral:Unknown method"),
    }
}

/// `"KEY":VALUE` of each pair that is asked for, or of all.
fn by_pair(market: &Kraken, request: &Request, value: impl Fn(&Pair) -> String) -> Answer {
    let mut chosen: Vec<&Pair> = Vec::new();
    match request.asked("pair") {
        Some(names) => {
            for name in names.split(',') {
                let Some(pair) = market.pair_of_rest(name) else { return error("EQuery:Unknown asset pair") };
                chosen.push(pair);
            }
        }
        None => chosen.extend(&market.pairs),
    }
    let pairs: Vec<String> =
        chosen.into_iter().map(|pair| format!("\"{}\":{}", pair.names.key, value(pair))).collect();
    result(&format!("{{{}}}", pairs.join(",")))
}

fn one<'a>(market: &'a Kraken, request: &Request) -> Result<&'a Pair, Answer> {
    let name = request.asked("pair").ok_or_else(|| error("EGeneral:Invalid arguments"))?;
    market.pair_of_rest(name).ok_or_else(|| error("EQuery:Unknown asset pair"))
}

fn depth(market: &Kraken, request: &Request, at: WallNanos) -> Answer {
    let count = request.asked("count").map_or(Some(100), |text| text.parse().ok());
    match (one(market, request), count) {
        (Ok(pair), Some(count @ 1..=500)) => {
            result(&format!("{{\"{}\":{}}}", pair.names.key, pair.book.rest(count, at)))
        }
        (Ok(_), _) => error("EGeneral:Invalid arguments"),
        (Err(refused), _) => refused,
    }
}

fn trades(market: &Kraken, request: &Request) -> Answer {
    let count = request.asked("count").and_then(|text| text.parse().ok()).unwrap_or(1_000);
    match one(market, request) {
        Ok(pair) => {
            let since = request.asked("since").and_then(since_ns);
            Answer::ok(pair.trades.rest(&pair.names.key, since, count))
        }
        Err(refused) => refused,
    }
}

/// Nanoseconds, or seconds as older clients give them.
fn since_ns(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() > 12 {
        return whole.parse().ok();
    }
    format!("{whole}{:0<9.9}", fraction).parse().ok()
}

fn asset_pair(pair: &Pair) -> String {
    let (names, digits) = (&pair.names, pair.walk.digits);
    format!(
        "{{\"altname\":\"{}\",\"wsname\":\"{}\",\"aclass_base\":\"currency\",\"base\":\"{}\",\"aclass_quote\":\"currency\",\
         \"quote\":\"{}\",\"lot\":\"unit\",\"cost_decimals\":5,\"pair_decimals\":{digits},\"lot_decimals\":{QTY_DIGITS},\
         \"lot_multiplier\":1,\"leverage_buy\":[],\"leverage_sell\":[],\"fees\":[[0,0.4]],\"fees_maker\":[[0,0.25]],\
         \"fee_volume_currency\":\"ZUSD\",\"margin_call\":80,\"margin_stop\":40,\"ordermin\":\"0.00005\",\"costmin\":\"0.5\",\
         \"tick_size\":\"{}\",\"status\":\"online\"}}",
        names.altname,
        names.wsname,
        names.base,
        names.quote,
        super::super::decimal::decimal(1, digits)
    )
}

/// The snapshot of the channel `instrument`; unlike others it writes exponents.
pub(super) fn instruments(market: &Kraken) -> String {
    let pairs = market.pairs.iter().map(|pair| {
        let (symbol, digits) = (&pair.walk.name, pair.walk.digits);
        let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
        format!(
            "{{\"symbol\":\"{symbol}\",\"base\":\"{base}\",\"quote\":\"{quote}\",\"status\":\"online\",\"qty_precision\":{QTY_DIGITS},\
             \"qty_increment\":1e-08,\"price_precision\":{digits},\"cost_precision\":5,\"marginable\":false,\"has_index\":true,\
             \"cost_min\":0.5,\"price_increment\":{},\"qty_min\":5e-05}}",
            super::super::decimal::decimal(1, digits)
        )
    });
    let pairs: Vec<String> = pairs.collect();
    format!(
        "{{\"channel\":\"instrument\",\"type\":\"snapshot\",\"data\":{{\"assets\":[],\"pairs\":[{}]}}}}",
        pairs.join(",")
    )
}

/// `API-Sign` is the HMAC-SHA512, with the secret, of the path and the SHA-256 of nonce and body, in base64
/// (<https://docs.kraken.com/api/docs/guides/spot-rest-auth>).
pub(super) fn signature(secret: &[u8], path: &str, nonce: &str, body: &str) -> Option<String> {
    let inner = Sha256::digest(format!("{nonce}{body}"));
    let mut mac = Hmac::<Sha512>::new_from_slice(secret).ok()?;
    mac.update(path.as_bytes());
    mac.update(&inner);
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

fn token(state: &mut State<Kraken>, request: &Request, credentials: &Credentials) -> Answer {
    let (key, sign) = (request.header("API-Key"), request.header("API-Sign"));
    if request.method != "POST" || key != Some(credentials.key.as_str()) {
        return error("EAPI:Invalid key");
    }
    let body = form(&request.body);
    let Some((_, nonce)) = body.iter().find(|(key, _)| key == "nonce") else {
        return error("EAPI:Invalid nonce");
    };
    let secret = STANDARD.decode(&credentials.secret).unwrap_or_default();
    if sign.is_none() || signature(&secret, &request.path, nonce, &request.body).as_deref() != sign {
        return error("EAPI:Invalid signature");
    }
    let token = format!("TOKEN{:04}", state.market.tokens.len() + 1);
    state.market.tokens.push(token.clone());
    result(&format!("{{\"token\":\"{token}\",\"expires\":900}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_venues_documentation() {
        let secret =
            "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
        let body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
        let secret = STANDARD.decode(secret).unwrap();
        assert_eq!(
            signature(&secret, "/0/private/AddOrder", "1616492376594", body).unwrap(),
            "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
        );
    }

    #[test]
    fn a_time_to_begin_at_is_in_ns_or_in_seconds() {
        assert_eq!(since_ns("1688671969993150842"), Some(1_688_671_969_993_150_842));
        assert_eq!(since_ns("1688671969"), Some(1_688_671_969_000_000_000));
        assert_eq!(since_ns("1688671969.5"), Some(1_688_671_969_500_000_000));
    }
}
