//! Promise: points for a database that does not exist are held and tried again, said plainly, and never counted
//! as written; what is left at the deadline is counted as dropped.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::rig::{Publisher, config, feed, keys, look, start, wait_until};
use tickline::report::{Standard, judge};
use tickline_config::report::Verdict;

/// Answers every request as InfluxDB 1 does for a database that it does not have.
fn without_database(listener: &TcpListener) {
    let body = r#"{"error":"database not found: \"tick\""}"#;
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            seen.extend_from_slice(&chunk[..read]);
            let Some(head) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
            if text.starts_with("post /end") {
                return;
            }
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|n| n.parse().ok()).unwrap_or(0);
            if seen.len() >= head + 4 + length {
                let head = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nconnection: close";
                write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
                break;
            }
        }
    }
}

#[test]
fn points_for_a_missing_database_are_held_and_dropped_at_the_deadline_but_never_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| without_database(&listener));
        let context = zmq::Context::new();
        let mut publisher = Publisher::bind(&context, "alpha");
        let config = config(&[
            feed("alpha", &publisher.endpoint),
            keys(&["sinks.db.kind=\"influxdb\"", "sinks.db.version=1", "sinks.db.database=\"tick\""]),
            vec![format!("sinks.db.url=\"{url}\"")],
        ]);
        let mut run = start(&config, &|sink| {
            tickline_sinks::open::open(&sink.name, "test", 1, &sink.sink).map_err(|error| error.to_string())
        });
        publisher.wait_subscription(true);
        publisher.send(100);
        let held = wait_until(&run, "tried and refused", |report| {
            report.sinks["db"].points == 100 && report.sinks["db"].requests > 0
        });
        assert_eq!((held.ledger.written, held.ledger.in_flight), (0, 100));
        let reading = tickline::ledger::Reading::take(&run.view().stats);
        let trouble = reading.sinks_out[0].trouble.as_ref().map_or_else(String::new, ToString::to_string);
        assert!(trouble.contains("database not found"), "{trouble}");
        run.drain(Duration::from_millis(100));
        let mut report = look(&run);
        assert!(report.ledger.balanced, "{:#?}", report.ledger);
        assert_eq!((report.ledger.written, report.ledger.dropped["shutdown"]), (0, 100));
        judge(&mut report, Standard::Ended);
        assert_eq!(report.verdict, Verdict::Fail);
        assert_eq!(report.reasons, ["100 points were dropped at shutdown"]);
        let mut end = std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        end.write_all(b"POST /end HTTP/1.1\r\n\r\n").unwrap();
    });
}
