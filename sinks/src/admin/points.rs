//! Points of an InfluxDB 1 as they are stored, read back and written again: what backup, restore and export stand on.
//! Values are taken as the server's text, so that no digit changes on the way.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Admin, AdminError, Row, identifier};

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

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredKind {
    /// 64-bit float.
    Float,
    /// 64-bit integer.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text,
}

impl StoredKind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "float" => Self::Float,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "string" => Self::Text,
            _ => return None,
        })
    }
}

/// One point.
#[derive(Debug)]
pub struct StoredPoint<'a> {
    /// Measurement.
    pub measurement: &'a str,
    /// Tags, by name; one that the point does not have is empty.
    pub tags: &'a BTreeMap<String, String>,
    /// Name, kind and JSON text of each field that it has, in the order of their names.
    pub fields: Vec<(&'a str, StoredKind, &'a str)>,
    /// ns since 1970.
    pub time_ns: i64,
}

impl StoredPoint<'_> {
    /// Appends it as line protocol, with its end.
    pub fn write_line(&self, line: &mut String) {
        escape(line, self.measurement, &[',', ' ']);
        for (name, value) in self.tags.iter().filter(|(_, value)| !value.is_empty()) {
            line.push(',');
            escape(line, name, &[',', '=', ' ']);
            line.push('=');
            escape(line, value, &[',', '=', ' ']);
        }
        for ((name, kind, text), before) in
            self.fields.iter().zip([' '].into_iter().chain(std::iter::repeat(',')))
        {
            line.push(before);
            escape(line, name, &[',', '=', ' ']);
            line.push('=');
            match kind {
                StoredKind::Float | StoredKind::Boolean => line.push_str(text),
                StoredKind::Integer => {
                    line.push_str(text);
                    line.push('i');
                }
                StoredKind::Text => {
                    line.push('"');
                    // It was read as JSON before.
                    escape(line, &serde_json::from_str::<String>(text).unwrap_or_default(), &['"', '\\']);
                    line.push('"');
                }
            }
        }
        line.push(' ');
        line.push_str(&self.time_ns.to_string());
        line.push('\n');
    }
}

