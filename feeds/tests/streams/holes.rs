//! However a venue's connections fail: every message is published once, or a hole covers its time.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value as Json;
use tickline_config::secret::Secret;
use tickline_feeds::connect::OnRefused;
use tickline_feeds::connect::oanda::{Account, Prices, PricesSettings, Transactions};

use crate::rig::{BASE_NS, MILLI_NS, Message};
use crate::simulation::{Attempt, Simulation, Venue, attempt};
use crate::transactions::settings;
use crate::venue::{heartbeat, price, transaction};

/// No line for so long is what the connector waits for before it knows.
const UNNOTICED_MS: u64 = 10_000;

/// Moments `gaps` apart.
fn moments(gaps: &[u64]) -> Vec<u64> {
    gaps.iter().scan(0, |at, gap| Some(std::mem::replace(at, *at + gap))).collect()
}

fn with_heartbeats(
    mut lines: Vec<(u64, String)>,
    (from, to): (u64, u64),
    beat: impl Fn(u64) -> String,
) -> Vec<(u64, String)> {
    lines.extend((1..).map(|n| from + n * 5_000).take_while(|at| *at < to).map(|at| (at, beat(at))));
    lines.sort_by_key(|(at, _)| *at);
    lines
}

fn covered(messages: &[Message], ms: u64) -> bool {
    let ms = ms as i64;
    messages.iter().filter_map(Message::span_ms).any(|(from, to)| (from..=to).contains(&ms))
}

struct PriceVenue {
    /// When the price with that position as its bid is made.
    made: Vec<u64>,
}

impl Venue for PriceVenue {
    fn lines(&self, from: u64, to: u64) -> Vec<(u64, String)> {
        let made = || self.made.iter().enumerate();
        // The snapshot is the last price with its own time.
        let last = made().take_while(|(_, at)| **at < from).last().map_or(0, |(_, at)| *at as i64);
        let snapshot = (from, price("EUR_USD", last, "0.1"));
        let stream = made().filter(|(_, at)| (from..to).contains(at));
        let stream = stream.map(|(n, at)| (*at, price("EUR_USD", *at as i64, &n.to_string())));
        with_heartbeats([snapshot].into_iter().chain(stream).collect(), (from, to), |at| heartbeat(at, ""))
    }

    fn answer(&mut self, _: &str, _: u64) -> (u64, Option<u16>, String) {
        panic!("prices are not asked for")
    }
}

fn prices() -> Prices {
    Prices::new(PricesSettings {
        account: Account { token: Secret::new("t"), on_refused: OnRefused::Degrade, ..Account::default() },
        instruments: vec!["EUR_USD".to_owned()],
        topics: vec!["oanda_tick".to_owned()],
        ..PricesSettings::default()
    })
}

/// Position of a price; the snapshot has none.
fn position(message: &Message) -> Option<usize> {
    message.body["bids"][0]["price"].as_str()?.parse().ok()
}

/// What a venue answers when it is asked for transactions.
#[derive(Clone, Debug)]
enum Answer {
    /// At most so many, of what it knew so long ago, ms.
    Part(usize, u64),
    Failed(Option<u16>),
}

/// What becomes of a transaction on the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Whole,
    Dropped,
    Garbled,
    Twice,
}

struct TransactionVenue {
    /// By id: when it is made, and what the stream does with it.
    made: BTreeMap<u64, (u64, Fate)>,
    answers: std::vec::IntoIter<Answer>,
    latency_ms: u64,
}

impl TransactionVenue {
    fn last(&self, ms: u64) -> u64 {
        self.made.iter().filter(|(_, (at, _))| *at <= ms).map(|(id, _)| *id).max().unwrap_or(99)
    }
}

impl Venue for TransactionVenue {
    fn lines(&self, from: u64, to: u64) -> Vec<(u64, String)> {
        let stream = self.made.iter().filter(|(_, (at, _))| (from..to).contains(at));
        let lines = stream.flat_map(|(id, (at, fate))| {
            let whole = transaction(*id, *id, *at as i64);
            let lines = match fate {
                Fate::Whole => vec![whole],
                Fate::Dropped => vec![],
                Fate::Garbled => vec![whole[..whole.len() / 2].to_owned()],
                Fate::Twice => vec![whole.to_owned(), whole],
            };
            lines.into_iter().map(|line| (*at, line))
        });
        with_heartbeats(lines.collect(), (from, to), |at| heartbeat(at, &self.last(at).to_string()))
    }

