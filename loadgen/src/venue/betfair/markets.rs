//! Made-up Betfair markets, change by change: all offers, the best ones by level, what was traded, and definitions.

use std::collections::BTreeMap;

use super::super::decimal::decimal;
use super::delta::{Delta, Element, RunnerDelta};
use crate::generator::{BetfairMarket, MARKET_TIME, Offer, PRICES, Side, classic};
use crate::prng::Prng;

/// Changes between two suspensions, on average.
const SUSPENSION_EVERY: usize = 2_000;

/// Levels of the best offers.
const LEVELS: usize = 10;

#[derive(Debug)]
pub(super) struct Made {
    market: BetfairMarket,
    prices: Vec<i64>,
    /// Matched at a price, by runner and place of the price.
    traded: BTreeMap<(usize, usize), i64>,
    prng: Prng,
}

/// A decimal in hundredths with as few digits as it needs, as the venue writes it.
pub(super) fn shortest(hundredths: i64) -> String {
    match (hundredths % 10, hundredths % 100) {
        (_, 0) => decimal(hundredths / 100, 0),
        (0, _) => decimal(hundredths / 10, 1),
        _ => decimal(hundredths, 2),
    }
}

/// The best offers, by level.
fn best(side: &Side, prices: &[i64]) -> Vec<Option<(i64, i64)>> {
    let mut levels: Vec<Option<(i64, i64)>> = side
        .offers()
        .filter(|(_, size)| *size > 0)
        .map(|(place, size)| Some((prices.get(place).copied().unwrap_or(0), size)))
        .collect();
    levels.resize(LEVELS, None);
    levels
}

/// Levels that are not what they were.
fn leveled(before: &[Option<(i64, i64)>], after: &[Option<(i64, i64)>]) -> Vec<Element> {
    let levels = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
    levels
        .map(|(level, (_, after))| {
            let (price, size) = after.unwrap_or((0, 0));
            vec![level.to_string(), shortest(price), shortest(size)]
        })
        .collect()
}

impl Made {
    pub(super) fn new(number: usize, mut prng: Prng) -> Self {
        let market = BetfairMarket::new(number, &mut prng);
        Self { market, prices: classic(), traded: BTreeMap::new(), prng }
    }

    pub(super) fn id(&self) -> &str {
        &self.market.id
    }

    pub(super) fn runners(&self) -> Vec<u64> {
        self.market.runners.iter().map(|runner| runner.id).collect()
    }

    /// The market at its start.
    pub(super) fn image(&self) -> Delta {
        let nothing = vec![None; LEVELS];
        let runners = self.market.runners.iter().map(|runner| {
            let all = |side: &Side| self.offers(&side.offers().collect::<Vec<Offer>>());
            let (back, lay) = (best(&runner.back, &self.prices), best(&runner.lay, &self.prices));
            RunnerDelta {
                id: runner.id.to_string(),
                hc: None,
                scalars: self.scalars(runner.last, runner.volume),
                ladders: [
                    ("atb", all(&runner.back)),
                    ("atl", all(&runner.lay)),
                    ("batb", leveled(&nothing, &back)),
                    ("batl", leveled(&nothing, &lay)),
                    ("bdatb", leveled(&nothing, &back)),
                    ("bdatl", leveled(&nothing, &lay)),
                ]
                .map(|(key, elements)| (key.to_owned(), elements))
                .into(),
            }
        });
        Delta {
            id: self.market.id.clone(),
            img: true,
            con: false,
            definition: Some(self.definition()),
            tv: Some(self.volume()),
            runners: runners.collect(),
        }
    }

    fn scalars(&self, last: usize, volume: i64) -> Vec<(String, String)> {
        let price = self.prices.get(last).copied().unwrap_or(0);
        vec![("ltp".to_owned(), shortest(price)), ("tv".to_owned(), shortest(volume))]
    }

    fn volume(&self) -> String {
        shortest(self.market.runners.iter().map(|runner| runner.volume).sum())
    }

    fn offers(&self, offers: &[Offer]) -> Vec<Element> {
        let element = |(place, size): &Offer| {
            vec![shortest(self.prices.get(*place).copied().unwrap_or(0)), shortest(*size)]
        };
        offers.iter().map(element).collect()
    }

