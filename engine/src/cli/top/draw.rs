//! One picture of an engine: what is wrong first, then feeds, sinks, queues and latencies.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};
use tickline_config::report::{FeedReport, Latency, PartReport, PartState, Report, SinkReport};

use super::Shown;
use crate::cli::words::{count, nanos};

/// Samples of the last minutes that a line of blocks shows.
const BLOCKS: usize = 24;

/// What is wrong takes so many lines at most.
const WRONG_MAX: usize = 8;

pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown) {
    let Some(report) = &shown.now else {
        let why = shown.error.as_deref().unwrap_or("asking");
        return frame
            .render_widget(Paragraph::new(format!("tickline top {}: {why}", shown.url)), frame.area());
    };
    let wrong: Vec<&PartReport> = report.parts.iter().filter(|part| part.state != PartState::Ok).collect();
    let rows = |n: usize| Constraint::Length(u16::try_from(n + 2).unwrap_or(u16::MAX));
    let feeds = report.feeds.iter().filter(|(name, _)| *name != "_engine").count();
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(u16::try_from(2 * wrong.len().min(WRONG_MAX)).unwrap_or(0)),
        rows(feeds),
        rows(report.sinks.len()),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .split(frame.area());
    frame.render_widget(head(report, &wrong, shown.error.as_deref()), areas[0]);
    let lines: Vec<Line<'_>> = wrong.iter().take(WRONG_MAX).flat_map(|part| explained(part)).collect();
    frame.render_widget(Paragraph::new(lines), areas[1]);
    frame.render_widget(feed_table(report, shown), areas[2]);
    frame.render_widget(sink_table(report, shown), areas[3]);
    stages(frame, report, areas[4]);
    frame.render_widget(Paragraph::new("q: end").dim(), areas[5]);
}

const fn mark(state: PartState) -> (&'static str, Color) {
    match state {
        PartState::Ok => ("●", Color::Green),
        PartState::Degraded => ("▲", Color::Yellow),
        PartState::Failed => ("✖", Color::Red),
    }
}

fn head(report: &Report, wrong: &[&PartReport], error: Option<&str>) -> Paragraph<'static> {
    let run_ns = (report.elapsed_s * 1e9) as i64;
    let run = format!("tickline {}  {} for {}   ", report.build.version, report.command, nanos(run_ns));
    let of = |state| wrong.iter().filter(|part| part.state == state).count();
    let (failed, degraded) = (of(PartState::Failed), of(PartState::Degraded));
    let (state, text) = match (error, failed, degraded) {
        (Some(error), ..) => (PartState::Failed, format!("no answer: {error}")),
        (None, 0, 0) => (PartState::Ok, "all is well".to_owned()),
        (None, 0, degraded) => (PartState::Degraded, format!("{degraded} degraded")),
        (None, failed, degraded) => (PartState::Failed, format!("{failed} failed, {degraded} degraded")),
    };
    let (sign, colour) = mark(state);
    let verdict =
        Span::styled(format!("{sign} {text}"), Style::new().fg(colour).add_modifier(Modifier::BOLD));
    Paragraph::new(Line::from(vec![Span::from(run), verdict]))
}

fn explained(part: &PartReport) -> [Line<'static>; 2] {
    let (sign, colour) = mark(part.state);
    let what = Line::from(vec![
        Span::styled(format!("{sign} {} ", part.name), Style::new().fg(colour)),
        Span::from(part.cause.clone()),
    ]);
    [what, Line::from(format!("  {}", part.next)).dim()]
}

/// A table whose first column is as wide as it can be.
fn table<'a, const N: usize>(title: &'a str, heads: [&'a str; N], rows: Vec<Row<'a>>) -> Table<'a> {
    let right = |text: &'a str| Cell::from(Line::from(text).right_aligned());
    let heads =
        heads.into_iter().enumerate().map(|(at, text)| if at == 0 { Cell::from(title) } else { right(text) });
    let mut widths = vec![Constraint::Length(11); N];
    widths[0] = Constraint::Min(16);
    widths[1] = Constraint::Length(BLOCKS as u16);
    Table::new(rows, widths).header(Row::new(heads).dim()).block(Block::new().borders(Borders::TOP))
}

