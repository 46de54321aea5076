//! Keys of Betfair: an account with a client certificate, or a session that somebody else has got.

use std::path::PathBuf;

use crate::model::publisher::{Betfair, BetfairLogin, BetfairMarkets};
use crate::reader::Reader;

/// What goes with a login by certificate.
const CERTIFICATE: [&str; 3] = ["username", "password", "tls_client"];

pub(super) fn account(r: &mut Reader<'_, '_, '_>) -> Betfair {
    let address = r.text("address").unwrap_or_default();
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(1..))) {
        r.wrong("address", format!("must be HOST:PORT, found {address:?}"));
    }
    Betfair {
        address,
        login_url: r.url("login_url").unwrap_or_default(),
        keep_alive_url: r.url("keep_alive_url").unwrap_or_default(),
        app_key: r.secret("app_key").unwrap_or_default(),
        login: login(r),
        keep_alive_every: r.duration("keep_alive_every"),
        conflate: r.duration("conflate"),
        heartbeat: r.duration("heartbeat"),
    }
}

fn login(r: &mut Reader<'_, '_, '_>) -> BetfairLogin {
    let given = CERTIFICATE.map(|key| r.has(key));
    match (r.has("session"), given.contains(&true), given.contains(&false)) {
        (true, true, _) => {
            r.wrong("session", "must be absent beside username, password and tls_client, found one")
        }
        (false, false, _) => {
            r.wrong("session", "must be set, or username, password and tls_client instead, found nothing");
        }
        (false, true, true) => {
            let missing = CERTIFICATE.into_iter().zip(given).filter(|(_, given)| !given);
            for (key, _) in missing {
                r.wrong(key, "must be set: a login takes username, password and tls_client, found nothing");
            }
        }
        _ => {}
    }
    match r.secret("session") {
        Some(session) => BetfairLogin::Session(session),
        None => BetfairLogin::Certificate {
            username: r.text("username").unwrap_or_default(),
            password: r.secret("password").unwrap_or_default(),
            identity: r.text("tls_client").map(PathBuf::from).unwrap_or_default(),
        },
    }
}

pub(super) fn markets(r: &mut Reader<'_, '_, '_>) -> BetfairMarkets {
    let texts = |r: &mut Reader<'_, '_, '_>, key: &'static str| r.texts(key).unwrap_or_default();
    let markets = BetfairMarkets {
        event_type_ids: texts(r, "event_type_ids"),
        country_codes: texts(r, "country_codes"),
        market_types: texts(r, "market_types"),
        market_ids: texts(r, "market_ids"),
        fields: r.subset("fields"),
        ladder_levels: r.number("ladder_levels"),
    };
    if !markets.fields.iter().any(|field| field == "EX_MARKET_DEF") {
        // Nothing else says that a market is closed.
        r.wrong("fields", format!("must hold \"EX_MARKET_DEF\", found {:?}", markets.fields));
    }
    markets
}
