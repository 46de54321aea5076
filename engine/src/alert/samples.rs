//! Samples of a metrics page, as a scraper reads them.

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Name without `tickline_`.
    pub(super) name: String,
    /// Labels, in their order.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Sample {
    /// Whether it is of that metric.
    pub(super) fn is(&self, metric: &str) -> bool {
        self.name == metric
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `feed=kraken_tick, reason=disk`
    pub(super) fn labels_text(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        labels.join(", ")
    }
}

/// Every sample of a page.
pub(super) fn samples(page: &str) -> Vec<Sample> {
    page.lines().filter_map(sample).collect()
}

/// `tickline_NAME{LABEL="TEXT",…} VALUE`
fn sample(line: &str) -> Option<Sample> {
    let rest = line.strip_prefix("tickline_")?;
    let end = rest.find(['{', ' '])?;
    let (name, mut rest) = rest.split_at(end);
    let mut labels = Vec::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        while !inside.starts_with('}') {
            let (label, after) = inside.split_once("=\"")?;
            let (text, after) = quoted(after)?;
            labels.push((label.to_owned(), text));
            inside = after.strip_prefix(',').unwrap_or(after);
        }
        rest = inside.strip_prefix('}')?;
    }
    Some(Sample { name: name.to_owned(), labels, value: rest.trim().parse().ok()? })
}

/// A text up to its closing quote, without the backslashes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, text.get(at + 1..)?)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let mut page = crate::metrics::Page::default();
        page.gauge("up", "help", &[], 1.5);
        page.counter("lost", "help", &[("feed", "a\"b\\c,d}"), ("reason", "x")], 7);
        let read = samples(&page.text);
        let labels =
            vec![("feed".to_owned(), "a\"b\\c,d}".to_owned()), ("reason".to_owned(), "x".to_owned())];
        let expected = [
            Sample { name: "up".into(), labels: vec![], value: 1.5 },
            Sample { name: "lost_total".into(), labels, value: 7.0 },
        ];
        assert_eq!(read, expected);
    }
}