fn cells(name: Cell<'static>, blocks: String, texts: Vec<String>) -> Row<'static> {
    let texts = texts.into_iter().map(|text| Cell::from(Line::from(text).right_aligned()));
    Row::new([name, Cell::from(blocks)].into_iter().chain(texts))
}

fn named(report: &Report, part: &str, name: &str) -> Cell<'static> {
    let state = report.parts.iter().find(|known| known.name == part).map_or(PartState::Ok, |part| part.state);
    let (sign, colour) = mark(state);
    Cell::from(Line::from(vec![
        Span::styled(format!("{sign} "), Style::new().fg(colour)),
        Span::from(name.to_owned()),
    ]))
}

fn feed_table<'a>(report: &'a Report, shown: &Shown) -> Table<'a> {
    let row = |(name, feed): (&String, &FeedReport)| {
        let before = shown.before.as_ref().and_then(|before| Some(before.feeds.get(name)?.frames));
        let lost = feed.ledger.lost_before_receive.map_or_else(
            || "unknown".to_owned(),
            |lost| count(lost + feed.ledger.lost_overload.unwrap_or(0)),
        );
        let last = feed.last_ns.map_or_else(|| "never".to_owned(), |at| nanos((shown.at_ns - at).max(0)));
        let lag = feed.lag_ns.map_or_else(|| "-".to_owned(), nanos);
        let rate = rate(feed.frames, before, report, shown);
        let blocks = blocks(&shown.history, &format!("feeds.{name}.frames_per_s"));
        cells(
            named(report, &format!("feeds.{name}"), name),
            blocks,
            vec![rate, last, lag, lost, count(feed.points)],
        )
    };
    let rows = report.feeds.iter().filter(|(name, _)| *name != "_engine").map(row).collect();
    table("feed", ["", "", "msg/s", "last tick", "lag", "lost", "points"], rows)
}

fn sink_table<'a>(report: &'a Report, shown: &Shown) -> Table<'a> {
    let sum = |reasons: &BTreeMap<String, u64>| reasons.values().sum::<u64>();
    let row = |(name, sink): (&String, &SinkReport)| {
        let before = shown.before.as_ref().and_then(|before| Some(before.sinks.get(name)?.ledger.written));
        let ledger = &sink.ledger;
        let rate = rate(ledger.written, before, report, shown);
        let gone = sum(&ledger.rejected) + sum(&ledger.dropped);
        let p99 = quantile(&sink.publish_to_ack_ns, sink.publish_to_ack_ns.p99);
        let texts = [ledger.in_flight, ledger.spooled, gone].map(count);
        let texts = [rate].into_iter().chain(texts).chain([p99]).collect();
        let blocks = blocks(&shown.history, &format!("sinks.{name}.points_per_s"));
        cells(named(report, &format!("sinks.{name}"), name), blocks, texts)
    };
    let rows = report.sinks.iter().map(row).collect();
    table("sink", ["", "", "points/s", "in flight", "on disk", "lost", "stored p99"], rows)
}

fn rate(now: u64, before: Option<u64>, report: &Report, shown: &Shown) -> String {
    let span_s = shown.before.as_ref().map_or(0.0, |before| report.elapsed_s - before.elapsed_s);
    match before {
        Some(before) if span_s > 0.0 => count((now.saturating_sub(before) as f64 / span_s).round() as u64),
        _ => "-".to_owned(),
    }
}

/// A quantile of what was measured, if anything was.
fn quantile(of: &Latency, ns: u64) -> String {
    if of.count == 0 { "-".to_owned() } else { nanos(i64::try_from(ns).unwrap_or(i64::MAX)) }
}

/// The last samples of a series, each a block as high as its share of the largest.
fn blocks(history: &serde_json::Value, series: &str) -> String {
    let values = history["series"][series].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = &values[values.len().saturating_sub(BLOCKS)..];
    let most = last.iter().filter_map(serde_json::Value::as_f64).fold(0.0, f64::max);
    let block = |value: &serde_json::Value| match value.as_f64() {
        Some(value) if most > 0.0 => {
            char::from_u32(0x2581 + (value / most * 7.0).round() as u32).unwrap_or(' ')
        }
        Some(_) => '▁',
        None => ' ',
    };
    last.iter().map(block).collect()
}

