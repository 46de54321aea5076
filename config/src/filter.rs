//! What of a feed or a topic is wanted: symbols by globs, and one comparison of one field. Pure: the text of a rule
//! becomes values here, and values are asked about symbols and fields; where they stand in a payload is not its business.

/// Symbols and a condition; by default everything is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Globs of the symbols wanted; none: all.
    pub include: Vec<String>,
    /// Globs of those of them that are not.
    pub exclude: Vec<String>,
    /// What must hold of a point.
    pub condition: Option<Condition>,
}

impl Filter {
    /// Whether symbols are looked at.
    pub fn names_symbols(&self) -> bool {
        !(self.include.is_empty() && self.exclude.is_empty())
    }

    /// Whether a symbol is wanted; what has none is not one of those that `include` lists.
    pub fn admits(&self, symbol: Option<&str>) -> bool {
        let listed = |globs: &[String]| symbol.is_some_and(|symbol| globs.iter().any(|g| matches(g, symbol)));
        (self.include.is_empty() || listed(&self.include)) && !listed(&self.exclude)
    }
}

/// `where = "bid_qty > 10"`
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Name of the field.
    pub field: String,
    operator: Operator,
    /// What it is compared with.
    pub value: Comparand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    More,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparand {
    /// A number.
    Number(f64),
    /// true or false.
    Flag(bool),
    /// Text.
    Text(String),
}

/// The longer of two that begin alike stands first.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::More),
];

impl Condition {
    /// Reads `FIELD OPERATOR VALUE`; a text stands in single quotes.
    pub fn parse(text: &str) -> Option<Self> {
        let at = text.find(['<', '>', '=', '!'])?;
        let (field, rest) = text.split_at(at);
        let (rest, operator) =
            OPERATORS.iter().find_map(|(sign, op)| Some((rest.strip_prefix(sign)?, *op)))?;
        let (field, value) = (field.trim(), comparand(rest.trim())?);
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        let plain = !field.is_empty() && !field.contains(|c: char| c.is_whitespace() || c.is_control());
        // Which of true and false is the larger is nobody's question.
        let sensible = plain && !(ordered && matches!(value, Comparand::Flag(_)));
        sensible.then(|| Self { field: field.to_owned(), operator, value })
    }

    /// `FIELD OPERATOR NUMBER` in its parts, if it compares with a number.
    pub fn number(&self) -> Option<(&str, &'static str, f64)> {
        let Comparand::Number(value) = self.value else { return None };
        let sign = OPERATORS.iter().find(|(_, operator)| *operator == self.operator)?.0;
        Some((&self.field, sign, value))
    }

    /// Whether it holds of a number.
    pub fn holds_number(&self, found: f64) -> bool {
        matches!(&self.value, Comparand::Number(wanted) if self.holds(&found, wanted))
    }

    /// Whether it holds of true or false.
    pub fn holds_flag(&self, found: bool) -> bool {
        matches!(&self.value, Comparand::Flag(wanted) if self.holds(&found, wanted))
    }

    /// Whether it holds of a text, which is compared byte by byte.
    pub fn holds_text(&self, found: &[u8]) -> bool {
        matches!(&self.value, Comparand::Text(wanted) if self.holds(found, wanted.as_bytes()))
    }

    fn holds<T: PartialOrd + ?Sized>(&self, found: &T, wanted: &T) -> bool {
        match self.operator {
            Operator::Less => found < wanted,
            Operator::AtMost => found <= wanted,
            Operator::Equal => found == wanted,
            Operator::NotEqual => found != wanted,
            Operator::AtLeast => found >= wanted,
            Operator::More => found > wanted,
        }
    }
}

fn comparand(text: &str) -> Option<Comparand> {
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'')?;
        return (!inner.contains('\'')).then(|| Comparand::Text(inner.to_owned()));
    }
    match text {
        "true" => Some(Comparand::Flag(true)),
        "false" => Some(Comparand::Flag(false)),
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Comparand::Number),
    }
}

