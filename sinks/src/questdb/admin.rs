//! Tables of a QuestDB, over its `/exec` (QuestDB documentation: REST API, SHOW COLUMNS, CREATE TABLE, deduplication).

use serde::Deserialize;
use tickline_config::model::Influx;

use crate::admin::tables::{self, FieldType, Plan, TableAdmin, Wanted};
use crate::influx::http::{Http, Reply};
use crate::influx::status::message;
use crate::open::OpenError;
use crate::sink::{Fault, FaultKind, Outcome};

/// Column of the time, as the server itself names it.
const TIME: &str = "timestamp";
/// Its type: ns, which servers have from 9.1 on.
const TIME_TYPE: &str = "TIMESTAMP_NS";

/// A server that answers SQL.
#[derive(Debug)]
pub(crate) struct Server {
    http: Http,
}

/// One column of a table.
#[derive(Debug)]
struct Column {
    name: String,
    kind: String,
    /// Part of the deduplication keys.
    key: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    columns: Vec<Named>,
    #[serde(default)]
    dataset: Vec<Vec<serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

impl Answer {
    fn at<'a>(&self, row: &'a [serde_json::Value], column: &str) -> Option<&'a serde_json::Value> {
        row.get(self.columns.iter().position(|known| known.name == column)?)
    }
}

impl Server {
    pub(crate) fn new(sink: &str, settings: &Influx) -> Result<Self, OpenError> {
        Ok(Self { http: Http::new(sink, settings)? })
    }

    fn ask(&self, statement: &str) -> Result<Answer, Fault> {
        let reply = match Reply::of(self.http.get(self.http.url("/exec", &[("query", statement)]))) {
            Ok(reply) => reply,
            // Nothing was stored, however it ended.
            Err(Outcome::NotSent(fault) | Outcome::InDoubt(fault)) => return Err(fault),
            Err(other) => return Err(fault(FaultKind::Transient, 0, other.detail().to_owned())),
        };
        let said = || format!("status {}: {}", reply.status, message(&reply.body));
        match reply.status {
            200 => serde_json::from_slice(&reply.body).map_err(|_| fault(FaultKind::Config, 200, said())),
            400 if said().contains("table does not exist") => Ok(Answer::default()),
            400 => Err(fault(FaultKind::Config, 400, said())),
            401 | 403 => Err(fault(FaultKind::Auth, reply.status, said())),
            status => Err(fault(FaultKind::Transient, status, said())),
        }
    }

    /// The columns of a table; none if it is not there.
    fn columns(&self, table: &str) -> Result<Vec<Column>, Fault> {
        let answer = self.ask(&format!("SHOW COLUMNS FROM {}", quoted(table)))?;
        let text =
            |value: Option<&serde_json::Value>| value.and_then(|v| v.as_str()).unwrap_or("").to_owned();
        let column = |row: &Vec<serde_json::Value>| Column {
            name: text(answer.at(row, "column")),
            kind: text(answer.at(row, "type")),
            key: answer.at(row, "upsertKey").and_then(|v| v.as_bool()).unwrap_or(false),
        };
        Ok(answer.dataset.iter().map(column).collect())
    }

    /// Fails unless the table keeps ns and has its time and every symbol in its deduplication keys.
    pub(crate) fn keeps_ties(&self, table: &str) -> Result<(), Fault> {
        let columns = self.columns(table)?;
        if columns.is_empty() {
            let detail = format!("there is no table {}: tickline db apply creates it", quoted(table));
            return Err(fault(FaultKind::Missing, 0, detail));
        }
        let must_be_key = |column: &&Column| column.name == TIME || column.kind == "SYMBOL";
        let loose = columns.iter().filter(must_be_key).find(|column| !column.key);
        let time = columns.iter().find(|column| column.name == TIME);
        let wrong = match (time, loose) {
            (Some(time), _) if time.kind != TIME_TYPE => {
                format!("{TIME} must be {TIME_TYPE}, found {}", time.kind)
            }
            (None, _) => format!("there must be a column {TIME} ({TIME_TYPE})"),
            (_, Some(loose)) => format!("{} must be in the deduplication keys", loose.name),
            _ => return Ok(()),
        };
        Err(fault(FaultKind::Config, 0, format!("{}: {wrong}: tickline db plan compares", quoted(table))))
    }

