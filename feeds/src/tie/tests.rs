use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A series and what is kept in its decoder.
#[derive(Default)]
struct Series {
    ties: TieState,
    kept: usize,
}

impl Series {
    fn ordinal(&mut self, time: i64, rule: Rule, message: MessageId) -> Ordinal {
        self.ties.ordinal(time, rule, message, &mut self.kept)
    }
}

fn message(seq: u64, map: u64) -> MessageId {
    MessageId { src: 7, seq, map, part: 0 }
}

#[test]
fn local_ordinals_count_the_points_of_one_time_in_order() {
    let mut state = Series::default();
    let given: Vec<u32> =
        (0..10_000).map(|n| state.ordinal(100, Rule::Local, message(n + 1, n + 1)).ordinal).collect();
    assert_eq!(given, (0..10_000).collect::<Vec<u32>>());
    assert_eq!(state.ordinal(101, Rule::Local, message(20_000, 20_000)).ordinal, 0);
}

#[test]
fn a_message_that_comes_again_keeps_its_ordinals() {
    let mut state = Series::default();
    let first: Vec<u32> =
        [(1, 1), (1, 1), (2, 2)].map(|(s, m)| state.ordinal(5, Rule::Local, message(s, m)).ordinal).into();
    let again: Vec<u32> =
        [(1, 3), (1, 3), (2, 4)].map(|(s, m)| state.ordinal(5, Rule::Local, message(s, m)).ordinal).into();
    assert_eq!(first, [0, 1, 2]);
    assert_eq!(again, first);
}

#[test]
fn a_time_that_comes_back_late_goes_on_though_nothing_met_there() {
    for rule in [Rule::Local, Rule::Given(0)] {
        let mut state = Series::default();
        state.ordinal(5, rule, message(1, 1));
        state.ordinal(9, rule, message(2, 2));
        let late = state.ordinal(5, rule, message(3, 3));
        let (ordinal, collision) = if rule == Rule::Local { (1, false) } else { (0, true) };
        assert_eq!(late, Ordinal { ordinal, collision, out_of_order: true, forgotten: false });
    }
}

#[test]
fn ten_thousand_messages_keep_their_ordinals_though_other_symbols_stand_between_their_numbers() {
    let mut state = Series::default();
    let mut all = |from: u64| {
        let points = |n: u64| {
            let ids = vec![message(7 * n, from + n); 1 + n as usize % 3];
            ids.into_iter().map(|id| state.ordinal(5, Rule::Local, id).ordinal).collect::<Vec<_>>()
        };
        (1..=10_000).flat_map(points).collect::<Vec<u32>>()
    };
    let first = all(0);
    assert_eq!(first, (0..20_000).collect::<Vec<u32>>());
    assert_eq!(all(10_000), first);
}

#[test]
fn beyond_its_bound_it_forgets_and_says_so_and_gives_back_what_is_over() {
    let mut state = Series::default();
    let mut forgotten = 0;
    for n in 1..=CROWD_MAX as u64 + 10 {
        forgotten += u64::from(state.ordinal(5, Rule::Local, message(n, n)).forgotten);
    }
    assert_eq!((forgotten, state.kept), (9, CROWD_MAX));
    for time in 6..6 + TIMES_KEPT as i64 {
        state.ordinal(time, Rule::Local, message(1, 1 << 20));
    }
    assert_eq!((state.kept, state.ties.kept()), (0, 0));
}

#[test]
fn ids_of_the_venue_collide_only_where_they_are_equal() {
    let mut state = Series::default();
    let mut given = |ordinal, id| state.ordinal(5, Rule::Given(ordinal), id).collision;
    assert!(!given(5, message(1, 1)));
    assert!(!given(900, message(1, 1)), "a hole between two ids of one map");
    assert!(!given(100, message(2, 2)), "stands in that hole");
    assert!(given(900, message(2, 2)), "the second id of a map is looked at, too");
    assert!(!given(900, message(1, 3)), "the same message again");
}

