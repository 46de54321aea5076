//! Executions of a made-up account at Kraken: orders that are taken, accepted, partly and wholly filled, or canceled.
//! The event that fills an order says `partially_filled`; that it is filled is an event of its own.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use super::super::decimal::decimal;
use super::QTY_DIGITS;
use crate::generator::Walk;
use crate::prng::Prng;

/// Orders that are open at once.
const OPEN: usize = 5;

/// Trades that a snapshot has at most.
const TRADES: usize = 50;

#[derive(Clone, Debug)]
struct Order {
    number: u64,
    walk: Walk,
    is_buy: bool,
    quantity: i64,
    filled: i64,
    status: &'static str,
}

#[derive(Debug)]
pub(super) struct Orders {
    walks: Vec<Walk>,
    open: Vec<Order>,
    next: u64,
    next_trade: u64,
    last: String,
    trades: Vec<String>,
    prng: Prng,
}

impl Orders {
    pub(super) fn new(walks: Vec<Walk>, prng: Prng) -> Self {
        Self {
            walks,
            open: Vec::new(),
            next: 1,
            next_trade: 37_496_584,
            last: String::new(),
            trades: Vec::new(),
            prng,
        }
    }

    /// One thing happens to one order.
    pub(super) fn make(&mut self, at: WallNanos) {
        let waiting = self.open.iter().position(|order| order.status == "pending_new");
        let done = self.open.iter().position(|order| order.filled == order.quantity);
        let (place, kind) = match (waiting, done) {
            (Some(place), _) => (place, "new"),
            (None, Some(place)) => (place, "filled"),
            _ if self.open.len() < OPEN && (self.open.is_empty() || self.prng.one_in(3)) => {
                let order = self.new_order();
                self.open.push(order);
                self.next += 1;
                (self.open.len() - 1, "pending_new")
            }
            _ => (self.prng.below(self.open.len()), if self.prng.one_in(5) { "canceled" } else { "trade" }),
        };
        let (order, prng) = (&mut self.open[place], &mut self.prng);
        let mut last = None;
        order.status = match kind {
            "trade" => {
                let rest = order.quantity - order.filled;
                let part = if prng.one_in(2) { rest } else { prng.between(1, rest) };
                order.filled += part;
                last = Some((self.next_trade, part));
                self.next_trade += 1;
                "partially_filled"
            }
            other => other,
        };
        self.last = element(order, kind, last, at);
        if kind == "trade" {
            self.trades.push(self.last.clone());
            let over = self.trades.len().saturating_sub(TRADES);
            self.trades.drain(..over);
        }
        if matches!(kind, "filled" | "canceled") {
            self.open.remove(place);
        }
    }

    fn new_order(&mut self) -> Order {
        let walk = self.walks[self.prng.below(self.walks.len())].clone();
        let (is_buy, quantity) = (self.prng.one_in(2), self.prng.between(10_000, 50_000_000));
        Order { number: self.next, walk, is_buy, quantity, filled: 0, status: "pending_new" }
    }

    pub(super) fn update(&self, sequence: u64) -> String {
        message("update", &self.last, sequence)
    }

    /// Open orders and trades as they are wanted; none: neither.
    pub(super) fn snapshot(
        &self,
        orders: bool,
        trades: bool,
        at: WallNanos,
        sequence: u64,
    ) -> Option<String> {
        let open = self.open.iter().filter(|_| orders).map(|order| element(order, order.status, None, at));
        let open: Vec<String> = open.chain(self.trades.iter().filter(|_| trades).cloned()).collect();
        (orders || trades).then(|| message("snapshot", &open.join(","), sequence))
    }
}

fn message(kind: &str, elements: &str, sequence: u64) -> String {
    format!(
        "{{\"channel\":\"executions\",\"type\":\"{kind}\",\"data\":[{elements}],\"sequence\":{sequence}}}"
    )
}

fn element(order: &Order, kind: &str, last: Option<(u64, i64)>, at: WallNanos) -> String {
    let Order { number, walk, is_buy, quantity, filled, status } = order;
    let Walk { name, digits, price, .. } = walk;
    let cost = |amount: i64| decimal((i128::from(amount) * i128::from(*price) / 100_000_000) as i64, *digits);
    let price = decimal(*price, *digits);
    let quote = name.split_once('/').map_or("USD", |(_, quote)| quote);
    let trade = last.map_or_else(String::new, |(id, part)| {
        format!(
            "\"exec_id\":\"T{id:05}-AAAAA-BBBBBB\",\"trade_id\":{id},\"last_qty\":{},\"last_price\":{price},\"liquidity_ind\":\"t\",\
             \"cost\":{},\"fees\":[{{\"asset\":\"{quote}\",\"qty\":0.00010}}],",
            decimal(part, QTY_DIGITS),
            cost(part)
        )
    });
    format!(
        "{{\"order_id\":\"O{number:05}-AAAAA-BBBBBB\",\"cl_ord_id\":\"my-{number}\",\"order_userref\":0,\"exec_type\":\"{kind}\",{trade}\
         \"symbol\":\"{name}\",\"side\":\"{}\",\"order_type\":\"limit\",\"order_status\":\"{status}\",\"order_qty\":{},\"cum_qty\":{},\
         \"cum_cost\":{},\"avg_price\":{},\"limit_price\":{price},\"time_in_force\":\"gtc\",\"timestamp\":\"{}\"}}",
        if *is_buy { "buy" } else { "sell" },
        decimal(*quantity, QTY_DIGITS),
        decimal(*filled, QTY_DIGITS),
        cost(*filled),
        if *filled > 0 { price.as_str() } else { "0.0" },
        rfc3339(at, 6)
    )
}
