mod model;

use std::collections::{BTreeMap, BTreeSet};

use model::ModelStore;
use proptest::prelude::*;

use super::record::HEAD_BYTES;
use super::*;
use crate::batch::Position;

const FINGERPRINT: [u8; 16] = *b"the sink of test";
const LIMITS: Limits = Limits { bytes_max: 1 << 20, free_bytes_min: 1_000, segment_bytes: 400 };

fn open(store: &ModelStore) -> Spool {
    Spool::open(Box::new(store.clone()), Box::new(ModelStore::new()), FINGERPRINT, LIMITS).unwrap()
}

/// Lines that say which batch they are; `points` of them.
fn lines(batch: u64, points: u32) -> Vec<u8> {
    (0..points).flat_map(|n| format!("m,batch={batch} v={n}i 1\n").into_bytes()).collect()
}

fn batch(number: u64, points: u32) -> Batch {
    Batch { lines: lines(number, points), points: u64::from(points), ..Batch::default() }
}

fn append(spool: &mut Spool, number: u64, points: u32) -> Result<RecordId, AppendError> {
    spool.append(&batch(number, points), 5)
}

/// Everything that waits, in order, taken.
fn drain(spool: &mut Spool) -> Vec<(RecordId, Vec<u8>)> {
    let (mut all, mut into) = (Vec::new(), Batch::default());
    while let Some(id) = spool.take_oldest(&mut into).unwrap() {
        assert_eq!(into.lines.iter().filter(|byte| **byte == b'\n').count() as u64, into.points);
        all.push((id, into.lines.clone()));
    }
    all
}

#[test]
fn what_was_appended_and_not_acknowledged_is_there_after_a_crash_in_order() {
    let store = ModelStore::new();
    let mut spool = open(&store);
    let ids: Vec<RecordId> = (0..50).map(|batch| append(&mut spool, batch, 3).unwrap()).collect();
    for id in &ids[..20] {
        spool.acknowledge(*id);
    }
    spool.sync(10_000_000_000).unwrap();
    drop(spool);
    let mut again = open(&store);
    let found = drain(&mut again);
    let wanted: Vec<Vec<u8>> = (0..50).map(|batch| lines(batch, 3)).collect();
    let first = 50 - found.len();
    // A segment goes when all of it is acknowledged: of the last one some come again.
    assert!(first <= 20 && first > 10, "{first}");
    assert_eq!(found.iter().map(|(_, lines)| lines.clone()).collect::<Vec<_>>(), wanted[first..]);
    assert_eq!(again.stats().recovered, 3 * found.len() as u64);
    for (id, _) in found {
        again.acknowledge(id);
    }
    again.close(6).unwrap();
    assert_eq!((again.stats().points, again.stats().bytes), (0, 0));
    assert_eq!(store.names(), ["cursor"]);
}

#[test]
fn a_record_that_is_given_back_comes_first_again() {
    let mut spool = open(&ModelStore::new());
    let ids: Vec<RecordId> = (0..5).map(|batch| append(&mut spool, batch, 1).unwrap()).collect();
    let mut into = Batch::default();
    assert_eq!(spool.take_oldest(&mut into).unwrap(), None, "all are with whoever appended them");
    spool.give_back(ids[3]);
    spool.give_back(ids[1]);
    assert_eq!(spool.take_oldest(&mut into).unwrap(), Some(ids[1]));
    assert_eq!((into.lines.clone(), into.points), (lines(1, 1), 1));
    spool.give_back(ids[1]);
    assert_eq!(spool.take_oldest(&mut into).unwrap(), Some(ids[1]));
    spool.acknowledge(ids[1]);
    assert_eq!(spool.take_oldest(&mut into).unwrap(), Some(ids[3]));
    assert_eq!((spool.stats().points, spool.stats().waiting), (4, 0));
}

