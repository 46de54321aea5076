use std::collections::VecDeque;
use std::sync::Mutex;

use crossbeam_channel::bounded;
use tickline_feeds::clock::WallNanos;
use tickline_sinks::batch::{Batch, Mark};
use tickline_sinks::sink::{Fault, FaultKind};

use super::*;

/// Time stands still, so that no test depends on it.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn wall(&self) -> WallNanos {
        WallNanos(1_000)
    }
    fn mono(&self) -> MonoNanos {
        MonoNanos(7)
    }
}

#[derive(Default)]
struct Record {
    writes: Vec<String>,
    commits: u32,
}

/// Answers from a list, then accepts.
struct Double {
    answers: VecDeque<Outcome>,
    commits: VecDeque<Outcome>,
    record: Arc<Mutex<Record>>,
    abort: Option<Arc<Stop>>,
    cell: Arc<WrCell>,
}

impl Sink for Double {
    fn write(&mut self, request: &Request) -> Outcome {
        let WrCounters { settled, written, rejected, shutdown, .. } = *self.cell.counters.lock();
        let balance = written + rejected.iter().sum::<u64>() + shutdown;
        assert_eq!(settled, balance, "what is published balances in the middle of a request, too");
        self.record.lock().unwrap().writes.push(String::from_utf8(request.lines.to_vec()).unwrap());
        self.answers.pop_front().unwrap_or_else(|| {
            if let Some(stop) = &self.abort {
                stop.abort();
                return not_sent(FaultKind::Missing);
            }
            Outcome::accepted()
        })
    }

    fn commit(&mut self) -> Outcome {
        self.record.lock().unwrap().commits += 1;
        self.commits.pop_front().unwrap_or_else(Outcome::accepted)
    }

