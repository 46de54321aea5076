//! Loads a configuration: `default.toml`, then the files in their order, then `--set`, each laid over what was
//! there; then variables, the registry, types, ranges and the rules between keys. All violations are told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::alert::{read_alert, read_alerting};
use crate::engine::{is_host_name, read_archive, read_compat, read_engine, read_http, read_retention};
use crate::feed::{self, read_feed};
use crate::forward::{read_forward, read_route};
use crate::keys::publisher::form_of as form_of_publisher;
use crate::keys::{ALERT, CUSTOM, FEED, PHASE, RETENTION, SERVICE, SPOOL, Section};
use crate::model::{Config, Phase, PhaseName};
use crate::reader::{Context, unknown};
use crate::show;
use crate::sink::{form_of, read_sink};
use crate::tree::{Node, Table, Value, expand_all, join, merge, parse, parse_set};
use crate::up::{ordered, read_canary, read_phase, read_rollups, read_service, read_up};
use crate::variables::Env;
use crate::violation::{ConfigErrors, Place, Source, Violation, Violations};
use crate::{DEFAULTS, publisher, rules};

/// A valid configuration and what it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Typed, with every default.
    pub config: Config,
    /// The same as TOML, with every default and without any secret.
    pub effective: String,
    /// SHA-256 of `effective`, hexadecimal.
    pub sha256: String,
}

const TOP: [&str; 17] = [
    "engine",
    "http",
    "compat",
    "archive",
    "forward",
    "routes",
    "feeds",
    "sinks",
    "publishers",
    "alerting",
    "alerts",
    "retention",
    "up",
    "phases",
    "services",
    "canary",
    "rollups",
];

impl Config {
    /// Loads `files` and the arguments of `--set`, in order; later ones win. `env` looks up environment variables.
    pub fn load(files: &[PathBuf], sets: &[String], env: Env<'_>) -> Result<Loaded, ConfigErrors> {
        let mut layers = Layers::new();
        for file in files {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => layers.add_file(name, text),
                Err(error) => layers.add_broken(name, &format!("cannot be read: {error}")),
            }
        }
        sets.iter().for_each(|set| layers.add_set(set));
        layers.load(env)
    }

    /// Whether there is something to run: at least one feed and one sink.
    pub fn require_runnable(&self) -> Result<(), ConfigErrors> {
        let missing = [("feeds", self.feeds.is_empty()), ("sinks", self.sinks.is_empty())];
        let missing = missing.into_iter().filter(|(_, empty)| *empty).map(|(key, _)| Violation {
            place: "configuration".to_owned(),
            key: key.to_owned(),
            rule: "must have at least one, found none".to_owned(),
        });
        let missing: Vec<Violation> = missing.collect();
        if missing.is_empty() { Ok(()) } else { Err(ConfigErrors(missing)) }
    }
}

/// The sources and what they say together.
pub(crate) struct Layers {
    sources: Vec<Source>,
    tree: Table,
    violations: Violations,
    /// The source that may hold a secret itself.
    pub(crate) login: Option<usize>,
}

impl Layers {
    /// The built-in defaults alone.
    pub(crate) fn new() -> Self {
        let mut layers =
            Self { sources: Vec::new(), tree: Table::new(), violations: Violations::default(), login: None };
        layers.add_file("default.toml".to_owned(), DEFAULTS.to_owned());
        layers
    }

    pub(crate) fn add_file(&mut self, name: String, text: String) {
        let mut table = parse(&text, self.sources.len(), &mut self.violations);
        if !self.sources.is_empty() {
            self.refuse_defaults(&mut table);
        }
        self.sources.push(Source { name, text: Some(text) });
        merge(&mut self.tree, table);
    }

    pub(crate) fn add_broken(&mut self, name: String, rule: &str) {
        self.violations.add(Place { source: self.sources.len(), byte: 0 }, "", rule);
        self.sources.push(Source { name, text: None });
    }

    pub(crate) fn add_set(&mut self, argument: &str) {
        let source = self.sources.len();
        let Some((key, mut table)) = parse_set(argument, source) else {
            // The value is not repeated: it may have been meant as a secret.
            let key = argument.split('=').next().unwrap_or_default();
            return self.add_broken(format!("--set {key}"), "must be KEY=VALUE, such as engine.encoders=2");
        };
        self.sources.push(Source { name: format!("--set {key}"), text: None });
        self.refuse_defaults(&mut table);
        merge(&mut self.tree, table);
    }

