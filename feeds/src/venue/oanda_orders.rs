//! `oanda_orders`: v20 transactions (WIRE.md; <https://developer.oanda.com/rest-live-v20/transaction-df/>). One point a
//! transaction; the ordinal is how far it stands behind the first of its batch, since a batch shares one time.

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::Emit;
use crate::field::Slot;
use crate::schema;
use crate::venue::Shape;
use crate::venue::record::{Form, Record, Values};
use crate::venue::tags::TagSeries;

/// OANDA's times are ns; as a number they are seconds.
const TRANSACTION: Form = Form {
    measurement: &schema::OANDA_ORDERS,
    renamed: &[("orderID", "order_id"), ("batchID", "batch_id"), ("accountBalance", "account_balance")],
    apart: &["account", "exchange"],
    time: Some(("time", 1_000_000_000)),
    unit_ns: 1,
};

const TYPE: usize = 4;

const ID: usize = 0;
const BATCH_ID: usize = 2;

/// The decoder of OANDA transactions.
#[derive(Debug)]
pub struct OandaOrders {
    record: Record,
    series: TagSeries,
}

impl OandaOrders {
    /// Writes the fields of `choice`, under `account`.
    pub fn new(choice: &FieldChoice, account: &str) -> Self {
        let given = [("account", account), ("exchange", "oanda")];
        Self { record: Record::new(TRANSACTION, choice, &given), series: TagSeries::default() }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let Self { record, series } = self;
        let values = record.map(cursor, entries, emit, depth)?;
        if emit.envelope.is_control() || values.tags[TYPE] == b"HEARTBEAT" {
            return Ok(Shape::Control);
        }
        if values.tags[TYPE].is_empty() || !values.has_field {
            return Err(Undecodable::UnknownShape);
        }
        let mut at = record.time(&values);
        at.own_ordinal = place_in_batch(&values);
        let series = record.series(&values.tags, series, emit);
        record.point(series, &values, at, 0, emit);
        Ok(Shape::Data)
    }
}

/// Transactions of its batch before this one.
fn place_in_batch(values: &Values<'_>) -> Option<u32> {
    let (Slot::Int(id), Slot::Int(batch), Some(_)) =
        (values.fields[ID], values.fields[BATCH_ID], values.time)
    else {
        return None;
    };
    u32::try_from(id.checked_sub(batch)?).ok()
}
