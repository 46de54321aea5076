//! Reads `[feeds.NAME]`. What the section does not say comes from the port registry, if the name is there.

use crate::engine::as_host_name;
use crate::forward::read_filter;
use crate::keys::{CUSTOM, CUSTOM_TIME, FEED, alternatives};
use crate::model::{
    Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Format, SYMBOL_TAGS, SocketKind,
    SystemFields, Tiebreak, TimeUnit,
};
use crate::reader::{Context, Reader, endpoint, list_of_texts};
use crate::registry;
use crate::session::Session;
use crate::tree::{Node, Table, Value};

const TYPES: [(&str, CustomType); 4] = [
    ("float", CustomType::Float),
    ("int", CustomType::Int),
    ("bool", CustomType::Bool),
    ("str", CustomType::Str),
];

const FORMATS: [(&str, Format); 3] =
    [("msgpack", Format::Msgpack), ("x01", Format::X01), ("json", Format::Json)];

const UNITS: [(&str, TimeUnit); 4] =
    [("s", TimeUnit::Seconds), ("ms", TimeUnit::Millis), ("us", TimeUnit::Micros), ("ns", TimeUnit::Nanos)];

/// Puts in what the registry knows of the feed and what follows from its name.
pub(crate) fn complete(name: &str, node: &mut Node) {
    let place = node.place;
    let Value::Table(table) = &mut node.value else { return };
    let row = registry::find(name);
    let default = |table: &mut Table, key: &str, value: Value| {
        table.entry(key.to_owned()).or_insert(Node { place, value });
    };
    let mut aliases: &[&str] = &[];
    if let Some(row) = row {
        default(table, "endpoint", Value::Text(format!("tcp://127.0.0.1:{}", row.port)));
        if !row.topic.is_empty() {
            default(table, "topic", Value::Text(row.topic.to_owned()));
        }
        // Another topic is another stream: the registry's aliases say nothing of it.
        if table.get("topic").and_then(Node::as_text) == Some(row.topic) {
            aliases = row.aliases;
        }
    }
    default(table, "aliases", Value::List(aliases.iter().map(|a| Node::text(place, *a)).collect()));
    let decoder = match row {
        Some(row) if !row.decoder.is_empty() => row.decoder,
        None if table.contains_key("custom") => "custom",
        _ => name,
    };
    default(table, "decoder", Value::Text(decoder.to_owned()));
}

pub(crate) fn read_feed(path: &str, name: &str, node: &Node, context: &mut Context<'_>) -> Option<Feed> {
    let mut r = Reader::open(path, node, &[&FEED], context, &|_| None)?;
    if registry::find(name).is_none() {
        for key in ["endpoint", "topic"]
            .into_iter()
            .filter(|key| !node.as_table().is_some_and(|t| t.contains_key(*key)))
        {
            r.wrong(key, format!("must be set, since {name:?} is no feed of the registry"));
        }
    }
    let decoder = decoder(&mut r, name);
    let feed = Feed {
        endpoint: r.special("endpoint", endpoint).unwrap_or_default(),
        topic: r.text("topic").unwrap_or_default(),
        aliases: r.texts("aliases").unwrap_or_default(),
        socket: r
            .choice("socket", &[("sub", SocketKind::Sub), ("pull", SocketKind::Pull)])
            .unwrap_or(SocketKind::Sub),
        decoder: decoder.unwrap_or(DecoderKind::Custom),
        format: r.choice("format", &FORMATS).unwrap_or(Format::Msgpack),
        account: r.special("account", as_host_name),
        fields: r.special("fields", fields).unwrap_or(FieldChoice::Core),
        system_fields: system_fields(&mut r),
        tiebreak: r
            .choice("tiebreak", &[("ordinal", Tiebreak::Ordinal), ("none", Tiebreak::None)])
            .unwrap_or(Tiebreak::Ordinal),
        fan_in: r.flag("fan_in"),
        silence_max: r.retention("silence_max"),
        data_silence_max: r.retention("data_silence_max"),
        curve_server_key: r.public_key("curve_server_key"),
        session: r.special("session", session).unwrap_or(Session::Always),
        filter: read_filter(&mut r),
        deadband_ppm: r.node("deadband_ppm").is_some().then(|| r.number("deadband_ppm")),
        series_max: r.number("series_max"),
        custom: None,
    };
    if let Some(kind) = decoder {
        check_decoder(&mut r, kind, &feed);
    }
    if let (Some(_), FieldChoice::List(names)) = (feed.deadband_ppm, &feed.fields)
        && !names.iter().any(|name| name == "bid" || name == "ask")
    {
        r.wrong("deadband_ppm", "needs bid or ask among the fields".to_owned());
    }
    let described = r.node("custom");
    match (decoder, described) {
        (Some(DecoderKind::Custom), None) => {
            r.wrong("custom", "must be a table, since decoder is \"custom\", found nothing");
        }
        (Some(other), Some(_)) if other != DecoderKind::Custom => {
            r.wrong("custom", format!("belongs to decoder \"custom\", found decoder {:?}", other.name()));
        }
        _ => {}
    }
    let custom = described.and_then(|node| read_custom(&format!("{path}.custom"), node, r.context));
    let has_symbol = |custom: &Custom| custom.tags.iter().any(|(tag, _)| SYMBOL_TAGS.contains(&tag.as_str()));
    if feed.filter.names_symbols() && custom.as_ref().is_some_and(|custom| !has_symbol(custom)) {
        let key = if feed.filter.include.is_empty() { "exclude" } else { "include" };
        r.wrong(key, format!("needs one of the tags {}, found none", SYMBOL_TAGS.join(", ")));
    }
    Some(Feed { custom, ..feed })
}

