//! The condition of a feed's filter, `where = "bid_qty > 10"`: which field of which measurement it concerns, found out
//! once, and whether it holds of the slots of a point.

use tickline_config::model::{Comparand, Condition, CustomType, Feed, FieldChoice};

use crate::decoder::{SpecError, measurements};
use crate::field::Slot;
use crate::schema::FieldType;

/// A condition and the places of its field.
#[derive(Debug)]
pub struct PlacedCondition {
    condition: Condition,
    /// By the position of the measurement; none where it has no such field.
    slots: Vec<Option<usize>>,
}

impl PlacedCondition {
    /// The condition of a feed, if it has one and its field is one of those written.
    pub fn of(feed: &Feed) -> Result<Option<Self>, SpecError> {
        let Some(condition) = &feed.filter.condition else { return Ok(None) };
        let fields = fields(feed);
        let name = condition.field.as_str();
        let Some((_, kind)) = fields.iter().flatten().flatten().find(|(field, _)| *field == name) else {
            let written = fields.iter().flatten().flatten().map(|(field, _)| *field);
            let written: Vec<&str> = written.collect();
            return Err(SpecError::ConditionField { found: name.to_owned(), written: written.join(", ") });
        };
        let fits = match condition.value {
            Comparand::Number(_) => matches!(kind, FieldType::Float | FieldType::Integer),
            Comparand::Flag(_) => *kind == FieldType::Boolean,
            Comparand::Text(_) => *kind == FieldType::String,
        };
        if !fits {
            return Err(SpecError::ConditionType { field: name.to_owned() });
        }
        let place = |of: &Vec<Option<(&str, FieldType)>>| {
            of.iter().position(|field| field.is_some_and(|(field, _)| field == name))
        };
        let slots = fields.iter().map(place).collect();
        Ok(Some(Self { condition: condition.clone(), slots }))
    }

    /// Whether a point of the measurement at `measurement` with these slots is wanted. One without the field is not;
    /// one of a measurement that has no such field is.
    pub fn holds(&self, measurement: u8, slots: &[Slot<'_>]) -> bool {
        let Some(at) = self.slots.get(usize::from(measurement)).copied().flatten() else { return true };
        match slots.get(at) {
            Some(Slot::Bool(flag)) => self.condition.holds_flag(*flag),
            Some(Slot::Text(text)) => self.condition.holds_text(text),
            Some(slot) => slot.as_f64().is_some_and(|number| self.condition.holds_number(number)),
            None => false,
        }
    }
}

/// Of each measurement, its fields in the order of their slots; none where a field is not written.
fn fields(feed: &Feed) -> Vec<Vec<Option<(&str, FieldType)>>> {
    if let Some(custom) = &feed.custom {
        let kind = |kind: &CustomType| match kind {
            CustomType::Float => FieldType::Float,
            CustomType::Int => FieldType::Integer,
            CustomType::Bool => FieldType::Boolean,
            CustomType::Str => FieldType::String,
        };
        return vec![custom.fields.iter().map(|(name, _, of)| Some((name.as_str(), kind(of)))).collect()];
    }
    let written = |name: &str, core: bool| match &feed.fields {
        FieldChoice::Core => core,
        FieldChoice::All => true,
        FieldChoice::List(names) => names.iter().any(|listed| listed == name),
    };
    let all = measurements(feed.decoder).iter().map(|measurement| {
        let fields = measurement.fields.iter();
        fields.map(|field| written(field.name, field.core).then_some((field.name, field.kind))).collect()
    });
    all.collect()
}
