//! Any status, body and `Retry-After`: only 204 is success, and no wait is made up.
#![no_main]

use tickline_sinks::influx::status::{Answer, Decision, Generation, decide, retry_after_ms};
use tickline_sinks::sink::Outcome;

libfuzzer_sys::fuzz_target!(|input: (u16, u8, u16, &str, &str, &[u8])| {
    let (status, generation, points, retry_after, date, body) = input;
    let generation = [Generation::V1, Generation::V2, Generation::V3][usize::from(generation) % 3];
    let points = u64::from(points).max(1);
    retry_after_ms(retry_after, Some(date));
    let answer = Answer { status, retry_after: Some(retry_after), date: Some(date), body };
    match decide(generation, &answer, points) {
        Decision::Final(Outcome::Stored { rejected, lines, .. }) => {
            let refused: u64 = rejected.iter().map(|(_, count)| count).sum();
            assert!(refused <= points && lines.len() as u64 <= points);
            assert!(status == 204 || refused > 0, "{status} is no success");
        }
        Decision::Final(outcome) => assert!(status != 204, "{outcome:?}"),
        Decision::BeyondRetention { dropped, .. } => assert!(dropped > 0 && dropped < points),
    }
});