    fn answer(&mut self, url: &str, now: u64) -> (u64, Option<u16>, String) {
        let since: u64 = url.split("id=").nth(1).and_then(|id| id.parse().ok()).expect("an id");
        let at = now + 2 * self.latency_ms;
        match self.answers.next().unwrap_or(Answer::Part(usize::MAX, 0)) {
            Answer::Failed(status) => (at, status, "as the script says".to_owned()),
            Answer::Part(most, behind_ms) => {
                let known = self.last((now + self.latency_ms).saturating_sub(behind_ms));
                let found = self.made.iter().filter(|(id, _)| (since + 1..=known).contains(*id)).take(most);
                let found: Vec<String> =
                    found.map(|(id, (at, _))| transaction(*id, *id, *at as i64)).collect();
                let body =
                    format!(r#"{{"transactions":[{}],"lastTransactionID":"{known}"}}"#, found.join(","));
                (at, Some(200), body)
            }
        }
    }
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let status = prop_oneof![Just(None), Just(Some(429)), Just(Some(500)), Just(Some(404))];
    let answer = prop_oneof![
        2 => (prop_oneof![Just(0), 1..4_usize, Just(usize::MAX)], prop_oneof![Just(0), 0..3_000_u64])
            .prop_map(|(most, behind)| Answer::Part(most, behind)),
        3 => status.prop_map(Answer::Failed),
    ];
    prop_oneof![Just(vec![]), vec(answer, 0..25)]
}

fn transactions_made() -> impl Strategy<Value = BTreeMap<u64, (u64, Fate)>> {
    let fate = prop_oneof![
        6 => Just(Fate::Whole),
        1 => Just(Fate::Dropped),
        1 => Just(Fate::Garbled),
        1 => Just(Fate::Twice),
    ];
    // Now and then the venue leaves an id out.
    vec((0..4_000_u64, fate, prop_oneof![9 => Just(1_u64), 1 => 2..4_u64]), 1..60).prop_map(|made| {
        let (mut at, mut id) = (0, 99);
        let next = |(gap, fate, step)| {
            (at, id) = (at + gap, id + step);
            (id, (at, fate))
        };
        made.into_iter().map(next).collect()
    })
}

/// First and last id of each exact gap, and its span in ms.
fn exact_gaps(messages: &[Message]) -> Vec<((u64, u64), (i64, i64))> {
    let exact = messages.iter().filter(|message| message.body.get("lost").is_some());
    let read = |message: &Message| {
        let detail = message.body["detail"].as_str().expect("a text").to_owned();
        let mut numbers = detail.split([' ', ':']).filter_map(|word| word.parse::<u64>().ok());
        let ids = (numbers.next().expect("the first id"), numbers.next().expect("the last id"));
        assert_eq!(message.body["lost"], Json::from(ids.1 - ids.0 + 1), "{detail}");
        (ids, message.span_ms().expect("a span"))
    };
    exact.map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_price_is_published_once_and_in_order_or_a_hole_covers_its_time(
        gaps in vec(0..1_500_u64, 1..300),
        attempts in vec(attempt(), 0..12),
        latency_ms in 1..200_u64,
        ahead_ms in 0..300_u64,
        end_ms in 1_000..900_000_u64,
    ) {
        let venue = PriceVenue { made: moments(&gaps) };
        let mut simulation = Simulation::new(prices(), venue, attempts, latency_ms, end_ms);
        simulation.rig.ahead_ms = ahead_ms as i64;
        simulation.run();
        let messages = &simulation.rig.messages;
        let published: Vec<usize> = messages.iter().filter_map(position).collect();
        prop_assert!(published.is_sorted_by(|a, b| a < b), "{published:?}");
        // Before its first line the venue's clock is not known: ours says when the first connection stood.
        let opened = simulation.first_opened_ms.map_or(u64::MAX, |ms| ms + ahead_ms);
        // A connection that stands at the end may have been silent for as long as it takes to notice.
        let unnoticed = if simulation.standing { UNNOTICED_MS + 2 * latency_ms } else { 0 };
        for (n, at) in simulation.venue.made.iter().enumerate() {
            let counts = (opened..(end_ms + 1).saturating_sub(unnoticed)).contains(at);
            if counts && published.binary_search(&n).is_err() {
                prop_assert!(covered(messages, *at), "price {n} of {at} ms");
            }
        }
        for three in simulation.attempted_ms.windows(3) {
            prop_assert!(three[2] - three[0] >= 1_000, "{three:?}");
        }
    }

    #[test]
    fn every_transaction_is_published_once_and_in_order_or_counted_as_lost_in_a_gap_that_covers_its_time(
        made in transactions_made(),
        attempts in vec(attempt(), 0..8),
        answers in answers(),
        latency_ms in 1..200_u64,
        end_ms in prop_oneof![1_000..400_000_u64, Just(2_000_000)],
    ) {
        let answers_well = answers.iter().all(|answer| matches!(answer, Answer::Part(1.., 0)));
        let venue = TransactionVenue { made, answers: answers.into_iter(), latency_ms };
        let mut settings = settings();
        settings.seed = end_ms;
        let connector = Transactions::new(settings);
        let mut simulation = Simulation::new(connector, venue, attempts, latency_ms, end_ms);
        simulation.run();
        let messages = &simulation.rig.messages;
        let id = |message: &Message| message.body["id"].as_str().and_then(|id| id.parse::<u64>().ok());
        let published: Vec<u64> = messages.iter().filter_map(id).collect();
        prop_assert!(published.is_sorted_by(|a, b| a < b), "{published:?}");
        let gaps = exact_gaps(messages);
        let lost: Vec<u64> = gaps.iter().flat_map(|((from, to), _)| *from..=*to).collect();
        let mut told: Vec<u64> = published.iter().chain(&lost).copied().collect();
        told.sort_unstable();
        let (Some(first), Some(last)) = (told.first(), told.last()) else { return Ok(()) };
        prop_assert_eq!(&told, &(*first..=*last).collect::<Vec<_>>(), "each id is published or lost, and only once");
        for (id, (at, _)) in &simulation.venue.made {
            let span = gaps.iter().find(|((from, to), _)| (from..=to).contains(&id)).map(|(_, span)| *span);
            if let Some((from, to)) = span {
                prop_assert!((from..=to).contains(&(*at as i64)), "{id} of {at} ms in [{from}..{to}]");
            }
            let unnoticed = if simulation.standing { UNNOTICED_MS + 2 * latency_ms } else { 0 };
            if id > last && *at <= end_ms.saturating_sub(unnoticed) {
                prop_assert!(covered(messages, *at), "{id} of {at} ms is behind the last one told");
            }
        }
        if end_ms == 2_000_000 {
            let made = &simulation.venue.made;
            prop_assert_eq!(Some(last), made.keys().max(), "in the end everything is told");
            let had = lost.iter().find(|id| made.contains_key(id));
            prop_assert!(!answers_well || had.is_none(), "{had:?} could have been fetched");
        }
    }
}

#[test]
fn a_message_on_its_way_when_the_connection_is_cut_is_covered_although_it_was_made_before_the_last_line_was_read()
 {
    let venue = PriceVenue { made: vec![0, 1_000, 1_050] };
    let attempts = vec![Attempt::Lives(920, true)];
    let mut simulation = Simulation::new(prices(), venue, attempts, 100, 60_000);
    simulation.run();
    let published: Vec<usize> = simulation.rig.messages.iter().filter_map(position).collect();
    assert_eq!(published, [1]);
    let span = simulation.rig.messages.iter().find_map(Message::span_ms);
    assert!(span.is_some_and(|(from, to)| from == 1_000 && to > 1_050), "{span:?}");
    assert!(simulation.rig.messages.iter().any(|message| message.recv_ns == BASE_NS + 1_100 * MILLI_NS));
}