    /// Adds what an argument means; returns its place.
    pub(crate) fn add_argument(&mut self, name: &str) -> Place {
        self.sources.push(Source { name: name.to_owned(), text: None });
        Place { source: self.sources.len() - 1, byte: 0 }
    }

    /// Lays a member of `feeds` or `sinks` over what is there.
    pub(crate) fn add_member(&mut self, section: &str, name: &str, node: Node) {
        let place = node.place;
        let members = Value::Table(Table::from([(name.to_owned(), node)]));
        merge(&mut self.tree, Table::from([(section.to_owned(), Node { place, value: members })]));
    }

    /// `[defaults]` is the built-in file's way to say what a new feed or sink has.
    fn refuse_defaults(&mut self, table: &mut Table) {
        if let Some(node) = table.remove("defaults") {
            let rule =
                "belongs to the built-in file, set the key in [feeds.NAME], [sinks.NAME] or [retention.NAME]";
            self.violations.add(node.place, "defaults", rule);
        }
    }

    /// Types, checks and shows everything.
    pub(crate) fn load(mut self, env: Env<'_>) -> Result<Loaded, ConfigErrors> {
        if !self.violations.is_empty() {
            return Err(self.violations.into_errors(&self.sources));
        }
        expand_all(&mut self.tree, "", env, &mut self.violations);
        let defaults = self.tree.remove("defaults");
        complete(&mut self.tree, defaults.as_ref().and_then(Node::as_table).unwrap_or(&Table::new()));
        let mut context = Context { violations: self.violations, env, login: self.login };
        let config = read(&self.tree, &mut context);
        let mut violations = context.violations;
        if let Some(config) = &config {
            rules::check(config, &self.tree, &mut violations);
        }
        match config {
            Some(config) if violations.is_empty() => {
                let effective = show::effective(&self.tree);
                let sha256 = Sha256::digest(&effective).iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(Loaded { config, effective, sha256 })
            }
            _ => Err(violations.into_errors(&self.sources)),
        }
    }
}

/// Gives every feed, sink and policy the values that its section leaves out.
fn complete(tree: &mut Table, defaults: &Table) {
    if let Some(Node { place, value: Value::Table(engine) }) = tree.get_mut("engine") {
        let instance = || Node::text(*place, host_name());
        engine.entry("instance".to_owned()).or_insert_with(instance);
    }
    for (name, node) in members(tree, "feeds") {
        feed::complete(name, node);
        fill(node, &[&FEED], defaults);
        if let Value::Table(feed) = &mut node.value
            && let Some(custom) = feed.get_mut("custom")
        {
            fill(custom, &[&CUSTOM], defaults);
        }
    }
    for (_, node) in members(tree, "sinks") {
        let Some(form) = node.as_table().and_then(form_of) else { continue };
        fill(node, form.sections, defaults);
        let place = node.place;
        if let Value::Table(sink) = &mut node.value {
            let empty = || Node { place, value: Value::Table(Table::new()) };
            fill(sink.entry("spool".to_owned()).or_insert_with(empty), &[&SPOOL], defaults);
        }
    }
    for (name, node) in members(tree, "publishers") {
        publisher::complete(name, node);
        let kind = node.as_table().map(|table| publisher::kind_of(name, table).to_owned());
        if let Some(form) = kind.and_then(|kind| form_of_publisher(&kind)) {
            fill(node, form.sections, defaults);
        }
    }
    for (_, node) in members(tree, "alerts") {
        fill(node, &[&ALERT], defaults);
    }
    for (_, node) in members(tree, "retention") {
        fill(node, &[&RETENTION], defaults);
    }
    for (_, node) in members(tree, "phases") {
        fill(node, &[&PHASE], defaults);
    }
    for (_, node) in members(tree, "services") {
        fill(node, &[&SERVICE], defaults);
    }
}

