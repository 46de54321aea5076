//! What a connector of Betfair is told: who asks, where, and for what.

use tickline_config::secret::Secret;

use crate::connect::OnRefused;

/// Everything that a connector is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host and port of the stream: `stream-api.betfair.com:443`.
    pub address: String,
    /// Host of the login with a certificate: `https://identitysso-cert.betfair.com`.
    pub login_url: String,
    /// Host that keeps a session alive: `https://identitysso.betfair.com`.
    pub keep_alive_url: String,
    /// Application key: a delayed one is free and gets conflated prices.
    pub app_key: Secret,
    /// Who asks.
    pub credentials: Credentials,
    /// How often the session is kept alive, ns: less than its life, which was never said to be under four hours
    /// (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687869>), so that one
    /// call may fail; it is 20 minutes at the Italian and the Spanish exchange.
    pub keep_alive_ns: u64,
    /// Topic of the messages: `betfair_stream`, `betfair_orders`.
    pub topic: String,
    /// What is asked for.
    pub subscription: Subscription,
    /// The venue joins what happens in this time, ms, 0 to 120000; 0: each change as it comes.
    pub conflate_ms: u64,
    /// The venue says something at least so often, ms, 500 to 5000.
    pub heartbeat_ms: u64,
    /// What happens when the venue takes neither credentials nor criteria.
    pub on_refused: OnRefused,
    /// Tells the waits of processes apart: random.
    pub seed: u64,
}

impl Settings {
    /// Reads the secrets that are in files again, and says whether one of them is another now.
    pub(super) fn reload(&mut self) -> bool {
        let of_account = match &mut self.credentials {
            Credentials::Certificate { password, .. } => password,
            Credentials::Session(token) => token,
        };
        let mut is_new = false;
        for secret in [&mut self.app_key, of_account] {
            if let Some(renewed) = secret.renewed() {
                *secret = renewed;
                is_new = true;
            }
        }
        is_new
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A login with the client's certificate, which the connections of the engine show.
    Certificate {
        /// Name of the account.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// A session token that somebody else has got; from a file it is read again when it is not taken any more.
    Session(Secret),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// Market changes: `mcm`.
    Markets(Markets),
    /// The account's own orders: `ocm`.
    Orders,
}

/// Which markets, and what of them. The venue allows 200 markets a subscription, unless it was asked for more; an empty
/// list means all.
#[derive(Clone, Debug, Default)]
pub struct Markets {
    /// `7`: horse racing.
    pub event_type_ids: Vec<String>,
    /// `GB`, two letters each.
    pub country_codes: Vec<String>,
    /// `WIN`, `MATCH_ODDS`.
    pub market_types: Vec<String>,
    /// `1.200000001`
    pub market_ids: Vec<String>,
    /// `EX_ALL_OFFERS`, `EX_LTP`, `EX_MARKET_DEF`: without definitions no market is known to be closed.
    pub fields: Vec<String>,
    /// Levels of the best offers, 1 to 10.
    pub ladder_levels: u8,
}