/// Whether a name fits a glob: `*` stands for any characters, also none, `?` for one.
pub fn matches(glob: &str, name: &str) -> bool {
    let (mut glob_rest, mut rest) = (glob, name);
    // Behind the last star, and how much of the name it has taken.
    let mut star: Option<(&str, &str)> = None;
    loop {
        let mut wanted = glob_rest.chars();
        let mut found = rest.chars();
        match (wanted.next(), found.next()) {
            (Some('*'), _) => {
                glob_rest = wanted.as_str();
                star = Some((glob_rest, rest));
            }
            (Some(w), Some(f)) if w == '?' || w == f => (glob_rest, rest) = (wanted.as_str(), found.as_str()),
            (None, None) => return true,
            _ => {
                let Some((behind, from)) = star else { return false };
                let mut taken = from.chars();
                if taken.next().is_none() {
                    return false;
                }
                (glob_rest, rest) = (behind, taken.as_str());
                star = Some((behind, rest));
            }
        }
    }
}

/// What every name that fits a glob begins with.
pub fn prefix(glob: &str) -> &str {
    glob.split(['*', '?']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_fits_by_stars_and_question_marks_and_in_no_other_way() {
        let table = [
            ("BTC/USD", "BTC/USD", true),
            ("BTC/USD", "BTC/USDT", false),
            ("*", "", true),
            ("*/USD", "BTC/USD", true),
            ("*/USD", "BTC/USDT", false),
            ("BTC/*", "BTC/", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("?TC/USD", "BTC/USD", true),
            ("?", "é", true),
            ("?", "", false),
            ("", "", true),
            ("[a]", "a", false),
        ];
        for (glob, name, fits) in table {
            assert_eq!(matches(glob, name), fits, "{glob:?} {name:?}");
        }
        // A glob that could be tried in many ways is tried in few.
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
        assert_eq!((prefix("kraken_*"), prefix("a?b"), prefix("ab")), ("kraken_", "a", "ab"));
    }

    #[test]
    fn a_symbol_is_admitted_by_include_and_kept_out_by_exclude() {
        let filter = |include: &[&str], exclude: &[&str]| Filter {
            include: include.iter().map(|g| (*g).to_owned()).collect(),
            exclude: exclude.iter().map(|g| (*g).to_owned()).collect(),
            condition: None,
        };
        assert!(filter(&[], &[]).admits(None) && filter(&[], &["A"]).admits(None));
        assert!(!filter(&["*"], &[]).admits(None));
        let usd = filter(&["*/USD", "XBT*"], &["DOGE/*"]);
        let wanted = ["BTC/USD", "XBTEUR", "DOGE/USD", "BTC/EUR"].map(|symbol| usd.admits(Some(symbol)));
        assert_eq!(wanted, [true, true, false, false]);
    }

    #[test]
    fn a_condition_compares_one_field_with_one_value_of_its_own_type() {
        let parse = |text| Condition::parse(text).unwrap_or_else(|| panic!("{text}"));
        let more = parse("bid_qty > 10");
        assert_eq!(more.field, "bid_qty");
        assert_eq!([9.0, 10.0, 10.5].map(|n| more.holds_number(n)), [false, false, true]);
        assert_eq!([9.0, 10.0, 10.5].map(|n| parse("q<=1e1").holds_number(n)), [true, true, false]);
        assert!(parse("x != -1.5").holds_number(2.0) && !parse("x == 2").holds_number(2.5));
        assert!(parse("t == true").holds_flag(true) && !parse("t != true").holds_flag(true));
        assert!(parse("s == 'OPEN'").holds_text(b"OPEN") && !parse("s == 'OPEN'").holds_text(b"OPEN "));
        assert!(parse("s >= 'b'").holds_text(b"ba") && !parse("s < 'b'").holds_text(b"ba"));
        assert!(!parse("x != 1").holds_text(b"2") && !parse("s == '1'").holds_number(1.0), "of another type");
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "",
            "x",
            "x >",
            "> 1",
            "x = 1",
            "x > y",
            "x > 'a",
            "x == 'a'b'",
            "x > true",
            "a b > 1",
            "x > inf",
            "x > 1 and y > 2",
            "x => 1",
            "x > NaN",
        ] {
            assert_eq!(Condition::parse(text), None, "{text}");
        }
    }
}