#[test]
fn a_full_spool_takes_nothing_and_dropping_the_oldest_makes_room_and_says_how_many_points_it_cost() {
    let store = ModelStore::new();
    let limits = Limits { bytes_max: 1_000, ..LIMITS };
    let mut spool =
        Spool::open(Box::new(store.clone()), Box::new(ModelStore::new()), FINGERPRINT, limits).unwrap();
    let mut batch = 0;
    let error = loop {
        match append(&mut spool, batch, 2) {
            Ok(id) => spool.give_back(id),
            Err(error) => break error,
        }
        batch += 1;
    };
    let before = spool.stats();
    assert!(matches!(error, AppendError::Full { bytes_max: 1_000, .. }), "{error}");
    let dropped = spool.drop_oldest();
    assert!(dropped > 0 && spool.stats().points == before.points - dropped);
    append(&mut spool, batch, 2).unwrap();
    store.set_free_bytes(1_010);
    assert!(matches!(append(&mut spool, 99, 2), Err(AppendError::LowDisk { free_bytes: 1_010, .. })));
    let left = drain(&mut spool);
    assert_eq!(left.first().map(|(_, found)| found.clone()), Some(lines(dropped / 2, 2)));
}

#[test]
fn a_cursor_spares_a_restart_what_was_stored_and_one_that_is_damaged_or_gone_costs_nothing() {
    let contents = |cursor: fn(&mut Vec<u8>)| {
        let store = ModelStore::new();
        let mut spool = open(&store);
        let ids: Vec<RecordId> = (0..50).map(|batch| append(&mut spool, batch, 3).unwrap()).collect();
        ids[..20].iter().chain(&ids[30..35]).for_each(|id| spool.acknowledge(*id));
        spool.save_cursor();
        drop(spool);
        store.edit("cursor", cursor);
        let mut again = open(&store);
        let first = drain(&mut again).first().map(|(_, found)| batch_of(found));
        append(&mut again, 77, 1).unwrap();
        drop(again);
        let last = drain(&mut open(&store)).last().map(|(_, found)| batch_of(found));
        (first, last)
    };
    assert_eq!(contents(|_| {}), (Some(20), Some(77)));
    assert_eq!(contents(|bytes| bytes[3] ^= 1), (Some(0), Some(77)), "a flipped bit");
    assert_eq!(contents(|bytes| bytes.truncate(7)), (Some(0), Some(77)), "cut");
    assert_eq!(contents(Vec::clear), (Some(0), Some(77)), "empty");
}

#[test]
fn a_cursor_ahead_of_what_a_power_loss_left_does_not_swallow_what_comes_next() {
    let store = ModelStore::new();
    let mut spool = open(&store);
    let ids: Vec<RecordId> = (0..9).map(|batch| append(&mut spool, batch, 3).unwrap()).collect();
    ids.iter().for_each(|id| spool.acknowledge(*id));
    spool.save_cursor();
    drop(spool);
    for name in store.names().iter().filter(|name| *name != "cursor") {
        store.remove(name).unwrap();
    }
    let mut again = open(&store);
    append(&mut again, 50, 2).unwrap();
    drop(again);
    let found = drain(&mut open(&store));
    assert_eq!(found.iter().map(|(_, lines)| batch_of(lines)).collect::<Vec<_>>(), [50]);
}

#[test]
fn a_segment_that_was_done_before_its_neighbours_leaves_no_damage_behind() {
    let store = ModelStore::new();
    let mut spool = open(&store);
    let ids: Vec<RecordId> = (0..40).map(|batch| append(&mut spool, batch, 3).unwrap()).collect();
    ids[8..24].iter().for_each(|id| spool.acknowledge(*id));
    let before = spool.stats().segments;
    spool.sync(10_000_000_000).unwrap();
    assert!(spool.stats().segments < before);
    drop(spool);
    let stats = open(&store).stats();
    assert_eq!((stats.damaged_before, stats.damages), (0, 0));
}

