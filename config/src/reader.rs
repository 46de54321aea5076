//! Reads one section by the key table: each call takes one key, checks it and gives it its type. A value that
//! breaks its rule is recorded and replaced by a placeholder, so that reading goes on and everything wrong is
//! told at once; a configuration with violations is never handed out.

use std::net::SocketAddr;
use std::time::Duration;

use crate::keys::{Key, Kind, Need, Section};
use crate::secret::Secret;
use crate::suggest::nearest;
use crate::tree::{Node, Table, Value, in_file_order, join};
use crate::units::{parse_bytes, parse_duration, unit_of};
use crate::variables::Env;
use crate::violation::{Place, Violations};

/// Characters of a CURVE key in Z85.
pub(crate) const PUBLIC_KEY_CHARS: usize = 40;

/// What reading needs beside the tree.
pub(crate) struct Context<'a> {
    pub(crate) violations: Violations,
    pub(crate) env: Env<'a>,
    /// The one argument in which a secret itself may stand: the URL of a run without a file.
    pub(crate) login: Option<usize>,
}

/// One section.
pub(crate) struct Reader<'a, 'c, 'e> {
    pub(crate) path: String,
    pub(crate) place: Place,
    table: &'a Table,
    sections: Vec<&'static Section>,
    pub(crate) context: &'c mut Context<'e>,
}

impl<'a, 'c, 'e> Reader<'a, 'c, 'e> {
    /// Opens the section at `node` and tells its unknown keys; `elsewhere` says where a key of that name belongs.
    pub(crate) fn open(
        path: &str,
        node: &'a Node,
        sections: &[&'static Section],
        context: &'c mut Context<'e>,
        elsewhere: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            context.violations.add(
                node.place,
                path,
                format!("must be a table, found {}", node.value.found()),
            );
            return None;
        };
        let known = || sections.iter().flat_map(|s| s.keys).map(|k| k.name);
        for (name, node) in table.iter().filter(|(name, _)| !known().any(|k| k == *name)) {
            let rule = elsewhere(name).unwrap_or_else(|| unknown(name, known()));
            context.violations.add(node.place, &join(path, name), rule);
        }
        Some(Self { path: path.to_owned(), place: node.place, table, sections: sections.to_vec(), context })
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let found = self.sections.iter().flat_map(|s| s.keys).find(|k| k.name == name);
        debug_assert!(found.is_some(), "the key table lacks {name} of {}", self.path);
        found
    }

    /// The value of a key; an absent one is a violation unless it is optional.
    pub(crate) fn node(&mut self, name: &str) -> Option<&'a Node> {
        let node = self.table.get(name);
        let required = self.key(name).is_some_and(|k| k.need != Need::Optional);
        if node.is_none() && required {
            let path = join(&self.path, name);
            let rule = self.key(name).map_or_else(String::new, |k| k.kind.rule());
            self.context.violations.add(self.place, &path, format!("{rule}, found nothing"));
        }
        node
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Records a violation of the key.
    pub(crate) fn wrong(&mut self, name: &str, rule: impl Into<String>) {
        let place = self.table.get(name).map_or(self.place, |n| n.place);
        self.context.violations.add(place, &join(&self.path, name), rule);
    }

