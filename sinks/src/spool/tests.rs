mod model;

use std::collections::{BTreeMap, BTreeSet};

use model::ModelStore;
use proptest::prelude::*;

use super::record::HEAD_BYTES;
use super::*;

const FINGERPRINT: [u8; 16] = *b"the sink of test";
const LIMITS: Limits = Limits { bytes_max: 1 << 20, free_bytes_min: 1_000, segment_bytes: 400 };

fn open(store: &ModelStore) -> Spool {
    Spool::open(Box::new(store.clone()), Box::new(ModelStore::new()), FINGERPRINT, LIMITS).unwrap()
}

/// Lines that say which batch they are; `points` of them.
fn lines(batch: u64, points: u32) -> Vec<u8> {
    (0..points).flat_map(|n| format!("m,batch={batch} v={n}i 1\n").into_bytes()).collect()
}

fn append(spool: &mut Spool, batch: u64, points: u32) -> Result<RecordId, AppendError> {
    spool.append(&lines(batch, points), points, 5)
}

/// Everything that waits, in order, taken.
fn drain(spool: &mut Spool) -> Vec<(RecordId, Vec<u8>)> {
    let (mut all, mut into) = (Vec::new(), Vec::new());
    while let Some((id, points)) = spool.take_oldest(&mut into).unwrap() {
        assert_eq!(into.iter().filter(|byte| **byte == b'\n').count(), points as usize);
        all.push((id, into.clone()));
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
    assert_eq!((store.names(), again.stats().points, again.stats().bytes), (vec![], 0, 0));
}

#[test]
fn a_record_that_is_given_back_comes_first_again() {
    let mut spool = open(&ModelStore::new());
    let ids: Vec<RecordId> = (0..5).map(|batch| append(&mut spool, batch, 1).unwrap()).collect();
    let mut into = Vec::new();
    assert_eq!(spool.take_oldest(&mut into).unwrap(), None, "all are with whoever appended them");
    spool.give_back(ids[3]);
    spool.give_back(ids[1]);
    assert_eq!(spool.take_oldest(&mut into).unwrap(), Some((ids[1], 1)));
    assert_eq!(into, lines(1, 1));
    spool.give_back(ids[1]);
    assert_eq!(spool.take_oldest(&mut into).unwrap(), Some((ids[1], 1)));
    spool.acknowledge(ids[1]);
    assert_eq!(spool.take_oldest(&mut into).unwrap(), Some((ids[3], 1)));
    assert_eq!(spool.stats().points, 4);
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
        for (batch, lines) in wanted.iter().enumerate() {
            spool.append(lines, 1 + (batch % 3) as u32, 5).unwrap();
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
        let counted = spool.stats().damaged;
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
    Sync,
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
        3 => Just(Action::Sync),
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
                Action::Sync => match spool.sync(5) {
                    Ok(()) => {
                        let (life, trusted) = (oracle.lives, !oracle.sync_failed);
                        let synced = oracle.appended.iter().filter(|(_, of)| trusted || **of == life);
                        oracle.durable.extend(synced.map(|(batch, _)| *batch));
                    }
                    Err(_) => oracle.sync_failed = true,
                },
                Action::Take => {
                    let mut into = Vec::new();
                    if let Some((id, _)) = spool.take_oldest(&mut into).unwrap() {
                        held.push((batch_of(&into), id));
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