#[test]
fn a_segment_that_is_done_stays_until_the_state_file_knows_its_sources() {
    let store = ModelStore::new();
    let mut spool = open(&store);
    for last in 1..=41 {
        let position =
            Position { feed: "f".into(), endpoint: "e".into(), topic: "t".into(), src: 9, last: last * 10 };
        let id = spool.append(&Batch { positions: vec![position], ..batch(last, 3) }, 5).unwrap();
        spool.acknowledge(id);
    }
    spool.sync(1_000_000_000).unwrap();
    assert!(spool.stats().segments > 5);
    let last = |spool: &Spool| spool.positions().iter().map(|position| position.last).collect::<Vec<_>>();
    spool.sync(3_000_000_000).unwrap();
    assert_eq!(spool.stats().segments, 1, "the one that is written");
    assert_eq!(last(&open(&store)), [410]);
}

#[test]
fn what_has_waited_too_long_is_dropped_and_counted() {
    let store = ModelStore::new();
    let mut spool = open(&store);
    for number in 0..30 {
        let id = spool.append(&batch(number, 2), number as i64).unwrap();
        spool.give_back(id);
    }
    let dropped = spool.expire(20);
    let left = drain(&mut spool);
    assert_eq!(dropped, 60 - 2 * left.len() as u64);
    assert!(left.len() >= 10 && left.len() < 16, "{}", left.len());
    assert_eq!(left.last().map(|(_, found)| batch_of(found)), Some(29));
}

#[test]
fn of_what_a_failed_sync_had_written_twice_the_copy_that_reached_the_disk_is_the_one_that_counts() {
    for sides in 0..4 {
        let store = ModelStore::new();
        let mut spool = open(&store);
        append(&mut spool, 1, 1).unwrap();
        append(&mut spool, 2, 1).unwrap();
        store.fail(0, 1);
        assert!(spool.sync(5).is_err());
        spool.sync(5).unwrap();
        drop(spool);
        let mut spool = open(&store);
        assert_eq!(batches_that_wait(&mut spool), [1, 2], "each once");
        spool.take_oldest(&mut Batch::default()).unwrap();
        spool.drop_oldest();
        drop(spool);
        // What was never synced may be gone.
        store.lose_power(|_| sides);
        assert!(batches_that_wait(&mut open(&store)).contains(&1), "{sides}");
    }
}

/// A spool with records of different sizes in several segments, closed as by a crash.
fn filled(batches: u64) -> ModelStore {
    let store = ModelStore::new();
    let mut spool = open(&store);
    for batch in 0..batches {
        append(&mut spool, batch, 1 + (batch % 3) as u32).unwrap();
    }
    store
}

fn batches_of(spool: &mut Spool) -> Vec<Vec<u8>> {
    drain(spool).into_iter().map(|(_, lines)| lines).collect()
}