    fn close(&mut self) -> Outcome {
        Outcome::accepted()
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault { kind, code: 404, detail: "database not found".into(), retry_after_ms: None }
}

fn not_sent(kind: FaultKind) -> Outcome {
    Outcome::NotSent(fault(kind))
}

struct Seen {
    counters: WrCounters,
    acked: u64,
    writes: Vec<String>,
    commits: u32,
}

struct Case {
    batches: Vec<(&'static str, u64)>,
    answers: Vec<Outcome>,
    commits: Vec<Outcome>,
    request_bytes_max: usize,
    abort: bool,
}

fn run(case: Case) -> Seen {
    let (send, batches) = bounded(16);
    for (lines, points) in case.batches {
        let marks = vec![Mark { sent: 400, due: 0 }];
        let batch = Arc::new(Batch { lines: lines.into(), points, marks, ..Batch::default() });
        send.send(Job { batch, ticket: 0 }).unwrap();
    }
    drop(send);
    let (stop, cell) = (Arc::new(Stop::default()), Arc::new(WrCell::default()));
    let record = Arc::new(Mutex::new(Record::default()));
    let double = Double {
        answers: case.answers.into(),
        commits: case.commits.into(),
        record: Arc::clone(&record),
        abort: case.abort.then(|| Arc::clone(&stop)),
        cell: Arc::clone(&cell),
    };
    let spec = WriterSpec {
        name: "wr-double-0".into(),
        fresh: batches,
        backlog: crossbeam_channel::never(),
        finished: Finished::Here(BatchPool::new(4), Arc::default()),
        request_bytes_max: case.request_bytes_max,
        rejects: None,
        hold: Some(HoldLimits { bytes_max: 1 << 20, age_max_ns: u64::MAX }),
        cell: Arc::clone(&cell),
    };
    Writer::new(spec, Box::new(double), Arc::new(Still), stop).run();
    let acked = cell.latencies.lock().publish_to_ack.histogram.len();
    let counters = cell.counters.lock().clone();
    let record = Arc::into_inner(record).unwrap().into_inner().unwrap();
    Seen { counters, acked, writes: record.writes, commits: record.commits }
}

fn case(batches: &[(&'static str, u64)], answers: Vec<Outcome>) -> Case {
    Case { batches: batches.to_vec(), answers, commits: vec![], request_bytes_max: 0, abort: false }
}

#[test]
fn waiting_batches_are_joined_up_to_the_size_of_a_request() {
    let seen = run(Case { request_bytes_max: 8, ..case(&[("a\nb\n", 2), ("c\n", 1), ("ddd\n", 1)], vec![]) });
    assert_eq!(seen.writes, ["a\nb\nc\n", "ddd\n"]);
    assert_eq!((seen.counters.written, seen.counters.settled, seen.acked), (4, 4, 3));
}

#[test]
fn a_write_in_doubt_is_sent_again_with_the_same_bytes_and_counted_once() {
    let answers = vec![Outcome::InDoubt(fault(FaultKind::Transient)), not_sent(FaultKind::Transient)];
    let seen = run(case(&[("a\nb\n", 2)], answers));
    assert_eq!(seen.writes, ["a\nb\n", "a\nb\n", "a\nb\n"]);
    assert_eq!((seen.counters.written, seen.counters.settled, seen.counters.retries), (2, 2, 2));
}

#[test]
fn a_spoiled_request_is_halved_until_only_the_bad_line_is_refused() {
    let spoiled = || Outcome::Split(fault(FaultKind::Content));
    let again = not_sent(FaultKind::Transient);
    let answers = vec![spoiled(), Outcome::accepted(), again, spoiled(), spoiled()];
    let seen = run(case(&[("a\nb\nx\nd\n", 4)], answers));
    assert_eq!(seen.writes, ["a\nb\nx\nd\n", "a\nb\n", "x\nd\n", "x\nd\n", "x\n", "d\n"]);
    assert_eq!((seen.counters.written, seen.counters.rejected[0], seen.counters.settled), (3, 1, 4));
}

#[test]
fn points_for_a_missing_database_are_never_counted_as_written() {
    let seen =
        run(Case { abort: true, ..case(&[("a\n", 1), ("b\n", 1)], vec![not_sent(FaultKind::Missing)]) });
    assert_eq!((seen.counters.written, seen.counters.shutdown, seen.counters.settled), (0, 2, 2));
    assert_eq!(seen.acked, 0);
    let trouble = seen.counters.trouble.unwrap().to_string();
    assert_eq!(
        trouble,
        "no such database, bucket or policy (tickline db apply creates those of InfluxDB 1): database not found"
    );
}

#[test]
fn held_points_are_in_flight_until_the_commit_and_written_again_if_it_fails() {
    let commits = vec![not_sent(FaultKind::Transient)];
    let answers = vec![Outcome::Held; 4];
    let seen = run(Case { commits, ..case(&[("a\n", 1), ("b\n", 1)], answers) });
    assert_eq!(seen.writes, ["a\n", "b\n", "a\n", "b\n"]);
    assert_eq!((seen.counters.written, seen.counters.settled, seen.commits), (2, 2, 2));
    assert_eq!(seen.acked, 2);
}

/// What a writer with a spooler tells it, a word a job and the lines that are put aside.
fn words(answers: Vec<Outcome>, drain: bool) -> (Vec<String>, WrCounters) {
    let (send, fresh) = bounded(4);
    let (tell, told) = crossbeam_channel::unbounded();
    for (lines, points, ticket) in [("a\nx\n", 2, 1), ("c\n", 1, 2)] {
        let batch = Arc::new(Batch { lines: lines.into(), points, ..Batch::default() });
        send.send(Job { batch, ticket }).unwrap();
    }
    drop(send);
    let (stop, cell) = (Arc::new(Stop::default()), Arc::new(WrCell::default()));
    if drain {
        stop.drain();
    }
    let (commits, record) = (VecDeque::new(), Arc::default());
    let double = Double { answers: answers.into(), commits, record, abort: None, cell: Arc::default() };
    let spec = WriterSpec {
        name: "wr-double-0".into(),
        fresh,
        backlog: crossbeam_channel::never(),
        finished: Finished::Spooler(tell),
        request_bytes_max: 0,
        rejects: None,
        hold: None,
        cell: Arc::clone(&cell),
    };
    Writer::new(spec, Box::new(double), Arc::new(Still), stop).run();
    let text = |word| match word {
        Word::Settled(tickets, parked) if parked.points == 0 => format!("settled {tickets:?}"),
        Word::Settled(tickets, parked) => {
            format!("settled {tickets:?} but {:?} {}", String::from_utf8_lossy(&parked.lines), parked.points)
        }
        Word::Back(ticket) => format!("back {ticket}"),
        Word::Trouble => "trouble".to_owned(),
    };
    let counters = cell.counters.lock().clone();
    (told.try_iter().map(text).collect(), counters)
}

#[test]
fn a_line_that_a_limit_of_the_server_keeps_out_is_put_aside_alone() {
    let limit = || Outcome::Split(fault(FaultKind::Limit));
    let (words, counters) = words(vec![limit(), Outcome::accepted(), limit()], false);
    assert_eq!(words, [r#"settled [1] but "x\n" 1"#, "settled [2]"]);
    assert_eq!((counters.written, counters.settled, counters.parked), (2, 3, 1));
}

#[test]
fn a_request_on_which_the_server_fails_again_and_again_is_put_aside_and_others_follow() {
    let failing = Fault { code: 500, ..fault(FaultKind::Transient) };
    let (words, counters) = words(vec![Outcome::InDoubt(failing); 5], false);
    assert_eq!(words[..4], ["trouble"; 4]);
    assert_eq!(words[4..], [r#"settled [1] but "a\nx\n" 2"#, "settled [2]"]);
    assert_eq!((counters.written, counters.settled, counters.parked), (1, 3, 2));
}

#[test]
fn with_a_spooler_behind_it_a_run_that_ends_waits_for_no_sink() {
    let (words, counters) = words(vec![not_sent(FaultKind::Transient); 2], true);
    assert_eq!(words, ["trouble", "back 1", "trouble", "back 2"]);
    assert_eq!((counters.settled, counters.shutdown), (0, 0));
}
