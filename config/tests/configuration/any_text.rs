//! No text, however strange, stops the loader: it loads or says why not.

use proptest::prelude::*;

use crate::load;

/// Every line that a configuration may have, right or wrong, to be shuffled.
const LINES: [&str; 24] = [
    "[engine]",
    "[http]",
    "[compat]",
    "[feeds.kraken_tick]",
    "[feeds.x]",
    "[feeds.x.custom]",
    "[sinks.s]",
    "[retention.r]",
    "kind = \"influxdb\"",
    "kind = \"file\"",
    "version = 3",
    "path = \"p\"",
    "feeds = [\"x\"]",
    "endpoint = \"tcp://h:1\"",
    "topic = \"*\"",
    "decoder = \"custom\"",
    "measurement = \"\"",
    "fields = { a = \"b:int\" }",
    "listen = \"off\"",
    "encoders = 99999999999999999999",
    "batch_linger = 5",
    "duration = \"inf\"",
    "token = \"env:T\"",
    "a.b.\"c d\" = [[1, {}], 1979-05-27]",
];

proptest! {
    #[test]
    fn any_text_loads_or_says_why_not(text in "\\PC{0,200}", set in "\\PC{0,40}") {
        match load(&text, &[&set], &[]) {
            Ok(loaded) => prop_assert!(loaded.effective.contains("[engine]")),
            Err(message) => prop_assert!(!message.is_empty()),
        }
    }

    #[test]
    fn any_mixture_of_lines_loads_or_says_why_not(picked in prop::collection::vec(0..LINES.len(), 0..20)) {
        let text: Vec<&str> = picked.iter().map(|i| LINES[*i]).collect();
        match load(&text.join("\n"), &[], &[]) {
            Ok(loaded) => prop_assert_eq!(load(&loaded.effective, &[], &[]).map(|l| l.sha256), Ok(loaded.sha256)),
            Err(message) => prop_assert!(message.lines().all(|l| l.contains(": ")), "{}", message),
        }
    }
}