#[test]
fn cut_at_every_byte_of_the_last_three_records_exactly_the_whole_records_survive() {
    let wanted: Vec<Vec<u8>> = (0..10).map(|batch| lines(batch, 1 + (batch % 3) as u32)).collect();
    let last: usize = wanted[7..].iter().map(|lines| HEAD_BYTES + lines.len()).sum();
    for cut in 0..=last {
        let store = ModelStore::new();
        let limits = Limits { segment_bytes: u64::MAX, ..LIMITS };
        let mut spool =
            Spool::open(Box::new(store.clone()), Box::new(ModelStore::new()), FINGERPRINT, limits).unwrap();
        for number in 0..wanted.len() as u64 {
            append(&mut spool, number, 1 + (number % 3) as u32).unwrap();
        }
        drop(spool);
        store.edit(&store.names()[0], |bytes| bytes.truncate(bytes.len() - cut));
        let mut left = cut;
        let mut whole = wanted.len();
        while left > 0 {
            whole -= 1;
            left = left.saturating_sub(HEAD_BYTES + wanted[whole].len());
        }
        let mut again = open(&store);
        assert_eq!(batches_of(&mut again), wanted[..whole], "cut {cut}");
        append(&mut again, 77, 1).unwrap();
        drop(again);
        let mut third = open(&store);
        let all = batches_of(&mut third);
        assert_eq!((all.len(), all.last()), (whole + 1, Some(&lines(77, 1))), "cut {cut}, second start");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn flipped_bits_cost_the_records_they_hit_and_nothing_else(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8), 1..4)
    ) {
        let store = filled(30);
        let names = store.names();
        for (file, at, bit) in &flips {
            store.edit(&names[file.index(names.len())], |bytes| *at.get_mut(bytes) ^= 1_u8 << bit);
        }
        let mut spool = open(&store);
        let found = batches_of(&mut spool);
        let wanted: BTreeSet<Vec<u8>> = (0..30).map(|batch| lines(batch, 1 + (batch % 3) as u32)).collect();
        prop_assert!(found.iter().all(|lines| wanted.contains(lines)), "nothing is made up");
        prop_assert!(found.len() + flips.len() >= 30, "{} found", found.len());
        let points = |lines: &[u8]| lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        let total: u64 = wanted.iter().map(|lines| points(lines)).sum();
        let left: u64 = found.iter().map(|lines| points(lines)).sum();
        // A record at the very end has no successor whose id would tell.
        let counted = spool.stats().damaged + spool.stats().damaged_before;
        prop_assert!(counted <= total - left && (counted == total - left || spool.stats().damages > 0));
    }

    #[test]
    fn any_bytes_in_a_segment_are_survived(
        garbage in prop::collection::vec(any::<u8>(), 0..600), at in any::<prop::sample::Index>(), over: bool
    ) {
        let store = filled(20);
        let names = store.names();
        store.edit(&names[0], |bytes| {
            let from = at.index(bytes.len());
            let to = if over { (from + garbage.len()).min(bytes.len()) } else { from };
            bytes.splice(from..to, garbage.iter().copied());
        });
        let mut spool = open(&store);
        let found = batches_of(&mut spool);
        let wanted: BTreeSet<Vec<u8>> = (0..20).map(|batch| lines(batch, 1 + (batch % 3) as u32)).collect();
        prop_assert!(found.iter().all(|lines| wanted.contains(lines)));
        append(&mut spool, 20, 1).unwrap();
    }
}

/// One step of whoever uses a spool, or of the world.
#[derive(Clone, Copy, Debug)]
enum Action {
    Append { points: u32 },
    Sync { late: bool },
    SaveCursor,
    Take,
    Acknowledge(usize),
    GiveBack(usize),
    DropOldest,
    Crash,
    LosePower,
    Fail { after: u64, times: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1_u32..4).prop_map(|points| Action::Append { points }),
        3 => any::<bool>().prop_map(|late| Action::Sync { late }),
        1 => Just(Action::SaveCursor),
        3 => Just(Action::Take),
        4 => (0_usize..100).prop_map(Action::Acknowledge),
        2 => (0_usize..100).prop_map(Action::GiveBack),
        1 => Just(Action::DropOldest),
        1 => Just(Action::Crash),
        1 => Just(Action::LosePower),
        2 => (0_u64..12, 1_u64..6).prop_map(|(after, times)| Action::Fail { after, times }),
    ]
}

