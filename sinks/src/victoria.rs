//! VictoriaMetrics: what InfluxDB 1 takes over `/write`, less what it cannot keep. It stores a number a field at the ms of
//! its time: a text becomes 0, times of one ms become one time, and a line that it cannot read is left out, each with
//! the same 204. So every line is read here before it is sent, and what will not be kept is counted.

use tickline_config::model::Influx;

use crate::influx::InfluxSink;
use crate::lines::{Line, Value};
use crate::open::OpenError;
use crate::sink::{Narrowed, Outcome, RejectReason, Request, Sink};

/// ns of the finest time that is kept.
const STEP_NS: i64 = 1_000_000;

/// One connection to a VictoriaMetrics.
#[derive(Debug)]
pub struct VictoriaSink {
    http: InfluxSink,
    narrowed: Narrowed,
}

impl VictoriaSink {
    /// Builds the client; sends nothing yet.
    pub fn open(name: &str, settings: &Influx) -> Result<Self, OpenError> {
        Ok(Self {
            http: InfluxSink::with(name, settings, "/write", &[("precision", "ns")])?,
            narrowed: Narrowed::default(),
        })
    }
}

/// What a request loses on the way.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    narrowed: Narrowed,
    /// Places of the lines that cannot be read.
    bad: Vec<u32>,
    why: Option<&'static str>,
}

fn look(lines: &[u8]) -> Look {
    let (mut look, mut line) = (Look::default(), Line::default());
    for (text, place) in lines.split_inclusive(|byte| *byte == b'\n').zip(0..) {
        if let Err(why) = line.read(text) {
            look.bad.push(place);
            look.why.get_or_insert(why);
            continue;
        }
        let texts = line.values.iter().filter(|(_, value)| matches!(value, Value::Text(_)));
        look.narrowed.texts += texts.count() as u64;
        look.narrowed.times += u64::from(line.time_ns % STEP_NS != 0);
    }
    look
}

impl Sink for VictoriaSink {
    fn write(&mut self, request: &Request) -> Outcome {
        let outcome = self.http.write(request);
        if outcome != Outcome::accepted() {
            return outcome;
        }
        let look = look(&request.lines);
        self.narrowed.add(look.narrowed);
        if look.bad.is_empty() {
            return outcome;
        }
        let rejected = vec![(RejectReason::BadLine, look.bad.len() as u64)];
        Outcome::Stored { rejected, detail: look.why.map(str::to_owned), lines: look.bad }
    }

    fn take_server_time_s(&mut self) -> Option<i64> {
        self.http.take_server_time_s()
    }

    fn take_narrowed(&mut self) -> Narrowed {
        std::mem::take(&mut self.narrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_counted_line_by_line() {
        let lines = concat!(
            "m,a=b f=1,s=\"x\" 1700000000000000000\n",
            "m,a=b f=1,s=\"x\",t=\"y\" 1700000000000000001\n",
            "no line\n",
            "m,a=b f=1,b=true,i=1i 1700000000001999999\n",
        );
        let narrowed = Narrowed { texts: 3, times: 2 };
        let Look { narrowed: found, bad, why } = look(lines.as_bytes());
        assert_eq!((found, bad), (narrowed, vec![2]));
        assert!(why.is_some());
    }
}