fn members<'a>(tree: &'a mut Table, section: &str) -> impl Iterator<Item = (&'a String, &'a mut Node)> {
    let table = tree.get_mut(section).and_then(|node| match &mut node.value {
        Value::Table(table) => Some(table),
        _ => None,
    });
    table.into_iter().flatten()
}

fn fill(node: &mut Node, sections: &[&Section], defaults: &Table) {
    let Value::Table(table) = &mut node.value else { return };
    let names = sections.iter().filter_map(|s| s.name.strip_prefix("defaults."));
    for (name, value) in names.filter_map(|n| defaults.get(n)?.as_table()).flatten() {
        table.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if is_host_name(name) { name.to_owned() } else { "localhost".to_owned() }
}

fn read(tree: &Table, context: &mut Context<'_>) -> Option<Config> {
    for (name, node) in tree.iter().filter(|(name, _)| !TOP.contains(&name.as_str())) {
        context.violations.add(node.place, &join("", name), unknown(name, TOP.into_iter()));
    }
    let engine = tree.get("engine").and_then(|node| read_engine(node, context));
    let http = tree.get("http").and_then(|node| read_http(node, context));
    let compat = tree.get("compat").and_then(|node| read_compat(node, context));
    let archive = tree.get("archive").and_then(|node| read_archive(node, context));
    let forward = tree.get("forward").and_then(|node| read_forward(node, context));
    let routes = read_each(tree, "routes", context, |path, _, node, c| read_route(path, node, c));
    let feeds = read_each(tree, "feeds", context, |path, name, node, c| read_feed(path, name, node, c));
    let sinks = read_each(tree, "sinks", context, |path, _, node, c| read_sink(path, node, c));
    let publishers =
        read_each(tree, "publishers", context, |path, _, node, c| publisher::read_publisher(path, node, c));
    let retention = read_each(tree, "retention", context, |path, _, node, c| read_retention(path, node, c));
    let alerting = tree.get("alerting").and_then(|node| read_alerting(node, context));
    let up = tree.get("up").and_then(|node| read_up(node, context));
    let phases = read_each(tree, "phases", context, |path, name, node, c| read_phase(path, name, node, c));
    let phases: BTreeMap<PhaseName, Phase> = phases.into_values().collect();
    let order = ordered(&phases).unwrap_or_else(|circle| {
        let names: Vec<&str> = circle.into_iter().map(PhaseName::name).collect();
        let place = tree.get("phases").map_or_else(Place::default, |node| node.place);
        let rule = format!("after must not lead in a circle, found one through {}", names.join(", "));
        context.violations.add(place, "phases", rule);
        Vec::new()
    });
    let services = read_each(tree, "services", context, |path, _, node, c| read_service(path, node, c));
    let canary = tree.get("canary").and_then(|node| read_canary(node, context));
    let rollups = tree.get("rollups").and_then(|node| read_rollups(node, context));
    let alerts = read_each(tree, "alerts", context, |path, _, node, c| read_alert(path, node, c));
    Some(Config {
        engine: engine?,
        http: http?,
        compat: compat?,
        archive: archive?,
        forward: forward?,
        routes,
        feeds,
        sinks,
        publishers,
        alerting: alerting?,
        alerts,
        retention,
        up: up?,
        phases: order.into_iter().filter_map(|name| Some((name, phases.get(&name)?.clone()))).collect(),
        services,
        canary: canary?,
        rollups: rollups?,
    })
}

fn read_each<'e, T>(
    tree: &Table,
    section: &str,
    context: &mut Context<'e>,
    mut read: impl FnMut(&str, &str, &Node, &mut Context<'e>) -> Option<T>,
) -> BTreeMap<String, T> {
    let Some(node) = tree.get(section) else { return BTreeMap::new() };
    let Some(table) = node.as_table() else {
        context.violations.add(node.place, section, format!("must be a table, found {}", node.value.found()));
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, node) in table {
        let path = join(section, name);
        if !is_name(name) {
            let rule = "name must be 1..=64 letters, digits, - and _, the first no _, found";
            context.violations.add(node.place, &path, format!("{rule} {name:?}"));
        }
        if let Some(value) = read(&path, name, node, context) {
            all.insert(name.clone(), value);
        }
    }
    all
}

/// Names become metric labels, thread names and file names; a leading underscore is the engine's own.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('_')
}
