use proptest::prelude::*;

use super::*;

fn from(topic: &[u8], src: u32) -> From<'_> {
    From { endpoint: 0, topic, src, recv_ns: 1_000 }
}

fn run(sequences: &mut Sequences, seqs: &[u64]) -> Counts {
    let mut counts = Counts::default();
    for &seq in seqs {
        sequences.message(from(b"t", 1), seq, 1, &mut counts);
    }
    counts
}

#[test]
fn joining_late_is_no_loss_and_a_hole_is() {
    let counts = run(&mut Sequences::new(false), &[100, 101, 105, 106]);
    assert_eq!((counts.published, counts.sequenced, counts.lost_before_receive, counts.gaps), (7, 4, 3, 1));
}

#[test]
fn announced_drops_explain_a_hole_until_they_are_used_up() {
    let mut sequences = Sequences::new(false);
    sequences.announce_drops(2);
    let counts = run(&mut sequences, &[1, 5]);
    assert_eq!((counts.lost_overload, counts.lost_before_receive), (2, 1));
}

#[test]
fn a_late_number_fills_its_hole_and_a_repeated_one_is_a_duplicate() {
    let counts = run(&mut Sequences::new(false), &[1, 4, 3, 3, 2, 1]);
    assert_eq!((counts.published, counts.duplicate, counts.lost_before_receive), (4, 2, 0));
}

#[test]
fn a_heartbeat_shows_a_lost_tail() {
    let mut sequences = Sequences::new(false);
    let mut counts = run(&mut sequences, &[1, 2]);
    sequences.span(from(b"t", 1), 5, false, &mut counts);
    sequences.span(from(b"t", 1), 5, false, &mut counts);
    assert_eq!((counts.published, counts.sequenced, counts.lost_before_receive), (5, 2, 3));
}

#[test]
fn a_source_that_follows_another_began_at_one_unless_behind_a_forwarder() {
    for (fan_in, lost) in [(false, 4), (true, 0)] {
        let mut sequences = Sequences::new(fan_in);
        let mut counts = run(&mut sequences, &[7]);
        sequences.message(from(b"t", 2), 5, 1, &mut counts);
        assert_eq!(counts.lost_before_receive, lost, "fan_in {fan_in}");
    }
}

#[test]
fn a_flood_of_sources_keeps_the_last_ones_and_a_flood_of_topics_is_counted() {
    let mut sequences = Sequences::new(false);
    let mut counts = Counts::default();
    for src in 0..1_000 {
        sequences.message(from(b"t", src), 1, 1, &mut counts);
    }
    assert_eq!((sequences.points().len(), counts.unsequenced), (SOURCES_KEPT, 0));
    sequences.message(from(b"t", 999), 4, 1, &mut counts);
    assert_eq!(counts.lost_before_receive, 2, "the last source is still followed");
    let mut resumed = Sequences::new(false);
    resumed.resume(&sequences.points());
    for src in 2_000..2_000 + SOURCES_KEPT as u32 - 1 {
        resumed.message(from(b"t", src), 1, 1, &mut Counts::default());
    }
    let counts_of_known = &mut Counts::default();
    resumed.message(from(b"t", 999), 5, 1, counts_of_known);
    assert_eq!(counts_of_known.publisher_restarts, 0, "heard last before the restart: the last to go");
    for topic in 0..TOPICS_MAX as u32 + 4 {
        sequences.message(from(&topic.to_be_bytes(), 7), 1, 1, &mut counts);
    }
    assert_eq!(counts.unsequenced, 5);
    assert!(counts.balanced());
}

#[test]
fn a_source_is_told_of_once_each_time_it_has_been_heard() {
    let mut sequences = Sequences::new(false);
    let mut mark = 0;
    let mut told = |sequences: &Sequences| {
        let mut all = Vec::new();
        sequences.heard_since(&mut mark, |topic, src, last| all.push((topic.to_string(), src, last)));
        all
    };
    run(&mut sequences, &[1, 2, 9]);
    assert_eq!(told(&sequences), [("t".to_owned(), 1, 9)]);
    assert_eq!(told(&sequences), []);
    sequences.message(from(b"u", 3), 5, 1, &mut Counts::default());
    assert_eq!(told(&sequences), [("u".to_owned(), 3, 5)]);
}

#[test]
fn the_state_file_carries_a_tracker_over_a_restart() {
    let mut before = Sequences::new(false);
    run(&mut before, &[1, 2, 3]);
    let mut after = Sequences::new(false);
    after.resume(&before.points());
    let counts = run(&mut after, &[8]);
    assert_eq!((counts.published, counts.lost_before_receive), (5, 4));
}

proptest! {
    #[test]
    fn what_is_lost_and_what_is_duplicate_is_what_a_table_of_all_numbers_says(
        seqs in prop::collection::vec(1_u64..60, 1..80)
    ) {
        let counts = run(&mut Sequences::new(false), &seqs);
        let known: std::collections::BTreeSet<u64> = seqs.iter().copied().collect();
        let (first, highest) = (seqs[0], seqs.iter().max().copied().unwrap_or(0));
        // What lies before the first number was sent before we joined: it is no part of the span.
        let inside = known.iter().filter(|seq| **seq >= first).count() as u64;
        prop_assert_eq!(counts.published, highest - first + 1);
        prop_assert_eq!(counts.lost_before_receive, counts.published - inside);
        prop_assert_eq!(counts.duplicate, seqs.len() as u64 - inside);
    }

    #[test]
    fn equation_one_holds_for_any_run_of_numbers(
        steps in prop::collection::vec((0_u32..3, 1_u64..40, 0_u64..4, any::<bool>()), 1..200)
    ) {
        let mut sequences = Sequences::new(false);
        let mut counts = Counts::default();
        for (src, seq, drops, heartbeat) in steps {
            sequences.announce_drops(drops);
            if heartbeat {
                sequences.span(from(b"t", src), seq, false, &mut counts);
            } else {
                sequences.message(from(b"t", src), seq, 1, &mut counts);
            }
            prop_assert!(counts.balanced());
        }
    }
}

