//! Betfair's markets as they are, each value with the position at which it last changed: so that an image can be given
//! at any time, and after a resumption what has changed since any position, removed offers with size 0.

use std::collections::BTreeMap;

use super::delta::{Delta, Element, RunnerDelta};

#[derive(Clone, Debug, Default)]
struct Stamped<T> {
    value: T,
    at: u64,
}

/// A runner by id and handicap.
type Key = (String, Option<String>);

#[derive(Clone, Debug, Default)]
struct Runner {
    scalars: BTreeMap<String, Stamped<String>>,
    /// By price, or by level.
    ladders: BTreeMap<String, BTreeMap<String, Stamped<Element>>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Market {
    definition: Option<Stamped<String>>,
    tv: Option<Stamped<String>>,
    runners: BTreeMap<Key, Runner>,
    /// When it was last given whole.
    image_at: u64,
}

/// No offer any more.
fn is_removed(element: &Element) -> bool {
    element.last().and_then(|size| size.parse::<f64>().ok()).is_none_or(|size| size == 0.0)
}

impl Market {
    /// Takes a change that came at this position.
    pub(super) fn apply(&mut self, delta: &Delta, at: u64) {
        if delta.img {
            *self = Self { image_at: at, ..Self::default() };
        }
        let stamp = |value: &String| Stamped { value: value.clone(), at };
        self.definition = delta.definition.as_ref().map(stamp).or_else(|| self.definition.take());
        self.tv = delta.tv.as_ref().map(stamp).or_else(|| self.tv.take());
        for told in &delta.runners {
            let runner = self.runners.entry((told.id.clone(), told.hc.clone())).or_default();
            for (key, value) in &told.scalars {
                runner.scalars.insert(key.clone(), stamp(value));
            }
            for (key, elements) in &told.ladders {
                let ladder = runner.ladders.entry(key.clone()).or_default();
                for element in elements {
                    let place = element.first().cloned().unwrap_or_default();
                    ladder.insert(place, Stamped { value: element.clone(), at });
                }
            }
        }
    }

    /// The whole market.
    pub(super) fn image(&self, id: &str) -> Delta {
        Delta { img: true, ..self.changes(id, |_| true, |element| !is_removed(element)) }
    }

    /// What has changed after this position; the whole market if it was replaced since.
    pub(super) fn since(&self, id: &str, position: u64) -> Delta {
        if self.image_at > position {
            return self.image(id);
        }
        self.changes(id, |at| at > position, |_| true)
    }

    fn changes(&self, id: &str, is_new: impl Fn(u64) -> bool, keep: impl Fn(&Element) -> bool) -> Delta {
        let fresh = |stamped: &Option<Stamped<String>>| {
            stamped.as_ref().filter(|stamped| is_new(stamped.at)).map(|stamped| stamped.value.clone())
        };
        let mut runners = Vec::new();
        for ((runner, hc), known) in &self.runners {
            let mut told = RunnerDelta { id: runner.clone(), hc: hc.clone(), ..RunnerDelta::default() };
            for (key, ladder) in &known.ladders {
                let elements = ladder.values().filter(|element| is_new(element.at) && keep(&element.value));
                let elements: Vec<Element> = elements.map(|element| element.value.clone()).collect();
                if !elements.is_empty() {
                    told.ladders.push((key.clone(), elements));
                }
            }
            let scalars = known.scalars.iter().filter(|(_, value)| is_new(value.at));
            told.scalars = scalars.map(|(key, value)| (key.clone(), value.value.clone())).collect();
            if !told.ladders.is_empty() || !told.scalars.is_empty() {
                runners.push(told);
            }
        }
        let (definition, tv) = (fresh(&self.definition), fresh(&self.tv));
        Delta { id: id.to_owned(), definition, tv, runners, ..Delta::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::delta::{DataFilter, read};
    use super::*;

    #[test]
    fn what_has_changed_since_a_position_patches_what_was_known_there() {
        let mut market = Market::default();
        let told = [
            r#"{"id":"1.2","marketDefinition":{"v":1},"rc":[{"atb":[[2,5],[3,1]],"ltp":2,"id":7},{"atl":[[4,4]],"id":8}]}"#,
            r#"{"id":"1.2","rc":[{"atb":[[2,0]],"id":7}]}"#,
            r#"{"id":"1.2","rc":[{"atb":[[2.5,6],[3,2]],"ltp":3,"id":7}]}"#,
        ];
        for (text, at) in told.iter().zip(1..) {
            market.apply(&read(text).unwrap(), at);
        }
        let text = |delta: Delta| delta.text(&DataFilter::default());
        assert_eq!(
            text(market.since("1.2", 1)).unwrap(),
            r#"{"id":"1.2","rc":[{"atb":[[2,0],[2.5,6],[3,2]],"ltp":3,"id":7}]}"#
        );
        assert_eq!(
            text(market.image("1.2")).unwrap(),
            r#"{"id":"1.2","marketDefinition":{"v":1},"rc":[{"atb":[[2.5,6],[3,2]],"ltp":3,"id":7},{"atl":[[4,4]],"id":8}],"img":true}"#
        );
        assert_eq!(text(market.since("1.2", 3)), None);
        market.apply(&read(r#"{"id":"1.2","img":true,"rc":[{"ltp":9,"id":7}]}"#).unwrap(), 4);
        assert_eq!(
            text(market.since("1.2", 3)).unwrap(),
            r#"{"id":"1.2","rc":[{"ltp":9,"id":7}],"img":true}"#
        );
    }
}
