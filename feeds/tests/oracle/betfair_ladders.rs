//! The ladder rules again, plainly: ordered maps of f64 over JSON, written from the wire description and the
//! Exchange Stream API's. After every message its points must be the decoder's.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_config::model::DecoderKind;
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::{BETFAIR_INTEGERS, transcode};

use crate::reading::{Field, Point};
use crate::rig::Rig;

/// `(key, kind, is_back)`; the later kind is the better one.
const LADDERS: [(&str, usize, bool); 6] = [
    ("batb", 0, true),
    ("batl", 0, false),
    ("bdatb", 1, true),
    ("bdatl", 1, false),
    ("atb", 2, true),
    ("atl", 2, false),
];
const FULL: usize = 2;

type Level = (f64, f64);

#[derive(Default)]
struct Runner {
    ladders: HashMap<(usize, bool), BTreeMap<i64, Level>>,
    /// By side (back is true): the best level last told, `Some(None)` if the side is known to be empty.
    told: HashMap<bool, Option<Level>>,
    figures: BTreeMap<&'static str, f64>,
}

#[derive(Default)]
struct Market {
    runners: Vec<((i64, String), Runner)>,
    seeded: bool,
    kind: Option<usize>,
    level_only: bool,
    status: Option<String>,
    in_play: Option<bool>,
}

/// Everything known of every market.
#[derive(Default)]
pub(crate) struct Plain {
    markets: HashMap<String, Market>,
    image: HashSet<String>,
}

/// A number as JSON writes it or as text; "NaN" and the like are none.
fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// Numbers on ladders are compared to the millionth.
fn millionths(number: f64) -> i64 {
    (number * 1e6).round() as i64
}

fn same(a: Option<Level>, b: Option<Level>) -> bool {
    let rounded = |level: Option<Level>| level.map(|(price, size)| (millionths(price), millionths(size)));
    rounded(a) == rounded(b)
}

impl Runner {
    fn take_figures(&mut self, change: &Value) -> bool {
        let mut moved = false;
        for key in ["ltp", "tv", "spn", "spf"] {
            if let Some(new) = number(change.get(key)) {
                let old = self.figures.insert(key, new);
                moved |= old.map(millionths) != Some(millionths(new));
            }
        }
        moved
    }

    fn take_ladders(&mut self, change: &Value) {
        for (key, kind, back) in LADDERS {
            let Some(steps) = change.get(key) else { continue };
            let ladder = self.ladders.entry((kind, back)).or_default();
            let steps = steps.as_array().filter(|steps| !steps.is_empty());
            if steps.is_none() {
                ladder.clear();
            }
            for step in steps.into_iter().flatten() {
                let shift = usize::from(kind != FULL);
                let (price, size) = (number(step.get(shift)).unwrap(), number(step.get(shift + 1)).unwrap());
                let at = if kind == FULL { millionths(price) } else { step[0].as_i64().unwrap() };
                if size == 0.0 {
                    ladder.remove(&at);
                } else {
                    ladder.insert(at, (price, size));
                }
            }
        }
    }

    fn best(&self, kind: usize, back: bool) -> Option<Level> {
        let ladder = self.ladders.get(&(kind, back))?;
        let best = match (kind, back) {
            (FULL, true) => ladder.last_key_value().map(|(_, level)| level),
            (FULL, false) => ladder.first_key_value().map(|(_, level)| level),
            _ => ladder.get(&0),
        };
        best.copied()
    }

    /// Takes over what is best now; true if that differs from what was told before.
    fn settle(&mut self, kind: usize, change: &Value) -> bool {
        let mut moved = false;
        for back in [true, false] {
            let best = self.best(kind, back);
            let mentioned = LADDERS.iter().any(|(key, _, side)| *side == back && change.get(key).is_some());
            let told = self.told.get(&back).copied();
            if told.is_none() && best.is_none() && !mentioned {
                continue;
            }
            if told.is_none_or(|told| !same(told, best)) {
                self.told.insert(back, best);
                moved = true;
            }
        }
        moved
    }
}

impl Market {
    fn runner(&mut self, item: &Value) -> usize {
        let handicap = number(item.get("hc")).filter(|handicap| *handicap != 0.0);
        let key = (item["id"].as_i64().unwrap(), handicap.map_or(String::new(), |_| text(&item["hc"])));
        let known = self.runners.iter().position(|(other, _)| *other == key);
        known.unwrap_or_else(|| {
            self.runners.push((key, Runner::default()));
            self.runners.len() - 1
        })
    }

