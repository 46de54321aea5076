use proptest::prelude::*;

use super::*;

fn run(sequences: &mut Sequences, seqs: &[u64]) -> Counts {
    let mut counts = Counts::default();
    for &seq in seqs {
        sequences.message(0, b"t", 1, seq, &mut counts);
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
    sequences.span(0, b"t", 1, 5, &mut counts);
    sequences.span(0, b"t", 1, 5, &mut counts);
    assert_eq!((counts.published, counts.sequenced, counts.lost_before_receive), (5, 2, 3));
}

#[test]
fn a_source_that_follows_another_began_at_one_unless_behind_a_forwarder() {
    for (fan_in, lost) in [(false, 4), (true, 0)] {
        let mut sequences = Sequences::new(fan_in);
        let mut counts = run(&mut sequences, &[7]);
        sequences.message(0, b"t", 2, 5, &mut counts);
        assert_eq!(counts.lost_before_receive, lost, "fan_in {fan_in}");
    }
}

#[test]
fn a_flood_of_sources_keeps_the_last_ones_and_a_flood_of_topics_is_counted() {
    let mut sequences = Sequences::new(false);
    let mut counts = Counts::default();
    for src in 0..1_000 {
        sequences.message(0, b"t", src, 1, &mut counts);
    }
    assert_eq!((sequences.points().len(), counts.unsequenced), (SOURCES_KEPT, 0));
    sequences.message(0, b"t", 999, 4, &mut counts);
    assert_eq!(counts.lost_before_receive, 2, "the last source is still followed");
    let mut resumed = Sequences::new(false);
    resumed.resume(&sequences.points());
    for src in 2_000..2_000 + SOURCES_KEPT as u32 - 1 {
        resumed.message(0, b"t", src, 1, &mut Counts::default());
    }
    let counts_of_known = &mut Counts::default();
    resumed.message(0, b"t", 999, 5, counts_of_known);
    assert_eq!(counts_of_known.publisher_restarts, 0, "heard last before the restart: the last to go");
    for topic in 0..TOPICS_MAX as u32 + 4 {
        sequences.message(0, &topic.to_be_bytes(), 7, 1, &mut counts);
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
    sequences.message(0, b"u", 3, 5, &mut Counts::default());
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
                sequences.span(0, b"t", src, seq, &mut counts);
            } else {
                sequences.message(0, b"t", src, seq, &mut counts);
            }
            prop_assert!(counts.balanced());
        }
    }
}