    fn compare(&self, of: &Wanted, plan: &mut Plan) -> Result<(), Fault> {
        let name = quoted(&of.name);
        let mut seen = vec![TIME];
        for column in of.tags.iter().chain(of.fields.iter().map(|(field, _)| field)) {
            if seen.contains(&column.as_str()) {
                plan.conflicts
                    .push(format!("{name}: {TIME}, tags and fields must differ, found {column} twice"));
                return Ok(());
            }
            seen.push(column);
        }
        let columns = self.columns(&of.name)?;
        if columns.is_empty() {
            plan.statements.push(create(of));
            return Ok(());
        }
        let wanted = [(TIME, TIME_TYPE, true)].into_iter();
        let wanted = wanted.chain(of.tags.iter().map(|tag| (tag.as_str(), "SYMBOL", true)));
        let wanted = wanted.chain(of.fields.iter().map(|(field, of)| (field.as_str(), kind(*of), false)));
        for (column, kind, key) in wanted {
            let place = format!("{name}.{}", quoted(column));
            match columns.iter().find(|known| known.name == column) {
                None if key => plan
                    .conflicts
                    .push(format!("{place}: must be in the deduplication keys, found no such column")),
                None => {
                    plan.statements.push(format!("ALTER TABLE {name} ADD COLUMN {} {kind}", quoted(column)))
                }
                Some(found) if found.kind != kind => {
                    plan.conflicts.push(format!("{place}: must be {kind}, found {}", found.kind));
                }
                Some(found) if found.key != key => {
                    let must = if key { "must be" } else { "must not be" };
                    plan.conflicts.push(format!("{place}: {must} in the deduplication keys"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl TableAdmin for Server {
    fn server(&mut self, _: &[Wanted]) -> Result<tables::Server, String> {
        let answer = self
            .ask("SELECT build() AS build, cast(now() AS LONG) AS now_us")
            .map_err(|fault| fault.detail)?;
        let row = answer.dataset.first().ok_or("no answer to SELECT build()")?;
        let build = answer.at(row, "build").and_then(|v| v.as_str()).unwrap_or("version not told").to_owned();
        let time_us = answer.at(row, "now_us").and_then(|v| v.as_i64()).ok_or("no clock in its answer")?;
        Ok(tables::Server { version: build, time_s: time_us / 1_000_000, unfit: vec![], notes: vec![] })
    }

    fn plan(&mut self, wanted: &[Wanted]) -> Result<Plan, String> {
        let mut plan = Plan::default();
        wanted.iter().try_for_each(|of| self.compare(of, &mut plan)).map_err(|fault| fault.detail)?;
        Ok(plan)
    }

    fn apply(&mut self, wanted: &[Wanted]) -> Result<Plan, String> {
        let plan = self.plan(wanted)?;
        for statement in &plan.statements {
            self.ask(statement).map_err(|fault| format!("{statement}: {}", fault.detail))?;
        }
        Ok(plan)
    }
}

fn create(of: &Wanted) -> String {
    let tags = of.tags.iter().map(|tag| format!("{} SYMBOL", quoted(tag)));
    let fields = of.fields.iter().map(|(field, of)| format!("{} {}", quoted(field), kind(*of)));
    let columns: Vec<String> = tags.chain(fields).collect();
    let keys: Vec<String> = [quoted(TIME)].into_iter().chain(of.tags.iter().map(|tag| quoted(tag))).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({} {TIME_TYPE}, {}) TIMESTAMP({TIME}) PARTITION BY DAY WAL DEDUP UPSERT KEYS({})",
        quoted(&of.name),
        quoted(TIME),
        columns.join(", "),
        keys.join(", ")
    )
}

fn kind(of: FieldType) -> &'static str {
    match of {
        FieldType::Float => "DOUBLE",
        FieldType::Int => "LONG",
        FieldType::Bool => "BOOLEAN",
        FieldType::Text => "VARCHAR",
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn fault(kind: FaultKind, code: u16, detail: String) -> Fault {
    Fault { kind, code, detail, retry_after_ms: None }
}