    /// The value as `read` understands it; what it does not understand breaks the key's rule.
    fn value<T>(&mut self, name: &str, read: impl FnOnce(&'a Value, Kind) -> Option<T>) -> Option<T> {
        let key = self.key(name)?;
        let node = self.node(name)?;
        let value = read(&node.value, key.kind);
        if value.is_none() {
            self.wrong(name, broken(key.kind, &node.value));
        }
        value
    }

    pub(crate) fn duration(&mut self, name: &str) -> Duration {
        self.value(name, duration_within).unwrap_or_default()
    }

    /// A retention; None is for ever.
    pub(crate) fn retention(&mut self, name: &str) -> Option<Duration> {
        let forever = |value: &Value| matches!(value, Value::Text(text) if text == "inf");
        self.value(
            name,
            |value, kind| {
                if forever(value) { Some(None) } else { duration_within(value, kind).map(Some) }
            },
        )
        .unwrap_or_default()
    }

    pub(crate) fn bytes(&mut self, name: &str) -> u64 {
        self.value(name, |value, kind| {
            let (Value::Text(text), Kind::Bytes(min, max)) = (value, kind) else { return None };
            parse_bytes(text).filter(|b| Some(*b) >= parse_bytes(min) && Some(*b) <= parse_bytes(max))
        })
        .unwrap_or_default()
    }

    /// A size held in memory.
    pub(crate) fn memory(&mut self, name: &str) -> usize {
        usize::try_from(self.bytes(name)).unwrap_or(usize::MAX)
    }

    /// A whole number in the key's range, which fits the type that is asked for.
    pub(crate) fn number<T: TryFrom<i64> + Default>(&mut self, name: &str) -> T {
        self.value(name, |value, kind| match (value, kind) {
            (Value::Integer(n), Kind::Integer(min, max)) if (min..=max).contains(n) => T::try_from(*n).ok(),
            _ => None,
        })
        .unwrap_or_default()
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.value(name, |value, _| if let Value::Flag(flag) = value { Some(*flag) } else { None })
            .unwrap_or_default()
    }

    /// One line of text that is not empty.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, |value, _| match value {
            Value::Text(text) if !text.is_empty() && !text.contains(char::is_control) => Some(text.clone()),
            _ => None,
        })
    }

    /// One of the options, which are those of the key table.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, options: &[(&'static str, T)]) -> Option<T> {
        self.value(name, |value, kind| {
            let known = |names: &[&str]| options.iter().map(|(n, _)| n).eq(names);
            debug_assert!(matches!(kind, Kind::Choice(names) if known(names)), "options of {name}");
            let Value::Text(text) = value else { return None };
            options.iter().find(|(option, _)| option == text).map(|(_, value)| *value)
        })
    }

    /// A list of texts, none of them empty.
    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        self.value(name, |value, _| list_of_texts(value))
    }

    /// Some of the names in the key table.
    pub(crate) fn subset(&mut self, name: &str) -> Vec<String> {
        self.value(name, |value, kind| {
            let Kind::Subset(options) = kind else { return None };
            list_of_texts(value).filter(|list| list.iter().all(|t| options.contains(&t.as_str())))
        })
        .unwrap_or_default()
    }

    /// Names with a text each, in the order of the file.
    pub(crate) fn names(&mut self, name: &str) -> Vec<(String, String)> {
        self.value(name, |value, _| {
            let Value::Table(table) = value else { return None };
            let pair = |(name, node): (&String, &Node)| Some((name.clone(), node.as_text()?.to_owned()));
            in_file_order(table).into_iter().map(pair).collect()
        })
        .unwrap_or_default()
    }

    /// A value that only its key has; `read` must accept exactly what the key's rule says.
    pub(crate) fn special<T>(&mut self, name: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        self.value(name, |value, _| read(value))
    }

    /// An address, or none for `off`.
    pub(crate) fn listen(&mut self, name: &str) -> Option<SocketAddr> {
        self.value(name, |value, _| match value {
            Value::Text(text) if text == "off" => Some(None),
            Value::Text(text) => text.parse().ok().map(Some),
            _ => None,
        })
        .flatten()
    }

    /// An HTTP address without path; a login in it is refused and never repeated.
    pub(crate) fn url(&mut self, name: &str) -> Option<String> {
        let node = self.node(name)?;
        if node.as_text().is_some_and(|t| t.contains('@')) {
            self.wrong(name, "must not carry a login, found one");
            return None;
        }
        self.value(name, |value, _| if let Value::Text(text) = value { base_url(text) } else { None })
    }

    /// A WebSocket address, with path if it has one; a login in it is refused and never repeated.
    pub(crate) fn web_socket(&mut self, name: &str) -> Option<String> {
        let node = self.node(name)?;
        if node.as_text().is_some_and(|t| t.contains('@')) {
            self.wrong(name, "must not carry a login, found one");
            return None;
        }
        self.value(name, |value, _| {
            let Value::Text(text) = value else { return None };
            let (scheme, rest) = text.split_once("://")?;
            let host = rest.split('/').next()?;
            let http = if scheme == "wss" { "https://" } else { "http://" };
            base_url(&format!("{http}{host}")).filter(|_| matches!(scheme, "ws" | "wss"))?;
            (!text.contains(|c: char| c.is_whitespace() || c.is_control())).then(|| text.clone())
        })
    }

    /// A public key, from its file if it names one.
    pub(crate) fn public_key(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let key = match text.strip_prefix("file:") {
            Some(path) => match std::fs::read_to_string(path) {
                Ok(key) => key.trim().to_owned(),
                Err(error) => {
                    self.wrong(name, format!("names file {path:?}, which cannot be read: {error}"));
                    return None;
                }
            },
            None => text,
        };
        let fits = key.len() == PUBLIC_KEY_CHARS && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            self.value(name, |_, _| None::<String>);
        }
        fits.then_some(key)
    }

    /// A secret, looked up. What stands in a file instead of `env:` or `file:` is refused and never repeated.
    pub(crate) fn secret(&mut self, name: &str) -> Option<Secret> {
        let node = self.node(name)?;
        let text = node.as_text().unwrap_or_default();
        let plain = |text: &str| Secret::new(text.trim_end_matches(['\r', '\n']));
        let given = if let Some(variable) = text.strip_prefix("env:") {
            let value = (self.context.env)(variable).map(|value| plain(&value));
            value.ok_or_else(|| format!("names environment variable {variable:?}, which is not set (--env-file FILE reads variables)"))
        } else if let Some(path) = text.strip_prefix("file:") {
            Secret::from_file(path)
        } else if Some(node.place.source) == self.context.login {
            Ok(plain(text))
        } else {
            Err("must be \"env:NAME\" or \"file:PATH\", found the secret itself".to_owned())
        };
        match given {
            Ok(secret) if secret.expose().is_empty() || secret.expose().contains(char::is_control) => {
                // Where it was looked for, and never what was found.
                let is_place = ["env:", "file:"].iter().any(|start| text.starts_with(start));
                let place = if is_place { format!(" in {text}") } else { String::new() };
                self.wrong(name, format!("must lead to one line of text, found none or more{place}"));
                None
            }
            Ok(secret) => Some(secret),
            Err(rule) => {
                self.wrong(name, rule);
                None
            }
        }
    }
}

