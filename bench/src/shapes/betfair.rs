//! Betfair's messages: the image of a market first, then updates of three runners, each with changed ladder
//! levels, last price and volume.

use super::market::{Market, Payload, SYMBOLS};

const RUNNERS: i64 = 3;
const LEVELS: i64 = 10;

/// Writes messages of [`SYMBOLS`] markets.
#[derive(Debug, Default)]
pub(super) struct Maker {
    /// Volume of each runner, in units of 0.01, above a million.
    volumes: [[i64; RUNNERS as usize]; SYMBOLS],
}

impl Maker {
    /// The image of market `symbol`.
    pub(super) fn image(&mut self, symbol: usize, market: &mut Market, out: &mut Payload) {
        self.write(symbol, true, market, out);
    }

    /// An update of some market.
    pub(super) fn update(&mut self, market: &mut Market, out: &mut Payload) {
        let (symbol, _) = market.step();
        self.write(symbol, false, market, out);
    }

    fn write(&mut self, symbol: usize, image: bool, market: &mut Market, out: &mut Payload) {
        out.begin(if image { 6 } else { 5 });
        out.text("op", "mcm");
        out.writer.text("id");
        out.writer.int(2);
        out.text("clk", "AOq7wRQA5papFACf7r4U");
        out.millis("pt");
        if image {
            out.text("ct", "SUB_IMAGE");
        }
        out.writer.text("mc");
        out.writer.array(1);
        out.writer.map(if image { 3 } else { 4 });
        out.text("id", &format!("1.2008069{symbol:02}"));
        if image {
            out.writer.text("img");
            out.writer.bool(true);
        } else {
            out.writer.text("con");
            out.writer.bool(true);
            out.decimal("tv", self.volumes[symbol].iter().sum(), 2);
        }
        out.writer.text("rc");
        out.writer.array(RUNNERS as u32);
        for runner in 0..RUNNERS {
            self.runner(market, (symbol, runner, image), out);
        }
    }

    fn runner(
        &mut self,
        market: &mut Market,
        (symbol, runner, image): (usize, i64, bool),
        out: &mut Payload,
    ) {
        let volume = &mut self.volumes[symbol][runner as usize];
        *volume += market.between(100, 99_999);
        out.writer.map(5);
        let levels = if image { LEVELS } else { 2 };
        let best = 200 + 100 * runner + market.between(0, 3);
        for (key, away) in [("atb", -1), ("atl", 1)] {
            out.writer.text(key);
            out.writer.array(levels as u32);
            for level in 0..levels {
                out.writer.array(2);
                out.writer.decimal(best + away * (2 + level), 2);
                // Every second update of a level takes it away.
                let stays = image || market.between(0, 1) == 1;
                out.writer.decimal(if stays { market.between(10_000, 999_999) } else { 0 }, 2);
            }
        }
        out.writer.text("id");
        out.writer.int(1_000_000 + 10 * symbol as i64 + runner);
        out.decimal("ltp", best, 2);
        out.decimal("tv", 100_000_000 + *volume, 2);
    }
}
