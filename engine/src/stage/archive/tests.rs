use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{Decimals, PayloadWriter, Reserved, Times};

use super::file::{hex, part};
use super::manifest::{Manifest, Span};
use super::*;

fn config(compress: bool, bytes_max: u64) -> Archive {
    Archive {
        dir: None,
        rotate: Duration::from_secs(60),
        bytes_max,
        free_bytes_min: 0,
        compress,
        feeds: None,
        when_full: WhenFull::DropOldest,
        flight: None,
        flight_bytes_max: 0,
    }
}

fn payload(src: u32, seq: u64) -> Vec<u8> {
    let mut out = PayloadWriter::new(Decimals::Text);
    out.begin(&Reserved { src, seq, times: Times::default(), tie: 0 }, 1);
    out.text("n");
    out.int(seq as i64);
    out.bytes().to_vec()
}

/// Message `n`: two topics and two sources take turns.
fn frame(n: u64) -> (WallNanos, &'static str, Vec<u8>) {
    let topic = if n.is_multiple_of(3) { "odd" } else { "even" };
    (WallNanos(1_000 + n as i64), topic, payload((n % 2) as u32, n))
}

fn append(file: &mut ArchiveFile, n: u64) {
    let (recv, topic, payload) = frame(n);
    file.append(&Record { recv, topic: topic.as_bytes(), payload: &payload }).unwrap();
}

/// The numbers of the messages in a file, each as it was.
fn read(path: &Path) -> Vec<u64> {
    let mut reader = capture::Reader::new(folder::open(path).unwrap()).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let n = (record.recv.0 - 1_000) as u64;
        let (recv, topic, payload) = frame(n);
        assert_eq!(record, Record { recv, topic: topic.as_bytes(), payload: &payload });
        all.push(n);
    }
    assert_eq!(reader.left(), 0);
    all
}

/// A folder with one file of messages 1 to 9 in three chunks; the bytes at which each chunk ends.
fn three_chunks(dir: &Path, compress: bool) -> (Folder, ArchiveFile, Vec<u64>) {
    let folder = Folder::open(dir, "host", &config(compress, 1 << 30)).unwrap();
    let mut file = folder.begin(WallNanos(1_001), 0);
    let mut ends = Vec::new();
    for chunk in 0..3 {
        (1..=3).for_each(|n| append(&mut file, chunk * 3 + n));
        file.flush().unwrap();
        ends.push(file.bytes());
    }
    (folder, file, ends)
}

/// Opens a folder and closes what is unfinished in it.
fn repaired(dir: &Path, compress: bool) {
    let mut folder = Folder::open(dir, "host", &config(compress, 1 << 30)).unwrap();
    let (closed, files) = crossbeam_channel::unbounded();
    folder.repairs(closed)();
    for (path, bytes) in files {
        assert_eq!(path.metadata().unwrap().len(), bytes);
        let sum = hex(&Sha256::digest(std::fs::read(&path).unwrap()));
        assert_eq!(Manifest::of(&path).unwrap().sha256, sum);
    }
}

/// The one file that is not closed.
fn unfinished(dir: &Path) -> PathBuf {
    let mut all = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.find(|path| path.extension().is_some_and(|ending| ending == "part")).unwrap()
}

#[test]
fn a_closed_file_holds_every_frame_and_its_manifest_says_what() {
    for compress in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (_folder, file, _) = three_chunks(dir.path(), compress);
        let (path, bytes) = file.close().unwrap().unwrap();
        assert_eq!(read(&path), (1..=9).collect::<Vec<_>>());
        let manifest = Manifest::of(&path).unwrap();
        let on_disk = std::fs::read(&path).unwrap();
        assert_eq!((manifest.bytes, bytes), (bytes, on_disk.len() as u64));
        assert_eq!(manifest.sha256, hex(&Sha256::digest(&on_disk)));
        assert_eq!((manifest.frames, manifest.from_ns, manifest.to_ns), (9, 1_001, 1_009));
        let topic = &manifest.topics["even"];
        assert_eq!((topic.frames, topic.sources[&1]), (6, Span { first: 1, last: 7 }));
        assert_eq!(folder::captures(dir.path()).unwrap(), [path]);
    }
}

#[test]
fn a_kill_at_any_byte_leaves_the_whole_chunks_or_records_readable() {
    for compress in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file, ends) = three_chunks(dir.path(), compress);
        let part_path = unfinished(dir.path());
        let bytes = std::fs::read(&part_path).unwrap();
        drop((folder, file));
        for cut in 0..=bytes.len() {
            let dir = tempfile::tempdir().unwrap();
            let torn = dir.path().join(part_path.file_name().unwrap());
            std::fs::write(&torn, &bytes[..cut]).unwrap();
            repaired(dir.path(), compress);
            assert!(!torn.exists(), "cut at {cut}");
            let files = folder::captures(dir.path()).unwrap();
            let found = files.first().map(|path| read(path)).unwrap_or_default();
            let chunks = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
            assert!(found.iter().copied().eq(1..=found.len() as u64), "cut at {cut}: {found:?}");
            // Without compression a chunk's records can be read one by one.
            let least = chunks * 3;
            assert!(
                found.len() as u64 >= least && (!compress || found.len() as u64 == least),
                "cut at {cut}"
            );
            if let Some(path) = files.first() {
                let manifest = Manifest::of(path).unwrap();
                assert_eq!((manifest.frames, manifest.repaired), (found.len() as u64, true));
            }
        }
    }
}

