//! How long to wait before the next attempt: doubling from a first wait to a cap, each shortened at random by up to
//! a half, so that many clients of a venue that was down do not come back as one. It refuses to end: who gives up is
//! the connector's decision.

/// Waits between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first_ns: u64,
    cap_ns: u64,
    next_ns: u64,
    random: u64,
}

impl Backoff {
    /// Waits from `first_ns` to `cap_ns`; `seed` differs between processes.
    pub const fn new(first_ns: u64, cap_ns: u64, seed: u64) -> Self {
        Self { first_ns, cap_ns, next_ns: first_ns, random: seed | 1 }
    }

    /// The next wait, ns: between a half and the whole of what is due.
    pub fn next_ns(&mut self) -> u64 {
        // xorshift64, https://www.jstatsoft.org/article/view/v008i14
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let whole = self.next_ns;
        self.next_ns = whole.saturating_mul(2).min(self.cap_ns);
        whole - self.random % (whole / 2 + 1)
    }

    /// It worked: the next wait is the first again.
    pub const fn reset(&mut self) {
        self.next_ns = self.first_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_are_shortened_by_at_most_a_half() {
        let mut backoff = Backoff::new(1_000, 30_000, 7);
        let mut other = Backoff::new(1_000, 30_000, 8);
        for whole in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let wait = backoff.next_ns();
            assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole}");
            assert_ne!(wait, other.next_ns(), "seeds tell clients apart");
        }
        backoff.reset();
        assert!(backoff.next_ns() <= 1_000);
    }
}
