use serde_json::Value;

use super::*;

fn certificate(capacity_per_s: f64, kernel: &str) -> Certificate {
    Certificate {
        schema: SCHEMA.to_owned(),
        capacity_per_s,
        slo: "lost=0".to_owned(),
        limiter: "ack.a".to_owned(),
        arguments: vec!["--slo".to_owned(), "lost=0".to_owned()],
        trial_s: Some(10.0),
        whole_s: None,
        trials: Vec::new(),
        made: "2026-01-01T00:00:00Z".to_owned(),
        build: Build::default(),
        target_build: Build::default(),
        host: Host { kernel: kernel.to_owned(), ..Host::default() },
        clock_error_ns: None,
        config_sha256: None,
        databases: vec![("a".to_owned(), "1.6.7".to_owned())],
    }
}

#[test]
fn two_certificates_are_compared_by_capacity_and_every_difference_is_told() {
    let (old, new) = (certificate(1_000.0, "6.1"), certificate(900.0, "6.2"));
    assert_eq!(new.ratio_to(&old), 0.9);
    let told = new.differences(&old);
    assert_eq!(told, ["host: , 0 cores, kernel 6.1, governor none -> , 0 cores, kernel 6.2, governor none"]);
    assert_eq!(old.differences(&old), Vec::<String>::new());
}

/// `UPDATE=1 cargo test -p tickline-loadgen` writes the file again.
#[test]
fn the_schema_of_the_certificate_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/certificate.schema.json");
    let made = schema_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stored == made,
        "docs/certificate.schema.json is old, run UPDATE=1 cargo test -p tickline-loadgen"
    );
}

/// Holds a value against what our schemas are made of, at `path`.
fn validate(value: &Value, schema: &Value, root: &Value, path: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let inside = root.pointer(name.trim_start_matches('#')).ok_or_else(|| format!("{path}: {name}"))?;
        return validate(value, inside, root, path);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    if !allowed.iter().any(|known| known == kind || kind == "integer" && known == "number") {
        return Err(format!("{path}: must be {}, found {kind}", schema["type"]));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value.get(name).ok_or_else(|| format!("{path}: must have {name}"))?;
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let inside = schema["properties"].get(name).ok_or_else(|| format!("{path}: unknown key {name}"))?;
        validate(value, inside, root, &format!("{path}.{name}"))?;
    }
    for (at, value) in value.as_array().into_iter().flatten().enumerate() {
        let inside = schema["prefixItems"].get(at).unwrap_or(&schema["items"]);
        validate(value, inside, root, &format!("{path}[{at}]"))?;
    }
    Ok(())
}

#[test]
fn a_certificate_is_what_its_schema_says_and_another_object_is_not() {
    let schema: Value = serde_json::from_str(&schema_json()).unwrap();
    let trial = Trial {
        rate_per_s: 1_000.0,
        sent_per_s: 999.5,
        held: false,
        broken: vec!["lost=0: 3".to_owned()],
        limiter: "encode".to_owned(),
        measured: Vec::new(),
    };
    let made = Certificate { trials: vec![trial], clock_error_ns: Some(5), ..certificate(1.0, "6.1") };
    let made = serde_json::to_value(&made).unwrap();
    assert_eq!(validate(&made, &schema, &schema, ""), Ok(()));
    let damaged = |path: &str, value: Value| {
        let mut other = made.clone();
        *other.pointer_mut(path).unwrap() = value;
        validate(&other, &schema, &schema, "").unwrap_err()
    };
    assert_eq!(damaged("/trials/0/held", 1.into()), ".trials[0].held: must be \"boolean\", found integer");
    assert_eq!(damaged("/databases/0/1", Value::Null), ".databases[0][1]: must be \"string\", found null");
    assert_eq!(damaged("/host", Value::Object(serde_json::Map::new())), ".host: must have cpu");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    let missing = Certificate::read(&path).unwrap_err();
    assert!(matches!(missing, CertificateError::Io { .. }), "{missing}");
    for content in [
        "{}".to_owned(),
        String::new(),
        serde_json::to_string(&Certificate { schema: "other/1".to_owned(), ..certificate(1.0, "") }).unwrap(),
    ] {
        std::fs::write(&path, &content).unwrap();
        let error = Certificate::read(&path).unwrap_err().to_string();
        assert!(error.contains("c.json: must be a certificate of tickline.certificate/1, found "), "{error}");
    }
    std::fs::write(&path, serde_json::to_string(&certificate(5.0, "")).unwrap()).unwrap();
    assert_eq!(Certificate::read(&path).unwrap(), certificate(5.0, ""));
}
