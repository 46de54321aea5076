use super::*;

fn answer(status: u16, body: &str) -> Answer<'_> {
    Answer { status, retry_after: None, date: None, body: body.as_bytes() }
}

/// The shape of a decision, without the words.
fn shape(generation: Generation, status: u16, body: &str, points: u64) -> String {
    let fault = |name: &str, f: &Fault| format!("{name} {:?} {}", f.kind, f.code);
    match decide(generation, &answer(status, body), points) {
        Decision::BeyondRetention { dropped, .. } => format!("beyond_retention {dropped}"),
        Decision::Final(Outcome::Stored { rejected, .. }) => {
            let refused: Vec<_> = rejected.iter().map(|(r, n)| format!(" {} {n}", r.name())).collect();
            format!("stored{}", refused.concat())
        }
        Decision::Final(Outcome::Split(f)) => fault("split", &f),
        Decision::Final(Outcome::NotSent(f)) => fault("not_sent", &f),
        Decision::Final(Outcome::InDoubt(f)) => fault("in_doubt", &f),
        Decision::Final(Outcome::Held) => "held".to_owned(),
    }
}

#[test]
fn statuses_without_a_body_mean_the_same_in_every_generation() {
    let table = [
        (204, "stored"),
        (200, "in_doubt Transient 200"),
        (202, "in_doubt Transient 202"),
        (301, "not_sent Config 301"),
        (307, "not_sent Config 307"),
        (400, "not_sent Config 400"),
        (401, "not_sent Auth 401"),
        (403, "not_sent Auth 403"),
        (404, "not_sent Missing 404"),
        (405, "not_sent Config 405"),
        (406, "not_sent Config 406"),
        (408, "in_doubt Transient 408"),
        (413, "split Content 413"),
        (415, "not_sent Config 415"),
        (422, "not_sent Config 422"),
        (429, "not_sent Transient 429"),
        (500, "in_doubt Transient 500"),
        (502, "in_doubt Transient 502"),
        (503, "not_sent Transient 503"),
        (504, "in_doubt Transient 504"),
    ];
    for (status, expected) in table {
        for generation in [Generation::V1, Generation::V2, Generation::V3] {
            assert_eq!(shape(generation, status, "", 10), expected, "{generation:?} {status}");
        }
    }
}

