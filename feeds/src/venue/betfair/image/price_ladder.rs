//! The prices at which a market can be bet on (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2691053>).
//! A price off its ladder is counted and published all the same: the venue is right about its prices.

/// Which prices a market has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PriceLadder {
    /// 350 prices from 1.01 to 1000, in steps that grow.
    Classic,
    /// Every hundredth from 1.01 to 1000.
    Finest,
    /// Lines, or not said: any.
    #[default]
    Any,
}

/// Up to which price, in hundredths, and by which step.
const CLASSIC: [(i64, i64); 10] = [
    (200, 1),
    (300, 2),
    (400, 5),
    (600, 10),
    (1_000, 20),
    (2_000, 50),
    (3_000, 100),
    (5_000, 200),
    (10_000, 500),
    (100_000, 1_000),
];

impl PriceLadder {
    /// By `bettingType` and `priceLadderDefinition.type`. Definitions of before there were several do not name it.
    pub(super) fn of(betting: &[u8], ladder: &[u8]) -> Self {
        match (betting, ladder) {
            (b"LINE" | b"RANGE", _) => PriceLadder::Any,
            (_, b"CLASSIC" | b"") => PriceLadder::Classic,
            (_, b"FINEST") => PriceLadder::Finest,
            _ => PriceLadder::Any,
        }
    }

    /// Whether a price, in millionths, is one of its own.
    pub(super) fn has(self, millionths: i64) -> bool {
        const MILLIONTHS: i64 = 10_000;
        let hundredths = millionths / MILLIONTHS;
        let is_bettable = millionths % MILLIONTHS == 0 && (101..=100_000).contains(&hundredths);
        match self {
            PriceLadder::Any => true,
            PriceLadder::Finest => is_bettable,
            PriceLadder::Classic => {
                // Each bound is a multiple of the step behind it.
                let step = CLASSIC.iter().find(|(bound, _)| hundredths <= *bound).map(|(_, step)| *step);
                is_bettable && step.is_some_and(|step| hundredths % step == 0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_ladder_has_350_prices_and_the_finest_every_hundredth() {
        let on =
            |ladder: PriceLadder| (0..=110_000_000).filter(|m| m % 100 == 0 && ladder.has(m * 10)).count();
        assert_eq!((on(PriceLadder::Classic), on(PriceLadder::Finest)), (350, 99_900));
    }

    #[test]
    fn a_price_is_on_the_ladder_of_its_band() {
        for (hundredths, classic) in [
            (100, false),
            (101, true),
            (201, false),
            (202, true),
            (302, false),
            (305, true),
            (1_030, false),
            (1_050, true),
            (100_000, true),
            (101_000, false),
        ] {
            assert_eq!(PriceLadder::Classic.has(hundredths * 10_000), classic, "{hundredths}");
        }
        assert!(!PriceLadder::Finest.has(2_005_000), "half a hundredth");
        assert!(PriceLadder::of(b"LINE", b"LINE_RANGE").has(165_500_000));
    }

    #[test]
    fn the_ladder_is_read_from_the_definition() {
        for (betting, ladder, expected) in [
            ("ODDS", "CLASSIC", PriceLadder::Classic),
            ("ODDS", "", PriceLadder::Classic),
            ("ODDS", "FINEST", PriceLadder::Finest),
            ("LINE", "LINE_RANGE", PriceLadder::Any),
            ("LINE", "", PriceLadder::Any),
            ("ODDS", "SOMETHING", PriceLadder::Any),
        ] {
            assert_eq!(
                PriceLadder::of(betting.as_bytes(), ladder.as_bytes()),
                expected,
                "{betting} {ladder}"
            );
        }
    }
}
