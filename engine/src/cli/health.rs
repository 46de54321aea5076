//! `tickline health`: what works and what does not, as a running engine says it.

use std::fmt::Write;
use std::time::Duration;

use tickline_config::report::{PartReport, PartState};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::target::{DEFAULT_URL, Target};

use super::words::{seconds, share};
use super::{ConfigArgs, Exit, Failure, duration, print_text};
use crate::health::is_ours;

/// Arguments of `health`.
#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    place: Place,
    /// Look again and again: first everything, then only what has changed.
    #[arg(long)]
    watch: bool,
    /// Time between two looks.
    #[arg(long, value_parser = duration, default_value = "30s", requires = "watch")]
    interval: Duration,
    /// Exit as /ready answers: with 1 only if a part of our own has failed, not a publisher or its feed.
    #[arg(long)]
    ready: bool,
    /// One JSON array a look, on a line of its own.
    #[arg(long)]
    json: bool,
}

/// Which engine is looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Where the engine serves. Default: as the configuration says, http://127.0.0.1:9600 without one.
    #[arg(long, conflicts_with_all = ["files", "sets"])]
    url: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Place {
    /// Its address.
    pub(super) fn url(&self) -> Result<String, Failure> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let listen = self.config.load_to_look()?.config.http.listen;
        Ok(listen.map_or_else(|| DEFAULT_URL.to_owned(), |listen| format!("http://{listen}")))
    }
}

pub(super) fn run(args: &HealthArgs) -> Result<Exit, Failure> {
    let target = Target::new(&args.place.url()?).map_err(|error| Failure::usage(error.to_string()))?;
    let mut before = Vec::new();
    loop {
        let parts = look(&target);
        let now_s = OsClock::start().wall().0 / 1_000_000_000;
        if args.json {
            let line = serde_json::to_string(&parts).map_err(Failure::failed)?;
            print_text(&format!("{line}\n"))?;
        } else if before.is_empty() {
            print_text(&table(&parts, now_s))?;
        } else {
            print_text(&changes(&before, &parts))?;
        }
        if !args.watch {
            let counts = |part: &PartReport| !args.ready || is_ours(part);
            let failed = parts.iter().any(|part| part.state == PartState::Failed && counts(part));
            return Ok(if failed { Exit::Failed } else { Exit::Ok });
        }
        before = parts;
        // Nothing but a signal, which ends the process, has anything to say meanwhile.
        std::thread::park_timeout(args.interval);
    }
}

/// The engine's parts, or that it does not answer.
pub(super) fn look(target: &Target) -> Vec<PartReport> {
    match target.glance() {
        Ok((report, _)) => report.parts,
        Err(error) => vec![PartReport {
            state: PartState::Failed,
            cause: error.to_string(),
            next: "tickline status says what runs; tickline up or tickline run starts it; --config or --url says where it serves".to_owned(),
            ..PartReport::ok("engine")
        }],
    }
}

const fn word(state: PartState) -> &'static str {
    match state {
        PartState::Ok => "ok",
        PartState::Degraded => "degraded",
        PartState::Failed => "FAILED",
    }
}

/// Every part, a line each, and below it what is wrong with it.
pub(super) fn table(parts: &[PartReport], now_s: i64) -> String {
    let width = parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0).max(4);
    let mut out = String::new();
    // Writing to a String cannot fail.
    writeln!(
        out,
        "{:<8}  {:<width$}  {:>9}  {:>8}  {:>8}  {:>8}",
        "state", "part", "since", "1 h", "24 h", "30 d"
    )
    .ok();
    for part in parts {
        let past = &part.uptime;
        let since = if past.since_s == 0 { "-".to_owned() } else { seconds((now_s - past.since_s).max(0)) };
        let [hour, day, month] = [past.hour, past.day, past.month].map(share);
        writeln!(
            out,
            "{:<8}  {:<width$}  {since:>9}  {hour:>8}  {day:>8}  {month:>8}",
            word(part.state),
            part.name
        )
        .ok();
        if part.state != PartState::Ok {
            writeln!(out, "          {}\n          next: {}", part.cause, part.next).ok();
        }
    }
    out
}

/// What is another than before: a line each, with the time.
fn changes(before: &[PartReport], now: &[PartReport]) -> String {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut out = String::new();
    let of = |parts: &[PartReport], name: &str| parts.iter().find(|part| part.name == name).cloned();
    for part in now {
        let old = of(before, &part.name);
        if old.is_some_and(|old| (old.state, &old.cause) == (part.state, &part.cause)) {
            continue;
        }
        let cause =
            if part.cause.is_empty() { String::new() } else { format!(": {}; {}", part.cause, part.next) };
        writeln!(out, "{time} {} {}{cause}", word(part.state), part.name).ok();
    }
    for part in before.iter().filter(|part| of(now, &part.name).is_none()) {
        writeln!(out, "{time} gone {}", part.name).ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use tickline_config::report::UptimeReport;

    use super::*;

    fn failed(name: &str, cause: &str) -> PartReport {
        PartReport {
            state: PartState::Failed,
            cause: cause.into(),
            next: "do that".into(),
            ..PartReport::ok(name)
        }
    }

    #[test]
    fn the_table_says_cause_and_next_step_below_a_part_that_failed() {
        let uptime = UptimeReport { since_s: 10_000, hour: Some(1.0), day: Some(0.98765), month: None };
        let parts =
            [failed("sinks.influx", "login refused"), PartReport { uptime, ..PartReport::ok("engine") }];
        let expected = "\
state     part              since       1 h      24 h      30 d
FAILED    sinks.influx          -         -         -         -
          login refused
          next: do that
ok        engine            2.0 h  100.00 %   98.77 %         -
";
        assert_eq!(table(&parts, 10_000 + 7_200), expected);
    }

    #[test]
    fn a_look_again_tells_only_what_has_changed() {
        let before = [PartReport::ok("engine"), failed("feeds.a", "gone"), PartReport::ok("feeds.b")];
        assert_eq!(changes(&before, &before), "");
        let now = [PartReport::ok("engine"), PartReport::ok("feeds.a")];
        let said = changes(&before, &now);
        let lines: Vec<&str> = said.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines, ["ok feeds.a", "gone feeds.b"]);
    }
}
