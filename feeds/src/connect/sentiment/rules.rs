//! Which posts are taken: words that must occur as words, whatever their case. It refuses patterns.

/// A topic and what speaks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `topic` of the records.
    pub topic: String,
    /// Words or phrases, any of which must occur.
    pub words: Vec<String>,
}

/// Rules ready for use.
#[derive(Debug)]
pub(super) struct Rules {
    /// Topics, and their words in lower case.
    rules: Vec<(String, Vec<String>)>,
}

impl Rules {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let ready = |rule: &Rule| {
            let words = rule.words.iter().map(|word| word.trim().to_lowercase());
            (rule.topic.to_owned(), words.filter(|word| !word.is_empty()).collect())
        };
        Self { rules: rules.iter().map(ready).collect() }
    }

    /// Topic of the first rule that takes the text.
    pub(super) fn topic_of(&self, text: &str) -> Option<&str> {
        let text = text.to_lowercase();
        let taken = |words: &[String]| words.iter().any(|word| occurs(word, &text));
        self.rules.iter().find(|(_, words)| taken(words)).map(|(topic, _)| topic.as_str())
    }
}

/// Whether `word` stands in `text` without being a part of a longer one.
fn occurs(word: &str, text: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| a.is_some_and(of_word) && b.is_some_and(of_word);
    text.match_indices(word).any(|(at, found)| {
        let (before, behind) = (text.get(..at), text.get(at + found.len()..));
        let before = before.and_then(|text| text.chars().next_back());
        let behind = behind.and_then(|text| text.chars().next());
        !joins(before, word.chars().next()) && !joins(word.chars().next_back(), behind)
    })
}

fn of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_takes_a_text_in_which_one_of_its_words_stands_as_a_word() {
        let rule = |topic: &str, words: &[&str]| Rule {
            topic: topic.to_owned(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
        };
        let rules = Rules::new(&[
            rule("bitcoin", &["BTC", "bitcoin"]),
            rule("rates", &["interest rate", "ECB"]),
            rule("ether", &["$eth", " Ether ", "äther"]),
            rule("nothing", &["", "  "]),
        ]);
        for (text, topic) in [
            ("$BTC looking good today!", Some("bitcoin")),
            ("#Bitcoin", Some("bitcoin")),
            ("bitcoins and wbtc, btc_usd", None),
            ("btc. bitcoins", Some("bitcoin")),
            ("wbtc btc", Some("bitcoin")),
            ("The Interest Rate rises, BTC falls", Some("bitcoin")),
            ("The Interest Rate rises", Some("rates")),
            ("interest rates", None),
            ("I hold $ETH", Some("ether")),
            ("I hold $ETHER", Some("ether")),
            ("I hold eth", None),
            ("Der ÄTHER", Some("ether")),
            ("", None),
        ] {
            assert_eq!(rules.topic_of(text), topic, "{text}");
        }
    }
}
