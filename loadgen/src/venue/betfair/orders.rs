//! Orders of a made-up Betfair account: placed, matched in parts, and complete, which is said once
//! (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687396>).

use std::collections::BTreeMap;

use tickline_feeds::clock::WallNanos;

use super::markets::shortest;
use crate::prng::Prng;

/// Orders that are open at once.
const OPEN: usize = 8;

#[derive(Clone, Debug)]
struct Order {
    id: u64,
    market: String,
    runner: u64,
    price: i64,
    size: i64,
    matched: i64,
    is_back: bool,
    placed_ms: i64,
    matched_ms: Option<i64>,
    /// The position at which it last changed.
    at: u64,
}

#[derive(Debug)]
pub(super) struct Orders {
    markets: Vec<(String, Vec<u64>)>,
    /// Open ones, and for who resumes those that are complete.
    known: Vec<Order>,
    last: usize,
    next: u64,
    prng: Prng,
}

impl Orders {
    /// Of these markets with their runners.
    pub(super) fn new(markets: Vec<(String, Vec<u64>)>, prng: Prng) -> Self {
        Self { markets, known: Vec::new(), last: 0, next: 78_996_704_480, prng }
    }

    /// One order is placed, or matched a little more. False where there is no market.
    pub(super) fn make(&mut self, at: u64, now: WallNanos) -> bool {
        let now_ms = now.0.div_euclid(1_000_000);
        let open: Vec<usize> = (0..self.known.len()).filter(|place| self.known[*place].is_open()).collect();
        if open.is_empty() || (open.len() < OPEN && self.prng.one_in(3)) {
            if self.markets.is_empty() {
                return false;
            }
            let (market, runners) = &self.markets[self.prng.below(self.markets.len())];
            let order = Order {
                id: self.next,
                market: market.clone(),
                runner: runners[self.prng.below(runners.len())],
                price: 101 + self.prng.between(0, 98),
                size: self.prng.between(200, 5_000),
                matched: 0,
                is_back: self.prng.one_in(2),
                placed_ms: now_ms,
                matched_ms: None,
                at,
            };
            self.next += 1;
            self.known.push(order);
            self.last = self.known.len() - 1;
            return true;
        }
        self.last = open[self.prng.below(open.len())];
        let order = &mut self.known[self.last];
        let rest = order.size - order.matched;
        order.matched += if self.prng.one_in(2) { rest } else { self.prng.between(1, rest) };
        (order.matched_ms, order.at) = (Some(now_ms), at);
        true
    }

    /// The elements of `oc` for what happened last.
    pub(super) fn update(&self) -> String {
        self.elements(self.known.get(self.last).into_iter(), false)
    }

    /// Those for all that is open, and all that was matched.
    pub(super) fn image(&self) -> String {
        self.elements(self.known.iter(), true)
    }

    /// Those for what has changed after a position.
    pub(super) fn since(&self, position: u64) -> String {
        self.elements(self.known.iter().filter(|order| order.at > position), false)
    }

    fn elements<'a>(&self, orders: impl Iterator<Item = &'a Order>, full: bool) -> String {
        let mut markets: BTreeMap<&str, BTreeMap<u64, Vec<&Order>>> = BTreeMap::new();
        for order in orders {
            markets.entry(&order.market).or_default().entry(order.runner).or_default().push(order);
        }
        let flag = if full { "\"fullImage\":true," } else { "" };
        let market = |(market, runners): (&&str, &BTreeMap<u64, Vec<&Order>>)| {
            let runner = |(id, orders): (&u64, &Vec<&Order>)| {
                let said = orders.iter().filter(|order| !full || order.is_open());
                let texts: Vec<String> = said.map(|order| order.text()).collect();
                let [back, lay] = [true, false].map(|is_back| self.matched(orders, is_back));
                format!("{{{flag}\"id\":{id},\"uo\":[{}],\"mb\":[{back}],\"ml\":[{lay}]}}", texts.join(","))
            };
            let runners: Vec<String> = runners.iter().map(runner).collect();
            format!("{{\"id\":\"{market}\",{flag}\"orc\":[{}]}}", runners.join(","))
        };
        markets.iter().map(market).collect::<Vec<String>>().join(",")
    }

    /// What was matched in all at the prices of these orders of one runner.
    fn matched(&self, orders: &[&Order], is_back: bool) -> String {
        let sides = orders.iter().filter(|order| order.is_back == is_back && order.matched > 0);
        let prices: BTreeMap<i64, &&Order> = sides.map(|order| (order.price, order)).collect();
        let pair = |(price, order): (&i64, &&&Order)| {
            let same = self.known.iter().filter(|known| {
                (&known.market, known.runner, known.price, known.is_back)
                    == (&order.market, order.runner, *price, is_back)
            });
            format!("[{},{}]", shortest(*price), shortest(same.map(|known| known.matched).sum()))
        };
        prices.iter().map(pair).collect::<Vec<String>>().join(",")
    }
}

impl Order {
    fn is_open(&self) -> bool {
        self.matched < self.size
    }

    fn text(&self) -> String {
        let (side, status) = (if self.is_back { "B" } else { "L" }, if self.is_open() { "E" } else { "EC" });
        let matched = self
            .matched_ms
            .map_or_else(String::new, |ms| format!("\"md\":{ms},\"avp\":{},", shortest(self.price)));
        format!(
            "{{\"id\":\"{}\",\"p\":{},\"s\":{},\"side\":\"{side}\",\"status\":\"{status}\",\"pt\":\"L\",\"ot\":\"L\",\"pd\":{},{matched}\
             \"sm\":{},\"sr\":{},\"sl\":0,\"sc\":0,\"sv\":0,\"rac\":\"\",\"rc\":\"REG_GGC\",\"rfo\":\"\",\"rfs\":\"\"}}",
            self.id,
            shortest(self.price),
            shortest(self.size),
            self.placed_ms,
            shortest(self.matched),
            shortest(self.size - self.matched)
        )
    }
}