/// Queues on the left, latencies on the right.
fn stages(frame: &mut Frame<'_>, report: &Report, area: Rect) {
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    let queue = |(name, queue): (&String, &tickline_config::report::QueueReport)| {
        let full = queue.waiting as f64 / queue.capacity.max(1) as f64;
        let bar = "█".repeat((full * 10.0).round() as usize);
        let texts = [bar, count(queue.waiting), count(queue.capacity)];
        Row::new([Cell::from(name.clone())].into_iter().chain(texts.map(Cell::from)))
    };
    let rows: Vec<Row<'_>> = report.queues.iter().map(queue).collect();
    let widths = [Constraint::Min(12), Constraint::Length(10), Constraint::Length(8), Constraint::Length(8)];
    let heads = Row::new(["queue before", "fill", "waiting", "of"]).dim();
    frame.render_widget(
        Table::new(rows, widths).header(heads).block(Block::new().borders(Borders::TOP)),
        left,
    );
    let latency = report.latency_ns.iter().filter(|(_, of)| of.count > 0).map(|(name, of)| {
        let quantiles = [of.p50, of.p99, of.p999].map(|ns| quantile(of, ns));
        Row::new([name.replace('_', " ")].into_iter().chain(quantiles).map(Cell::from))
    });
    let widths = [Constraint::Min(18), Constraint::Length(8), Constraint::Length(8), Constraint::Length(8)];
    let heads = Row::new(["since the start", "p50", "p99", "p99.9"]).dim();
    let block = Block::new().borders(Borders::TOP);
    frame.render_widget(Table::new(latency.collect::<Vec<_>>(), widths).header(heads).block(block), right);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;
    use tickline_config::report::{Ledger, QueueReport};

    use super::*;

    fn report(elapsed_s: f64, frames: u64) -> Report {
        let ledger =
            Ledger { written: frames, spooled: 7, lost_before_receive: Some(3), ..Ledger::default() };
        let feed = FeedReport {
            frames,
            points: frames,
            last_ns: Some(1_000_000_000),
            lag_ns: Some(250_000),
            ledger: ledger.clone(),
            ..FeedReport::default()
        };
        let silent = FeedReport::default();
        let sink = SinkReport { ledger, ..SinkReport::default() };
        let wrong = PartReport {
            state: PartState::Failed,
            cause: "silent (transport)".into(),
            next: "look at its publisher".into(),
            ..PartReport::ok("feeds.oanda_tick")
        };
        Report {
            command: "run".into(),
            elapsed_s,
            feeds: [("kraken_tick".to_owned(), feed), ("oanda_tick".to_owned(), silent)].into(),
            sinks: [("influx".to_owned(), sink)].into(),
            latency_ns: [(
                "publish_to_receive".to_owned(),
                Latency { count: 1, p99: 4_000_000, ..Latency::default() },
            )]
            .into(),
            queues: [("sinks.influx".to_owned(), QueueReport { waiting: 8, capacity: 16 })].into(),
            parts: vec![wrong, PartReport::ok("feeds.kraken_tick")],
            ..Report::default()
        }
    }

    fn screen(shown: &Shown, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, shown)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells: Vec<&str> = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(usize::from(width)).map(|row| row.concat().trim_end().to_owned()).collect()
    }

    #[test]
    fn the_screen_says_first_what_is_wrong_and_then_rates_ages_and_queues() {
        let history = json!({ "series": { "feeds.kraken_tick.frames_per_s": [null, 0.0, 50.0, 100.0] } });
        let (now, before) = (Some(report(12.0, 3_400)), Some(report(10.0, 1_000)));
        let shown = Shown { now, before, history, at_ns: 3_500_000_000, ..Shown::default() };
        let screen = screen(&shown, 110, 16);
        assert!(screen[0].ends_with("run for 12 s   ✖ 1 failed, 0 degraded"), "{}", screen[0]);
        assert_eq!(screen[1], "✖ feeds.oanda_tick silent (transport)");
        assert_eq!(screen[2], "  look at its publisher");
        let words = |row: usize| screen[row].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(5), "● kraken_tick ▁▅█ 1,200 2.5 s 250 us 3 3,400");
        assert_eq!(words(6), "✖ oanda_tick 0 never - unknown 0");
        assert_eq!(words(9), "● influx 1,200 0 7 0 -");
        assert!(
            words(12).starts_with("sinks.influx █████ 8 16 publish to receive 0 ns 4.0 ms"),
            "{}",
            words(12)
        );
    }

    #[test]
    fn a_small_terminal_and_an_engine_that_is_away_are_shown_too() {
        let shown = Shown { now: Some(report(1.0, 1)), error: Some("refused".into()), ..Shown::default() };
        assert!(screen(&shown, 40, 3)[0].starts_with("tickline"));
        assert!(screen(&shown, 110, 16)[0].ends_with("✖ no answer: refused"));
        let nothing = Shown { url: "http://x".into(), error: Some("refused".into()), ..Shown::default() };
        assert_eq!(screen(&nothing, 40, 3)[0], "tickline top http://x: refused");
    }
}