proptest! {
    #[test]
    fn any_run_of_messages_is_told_apart_as_by_a_table_of_everything(
        steps in prop::collection::vec((0_i64..6, 0_u32..2, 1_u64..9, 1_usize..4), 1..120)
    ) {
        let mut state = Series::default();
        let mut first: HashMap<(i64, u32, u64), Vec<u32>> = HashMap::new();
        let mut next: HashMap<i64, u32> = HashMap::new();
        for ((time, src, seq, points), map) in steps.into_iter().zip(1..) {
            let id = MessageId { src, seq, map, part: 0 };
            let known = first.entry((time, src, seq)).or_default();
            for at in 0..points {
                if known.len() <= at {
                    // A repetition that is longer than the first time: the table has no rule for it.
                    if at > 0 && known.last().map(|last| last + 1) != next.get(&time).copied() {
                        break;
                    }
                    let ordinal = next.entry(time).or_default();
                    known.push(*ordinal);
                    *ordinal += 1;
                }
                let given = state.ordinal(time, Rule::Local, id);
                prop_assert_eq!((given.ordinal, given.collision), (known[at], false));
            }
        }
    }
}

#[test]
fn two_numbered_publishers_that_take_turns_do_not_take_each_others_ordinals() {
    let mut state = Series::default();
    let mut all = |map: u64| {
        let of = |n: u64| MessageId { src: n as u32 % 2, seq: 1 + n / 2, map: map + n, part: 0 };
        (1..=100).map(|n| state.ordinal(5, Rule::Local, of(n)).ordinal).collect::<Vec<u32>>()
    };
    assert_eq!(all(0), (0..100).collect::<Vec<u32>>());
    assert_eq!(all(100), (0..100).collect::<Vec<u32>>());
}

#[test]
fn maps_of_one_bundle_do_not_repeat_each_other() {
    let mut state = Series::default();
    let part = |map, part| MessageId { part, ..message(1, map) };
    let first = [part(1, 0), part(2, 1)].map(|m| state.ordinal(5, Rule::Local, m).ordinal);
    let again = [part(3, 0), part(4, 1)].map(|m| state.ordinal(5, Rule::Local, m).ordinal);
    assert_eq!((first, again), ([0, 1], [0, 1]));
}

#[test]
fn ordinals_at_the_end_of_their_range_stay_there() {
    let mut state = Series::default();
    for seq in 1..4 {
        assert_eq!(state.ordinal(5, Rule::Given(u32::MAX), message(seq, seq)).ordinal, u32::MAX);
    }
    assert_eq!(state.ordinal(5, Rule::Local, message(9, 9)).ordinal, u32::MAX);
}

#[test]
fn a_given_ordinal_met_by_another_message_is_a_collision() {
    let mut state = Series::default();
    assert!(!state.ordinal(5, Rule::Given(0), message(1, 1)).collision);
    assert!(state.ordinal(5, Rule::Given(0), message(2, 2)).collision);
    assert!(!state.ordinal(5, Rule::Given(1), message(3, 3)).collision);
    assert!(!state.ordinal(5, Rule::Given(0), message(1, 4)).collision, "the same message again");
    assert!(state.ordinal(5, Rule::Given(1), message(0, 5)).collision, "unnumbered messages differ");
}

#[test]
fn a_time_seen_earlier_goes_on_where_it_stood_and_is_out_of_order() {
    let mut state = Series::default();
    state.ordinal(5, Rule::Local, message(1, 1));
    state.ordinal(5, Rule::Local, message(2, 2));
    state.ordinal(9, Rule::Local, message(3, 3));
    let late = state.ordinal(5, Rule::Local, message(4, 4));
    assert_eq!(late, Ordinal { ordinal: 2, collision: false, out_of_order: true, forgotten: false });
}

#[test]
fn candidates_of_a_map_are_numbered_from_zero() {
    let mut state = Series::default();
    let seen = [(1, 0), (1, 1), (1, 2), (2, 0)];
    for (map, position) in seen {
        assert_eq!(state.ties.next_in_map(map), position);
    }
}
