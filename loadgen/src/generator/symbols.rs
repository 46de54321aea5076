//! Which symbol a message is of: some are busier than others, messages of one come in runs, and no symbol is sent
//! more often than its venue allows.

use super::Slot;
use crate::prng::Prng;

/// Chooses symbols.
#[derive(Debug)]
pub(super) struct Symbols {
    /// Of so many symbols.
    count: usize,
    /// Sums of the weights up to each symbol; empty: all alike.
    cumulative: Vec<f64>,
    symbol: usize,
    run_left: usize,
}

impl Symbols {
    /// The symbol of rank r (from 1) has weight 1 / r^`zipf`; 0: all alike.
    pub(super) fn new(count: usize, zipf: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=count).map(|rank| {
            sum += (rank as f64).powf(-zipf);
            sum
        });
        let cumulative = if zipf > 0.0 { weights.collect() } else { Vec::new() };
        Self { count, cumulative, symbol: 0, run_left: 0 }
    }

    /// How many symbols there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The symbol of the next message.
    pub(super) fn next(&mut self, slot: &Slot, prng: &mut Prng) -> usize {
        if slot.joined {
            return self.symbol;
        }
        if self.run_left > 0 {
            self.run_left -= 1;
        } else if !prng.one_in(4) {
            self.symbol = self.draw(prng);
            self.run_left = if prng.one_in(500) { 59 } else { 0 };
        }
        self.symbol
    }

    fn draw(&self, prng: &mut Prng) -> usize {
        let Some(sum) = self.cumulative.last() else { return prng.below(self.count) };
        let dice = prng.unit() * sum;
        self.cumulative.partition_point(|upto| *upto <= dice).min(self.count - 1)
    }
}

/// Keeps a symbol from being sent more often than its venue does.
#[derive(Debug)]
pub(super) struct Spacing {
    gap_ns: u64,
    /// When each symbol may be sent again, ns after the start.
    free_ns: Vec<u64>,
}

impl Spacing {
    /// At least `gap_ns` between two messages of a symbol.
    pub(super) fn new(symbols: usize, gap_ns: u64) -> Self {
        Self { gap_ns, free_ns: vec![0; symbols] }
    }

    /// The first symbol from `chosen` on, in a circle, that may be sent now; `chosen` itself if none may: the plan
    /// asks for more than the venue sends, and says so.
    pub(super) fn choose(&mut self, chosen: usize, slot: &Slot) -> usize {
        let circle = (chosen..self.free_ns.len()).chain(0..chosen);
        let free = circle.into_iter().find(|symbol| self.free_ns[*symbol] <= slot.offset_ns);
        let symbol = free.unwrap_or(chosen);
        self.free_ns[symbol] = slot.offset_ns + self.gap_ns;
        symbol
    }
}

#[cfg(test)]
mod tests {
    use tickline_feeds::clock::WallNanos;

    use super::*;

    fn slot(offset_ns: u64) -> Slot {
        Slot { src: 1, seq: 1, venue: WallNanos(0), offset_ns, joined: false }
    }

    #[test]
    fn ranks_get_their_share_of_a_zipf_mix() {
        let (mut symbols, mut prng) = (Symbols::new(1_000, 1.0), Prng::new(7));
        let mut counts = vec![0_u32; 1_000];
        (0..200_000).for_each(|_| counts[symbols.next(&slot(0), &mut prng)] += 1);
        // The sum of 1/r up to 1,000 is 7.485; runs of one symbol make the figures rough.
        let share = |rank: usize| f64::from(counts[rank - 1]) / 200_000.0 * 7.485 * rank as f64;
        assert!((0.9..1.1).contains(&share(1)), "{}", share(1));
        assert!((0.8..1.2).contains(&share(2)), "{}", share(2));
        let tail: u32 = counts[500..].iter().sum();
        assert!((0.07..0.12).contains(&(f64::from(tail) / 200_000.0)), "{tail}");
    }

    #[test]
    fn a_joined_message_is_of_the_same_symbol() {
        let (mut symbols, mut prng) = (Symbols::new(1_000, 0.0), Prng::new(7));
        let first = symbols.next(&slot(0), &mut prng);
        for _ in 0..100 {
            assert_eq!(symbols.next(&Slot { joined: true, ..slot(0) }, &mut prng), first);
        }
    }

    #[test]
    fn a_symbol_waits_for_its_gap_and_another_takes_its_turn() {
        let mut spacing = Spacing::new(3, 250);
        let chosen: Vec<usize> = [(1, 0), (1, 10), (1, 20), (1, 30), (1, 260)]
            .map(|(wanted, offset_ns)| spacing.choose(wanted, &slot(offset_ns)))
            .into();
        // The fourth finds none free: the plan asks for too much.
        assert_eq!(chosen, [1, 2, 0, 1, 2]);
    }
}