/// What is said of a key that the section does not have.
pub(crate) fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown key, did you mean {near:?}"),
        None => format!("unknown key, there are {}", known.join(", ")),
    }
}

/// The rule and what was found; a bare number is shown with the unit it lacks.
fn broken(kind: Kind, value: &Value) -> String {
    let found = value.found();
    match (kind, value) {
        (
            Kind::Duration(min, _) | Kind::Bytes(min, _) | Kind::Retention(min, _),
            Value::Integer(_) | Value::Number(_),
        ) => {
            format!("must carry a unit, such as \"{found}{}\", found {found}", unit_of(min))
        }
        _ => format!("{}, found {found}", kind.rule()),
    }
}

fn duration_within(value: &Value, kind: Kind) -> Option<Duration> {
    let (Value::Text(text), Kind::Duration(min, max) | Kind::Retention(min, max)) = (value, kind) else {
        return None;
    };
    parse_duration(text).filter(|d| Some(*d) >= parse_duration(min) && Some(*d) <= parse_duration(max))
}

/// The texts of a list, if it is one and none of them is empty.
pub(crate) fn list_of_texts(value: &Value) -> Option<Vec<String>> {
    let Value::List(items) = value else { return None };
    items.iter().map(|n| n.as_text().filter(|t| !t.is_empty()).map(str::to_owned)).collect()
}

/// An endpoint to connect to.
pub(crate) fn endpoint(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()).filter(|text| is_endpoint(text)) } else { None }
}

/// Whether a text is an endpoint to connect to.
pub(crate) fn is_endpoint(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let fits = match scheme {
        "tcp" => rest.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && host != "*" && port.parse::<u16>().is_ok_and(|p| p > 0)
        }),
        "ipc" => !rest.is_empty(),
        _ => false,
    };
    fits && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// `scheme://host[:port]`, a slash at the end left out.
pub(crate) fn base_url(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/?#@\\".contains(c);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port_fits = port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
    let plain = !name.is_empty() && !host.contains(strange) && (!name.contains(':') || name.starts_with('['));
    (plain && port_fits).then(|| text.to_owned())
}