/// What must be there, by batch.
#[derive(Default)]
struct Oracle {
    /// Appended, neither acknowledged nor dropped, and in which life: there after a crash of the process.
    appended: BTreeMap<u64, u32>,
    /// Lives of the process so far.
    lives: u32,
    /// A sync has failed. What an earlier life wrote and never synced may be forgotten by the kernel then, and
    /// the next life cannot know it.
    sync_failed: bool,
    /// Of these, what a sync has confirmed: there after a power loss, too.
    durable: BTreeSet<u64>,
    /// Everything that was ever given to the spool.
    known: BTreeSet<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_fails_what_was_accepted_is_delivered_and_nothing_is_made_up(
        actions in prop::collection::vec(action(), 1..60), dice in prop::collection::vec(0_usize..1_000, 64)
    ) {
        let store = ModelStore::new();
        let mut spool = open(&store);
        let mut oracle = Oracle::default();
        // Records that are with the writers, by batch.
        let mut held: Vec<(u64, RecordId)> = Vec::new();
        let mut dice = dice.into_iter().cycle();
        let mut next = 0;
        for action in actions {
            match action {
                Action::Append { points } => {
                    next += 1;
                    oracle.known.insert(next);
                    if let Ok(id) = append(&mut spool, next, points) {
                        oracle.appended.insert(next, oracle.lives);
                        held.push((next, id));
                    }
                }
                Action::SaveCursor => spool.save_cursor(),
                Action::Sync { late } => match spool.sync(if late { 5_000_000_000 } else { 5 }) {
                    Ok(()) => {
                        let (life, trusted) = (oracle.lives, !oracle.sync_failed);
                        let synced = oracle.appended.iter().filter(|(_, of)| trusted || **of == life);
                        oracle.durable.extend(synced.map(|(batch, _)| *batch));
                    }
                    Err(_) => oracle.sync_failed = true,
                },
                Action::Take => {
                    let mut into = Batch::default();
                    if let Some(id) = spool.take_oldest(&mut into).unwrap() {
                        held.push((batch_of(&into.lines), id));
                    }
                }
                Action::Acknowledge(at) => if !held.is_empty() {
                    let (batch, id) = held.swap_remove(at % held.len());
                    spool.acknowledge(id);
                    oracle.appended.remove(&batch);
                    oracle.durable.remove(&batch);
                },
                Action::GiveBack(at) => if !held.is_empty() {
                    let (_, id) = held.swap_remove(at % held.len());
                    spool.give_back(id);
                },
                Action::DropOldest => {
                    spool.drop_oldest();
                    let with_writers: BTreeSet<u64> = held.iter().map(|(batch, _)| *batch).collect();
                    let waiting: BTreeSet<u64> = batches_that_wait(&mut spool).into_iter().collect();
                    oracle.appended.retain(|batch, _| with_writers.contains(batch) || waiting.contains(batch));
                    oracle.durable.retain(|batch| oracle.appended.contains_key(batch));
                }
                Action::Crash | Action::LosePower => {
                    drop(spool);
                    store.fail(0, 0);
                    held.clear();
                    if matches!(action, Action::LosePower) {
                        store.lose_power(|sides| dice.next().unwrap_or(0) % sides);
                        oracle.appended.retain(|batch, _| oracle.durable.contains(batch));
                        // What is there after a power loss has reached the disk.
                        oracle.sync_failed = false;
                    }
                    oracle.lives += 1;
                    spool = open(&store);
                    let found = batches_that_wait(&mut spool);
                    for batch in oracle.appended.keys() {
                        prop_assert!(found.contains(batch), "batch {} is gone after {:?}: {:?}", batch, action, found);
                    }
                    for batch in found {
                        prop_assert!(oracle.known.contains(&batch), "batch {} was never given", batch);
                        // What was acknowledged may come again.
                        oracle.appended.entry(batch).or_insert(0);
                    }
                    oracle.durable.retain(|batch| oracle.appended.contains_key(batch));
                }
                Action::Fail { after, times } => store.fail(after, times),
            }
        }
    }
}

fn batch_of(lines: &[u8]) -> u64 {
    let text = std::str::from_utf8(lines).unwrap();
    let batch = text.strip_prefix("m,batch=").and_then(|rest| rest.split(' ').next());
    let batch = batch.and_then(|batch| batch.parse().ok()).unwrap();
    let points = text.lines().count() as u32;
    assert_eq!(text.as_bytes(), self::lines(batch, points), "the lines are as they were");
    batch
}

/// Looks at all that wait and gives them back.
fn batches_that_wait(spool: &mut Spool) -> Vec<u64> {
    let all = drain(spool);
    let batches = all.iter().map(|(_, lines)| batch_of(lines)).collect();
    all.into_iter().for_each(|(id, _)| spool.give_back(id));
    batches
}