    fn point(&self, id: &str, at: usize) -> Point {
        let ((selection, handicap), runner) = &self.runners[at];
        let mut point = Point {
            measurement: "betfair_stream".into(),
            tags: BTreeMap::new(),
            fields: BTreeMap::new(),
            time: 0,
        };
        let mut tag = |name: &str, value: &str| point.tags.insert(name.into(), value.into());
        tag("exchange", "betfair");
        tag("market_id", id);
        tag("selection_id", &selection.to_string());
        if !handicap.is_empty() {
            tag("handicap", handicap);
        }
        let mut field = |name: &str, value: Field| point.fields.insert(name.into(), value);
        for (back, name) in [(true, "back"), (false, "lay")] {
            match runner.told.get(&back) {
                Some(Some((price, size))) => {
                    field(&format!("{name}_price"), Field::Float(*price));
                    field(&format!("{name}_size"), Field::Float(*size));
                }
                Some(None) => drop(field(&format!("{name}_size"), Field::Float(0.0))),
                None => {}
            }
        }
        let names = [("ltp", "last_price"), ("tv", "matched_amount"), ("spn", "sp_near"), ("spf", "sp_far")];
        for (key, name) in names {
            if let Some(figure) = runner.figures.get(key) {
                field(name, Field::Float(*figure));
            }
        }
        if let Some(in_play) = self.in_play {
            field("in_play", Field::Bool(in_play));
        }
        if let Some(status) = &self.status {
            field("status", Field::Text(status.clone()));
        }
        point
    }

    fn take_state(&mut self, definition: &Value) -> bool {
        let status = definition.get("status").and_then(Value::as_str).map(str::to_owned);
        let in_play = definition.get("inPlay").and_then(Value::as_bool);
        let changed = (&status, in_play) != (&self.status, self.in_play);
        (self.status, self.in_play) = (status, in_play);
        self.level_only = matches!(definition["bettingType"].as_str(), Some("LINE" | "RANGE"));
        for runner in definition["runners"].as_array().into_iter().flatten() {
            self.runner(runner);
        }
        changed
    }