/// Keys that mean something to some decoders only.
fn check_decoder(r: &mut Reader<'_, '_, '_>, kind: DecoderKind, feed: &Feed) {
    let is_quote = |kind| matches!(kind, DecoderKind::KrakenTick | DecoderKind::OandaTick);
    let mut belongs = |key: &str, fits: &dyn Fn(DecoderKind) -> bool| {
        if !fits(kind) {
            let fitting = DecoderKind::ALL.iter().filter(|(_, kind)| fits(*kind)).map(|(name, _)| *name);
            let fitting = alternatives(&fitting.collect::<Vec<_>>());
            r.wrong(key, format!("belongs to decoder {fitting}, found {:?}", kind.name()));
        }
    };
    if feed.deadband_ppm.is_some() {
        belongs("deadband_ppm", &is_quote);
    }
    if feed.account.is_some() {
        belongs("account", &DecoderKind::has_account);
    }
    if feed.format == Format::X01 {
        belongs("format", &DecoderKind::reads_x01);
    }
}

/// The decoder; where there is none for the feed's payload in this version, says what there is.
fn decoder(r: &mut Reader<'_, '_, '_>, feed: &str) -> Option<DecoderKind> {
    let found = r.node("decoder")?;
    let text = found.as_text().unwrap_or_default();
    if text == feed && registry::find(feed).is_some_and(|row| row.decoder.is_empty()) {
        let names: Vec<&str> = DecoderKind::ALL.iter().map(|(n, _)| *n).collect();
        r.wrong("decoder", format!("this version has {}, found none for {feed:?}", names.join(", ")));
    }
    r.choice("decoder", &DecoderKind::ALL)
}

fn fields(value: &Value) -> Option<FieldChoice> {
    match value {
        Value::Text(text) if text == "core" => Some(FieldChoice::Core),
        Value::Text(text) if text == "all" => Some(FieldChoice::All),
        _ => list_of_texts(value).filter(|list| !list.is_empty()).map(FieldChoice::List),
    }
}

fn session(value: &Value) -> Option<Session> {
    match value {
        Value::Text(name) => Session::named(name),
        _ => Session::of_spans(&list_of_texts(value)?),
    }
}

fn system_fields(r: &mut Reader<'_, '_, '_>) -> SystemFields {
    let list = r.subset("system_fields");
    let has = |name: &str| list.iter().any(|f| f == name);
    SystemFields { recv_ns: has("recv_ns"), flags: has("flags"), seq: has("seq") }
}

fn read_custom(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Custom> {
    let mut r = Reader::open(path, node, &[&CUSTOM], context, &|_| None)?;
    let measurement = r.text("measurement").unwrap_or_default();
    if !nameable(&measurement) {
        r.wrong("measurement", format!("{NAME_RULE}, found {measurement:?}"));
    }
    let tags = r.names("tags").into_iter().map(|(name, path)| (name, split_path(&path)));
    let mut tags: Vec<(String, Vec<String>)> = tags.collect();
    tags.sort();
    if let Some((name, _)) = tags.iter().find(|(name, path)| !column(name) || path.is_empty()) {
        r.wrong("tags", format!("{COLUMN_RULE} and a path of keys joined by dots, found {name:?}"));
    }
    let fields = custom_fields(&mut r);
    if let Some((name, ..)) = fields.iter().find(|(name, ..)| tags.iter().any(|(tag, _)| tag == name)) {
        r.wrong("fields", format!("must not have the name of a tag, found {name:?}"));
    }
    let time = r.node("time").and_then(|node| read_time(&format!("{path}.time"), node, r.context));
    Some(Custom { measurement, time, tags, fields })
}

fn custom_fields(r: &mut Reader<'_, '_, '_>) -> Vec<(String, Vec<String>, CustomType)> {
    let given = r.names("fields");
    let mut fields = Vec::new();
    for (name, text) in &given {
        let kind = text.rsplit_once(':').and_then(|(path, kind)| {
            let (_, kind) = TYPES.iter().find(|(n, _)| *n == kind)?;
            Some((split_path(path), *kind))
        });
        match kind {
            Some((path, kind)) if column(name) && !path.is_empty() => fields.push((name.clone(), path, kind)),
            _ => {
                let rule =
                    format!("{COLUMN_RULE} and PATH:float, :int, :bool or :str, found {name:?} = {text:?}");
                r.wrong("fields", rule);
            }
        }
    }
    if given.is_empty() {
        r.wrong("fields", "must have at least one field, found none");
    }
    fields
}

fn read_time(path: &str, node: &Node, context: &mut Context<'_>) -> Option<CustomTime> {
    let mut r = Reader::open(path, node, &[&CUSTOM_TIME], context, &|_| None)?;
    let text = r.text("path").unwrap_or_default();
    let path = split_path(&text);
    if path.is_empty() {
        r.wrong("path", format!("must be keys joined by dots, found {text:?}"));
    }
    Some(CustomTime { path, unit: r.choice("unit", &UNITS).unwrap_or(TimeUnit::Millis) })
}

const NAME_RULE: &str =
    "must be 1..=256 bytes without control characters, a backslash at the end or _ in front";
const COLUMN_RULE: &str = "must be names that are not reserved (time, recv_ns, flags, seq, venue_ns)";

/// Whether a measurement, tag or field may be called that: the rule of WIRE.md for series, and no name that
/// databases or the engine keep for themselves.
fn nameable(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && !name.contains(char::is_control)
        && !name.ends_with('\\')
        && !name.starts_with('_')
}

fn column(name: &str) -> bool {
    nameable(name) && !["time", "recv_ns", "flags", "seq", "venue_ns"].contains(&name)
}

/// The keys of a path; empty if one of them is.
fn split_path(path: &str) -> Vec<String> {
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    if keys.iter().any(String::is_empty) { Vec::new() } else { keys }
}
