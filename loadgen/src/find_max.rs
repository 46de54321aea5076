//! The highest rate at which an objective holds: which rate to try next, and which stage a run was limited by. Pure
//! functions of what was measured; trials are run by whoever asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tickline_config::report::{Report, Verdict};

use crate::measure::stages;
use crate::threshold::{Condition, nanos};

/// A stage whose threads are busy for more than this share of the time is the limit.
const BUSY_SHARE: f64 = 0.85;

/// Looks for the highest factor of a load that holds: doubles until one breaks, then halves the distance, as factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    holds: Option<f64>,
    breaks: Option<f64>,
    /// Factors that are tried at all.
    range: (f64, f64),
    precision: f64,
}

impl Search {
    /// Between two factors, until the highest that holds and the lowest that breaks differ by less than `precision`,
    /// such as 0.05.
    pub fn new(range: (f64, f64), precision: f64) -> Self {
        Self { holds: None, breaks: None, range, precision }
    }

    /// The factor to try next; none once it is known well enough.
    pub fn next(&self) -> Option<f64> {
        let (least, most) = self.range;
        match (self.holds, self.breaks) {
            (None, None) => Some(least.max(1.0).min(most)),
            (Some(holds), None) => (holds < most).then(|| (holds * 2.0).min(most)),
            (None, Some(breaks)) => (breaks > least).then(|| (breaks / 2.0).max(least)),
            (Some(holds), Some(breaks)) => {
                (breaks > holds * (1.0 + self.precision)).then(|| (holds * breaks).sqrt())
            }
        }
    }

    /// What became of a factor.
    pub fn tried(&mut self, factor: f64, holds: bool) {
        let side = if holds { &mut self.holds } else { &mut self.breaks };
        *side = Some(factor);
    }

    /// The highest factor that holds.
    pub fn highest(&self) -> Option<f64> {
        self.holds
    }
}

/// One run of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Messages a second that were planned, of all feeds.
    pub rate_per_s: f64,
    /// Messages a second that were sent.
    pub sent_per_s: f64,
    /// Whether the objective held.
    pub held: bool,
    /// What did not hold; empty if everything did.
    pub broken: Vec<String>,
    /// The stage that took most.
    pub limiter: String,
    /// Figures of the conditions, as measured.
    pub measured: Vec<String>,
}

impl Trial {
    /// Judges a run of `rate_per_s` by an objective. A run that was not what it should be breaks it, too, and so does
    /// one that has no figure for a condition: nothing came through.
    pub fn judge(report: &Report, rate_per_s: f64, objective: &[Condition]) -> Self {
        let mut broken = match report.verdict {
            Verdict::Pass => Vec::new(),
            Verdict::Fail | Verdict::Invalid => report.reasons.clone(),
        };
        let mut measured = Vec::new();
        for condition in objective {
            let figure = format!("{condition}: {}", condition.shown(report));
            if condition.holds(report) != Some(true) {
                broken.push(figure.clone());
            }
            measured.push(figure);
        }
        let sent_per_s =
            if report.elapsed_s > 0.0 { report.load.sent as f64 / report.elapsed_s } else { 0.0 };
        let held = broken.is_empty();
        Self { rate_per_s, sent_per_s, held, broken, limiter: limiter(report), measured }
    }
}

/// The stage that a run was, or would next be, limited by, with the figure that says so: a generator that is late, a
/// stage that has no time left, or the one in which messages spend most of their time.
pub fn limiter(report: &Report) -> String {
    if report.verdict == Verdict::Invalid {
        return format!("generator ({})", report.reasons.join("; "));
    }
    let cpu = &report.cpu_s;
    let share = |cpu_s: f64| if report.elapsed_s > 0.0 { cpu_s / report.elapsed_s } else { 0.0 };
    let threads = [("receive", share(cpu.rx)), ("encode", share(cpu.enc)), ("write", share(cpu.wr))];
    let busiest = threads.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((name, share)) = busiest.filter(|(_, share)| *share > BUSY_SHARE) {
        return format!("{name} ({:.0} % of one core)", share * 100.0);
    }
    // Each stage's part is what its end is later than the end of the stage before; sinks stand side by side.
    let (mut before, mut longest) = (0, None);
    for stage in stages(report) {
        let part = stage.due.p99.saturating_sub(before);
        if stage.sink.is_none() {
            before = stage.due.p99;
        }
        if longest.as_ref().is_none_or(|(_, most)| part > *most) {
            longest = Some((stage.label(), part));
        }
    }
    longest
        .map_or_else(|| "unknown".to_owned(), |(label, part)| format!("{label} ({} of the p99)", nanos(part)))
}