    fn choose_kind(&mut self, changes: &[Value]) {
        let sent = |key: &str| changes.iter().any(|change| change.get(key).is_some());
        let kinds = LADDERS.iter().filter(|(key, kind, _)| sent(key) && !(self.level_only && *kind == FULL));
        let kind = self.kind.max(kinds.map(|(_, kind, _)| *kind).max());
        if kind != self.kind && self.seeded {
            let silent = json!({});
            for (_, runner) in &mut self.runners {
                runner.settle(kind.unwrap(), &silent);
            }
        }
        self.kind = kind;
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Plain {
    /// The runners' points that a message makes, without time and system fields.
    pub(crate) fn message(&mut self, message: &Value, first: bool) -> Vec<Point> {
        let of_image = message["ct"] == "SUB_IMAGE";
        if of_image && matches!(message["segmentType"].as_str(), None | Some("SEG_START")) {
            self.image.clear();
        }
        let changes = message["mc"].as_array().into_iter().flatten();
        changes.flat_map(|change| self.change(change, of_image, first)).collect()
    }

    fn change(&mut self, change: &Value, of_image: bool, first: bool) -> Vec<Point> {
        let id = change["id"].as_str().unwrap();
        let market = self.markets.entry(id.to_owned()).or_default();
        let image = change["img"] == true || of_image || first;
        let goes_on = of_image && !self.image.insert(id.to_owned());
        if !of_image {
            // What comes between the parts of an image ends it.
            self.image.remove(id);
        }
        if image && !goes_on {
            market.kind = None;
            for (_, runner) in &mut market.runners {
                runner.ladders.clear();
                runner.figures.clear();
                runner.told.values_mut().for_each(|told| *told = None);
            }
        }
        market.seeded |= image;
        let everyone =
            change.get("marketDefinition").is_some_and(|definition| market.take_state(definition)) | image;
        let entries = change["rc"].as_array().map_or(&[][..], Vec::as_slice);
        market.choose_kind(entries);
        let (mut made, mut written) = (Vec::new(), HashSet::new());
        for entry in entries {
            let at = market.runner(entry);
            let (seeded, kind) = (market.seeded, market.kind);
            let runner = &mut market.runners[at].1;
            let mut moved = runner.take_figures(entry) | everyone;
            if seeded {
                runner.take_ladders(entry);
                moved |= kind.is_some_and(|kind| runner.settle(kind, entry));
            }
            if moved {
                written.insert(at);
                made.push(market.point(id, at));
            }
        }
        if everyone {
            let rest = (0..market.runners.len()).filter(|at| !written.contains(at));
            made.extend(rest.map(|at| market.point(id, at)));
        }
        if market.status.as_deref() == Some("CLOSED") {
            self.markets.remove(id);
        }
        // A point without fields is none.
        made.retain(|point| !point.fields.is_empty());
        made
    }
}

/// Both implementations side by side.
pub(crate) struct Pair {
    pub(crate) rig: Rig,
    plain: Plain,
    writer: PayloadWriter,
    /// Points that were compared.
    pub(crate) compared: usize,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let writer = PayloadWriter::new(Decimals::Text);
        Self { rig: Rig::of(DecoderKind::BetfairStream), plain: Plain::default(), writer, compared: 0 }
    }

    /// Gives one message to both and compares their points.
    pub(crate) fn message(&mut self, json: &str, first: bool) {
        let marked = if first { json.replacen('{', "{\"_first\":true,", 1) } else { json.to_owned() };
        self.writer.clear();
        transcode(&marked, BETFAIR_INTEGERS, &mut self.writer).unwrap();
        let (_, mut found) = self.rig.points(self.writer.bytes());
        found.retain(|point| point.measurement == "betfair_stream");
        for point in &mut found {
            point.time = 0;
            point.fields.retain(|name, _| !matches!(name.as_str(), "recv_ns" | "flags" | "venue_ns"));
        }
        let expected = self.plain.message(&serde_json::from_str(json).unwrap(), first);
        self.compared += expected.len();
        assert_eq!(found, expected, "{json}");
    }
}

/// One `rc` entry on a small grid, so that prices meet again.
fn entry() -> impl Strategy<Value = Value> {
    let price = || (1_u32..6).prop_map(|step| json!(f64::from(step) / 4.0 + 1.0));
    let size = || prop::sample::select(vec![json!(0), json!(1.5), json!(20), json!(0.25)]);
    let steps = move |levels: bool| {
        let step = (0_u32..3, price(), size()).prop_map(move |(level, price, size)| {
            if levels { json!([level, price, size]) } else { json!([price, size]) }
        });
        prop_oneof![6 => prop::collection::vec(step, 0..4).prop_map(Value::Array), 1 => Just(Value::Null)]
    };
    let key = prop_oneof![
        5 => (prop::sample::select(vec!["atb", "atl"]), steps(false)),
        1 => (prop::sample::select(vec!["batb", "batl", "bdatb", "bdatl"]), steps(true)),
        2 => (prop::sample::select(vec!["ltp", "tv", "spn", "spf"]), price()),
        1 => (prop::sample::select(vec!["spn", "spf"]), Just(json!("NaN"))),
    ];
    let handicap = prop::sample::select(vec![json!(null), json!(0), json!(-1.5)]);
    (0_i64..3, handicap, prop::collection::vec(key, 0..4)).prop_map(|(id, handicap, keys)| {
        let mut entry = serde_json::Map::new();
        keys.into_iter().for_each(|(key, value)| drop(entry.insert(key.into(), value)));
        entry.insert("id".into(), json!(id));
        if !handicap.is_null() {
            entry.insert("hc".into(), handicap);
        }
        Value::Object(entry)
    })
}

pub(crate) fn change() -> impl Strategy<Value = Value> {
    let status = prop::sample::select(vec!["OPEN", "OPEN", "SUSPENDED", "CLOSED"]);
    let kind = prop::sample::select(vec!["ODDS", "ODDS", "LINE"]);
    let definition = (status, any::<bool>(), kind).prop_map(|(status, in_play, kind)| {
        json!({"status": status, "inPlay": in_play, "bettingType": kind, "runners": [{"id": 0}, {"id": 7, "hc": 0}]})
    });
    let optional = prop_oneof![4 => Just(None), 1 => definition.prop_map(Some)];
    let id = prop::sample::select(vec!["1.1", "1.2"]);
    (id, prop::bool::weighted(0.2), optional, prop::collection::vec(entry(), 0..5)).prop_map(
        |(id, image, definition, entries)| {
            let mut change = json!({"id": id, "rc": entries});
            if image {
                change["img"] = json!(true);
            }
            if let Some(definition) = definition {
                change["marketDefinition"] = definition;
            }
            change
        },
    )
}

proptest! {
    #[test]
    fn generated_market_changes_leave_both_ladders_alike(
        messages in prop::collection::vec((prop::collection::vec(change(), 0..3), 0_u32..8), 1..20)
    ) {
        let mut pair = Pair::new();
        for (at, (changes, kind)) in messages.into_iter().enumerate() {
            let mut message = json!({"op": "mcm", "pt": 1_785_700_000_000_i64 + at as i64, "mc": changes});
            match kind {
                0 => message["ct"] = json!("SUB_IMAGE"),
                1 => {
                    message["ct"] = json!("SUB_IMAGE");
                    message["segmentType"] = json!(["SEG_START", "SEG", "SEG_END"][at % 3]);
                }
                2 => message["ct"] = json!("RESUB_DELTA"),
                _ => {}
            }
            pair.message(&message.to_string(), false);
        }
    }
}
