//! Points as a query gives them back, in a form that can be compared: a row is its time, tags and fields.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::influxd::Influxd;

/// One point; values as text, integral numbers without a point.
pub(crate) type Row = BTreeMap<String, String>;

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        // InfluxDB writes the float 5.0 as 5; types are compared by themselves.
        Value::Number(number) if number.is_f64() => Some(number.as_f64()?.to_string()),
        other => Some(other.to_string()),
    }
}

/// A row from a JSON object.
pub(crate) fn row(object: &Value) -> Row {
    let object = object.as_object().expect("an object");
    object.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

/// Every point of one measurement of the default policy, sorted.
pub(crate) fn stored(server: &Influxd, database: &str, measurement: &str) -> Vec<Row> {
    let answer = server.query(None, database, &format!("SELECT * FROM \"{measurement}\""));
    let mut rows = Vec::new();
    for series in answer["results"][0]["series"].as_array().into_iter().flatten() {
        let columns: Vec<&str> =
            series["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for values in series["values"].as_array().into_iter().flatten().filter_map(Value::as_array) {
            let pairs = columns.iter().zip(values);
            rows.push(pairs.filter_map(|(key, value)| Some(((*key).to_owned(), text(value)?))).collect());
        }
    }
    rows.sort();
    rows
}

/// Every point of a database, by measurement.
pub(crate) fn dump(server: &Influxd, database: &str) -> BTreeMap<String, Vec<Row>> {
    let names = column(&server.query(None, database, "SHOW MEASUREMENTS"), 0);
    names.into_iter().map(|name| (name.clone(), stored(server, database, &name))).collect()
}

/// Stored fields of a measurement and their types.
pub(crate) fn types(server: &Influxd, database: &str, measurement: &str) -> BTreeMap<String, String> {
    let answer = server.query(None, database, &format!("SHOW FIELD KEYS FROM \"{measurement}\""));
    column(&answer, 0).into_iter().zip(column(&answer, 1)).collect()
}

/// One column of an answer's first series.
fn column(answer: &Value, at: usize) -> Vec<String> {
    let values = answer["results"][0]["series"][0]["values"].as_array().into_iter().flatten();
    values.filter_map(|values| values[at].as_str().map(str::to_owned)).collect()
}

/// Fails with the first difference of two sets of points.
pub(crate) fn assert_same(found: &[Row], mut expected: Vec<Row>, case: &str) {
    expected.sort();
    let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{case}: found and expected");
    assert_eq!(found.len(), expected.len(), "{case}");
}
