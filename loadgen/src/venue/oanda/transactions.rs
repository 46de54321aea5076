//! Transactions of a made-up OANDA account: orders, fills and cancels with ids in order and without holes, all of them
//! kept for who asks what came since one (<https://developer.oanda.com/rest-live-v20/transaction-df/>).

use tickline_feeds::clock::WallNanos;

use super::super::decimal::decimal;
use super::when;
use crate::generator::Walk;
use crate::prng::Prng;

/// The id before the first one.
const BEFORE: u64 = 6_355;

#[derive(Debug)]
struct Transaction {
    at: WallNanos,
    /// What stands before and behind the time.
    text: (String, String),
}

impl Transaction {
    fn text(&self, unix: bool) -> String {
        format!("{}\"time\":\"{}\"{}", self.text.0, when(self.at, unix), self.text.1)
    }
}

#[derive(Debug)]
pub(super) struct Transactions {
    account: String,
    walks: Vec<Walk>,
    kept: Vec<Transaction>,
    /// The order whose fill or cancel is next: its id and its instrument.
    pending: Option<(u64, usize)>,
    /// When that order came: transactions of one batch have one time.
    batch_at: WallNanos,
    prng: Prng,
}

impl Transactions {
    pub(super) fn new(account: &str, walks: Vec<Walk>, prng: Prng) -> Self {
        Self {
            account: account.to_owned(),
            walks,
            kept: Vec::new(),
            pending: None,
            batch_at: WallNanos(0),
            prng,
        }
    }

    /// Id of the last one.
    pub(super) fn last_id(&self) -> u64 {
        BEFORE + self.kept.len() as u64
    }

    /// An order, or what becomes of the order before.
    pub(super) fn make(&mut self, at: WallNanos) {
        let id = self.last_id() + 1;
        let (kind, batch, rest) = match self.pending.take() {
            Some((order, place)) if self.prng.one_in(4) => (
                "ORDER_CANCEL",
                order,
                format!(",\"orderID\":\"{order}\",\"reason\":\"CLIENT_REQUEST\",{}", self.of(place)),
            ),
            Some((order, place)) => ("ORDER_FILL", order, self.fill(id, order, place)),
            None => {
                let place = self.prng.below(self.walks.len());
                let kind = if self.prng.one_in(2) { "MARKET_ORDER" } else { "LIMIT_ORDER" };
                (self.pending, self.batch_at) = (Some((id, place)), at);
                let limit = if kind == "LIMIT_ORDER" {
                    format!(",\"price\":\"{}\"", self.price(place))
                } else {
                    String::new()
                };
                (
                    kind,
                    id,
                    format!(",{},\"units\":\"100\"{limit},\"reason\":\"CLIENT_ORDER\"", self.of(place)),
                )
            }
        };
        let head = format!(
            "{{\"type\":\"{kind}\",\"id\":\"{id}\",\"accountID\":\"{}\",\"userID\":1234567,\"batchID\":\"{batch}\",\
             \"requestID\":\"4{batch:019}\",",
            self.account
        );
        self.kept.push(Transaction { at: self.batch_at, text: (head, format!("{rest}}}")) });
    }

    fn of(&self, place: usize) -> String {
        format!("\"instrument\":\"{}\"", self.walks[place].name)
    }

    fn price(&self, place: usize) -> String {
        decimal(self.walks[place].price, self.walks[place].digits)
    }

    fn fill(&mut self, id: u64, order: u64, place: usize) -> String {
        self.walks[place].step(&mut self.prng);
        let price = self.price(place);
        format!(
            ",\"orderID\":\"{order}\",\"clientOrderID\":\"my-{order}\",{},\"units\":\"100\",\"price\":\"{price}\",\
             \"fullVWAP\":\"{price}\",\"reason\":\"MARKET_ORDER\",\"pl\":\"0.0000\",\"financing\":\"0.0000\",\
             \"commission\":\"0.0000\",\"accountBalance\":\"43650.78835\",\"halfSpreadCost\":\"0.0065\",\"tradeOpened\":\
             {{\"tradeID\":\"{id}\",\"units\":\"100\",\"price\":\"{price}\",\"halfSpreadCost\":\"0.0065\",\
             \"initialMarginRequired\":\"2.17\"}}",
            self.of(place)
        )
    }

    /// The last one.
    pub(super) fn update(&self, unix: bool) -> Option<String> {
        self.kept.last().map(|transaction| transaction.text(unix))
    }

    /// Those after this id.
    pub(super) fn since(&self, id: u64, unix: bool) -> Vec<String> {
        let known = id.saturating_sub(BEFORE).min(self.kept.len() as u64) as usize;
        self.kept.iter().skip(known).map(|transaction| transaction.text(unix)).collect()
    }
}
