//! What a connector of Betfair is told.

use std::path::PathBuf;
use std::time::Duration;

use tickline_config::model::publisher::{Betfair, BetfairLogin, BetfairMarkets, Publisher, PublisherKind};
use tickline_feeds::connect::betfair::{Credentials, Markets, Settings, Subscription};

use super::on_refused;

/// Our certificate and its key, for those that show one.
pub(super) fn identity(kind: &PublisherKind) -> Option<PathBuf> {
    let (PublisherKind::BetfairStream(account, _) | PublisherKind::BetfairOrders(account)) = kind else {
        return None;
    };
    match &account.login {
        BetfairLogin::Certificate { identity, .. } => Some(identity.clone()),
        BetfairLogin::Session(_) => None,
    }
}

/// Without markets: the account's own orders.
pub(super) fn settings(
    account: &Betfair,
    markets: Option<&BetfairMarkets>,
    publisher: &Publisher,
    seed: u64,
) -> Settings {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let Betfair { address, login_url, keep_alive_url, app_key, .. } = account.clone();
    Settings {
        address,
        login_url,
        keep_alive_url,
        app_key,
        credentials: match account.login.clone() {
            BetfairLogin::Certificate { username, password, .. } => {
                Credentials::Certificate { username, password }
            }
            BetfairLogin::Session(session) => Credentials::Session(session),
        },
        keep_alive_ns: u64::try_from(account.keep_alive_every.as_nanos()).unwrap_or(u64::MAX),
        topic: if markets.is_some() { "betfair_stream" } else { "betfair_orders" }.to_owned(),
        subscription: markets.map_or(Subscription::Orders, |markets| Subscription::Markets(asked(markets))),
        conflate_ms: millis(account.conflate),
        heartbeat_ms: millis(account.heartbeat),
        on_refused: on_refused(publisher),
        seed,
    }
}

fn asked(markets: &BetfairMarkets) -> Markets {
    let BetfairMarkets { event_type_ids, country_codes, market_types, market_ids, fields, ladder_levels } =
        markets.clone();
    Markets { event_type_ids, country_codes, market_types, market_ids, fields, ladder_levels }
}
