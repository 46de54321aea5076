//! What a venue says, made up: a Kraken book whose levels change, come and go, with real checksums, for the benches of
//! connectors. The venue knows more levels than it shows: where one goes, the next one comes into view, and where one comes,
//! the last one leaves it without a word.

/// Levels a side that are shown.
pub const LEVELS: usize = 10;

/// Levels a side at the start, and how few and how many there may be.
const KNOWN: (usize, usize, usize) = (30, 20, 40);

/// Prices in tenths and quantities with eight digits, best first.
type Side = Vec<(u64, u64)>;

/// A book of both sides.
#[derive(Clone, Debug)]
pub struct Market {
    bids: Side,
    asks: Side,
    random: u64,
}

impl Default for Market {
    fn default() -> Self {
        let side = |step: i64| {
            (1..=KNOWN.0 as i64)
                .map(|at| ((633_890 + step * 5 * at) as u64, 25_761_908 + at as u64))
                .collect()
        };
        Self { bids: side(-1), asks: side(1), random: 7 }
    }
}

fn shown(side: &Side) -> &[(u64, u64)] {
    side.get(..LEVELS).unwrap_or(side)
}

fn levels(levels: &[(u64, u64)]) -> String {
    let level = |(price, qty): &(u64, u64)| {
        let (whole, rest) = (qty / 100_000_000, qty % 100_000_000);
        format!(r#"{{"price":{}.{},"qty":{whole}.{rest:08}}}"#, price / 10, price % 10)
    };
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

impl Market {
    fn sum(&self) -> u32 {
        let all = shown(&self.asks).iter().chain(shown(&self.bids));
        let digits: String = all.map(|(price, qty)| format!("{price}{qty}")).collect();
        crc32fast::hash(digits.as_bytes())
    }

    fn message(&self, kind: &str, bids: &[(u64, u64)], asks: &[(u64, u64)], at: usize) -> String {
        let (bids, asks) = (levels(bids), levels(asks));
        format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],"checksum":{},"timestamp":"2026-08-02T03:36:03.{:06}Z"}}]}}"#,
            self.sum(),
            at % 1_000_000
        )
    }

    /// The levels that are shown.
    pub fn snapshot(&self) -> String {
        self.message("snapshot", shown(&self.bids), shown(&self.asks), 0)
    }

    /// One side changes: half of the time a quantity, else a level comes or goes. `at` numbers the messages.
    pub fn update(&mut self, at: usize) -> String {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = self.random >> 33;
        let is_bid = random.is_multiple_of(2);
        let (side, other) = if is_bid { (&mut self.bids, &self.asks) } else { (&mut self.asks, &self.bids) };
        let changed = change(side, other[0].0, is_bid, random / 2);
        let (bids, asks) = if is_bid { (&changed[..], &[][..]) } else { (&[][..], &changed[..]) };
        self.message("update", bids, asks, at)
    }
}

/// Changes one shown level of a side and returns what the venue says of it; `other` is the best price of the other side.
fn change(side: &mut Side, other: u64, is_bid: bool, random: u64) -> Vec<(u64, u64)> {
    let (at, qty) = ((random / 4) as usize % LEVELS, 1 + random % 100_000_000);
    let price = side[at].0;
    let better = if is_bid { price + 1 } else { price - 1 };
    let is_free = at.checked_sub(1).map_or(other, |above| side[above].0) != better;
    match random % 4 {
        0 if is_free && side.len() < KNOWN.2 => {
            side.insert(at, (better, qty));
            vec![(better, qty)]
        }
        1 if side.len() > KNOWN.1 => {
            side.remove(at);
            vec![(price, 0), side[LEVELS - 1]]
        }
        _ => {
            side[at].1 = qty;
            vec![(price, qty)]
        }
    }
}
