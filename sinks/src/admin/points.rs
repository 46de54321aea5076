//! Points of an InfluxDB 1 as they are stored, read back as line protocol and written again: what backup, restore and
//! export stand on. Numbers are taken as the server's text, so that no digit changes on the way.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Admin, AdminError, identifier};
use crate::admin::InfluxTarget;
use crate::influx::http::Reply;

/// Rows that the server puts into one piece of its answer.
const CHUNK_ROWS: &str = "10000";

/// Longest time in which all points of one span must have come.
const READ_MAX: Duration = Duration::from_secs(600);

/// What is read: of one measurement in one policy, from a time up to but not including another, ns since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Retention policy.
    pub policy: &'a str,
    /// Measurement.
    pub measurement: &'a str,
    /// First time.
    pub from_ns: i64,
    /// Time behind the last.
    pub to_ns: i64,
    /// A condition on tags or fields in InfluxQL, such as `"recv_ns" <= 17`; empty: none.
    pub condition: &'a str,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, default)]
    results: Vec<PieceResult<'a>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct PieceResult<'a> {
    #[serde(borrow, default)]
    series: Vec<PieceSeries<'a>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct PieceSeries<'a> {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    columns: Vec<String>,
    #[serde(borrow)]
    values: Vec<Vec<&'a RawValue>>,
}

impl Admin {
    /// Gives each point of a span as a line with its end, series by series, in the order of time; returns how many.
    pub fn read_points(&self, span: &Span<'_>, take: &mut dyn FnMut(&str)) -> Result<u64, AdminError> {
        let kinds = self.kinds(span.measurement)?;
        let source = self.source(span.policy, span.measurement)?;
        let Span { from_ns, to_ns, .. } = span;
        let and =
            if span.condition.is_empty() { String::new() } else { format!(" AND ({})", span.condition) };
        let statement =
            format!("SELECT * FROM {source} WHERE time >= {from_ns}ns AND time < {to_ns}ns{and} GROUP BY *");
        let parameters =
            [("q", statement.as_str()), ("epoch", "ns"), ("chunked", "true"), ("chunk_size", CHUNK_ROWS)];
        let request = self.http.post(self.http.url("/query", &parameters)).timeout(READ_MAX);
        let broken = |detail: String| AdminError::Unreachable { url: self.url.clone(), detail };
        let answer = request.send().map_err(|error| broken(error.to_string()))?;
        let status = answer.status().as_u16();
        if !answer.status().is_success() {
            let detail = answer.text().unwrap_or_default();
            return Err(AdminError::Answer { url: self.url.clone(), status, detail });
        }
        let (mut points, mut line) = (0, String::new());
        // The server ends each piece with a line feed.
        let mut pieces = Pieces { reader: BufReader::new(answer), text: String::new() };
        while let Some(text) = pieces.next().map_err(|error| broken(error.to_string()))? {
            let piece: Piece<'_> = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
            let error = piece.error.or_else(|| piece.results.iter().find_map(|result| result.error.clone()));
            if let Some(detail) = error {
                return Err(AdminError::Answer { url: self.url.clone(), status, detail });
            }
            for series in piece.results.iter().flat_map(|result| &result.series) {
                let head = series_key(span.measurement, &series.tags);
                for row in &series.values {
                    line.clear();
                    line.push_str(&head);
                    write_row(&mut line, &series.columns, row, &kinds)
                        .ok_or_else(|| broken(format!("a row of {} cannot be read", span.measurement)))?;
                    take(&line);
                    points += 1;
                }
            }
        }
        Ok(points)
    }

    /// Writes lines to a policy. What the server refuses is an error with its words.
    pub fn write_lines(&self, policy: &str, lines: Bytes) -> Result<(), AdminError> {
        let database = self.database("restore")?;
        let url = self.http.url("/write", &[("db", database), ("rp", policy), ("precision", "ns")]);
        self.ask(self.http.post(url).body(lines)).map(|_: Reply| ())
    }

    /// Fields of a measurement and what kind each is.
    fn kinds(&self, measurement: &str) -> Result<HashMap<String, String>, AdminError> {
        let InfluxTarget::V1 { database, .. } = &self.target else { return Err(self.unsupported("reading")) };
        let rows = self.query(&format!(
            "SHOW FIELD KEYS ON {} FROM {}",
            identifier(database),
            identifier(measurement)
        ))?;
        let text = |value: Option<&serde_json::Value>| value?.as_str().map(str::to_owned);
        Ok(rows.iter().filter_map(|row| Some((text(row.get(0))?, text(row.get(1))?))).collect())
    }
}

struct Pieces<R> {
    reader: R,
    text: String,
}

impl<R: std::io::BufRead> Pieces<R> {
    fn next(&mut self) -> std::io::Result<Option<&str>> {
        self.text.clear();
        let bytes = self.reader.read_line(&mut self.text)?;
        Ok((bytes > 0).then_some(self.text.as_str()))
    }
}

/// Measurement and tags, up to the space before the fields.
fn series_key(measurement: &str, tags: &BTreeMap<String, String>) -> String {
    let mut key = String::new();
    escape(&mut key, measurement, &[',', ' ']);
    // A tag that a series does not have comes as an empty one.
    for (name, value) in tags.iter().filter(|(_, value)| !value.is_empty()) {
        key.push(',');
        escape(&mut key, name, &[',', '=', ' ']);
        key.push('=');
        escape(&mut key, value, &[',', '=', ' ']);
    }
    key.push(' ');
    key
}

/// Fields and time of one row; none if it is not what its columns say.
fn write_row(
    line: &mut String,
    columns: &[String],
    row: &[&RawValue],
    kinds: &HashMap<String, String>,
) -> Option<()> {
    let mut time = None;
    let mut first = true;
    for (name, value) in columns.iter().zip(row) {
        let text = value.get();
        if name == "time" {
            time = Some(text);
            continue;
        }
        if text == "null" {
            continue;
        }
        if !std::mem::take(&mut first) {
            line.push(',');
        }
        escape(line, name, &[',', '=', ' ']);
        line.push('=');
        match kinds.get(name).map(String::as_str) {
            Some("float" | "boolean") => line.push_str(text),
            Some("integer") => {
                line.push_str(text);
                line.push('i');
            }
            Some("string") => {
                let text: String = serde_json::from_str(text).ok()?;
                line.push('"');
                escape(line, &text, &['"', '\\']);
                line.push('"');
            }
            _ => return None,
        }
    }
    line.push(' ');
    line.push_str(time?);
    line.push('\n');
    (!first).then_some(())
}

fn escape(out: &mut String, text: &str, special: &[char]) {
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_the_line_that_it_was() {
        let kinds = [("f", "float"), ("i", "integer"), ("s", "string"), ("b", "boolean")];
        let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into();
        let tags = [("t a".to_owned(), "x=1,2".to_owned()), ("none".to_owned(), String::new())].into();
        let columns = ["time", "b", "f", "i", "s"].map(str::to_owned);
        let values: Vec<&RawValue> =
            serde_json::from_str(r#"[17,true,0.1,9007199254740993,"say \"hi\" \\"]"#).unwrap();
        let mut line = series_key("m,1", &tags);
        write_row(&mut line, &columns, &values, &kinds).unwrap();
        let expected = r#"m\,1,t\ a=x\=1\,2 b=true,f=0.1,i=9007199254740993i,s="say \"hi\" \\" 17"#;
        assert_eq!(line, format!("{expected}\n"));
        let parsed = influxdb_line_protocol::parse_lines(&line).next().unwrap().unwrap();
        assert_eq!(parsed.field_set.len(), 4);
        let nothing: Vec<&RawValue> = serde_json::from_str("[17,null]").unwrap();
        assert_eq!(write_row(&mut String::new(), &["time".into(), "f".into()], &nothing, &kinds), None);
    }
}