pub(super) fn escape(out: &mut String, text: &str, special: &[char]) {
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
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

impl PieceSeries<'_> {
    /// Gives each point; how many, or none if something is not what its column says.
    fn points(
        &self,
        measurement: &str,
        kinds: &HashMap<String, StoredKind>,
        take: &mut dyn FnMut(&StoredPoint<'_>),
    ) -> Option<u64> {
        let time = self.columns.iter().position(|name| name == "time")?;
        for row in &self.values {
            let time_ns = row.get(time)?.get().parse().ok()?;
            let mut fields = Vec::with_capacity(row.len());
            for (name, value) in self.columns.iter().zip(row) {
                if name != "time" && value.get() != "null" {
                    fields.push((name.as_str(), *kinds.get(name)?, value.get()));
                }
            }
            take(&StoredPoint { measurement, tags: &self.tags, fields, time_ns });
        }
        u64::try_from(self.values.len()).ok()
    }
}

impl Admin {
    /// Gives each point of a span, series by series, in the order of time; returns how many.
    pub fn read_points(
        &self,
        span: &Span<'_>,
        take: &mut dyn FnMut(&StoredPoint<'_>),
    ) -> Result<u64, AdminError> {
        let kinds = self.kinds(span.policy, span.measurement)?.into_iter().collect();
        let source = self.source(span.policy, span.measurement)?;
        let Span { from_ns, to_ns, .. } = span;
        let and =
            if span.condition.is_empty() { String::new() } else { format!(" AND ({})", span.condition) };
        let statement =
            format!("SELECT * FROM {source} WHERE time >= {from_ns}ns AND time < {to_ns}ns{and} GROUP BY *");
        let chunks = [("chunked", "true"), ("chunk_size", CHUNK_ROWS)];
        let parameters = [("q", statement.as_str()), ("epoch", "ns"), chunks[0], chunks[1]];
        let request = self.http.post(self.http.url("/query", &parameters)).timeout(READ_MAX);
        let url = || self.url.clone();
        let broken = |detail: String| AdminError::Unreachable { url: url(), detail };
        let answer = request.send().map_err(|error| broken(error.to_string()))?;
        let status = answer.status().as_u16();
        if !answer.status().is_success() {
            let detail = answer.text().unwrap_or_default();
            return Err(AdminError::Answer { url: url(), status, detail });
        }
        let (mut points, mut reader, mut text) = (0, BufReader::new(answer), String::new());
        // The server ends each piece with a line feed.
        while reader.read_line(&mut text).map_err(|error| broken(error.to_string()))? > 0 {
            let piece: Piece<'_> = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
            let error = piece.error.or_else(|| piece.results.iter().find_map(|result| result.error.clone()));
            if let Some(detail) = error {
                return Err(AdminError::Answer { url: url(), status, detail });
            }
            for series in piece.results.iter().flat_map(|result| &result.series) {
                let unreadable = || broken(format!("a row of {} cannot be read", span.measurement));
                points += series.points(span.measurement, &kinds, take).ok_or_else(unreadable)?;
            }
            text.clear();
        }
        Ok(points)
    }

    /// Writes lines to a policy. What the server refuses is an error with its words.
    pub fn write_lines(&self, policy: &str, lines: Bytes) -> Result<(), AdminError> {
        let database = self.database("restore")?;
        let url = self.http.url("/write", &[("db", database), ("rp", policy), ("precision", "ns")]);
        self.ask(self.http.post(url).body(lines)).map(drop)
    }

    /// Fields that a policy has of a measurement and what kind each is, in order.
    pub fn kinds(&self, policy: &str, measurement: &str) -> Result<Vec<(String, StoredKind)>, AdminError> {
        self.names("FIELD", policy, measurement, |row| {
            let text = |at: usize| row.get(at)?.as_str();
            Some((text(0)?.to_owned(), StoredKind::of(text(1)?)?))
        })
    }

    /// Tags that a policy has of a measurement, in order.
    pub fn tags(&self, policy: &str, measurement: &str) -> Result<Vec<String>, AdminError> {
        self.names("TAG", policy, measurement, |row| Some(row.get(0)?.as_str()?.to_owned()))
    }

    fn names<T>(
        &self,
        what: &str,
        policy: &str,
        measurement: &str,
        read: impl Fn(&Row) -> Option<T>,
    ) -> Result<Vec<T>, AdminError> {
        // Without a policy the server tells of the default one alone.
        let on = identifier(self.database("reading")?);
        let from = format!("{}.{}", identifier(policy), identifier(measurement));
        let rows = self.query(&format!("SHOW {what} KEYS ON {on} FROM {from}"))?;
        rows.iter().map(|row| read(row).ok_or_else(|| self.unreadable(row))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_the_line_that_it_was() {
        let kinds = [("f", "float"), ("i", "integer"), ("s", "string"), ("b", "boolean"), ("n", "float")];
        let kinds = kinds.map(|(name, kind)| (name.to_owned(), StoredKind::of(kind).unwrap())).into();
        let series = r#"{"tags":{"t a":"x=1,2","none":""},"columns":["time","b","f","i","n","s"],
            "values":[[17,true,0.1,9007199254740993,null,"say \"hi\" \\"]]}"#;
        let series: PieceSeries<'_> = serde_json::from_str(series).unwrap();
        let mut line = String::new();
        let points = series.points("m,1", &kinds, &mut |point| point.write_line(&mut line));
        let expected = r#"m\,1,t\ a=x\=1\,2 b=true,f=0.1,i=9007199254740993i,s="say \"hi\" \\" 17"#;
        assert_eq!((points, line.as_str()), (Some(1), format!("{expected}\n").as_str()));
        let parsed = influxdb_line_protocol::parse_lines(&line).next().unwrap().unwrap();
        assert_eq!(parsed.field_set.len(), 4);
        assert_eq!(series.points("m", &HashMap::new(), &mut |_| {}), None, "a field of no known kind");
    }
}