    /// What happens next: mostly to one runner, once in four times to up to four; now and then to the market itself.
    pub(super) fn make(&mut self) -> Delta {
        let mut delta = Delta { id: self.market.id.clone(), ..Delta::default() };
        if self.market.suspended || self.prng.one_in(SUSPENSION_EVERY) {
            self.market.toggle(&mut self.prng);
            delta.definition = Some(self.definition());
            return delta;
        }
        let count = self.market.runners.len();
        let first = self.prng.below(count);
        let runners = if self.prng.one_in(4) { self.prng.between(2, 4) as usize } else { 1 };
        for place in first..first + runners {
            let told = self.change(place % count, &mut delta.tv);
            delta.runners.push(told);
        }
        delta
    }

    fn change(&mut self, place: usize, tv: &mut Option<String>) -> RunnerDelta {
        let sides = |market: &BetfairMarket, prices: &[i64]| {
            let runner = &market.runners[place];
            [best(&runner.back, prices), best(&runner.lay, prices)]
        };
        let before = sides(&self.market, &self.prices);
        let volume = self.market.runners[place].volume;
        let change = self.market.change(place, &mut self.prng, PRICES);
        let after = sides(&self.market, &self.prices);
        let runner = &self.market.runners[place];
        let mut told = RunnerDelta { id: runner.id.to_string(), ..RunnerDelta::default() };
        let mut put = |key: &str, elements: Vec<Element>| {
            if !elements.is_empty() {
                told.ladders.push((key.to_owned(), elements));
            }
        };
        put("atb", self.offers(&change.back));
        put("atl", self.offers(&change.lay));
        for (key, side) in [("batb", 0), ("batl", 1), ("bdatb", 0), ("bdatl", 1)] {
            put(key, leveled(&before[side], &after[side]));
        }
        if change.traded {
            let matched = self.traded.entry((place, runner.last)).or_default();
            *matched += runner.volume - volume;
            let price = self.prices.get(runner.last).copied().unwrap_or(0);
            put("trd", vec![vec![shortest(price), shortest(*matched)]]);
            told.scalars = self.scalars(runner.last, runner.volume);
            *tv = Some(self.volume());
        }
        told
    }

    fn definition(&self) -> String {
        let BetfairMarket { event_id, version, suspended, in_play, runners, .. } = &self.market;
        let told = runners.iter().zip(1..).map(|(runner, priority)| {
            format!("{{\"status\":\"ACTIVE\",\"sortPriority\":{priority},\"id\":{}}}", runner.id)
        });
        let told: Vec<String> = told.collect();
        format!(
            "{{\"bspMarket\":false,\"turnInPlayEnabled\":true,\"persistenceEnabled\":true,\"marketBaseRate\":5,\"eventId\":\"{event_id}\",\
             \"eventTypeId\":\"7\",\"numberOfWinners\":1,\"bettingType\":\"ODDS\",\"marketType\":\"WIN\",\"marketTime\":\"{MARKET_TIME}\",\
             \"suspendTime\":\"{MARKET_TIME}\",\"bspReconciled\":false,\"complete\":true,\"inPlay\":{in_play},\"crossMatching\":true,\
             \"runnersVoidable\":false,\"numberOfActiveRunners\":{},\"betDelay\":{},\"status\":\"{}\",\"runners\":[{}],\
             \"regulators\":[\"MR_INT\"],\"venue\":\"Tickford\",\"countryCode\":\"GB\",\"discountAllowed\":true,\
             \"timezone\":\"Europe/London\",\"openDate\":\"{MARKET_TIME}\",\"version\":{version}}}",
            runners.len(),
            u8::from(*in_play),
            if *suspended { "SUSPENDED" } else { "OPEN" },
            told.join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::Market;
    use super::super::delta::DataFilter;
    use super::*;

    #[test]
    fn changes_keep_the_best_levels_and_all_offers_in_step() {
        let mut made = Made::new(1, Prng::new(3));
        let mut cache = Market::default();
        cache.apply(&made.image(), 1);
        for at in 2..5_000 {
            let delta = made.make();
            cache.apply(&delta, at);
        }
        assert!(!made.traded.is_empty());
        let theirs = cache.image(made.id());
        for (runner, told) in made.market.runners.iter().zip(made.image().runners) {
            let known = theirs.runners.iter().find(|known| known.id == runner.id.to_string()).unwrap();
            for (key, mut elements) in told.ladders {
                let (_, mut kept) = known.ladders.iter().find(|(known, _)| *known == key).unwrap().clone();
                elements.sort();
                kept.sort();
                assert_eq!(kept, elements, "{key}");
            }
        }
        assert!(theirs.text(&DataFilter::default()).unwrap().len() > 1_000);
    }
}