#[test]
fn the_oldest_file_goes_when_there_is_no_room_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path(), "host", &config(false, 2_000)).unwrap();
    let mut closed = Vec::new();
    for n in 0..3 {
        let mut file = folder.begin(WallNanos(n), n);
        (1..=9).for_each(|n| append(&mut file, n));
        assert!(folder.room(file.waiting() as u64).is_ok() || n == 2, "file {n}");
        if folder.room(file.waiting() as u64).is_err() {
            assert!(folder.drop_oldest());
            assert!(folder.room(file.waiting() as u64).is_ok());
        }
        file.flush().unwrap();
        let (path, bytes) = file.close().unwrap().unwrap();
        folder.closed(path.clone(), bytes);
        closed.push(path);
    }
    assert_eq!(folder::captures(dir.path()).unwrap(), closed[1..]);
    assert!(!Manifest::path(&closed[0]).exists());
}

#[test]
fn frames_that_the_disk_did_not_take_are_in_no_manifest_and_the_file_stays_a_capture() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), "host", &config(true, 1 << 30)).unwrap();
    let mut file = folder.begin(WallNanos(1), 0);
    append(&mut file, 1);
    file.forget_waiting();
    append(&mut file, 2);
    file.flush().unwrap();
    let (path, _) = file.close().unwrap().unwrap();
    assert_eq!((read(&path), Manifest::of(&path).unwrap().frames), (vec![2], 1));
    let file = folder.begin(WallNanos(1), 0);
    assert!(file.close().unwrap().is_none() && !part(&path).exists(), "an empty file is none");
}

#[test]
fn a_folder_serves_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Folder::open(dir.path(), "host", &config(true, 1 << 30)).unwrap();
    assert!(Folder::open(dir.path(), "host", &config(true, 1 << 30)).is_err());
}

#[test]
fn an_open_file_that_is_all_there_is_makes_room_for_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path(), "host", &config(false, 1_200)).unwrap();
    let mut file = folder.begin(WallNanos(1), 0);
    (1..=9).for_each(|n| append(&mut file, n));
    file.flush().unwrap();
    (10..=18).for_each(|n| append(&mut file, n));
    assert!(folder.room(file.bytes() + file.waiting() as u64).is_err());
    let mut next = file.split(&folder).unwrap();
    let (full, bytes) = file.close().unwrap().unwrap();
    folder.closed(full.clone(), bytes);
    assert_eq!(read(&full), (1..=9).collect::<Vec<_>>());
    assert!(folder.drop_oldest() && folder.room(next.waiting() as u64).is_ok());
    next.flush().unwrap();
    let (path, _) = next.close().unwrap().unwrap();
    assert_eq!((read(&path), Manifest::of(&path).unwrap().frames), ((10..=18).collect(), 9));
}

#[test]
fn a_folder_that_cannot_be_written_keeps_what_waits_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), "host", &config(true, 1 << 30)).unwrap();
    let mut file = folder.begin(WallNanos(1), 0);
    append(&mut file, 1);
    let away = dir.path().with_extension("away");
    std::fs::rename(dir.path(), &away).unwrap();
    assert!(file.flush().is_err());
    append(&mut file, 2);
    std::fs::rename(&away, dir.path()).unwrap();
    file.flush().unwrap();
    let (path, _) = file.close().unwrap().unwrap();
    assert_eq!(read(&path), [1, 2]);
}

#[test]
fn only_the_newest_flight_recordings_stay() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..10 {
        std::fs::write(dir.path().join(format!("flight-{n}.cap")), "").unwrap();
    }
    std::fs::write(dir.path().join("quarantine.cap"), "").unwrap();
    folder::keep_newest(dir.path(), "flight-", 7);
    let left = folder::captures(dir.path()).unwrap();
    assert_eq!((left.len(), left[0].file_name().unwrap().to_str()), (8, Some("flight-3.cap")));
}

proptest! {
    #[test]
    fn what_a_kill_and_flipped_bits_leave_never_stops_a_start(
        cut in 0_usize..600, flip in 0_usize..4_800, compress in any::<bool>()
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file, _) = three_chunks(dir.path(), compress);
        drop((folder, file));
        let torn = unfinished(dir.path());
        let mut bytes = std::fs::read(&torn).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Some(byte) = bytes.get_mut(flip / 8) {
            *byte ^= 1 << (flip % 8);
        }
        std::fs::write(&torn, bytes).unwrap();
        repaired(dir.path(), compress);
        for path in folder::captures(dir.path()).unwrap() {
            let found = read(&path);
            prop_assert!(found.iter().copied().eq(1..=found.len() as u64));
        }
    }
}
