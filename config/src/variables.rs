//! Environment variables inside texts: `${NAME}`, `${NAME:-other}`, `${NAME:?message}`, and `$${` for a plain
//! `${`. The rule is applied after parsing, so a value can never add a key.

/// Where environment variables come from; tests pass their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with its variables put in, or the rule that it breaks.
pub(crate) fn expand(text: &str, env: Env<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &tail[2..];
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = tail[2..].split_once('}') else {
            return Err(r#"must close each "${" with "}", or write "$${" for a plain one"#.to_owned());
        };
        out.push_str(&value_of(inside, env)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(inside: &str, env: Env<'_>) -> Result<String, String> {
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
    let (name, form) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("must name a variable between \"${{\" and \"}}\", found {inside:?}"));
    }
    let set = env(name);
    if form.is_empty() {
        return set.ok_or_else(|| {
            format!("needs environment variable {name}, which is not set (--env-file FILE reads variables)")
        });
    }
    // As in a shell: with ":" an empty variable counts as not set.
    let set = set.filter(|v| !v.is_empty());
    if let Some(other) = form.strip_prefix(":-") {
        Ok(set.unwrap_or_else(|| other.to_owned()))
    } else if let Some(message) = form.strip_prefix(":?") {
        set.ok_or_else(|| format!("needs environment variable {name}: {message}"))
    } else {
        Err(format!(
            "must be ${{{name}}}, ${{{name}:-other}} or ${{{name}:?message}}, found \"${{{inside}}}\""
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_put_in_once() {
        for (text, want) in [
            ("plain $ { }", "plain $ { }"),
            ("http://${HOST}:8086/${HOST}", "http://db:8086/db"),
            ("${NONE:-other}", "other"),
            ("${EMPTY:-other}", "other"),
            ("${EMPTY}", ""),
            ("${HOST:?is needed}", "db"),
            ("$${HOST}", "${HOST}"),
            ("${NESTED}", "${HOST}"),
            ("${NONE:-}", ""),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_says_why() {
        for (text, want) in [
            (
                "${NONE}",
                "needs environment variable NONE, which is not set (--env-file FILE reads variables)",
            ),
            ("${NONE:?where is it}", "needs environment variable NONE: where is it"),
            ("${EMPTY:?say it}", "needs environment variable EMPTY: say it"),
            ("a ${HOST", r#"must close each "${" with "}", or write "$${" for a plain one"#),
            ("${}", r#"must name a variable between "${" and "}", found """#),
            ("${1X}", r#"must name a variable between "${" and "}", found "1X""#),
            ("${HOST+x}", r#"must be ${HOST}, ${HOST:-other} or ${HOST:?message}, found "${HOST+x}""#),
        ] {
            assert_eq!(expand(text, &env), Err(want.to_owned()), "{text}");
        }
    }
}