#[cfg(test)]
mod tests {
    use tickline_config::report::{Latency, SinkReport};

    use super::*;

    /// Runs a search in which everything up to `capacity` holds.
    fn search(capacity: f64, range: (f64, f64), precision: f64) -> (Option<f64>, usize) {
        let (mut search, mut trials) = (Search::new(range, precision), 0);
        while let Some(factor) = search.next() {
            search.tried(factor, factor <= capacity);
            trials += 1;
            assert!(trials < 100, "{search:?}");
        }
        (search.highest(), trials)
    }

    #[test]
    fn the_highest_rate_is_found_within_its_precision_and_in_few_trials() {
        for capacity in [1.0, 3.7, 97.0, 0.3, 1_023.0] {
            let (found, trials) = search(capacity, (0.01, 10_000.0), 0.05);
            let found = found.unwrap();
            assert!(found <= capacity && found > capacity / 1.05, "{capacity}: {found}");
            assert!(trials <= 17, "{capacity}: {trials} trials");
        }
    }

    #[test]
    fn the_search_ends_at_its_ends() {
        assert_eq!(search(1e9, (0.5, 100.0), 0.05).0, Some(100.0));
        assert_eq!(search(0.01, (0.5, 100.0), 0.05).0, None);
        assert_eq!(search(1.0, (1.0, 1.0), 0.05).0, Some(1.0));
    }

    fn latency(p99: u64) -> Latency {
        Latency { count: 1, p99, ..Latency::default() }
    }

    fn report() -> Report {
        let mut report = Report { elapsed_s: 10.0, ..Report::default() };
        (report.load.planned, report.load.sent) = (1_000, 1_000);
        for (name, p99) in [("due_to_send", 100_000), ("due_to_receive", 300_000), ("due_to_encode", 900_000)]
        {
            report.latency_ns.insert(name.to_owned(), latency(p99));
        }
        for (name, p99) in [("a", 1_000_000), ("b", 5_000_000)] {
            let sink = SinkReport { due_to_ack_ns: latency(p99), ..SinkReport::default() };
            report.sinks.insert(name.to_owned(), sink);
        }
        report
    }

    #[test]
    fn the_limiter_is_the_stage_without_time_or_the_one_that_takes_longest() {
        let mut report = report();
        assert_eq!(limiter(&report), "ack.b (4.10 ms of the p99)");
        report.sinks.clear();
        assert_eq!(limiter(&report), "encode (600.0 µs of the p99)");
        (report.cpu_s.rx, report.cpu_s.enc) = (8.0, 9.5);
        assert_eq!(limiter(&report), "encode (95 % of one core)");
        (report.verdict, report.reasons) = (Verdict::Invalid, vec!["3 late".to_owned()]);
        assert_eq!(limiter(&report), "generator (3 late)");
    }

    #[test]
    fn a_trial_breaks_by_its_objective_or_because_it_was_no_run() {
        let objective = ["p99<4ms", "lost=0"].map(|text| text.parse::<Condition>().unwrap());
        let mut report = report();
        let unknown = Trial::judge(&report, 100.0, &objective);
        assert_eq!((unknown.held, unknown.broken[1].as_str()), (false, "lost=0: unknown"));
        report.ledger.lost_before_receive = Some(0);
        let trial = Trial::judge(&report, 100.0, &objective);
        assert_eq!(
            (trial.held, trial.broken, trial.sent_per_s),
            (false, vec!["p99<4ms: 5.00 ms".to_owned()], 100.0)
        );
        report.sinks.remove("b");
        assert!(Trial::judge(&report, 100.0, &objective).held);
        (report.verdict, report.reasons) = (Verdict::Invalid, vec!["3 late".to_owned()]);
        assert_eq!(Trial::judge(&report, 100.0, &objective).broken, ["3 late"]);
    }
}
