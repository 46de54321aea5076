//! The sequence state: where each source stood, in a file of `state_dir`, so that a restart knows what was
//! missed meanwhile. Written each second and at stop, always whole: a reader finds the old one or the new one.

use std::collections::BTreeMap;
use std::fs::{File, rename};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tickline_feeds::sequence::{Figures, SequencePoint, Untold};
use tickline_sinks::spool::store::LocalStore;

use crate::view::View;

/// Name and version of the file's form.
const SCHEMA: &str = "tickline.sequences/1";

/// The state file of an engine.
#[derive(Clone, Debug)]
pub struct StateFile(PathBuf);

/// Where the sources stood, by feed; endpoints by position in the plan.
pub type Resume = BTreeMap<String, Vec<SequencePoint>>;

impl StateFile {
    /// The file in a state folder, which is made if it is missing.
    pub fn in_dir(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self(dir.join("sequences.json")))
    }

    /// Takes the folder for this process; it is free again when the file is dropped.
    pub fn lock(dir: &Path) -> io::Result<File> {
        std::fs::create_dir_all(dir)?;
        LocalStore::at(dir).lock()
    }

    /// The process that has the folder; none: it is free.
    pub fn owner(dir: &Path) -> io::Result<Option<String>> {
        LocalStore::at(dir).owner()
    }

    /// Reads what was last written, for the endpoints of a plan, and whether that was at a stop. No file means a
    /// first start. After a kill the numbers are up to a second old: what came in that second was received, and
    /// counts as lost all the same.
    pub fn load(&self, endpoints: &[String]) -> io::Result<(Resume, bool)> {
        let text = match std::fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Resume::new(), true)),
            read => read?,
        };
        let Ok(value) = serde_json::from_slice::<Value>(&text) else {
            // A loss of power may leave it empty. What the spools know is not lost with it.
            let aside = self.0.with_extension("json.damaged");
            rename(&self.0, &aside)?;
            tracing::warn!(
                "{}: cannot be read and is kept as {}; what was missed meanwhile is known from the spools only",
                self.0.display(),
                aside.display()
            );
            return Ok((Resume::new(), false));
        };
        if value.get("schema").and_then(Value::as_str) != Some(SCHEMA) {
            let found = value.get("schema").cloned().unwrap_or_default();
            return Err(io::Error::other(format!("schema: must be {SCHEMA:?}, found {found}")));
        }
        let rows = |key| value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let clean = value.get("clean").and_then(Value::as_bool).unwrap_or(false);
        let mut resume = Resume::new();
        for (feed, point) in rows("sources").iter().filter_map(|row| source(row, endpoints, clean)) {
            resume.entry(feed).or_default().push(point);
        }
        Ok((resume, clean))
    }

    /// Writes where the sources stand now; `last`: at a stop, synced to disk. As long as some feed has not said
    /// where its sources stand, the file stays as it is: it knows more.
    pub fn save(&self, view: &View, last: bool) -> io::Result<()> {
        let Some(sources) = rows(view) else { return Ok(()) };
        let all = json!({ "schema": SCHEMA, "clean": last, "sources": sources });
        let text = serde_json::to_vec_pretty(&all)?;
        let new = self.0.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        if last {
            file.sync_all()?;
        }
        rename(&new, &self.0)
    }
}

/// A row a source; none while a feed is missing.
fn rows(view: &View) -> Option<Vec<Value>> {
    let (feeds, endpoints) = (view.feeds.lock().clone(), view.endpoints.lock().clone());
    let mut waiting: Vec<bool> = feeds.iter().map(|feed| feed.active).collect();
    let mut sources = Vec::new();
    for cell in view.stats.enc.lock().iter() {
        for standing in &cell.counters.lock().standing {
            let at = usize::from(standing.feed);
            waiting.get_mut(at).into_iter().for_each(|waits| *waits = false);
            let Some(feed) = feeds.get(at).filter(|feed| feed.active) else { continue };
            for point in &standing.sources {
                let endpoint = endpoints.get(usize::from(point.endpoint));
                let SequencePoint { topic, src, last, heard_ns, ended, .. } = point;
                let Untold { first, messages, lost, points } = point.untold;
                sources.push(json!({ "feed": feed.name, "endpoint": endpoint, "topic": topic, "src": src,
                    "last": last, "heard_ns": heard_ns, "ended": ended, "untold": [first, messages, lost, points] }));
            }
        }
    }
    (!waiting.contains(&true)).then_some(sources)
}