// Bodies of 1.6.7 as that server sent them; those of 2 and 3 from their documentation.
#[test]
fn bodies_of_version_1_are_read_as_the_server_means_them() {
    let conflict = r#"{"error":"partial write: field type conflict: input field \"v\" on measurement \"m2\" is type integer, already exists as type float dropped=3"}"#;
    let beyond = r#"{"error":"partial write: points beyond retention policy dropped=2"}"#;
    let one_bad =
        r#"{"error":"partial write: unable to parse 'm1 bad bad bad': invalid field format dropped=0"}"#;
    let two_bad = r#"{"error":"partial write: unable to parse 'm1 bad': invalid field format\nunable to parse 'm1,a v=1 5': missing tag value dropped=0"}"#;
    let swallowed =
        r#"{"error":"partial write: unable to parse 'm9 v=\"a 1\nm9 v=1 2': unbalanced quotes dropped=0"}"#;
    let none_readable = r#"{"error":"unable to parse 'm5 v=NaN 5': invalid number"}"#;
    let table = [
        (400, conflict, 10, "split Content 400"),
        (400, conflict, 3, "stored bad_line 3"),
        (400, conflict, 2, "split Content 400"),
        (400, beyond, 10, "beyond_retention 2"),
        (400, beyond, 2, "stored beyond_retention 2"),
        (400, one_bad, 10, "split Content 400"),
        (400, two_bad, 10, "split Content 400"),
        (400, swallowed, 10, "split Content 400"),
        (400, none_readable, 4, "stored bad_line 4"),
        (
            400,
            r#"{"error":"partial write: max-values-per-tag limit exceeded dropped=1"}"#,
            5,
            "split Limit 400",
        ),
        (
            400,
            r#"{"error":"partial write: shard 7 is pending deletion dropped=5"}"#,
            5,
            "in_doubt Transient 400",
        ),
        (400, r#"{"error":"field type conflict: x"}"#, 5, "split Content 400"),
        (400, r#"{"error":"something new about a line"}"#, 5, "split Content 400"),
        (400, r#"{"error":"database is required"}"#, 5, "not_sent Config 400"),
        (400, r#"{"error":"unexpected EOF"}"#, 5, "not_sent Config 400"),
        (400, "<html>bad gateway</html>", 5, "not_sent Config 400"),
        (404, r#"{"error":"database not found: \"none\""}"#, 5, "not_sent Missing 404"),
        (500, r#"{"error":"retention policy not found: none"}"#, 5, "not_sent Missing 500"),
        (500, r#"{"error":"timeout"}"#, 5, "in_doubt Transient 500"),
    ];
    for (status, body, points, expected) in table {
        assert_eq!(shape(Generation::V1, status, body, points), expected, "{body}");
    }
}

#[test]
fn bodies_of_versions_2_and_3_are_read_as_documented() {
    let v2_bad = r#"{"code":"invalid","message":"unable to parse 'm bad': invalid field format","line":2}"#;
    let v2_org = r#"{"code":"invalid","message":"Please provide either orgID or org"}"#;
    let v2_old = r#"{"code":"internal error","message":"unexpected error writing points to database: partial write: field type conflict: x dropped=1"}"#;
    let v2_422 = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: dropped 2 points outside retention policy of duration 1h0m0s - oldest point m at t dropped=2"}"#;
    let v3_two = r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"a","line_number":1,"error_message":"x"},{"original_line":"b","line_number":4,"error_message":"y"}]}"#;
    let v3_none = r#"{"error":"parsing failed for write_lp endpoint","data":{"original_line":"a","line_number":1,"error_message":"x"}}"#;
    let v3_name = r#"{"error":"db name did not start with a number or letter"}"#;
    let entry = r#"{"original_line":"a","line_number":1,"error_message":"x"}"#;
    let full = vec![entry; 100].join(",");
    let v3_full = format!(r#"{{"error":"partial write of line protocol occurred","data":[{full}]}}"#);
    let table = [
        (Generation::V2, 400, v2_bad, "split Content 400"),
        (Generation::V2, 400, v2_org, "not_sent Config 400"),
        (Generation::V2, 500, v2_old, "split Content 500"),
        (Generation::V2, 422, v2_422, "beyond_retention 2"),
        (Generation::V2, 422, r#"{"code":"unprocessable entity","message":"x"}"#, "split Content 422"),
        (Generation::V3, 400, v3_two, "stored bad_line 2"),
        (Generation::V3, 400, v3_none, "split Content 400"),
        (Generation::V3, 400, v3_name, "not_sent Config 400"),
        (Generation::V3, 400, &v3_full, "split Content 400"),
        (Generation::V3, 422, r#"{"error":"database limit reached"}"#, "split Limit 422"),
    ];
    for (generation, status, body, expected) in table {
        assert_eq!(shape(generation, status, body, 1000), expected, "{body}");
    }
}

#[test]
fn retry_after_is_read_as_seconds_or_as_a_date_against_the_answers_own_date() {
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(retry_after_ms("120", None), Some(120_000));
    assert_eq!(retry_after_ms("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(30_000));
    assert_eq!(retry_after_ms("Sun, 06 Nov 1994 08:49:07 GMT", date), Some(0));
    assert_eq!(retry_after_ms("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
    assert_eq!(retry_after_ms("soon", date), None);
    let busy = Answer { status: 429, retry_after: Some("7"), date: None, body: b"" };
    let Decision::Final(Outcome::NotSent(fault)) = decide(Generation::V2, &busy, 1) else { panic!("429") };
    assert_eq!(fault.retry_after_ms, Some(7000));
}

#[test]
fn a_long_body_is_cut_in_the_log_at_a_character() {
    let body = "é".repeat(4000);
    let Decision::Final(Outcome::InDoubt(fault)) = decide(Generation::V1, &answer(500, &body), 1) else {
        panic!("500")
    };
    assert!(fault.detail.len() <= "status 500: ".len() + DETAIL_BYTES_MAX);
    assert!(fault.detail.ends_with('é'));
}