fn at(recv_ns: i64, src: u32) -> From<'static> {
    From { endpoint: 0, topic: b"t", src, recv_ns }
}

type Told = (Cause, i64, i64, Option<u64>, Option<(u64, u64)>);

fn gaps(sequences: &mut Sequences) -> Vec<Told> {
    let gap = |news| {
        if let News::Gap(g) = news { Some((g.cause, g.from_ns, g.to_ns, g.lost, g.seqs)) } else { None }
    };
    sequences.news().drain(..).filter_map(gap).collect()
}

#[test]
fn a_hole_is_told_with_its_cause_and_the_time_between_what_was_heard_before_and_after() {
    let (mut sequences, counts) = (Sequences::new(false), &mut Counts::default());
    sequences.message(at(10, 1), 5, 1, counts);
    sequences.announce_drops(2);
    sequences.message(at(20, 1), 9, 1, counts);
    let expected =
        [(Cause::Overload, 10, 20, Some(2), Some((6, 7))), (Cause::Zmq, 10, 20, Some(1), Some((8, 8)))];
    assert_eq!(gaps(&mut sequences), expected);
    sequences.span(at(30, 1), 11, false, counts);
    assert_eq!(gaps(&mut sequences), [(Cause::Zmq, 20, 30, Some(2), Some((10, 11)))]);
    sequences.message(at(40, 1), 8, 1, counts);
    assert_eq!(gaps(&mut sequences), []);
}

#[test]
fn a_publisher_that_starts_again_has_lost_its_first_messages_and_the_tail_of_one_without_end_is_unknown() {
    let (mut sequences, counts) = (Sequences::new(false), &mut Counts::default());
    sequences.message(at(10, 1), 5, 1, counts);
    sequences.message(at(20, 2), 4, 1, counts);
    let restart = Cause::PublisherRestart;
    let expected = [(restart, 10, 20, None, None), (restart, 10, 20, Some(3), Some((1, 3)))];
    assert_eq!(gaps(&mut sequences), expected);
    sequences.span(at(30, 2), 4, true, counts);
    sequences.message(at(40, 3), 1, 1, counts);
    assert_eq!(gaps(&mut sequences), [], "a source that said _end has no unknown tail");
    assert_eq!(counts.publisher_restarts, 2);
}

#[test]
fn what_was_sent_while_the_engine_was_down_is_exact_only_if_it_knew_where_it_stood() {
    for (inexact, lost) in [(false, Some(4)), (true, None)] {
        let mut before = Sequences::new(false);
        before.message(at(10, 1), 3, 1, &mut Counts::default());
        let mut points = before.points();
        points[0].inexact = inexact;
        let (mut after, counts) = (Sequences::new(false), &mut Counts::default());
        after.resume(&points);
        after.message(at(50, 1), 8, 1, counts);
        after.message(at(60, 1), 10, 1, counts);
        let zmq = (Cause::Zmq, 50, 60, Some(1), Some((9, 9)));
        assert_eq!(gaps(&mut after), [(Cause::EngineDown, 10, 50, lost, Some((4, 7))), zmq]);
        assert_eq!(counts.lost_before_receive, 5, "the ledger takes the upper bound");
    }
}

proptest! {
    #[test]
    fn rows_join_without_a_hole_across_restarts_and_each_accounts_for_its_span(
        steps in prop::collection::vec((1_u32..3, 1_u64..60, 0_u8..10), 1..120)
    ) {
        let (mut sequences, mut counts) = (Sequences::new(true), Counts::default());
        let mut lasts = std::collections::BTreeMap::<u32, u64>::new();
        let mut broken = Vec::new();
        let mut messages = 0;
        for (src, seq, what) in steps.into_iter().chain([(1, 1, 0)]) {
            match what {
                0 => sequences.ledger_rows(|row| {
                    let fits = lasts.get(&row.src).is_none_or(|last| row.of.first == last + 1);
                    let span = i128::from(row.last) + 1 - i128::from(row.of.first);
                    let told = i128::from(row.of.messages) + i128::from(row.of.lost);
                    if !fits || span != told || row.of.points != 2 * row.of.messages {
                        broken.push((row.src, row.last, row.of));
                    }
                    messages += row.of.messages;
                    lasts.insert(row.src, row.last);
                }),
                1 => {
                    let points = sequences.points();
                    sequences = Sequences::new(true);
                    sequences.resume(&points);
                }
                2 => sequences.span(at(1, src), seq, false, &mut counts),
                _ => drop(sequences.message(at(1, src), seq, 2, &mut counts)),
            }
        }
        prop_assert!(broken.is_empty(), "{broken:?}");
        prop_assert_eq!(messages, counts.sequenced - counts.duplicate);
    }
}