/// A source as it is written, if its endpoint is still in use.
fn source(row: &Value, endpoints: &[String], clean: bool) -> Option<(String, SequencePoint)> {
    let text = |key: &str| row.get(key)?.as_str();
    let endpoint = text("endpoint")?;
    let at = endpoints.iter().position(|known| known == endpoint)?;
    let last = row.get("last")?.as_u64()?;
    let untold = row.get("untold").and_then(|untold| serde_json::from_value(untold.clone()).ok());
    let (first, messages, lost, points) = untold.unwrap_or((last + 1, 0, 0, 0));
    let point = SequencePoint {
        endpoint: u16::try_from(at).ok()?,
        topic: text("topic")?.to_owned(),
        src: u32::try_from(row.get("src")?.as_u64()?).ok()?,
        last,
        heard_ns: row.get("heard_ns").and_then(Value::as_i64).unwrap_or(0),
        ended: row.get("ended").and_then(Value::as_bool).unwrap_or(false),
        inexact: !clean,
        figures: Figures::default(),
        untold: Untold { first, messages, lost, points },
    };
    Some((text("feed")?.to_owned(), point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_for_its_endpoint_wherever_that_stands_in_the_plan() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFile::in_dir(dir.path()).unwrap();
        assert_eq!(state.load(&[]).unwrap(), (Resume::new(), true));
        let row = |endpoint| {
            json!({ "feed": "f", "endpoint": endpoint, "topic": "t", "src": 9, "last": 77, "heard_ns": 5,
                "untold": [70, 6, 2, 12] })
        };
        let rows = [row("tcp://a:1"), row("tcp://gone:1")];
        let text = json!({ "schema": SCHEMA, "clean": false, "sources": rows });
        std::fs::write(dir.path().join("sequences.json"), text.to_string()).unwrap();
        let (resume, clean) = state.load(&["tcp://b:1".into(), "tcp://a:1".into()]).unwrap();
        assert!(!clean);
        let untold = Untold { first: 70, messages: 6, lost: 2, points: 12 };
        let (topic, src, last, heard_ns, inexact) = ("t".into(), 9, 77, 5, true);
        let point =
            SequencePoint { endpoint: 1, topic, src, last, heard_ns, inexact, untold, ..Default::default() };
        assert_eq!(resume["f"], [point]);
    }

    #[test]
    fn a_file_of_another_version_is_refused_with_both_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sequences.json"), r#"{"schema":"tickline.sequences/9"}"#).unwrap();
        let error = StateFile::in_dir(dir.path()).unwrap().load(&[]).unwrap_err().to_string();
        assert_eq!(error, "schema: must be \"tickline.sequences/1\", found \"tickline.sequences/9\"");
    }

    #[test]
    fn a_torn_file_is_set_aside_and_stops_no_start() {
        let dir = tempfile::tempdir().unwrap();
        for torn in ["", "{\"schema\":\"tick"] {
            std::fs::write(dir.path().join("sequences.json"), torn).unwrap();
            let loaded = StateFile::in_dir(dir.path()).unwrap().load(&[]).unwrap();
            assert_eq!(loaded, (Resume::new(), false));
            assert_eq!(std::fs::read_to_string(dir.path().join("sequences.json.damaged")).unwrap(), torn);
        }
    }

    #[test]
    fn a_folder_serves_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateFile::lock(dir.path()).unwrap();
        let error = StateFile::lock(dir.path()).unwrap_err().to_string();
        assert_eq!(error, format!("process {} uses it, and a folder serves one process", std::process::id()));
        drop(first);
        StateFile::lock(dir.path()).unwrap();
    }
}
