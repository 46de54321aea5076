//! QuestDB: line protocol over HTTP into tables that keep ns and have deduplication keys. Left to itself the server makes a
//! table for every new name, in µs and without keys: two ticks of one µs would be one, and what is sent twice there
//! twice. So no line goes to a table that has not been looked at.

pub(crate) mod admin;

use std::collections::HashSet;

use tickline_config::model::Influx;

use crate::influx::InfluxSink;
use crate::open::OpenError;
use crate::sink::{Fault, Outcome, Request, Sink};
use admin::Server;

/// One connection to a QuestDB.
#[derive(Debug)]
pub struct QuestSink {
    http: InfluxSink,
    server: Server,
    /// Tables that are right.
    known: HashSet<String>,
}

impl QuestSink {
    /// Builds the client; sends nothing yet.
    pub fn open(name: &str, settings: &Influx) -> Result<Self, OpenError> {
        let http = InfluxSink::with(name, settings, "/write", &[("precision", "n")])?;
        Ok(Self { http, server: Server::new(name, settings)?, known: HashSet::new() })
    }

    /// Looks at the tables that lines name and that nothing is known of yet.
    fn look(&mut self, lines: &[u8]) -> Result<(), Fault> {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let end = line.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(line.len());
            // A name with an escape is looked at by its first part, which no table has.
            let name = line.get(..end).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
            if !self.known.contains(name) {
                self.server.keeps_ties(name)?;
                self.known.insert(name.to_owned());
            }
        }
        Ok(())
    }
}

impl Sink for QuestSink {
    fn write(&mut self, request: &Request) -> Outcome {
        if let Err(fault) = self.look(&request.lines) {
            return Outcome::NotSent(fault);
        }
        let outcome = self.http.write(request);
        if outcome != Outcome::accepted() {
            // The tables may have been altered.
            self.known.clear();
        }
        outcome
    }

    fn take_server_time_s(&mut self) -> Option<i64> {
        self.http.take_server_time_s()
    }
}

#[cfg(test)]
mod tests;
