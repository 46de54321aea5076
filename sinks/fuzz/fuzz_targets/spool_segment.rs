//! Any bytes as a segment behind a whole one, and as a cursor: the spool starts, gives back what is whole, and goes on.
#![no_main]

use tickline_sinks::batch::Batch;
use tickline_sinks::spool::inspect::{segments, verify};
use tickline_sinks::spool::{Limits, Spool};
use tickline_sinks_fuzz::MemoryStore;

const FINGERPRINT: [u8; 16] = *b"the sink of fuzz";

fn open(store: &MemoryStore) -> Spool {
    let limits = Limits { bytes_max: 1 << 20, free_bytes_min: 0, segment_bytes: 4096 };
    let quarantine = Box::new(MemoryStore::default());
    Spool::open(Box::new(store.clone()), quarantine, FINGERPRINT, limits).expect("it always starts")
}

fn batch(lines: &[u8]) -> Batch {
    Batch { lines: lines.to_vec(), points: 1, ..Batch::default() }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let store = MemoryStore::default();
    let mut spool = open(&store);
    spool.append(&batch(b"whole v=1 1\n"), 1).expect("there is room");
    drop(spool);
    let (cursor, segment) = data.split_at(data.len().min(12));
    store.put("cursor", cursor);
    store.put("00000000000000000001-00000000000000000001-74686520.spool", segment); // "the " in hex
    for name in segments(&store).expect("names") {
        verify(&store, &name, &mut |_, _| Ok(())).expect("it can be read");
    }
    let mut again = open(&store);
    let (mut into, mut taken) = (Batch::default(), 0_u64);
    while again.take_oldest(&mut into).expect("it can be read").is_some() {
        taken += into.points;
    }
    assert!(taken <= again.stats().recovered);
    again.append(&batch(b"fresh v=1 2\n"), 2).expect("there is room");
    drop(again);
    let mut last = open(&store);
    let mut fresh = false;
    while last.take_oldest(&mut into).expect("it can be read").is_some() {
        fresh |= into.lines == b"fresh v=1 2\n";
    }
    assert!(fresh, "what is appended behind any bytes is there at the next start");
});
