//! Promise: a publisher in another language that knows none of the reserved keys, as the predecessor's, is read
//! in both framings; its points are as expected, and the report says that loss cannot be detected.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::program::{Engine, feed};

/// The Python of a virtual environment with msgpack, pyarrow and pyzmq.
pub(crate) fn python() -> Option<String> {
    let python = std::env::var("TICKLINE_PYTHON").ok();
    if python.is_none() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_PYTHON is not set");
        println!("skipped: TICKLINE_PYTHON not set");
    }
    python
}

/// Binds a publisher a topic, says where, and sends once both are subscribed to; ends with its input.
const PUBLISHER: &str = r#"
import sys, zmq
from msgpack import packb

context = zmq.Context()
sockets = {}
for topic in ("kraken_tick", "oanda_tick"):
    socket = sockets[topic] = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.SNDHWM, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(topic, f"tcp://127.0.0.1:{port}", flush=True)
for topic, socket in sockets.items():
    while socket.recv() != b"\x01" + topic.encode():
        pass

def send(topic, payload, single=False):
    packed = packb(payload, use_bin_type=True)
    if single:
        sockets[topic].send(topic.encode() + b" " + packed)
    else:
        sockets[topic].send_multipart([topic.encode(), packed])

for n in range(100):
    second = 1785760200 + n
    send("kraken_tick", {"timestamp": second, "instrument": "XXBTZUSD", "bid": 63000.5 + n,
                         "ask": "64001.25", "volume": 10 * n}, single=n % 2 == 1)
    send("oanda_tick", {"instrument": "EUR_USD", "time": f"2026-08-03T12:30:00.{n:09}Z", "bid": 1.25,
                        "ask": str(1.5 + n), "volume": n}, single=n % 3 == 1)
lists = [["3.5", "1", "1.5"], ["2.5", "9", "2.25"], ["4.5", "0.1"], ["5", "6"], ["7", "8"], [9, 10],
         ["11", "12"], ["13", "14"], "15"]
send("kraken_tick", {"result": {"XETHZEUR": lists}})
sys.stdin.read()
"#;

struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_python_publisher_without_reserved_keys_is_read_in_both_framings() {
    let Some(python) = python() else { return };
    let mut child = Command::new(python)
        .args(["-c", PUBLISHER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let said = BufReader::new(child.stdout.take().expect("its output"));
    let _script = Script(child);
    let dir = tempfile::tempdir().unwrap();
    let mut sets = vec!["sinks.kept.kind=\"file\"".to_owned(), "sinks.kept.path=\"kept.lp\"".to_owned()];
    for line in said.lines().take(2).map(Result::unwrap) {
        let (topic, endpoint) = line.split_once(' ').expect("topic and endpoint");
        sets.extend(feed(topic, endpoint));
        sets.push(format!("feeds.{topic}.system_fields=[\"flags\"]"));
    }
    let engine = Engine::start(dir.path(), &sets);
    engine.wait("all written", |report| report.ledger.written == 201);
    let ended = engine.stop();
    ended.assert_clean();
    let ledger = &ended.report.ledger;
    assert_eq!((ledger.received, ledger.decoded, ledger.points_made), (201, 201, 201));
    // Unknown, and not 0.
    let unknown = [ledger.published, ledger.sequenced, ledger.lost_before_receive, ledger.lost_overload];
    assert_eq!(unknown, [None; 4]);
    let gaps = ended.report.feeds.values().map(|feed| (feed.gaps, feed.ledger.published));
    assert_eq!(gaps.collect::<Vec<_>>(), [(None, None); 2]);

    let kept = std::fs::read_to_string(dir.path().join("kept.lp")).unwrap();
    let mut lines: Vec<&str> = kept.lines().collect();
    let rest = lines.iter().position(|line| line.contains("pair=ETH/EUR")).expect("the list of nine");
    let rest = lines.remove(rest);
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..100)
        .flat_map(|n| {
            let kraken = format!(
                "kraken_tick,base=BTC,exchange=kraken,pair=BTC/USD,quote=USD bid={},ask=64001.25,volume={} {}",
                63_000.5 + f64::from(n),
                10 * n,
                (1_785_760_200 + i64::from(n)) * 1_000_000_000
            );
            let ask = if n < 1 { "1.5".to_owned() } else { format!("{:?}", 1.5 + f64::from(n)) };
            let oanda = format!(
                "oanda_tick,base=EUR,exchange=oanda,instrument=EUR_USD,quote=USD \
                 bid=1.25,ask={ask},spread={},volume={n}i 17857602000000000{n:02}",
                0.25 + f64::from(n)
            );
            [kraken, oanda]
        })
        .collect();
    expected.sort();
    let differs = lines.iter().zip(&expected).find(|(line, expected)| line != expected);
    assert_eq!(differs, None, "found and expected");
    let fields = "kraken_tick,base=ETH,exchange=kraken,pair=ETH/EUR,quote=EUR bid=2.5,bid_qty=2.25,ask=3.5,\
                  ask_qty=1.5,last_trade_price=4.5,volume=6,vwap=8,last_trade_qty=0.1,volume_today=5,\
                  vwap_today=7,trades=10i,trades_today=9i,low=12,low_today=11,high=14,high_today=13,open=15,\
                  flags=8i ";
    assert!(rest.starts_with(fields), "{rest}");
}
