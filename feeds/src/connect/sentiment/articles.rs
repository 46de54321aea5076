//! Articles of an RSS 0.9x, 1.0 or 2.0 document (<https://www.rssboard.org/rss-specification>) or of an Atom one (RFC
//! 4287). It promises to read what feeds contain in practice: markup, entities and times of either kind. It refuses
//! documents of another kind, and entities that a document declares itself.

use jiff::fmt::rfc2822;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::clock::WallNanos;
use crate::time::parse_rfc3339;

/// One article.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Article {
    /// `guid` or `id`, else the link; empty: neither.
    pub(super) id: String,
    pub(super) title: String,
    /// Without markup.
    pub(super) summary: String,
    pub(super) author: String,
    pub(super) time: Option<WallNanos>,
    link: String,
}

/// A document.
#[derive(Debug, Default)]
pub(super) struct Articles {
    /// Language of all of them: `en`; empty: not told.
    pub(super) lang: String,
    /// As they stand.
    pub(super) articles: Vec<Article>,
}

#[derive(Clone, Copy)]
enum Field {
    Lang,
    Id,
    Title,
    Summary,
    Author,
    Time,
    Link,
}

#[derive(Default)]
struct Reading {
    done: Articles,
    article: Option<Article>,
    /// Elements that are open inside the article.
    depth: usize,
    /// What is being read, and at which depth it began.
    field: Option<(Field, usize)>,
    text: String,
}

/// Reads a document; the error is for people.
pub(super) fn read(document: &str) -> Result<Articles, String> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut reading = Reading::default();
    let mut is_feed = false;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                is_feed = is_feed || matches!(element.name().0, "rss" | "feed" | "rdf:RDF");
                if !is_feed {
                    return Err(format!("must be RSS or Atom, found <{}>", element.name().0));
                }
                reading.start(&element);
            }
            Event::End(_) => reading.end(),
            Event::Text(text) => reading.push(&text.xml10_content()),
            Event::CData(text) => reading.push(&text.xml10_content()),
            Event::GeneralRef(entity) => reading.entity(&entity),
            Event::Eof if is_feed => return Ok(reading.done),
            Event::Eof => return Err("must be RSS or Atom, found no element".to_owned()),
            _ => {}
        }
    }
}

impl Reading {
    fn start(&mut self, element: &BytesStart<'_>) {
        let name = element.name().0;
        let Some(article) = &mut self.article else {
            match name {
                "item" | "entry" => {
                    self.article = Some(Article::default());
                    self.depth = 0;
                    self.field = None;
                }
                "language" | "dc:language" => self.begin(Field::Lang),
                "feed" => self.done.lang = language(&attribute(element, "xml:lang")),
                _ => {}
            }
            return;
        };
        self.depth += 1;
        let field = match (self.depth, name) {
            (1, "guid" | "id") => Field::Id,
            (1, "title") => Field::Title,
            (1, "description" | "summary") => Field::Summary,
            (1, "dc:creator") | (2, "name") => Field::Author,
            (1, "pubDate" | "dc:date" | "published" | "updated") => Field::Time,
            (1, "link") => {
                // Atom keeps the address in an attribute, RSS in the text.
                let (href, rel) = (attribute(element, "href"), attribute(element, "rel"));
                if matches!(&*rel, "" | "alternate") && article.link.is_empty() {
                    article.link = href;
                }
                Field::Link
            }
            _ => return,
        };
        if self.field.is_none() {
            self.begin(field);
        }
    }

    fn begin(&mut self, field: Field) {
        self.field = Some((field, self.depth));
        self.text.clear();
    }

    fn push(&mut self, text: &str) {
        if self.field.is_some() {
            self.text.push_str(text);
        }
    }

    fn entity(&mut self, entity: &BytesRef<'_>) {
        match character(entity) {
            Some(character) => self.push(character.encode_utf8(&mut [0; 4])),
            None => self.push(&format!("&{};", &**entity)),
        }
    }

    fn end(&mut self) {
        let Some(article) = &mut self.article else {
            if let Some((Field::Lang, _)) = self.field.take() {
                self.done.lang = language(&self.text);
            }
            return;
        };
        if self.depth == 0 {
            let mut article = self.article.take().unwrap_or_default();
            if article.id.is_empty() {
                article.id.clone_from(&article.link);
            }
            self.done.articles.push(article);
            return;
        }
        if let Some((field, _)) = self.field.take_if(|(_, depth)| *depth == self.depth) {
            let text = self.text.trim();
            match field {
                Field::Id => text.clone_into(&mut article.id),
                Field::Title => article.title = plain(text),
                Field::Summary => article.summary = plain(text),
                Field::Author if article.author.is_empty() => text.clone_into(&mut article.author),
                Field::Time => article.time = article.time.or_else(|| time(text)),
                Field::Link if article.link.is_empty() => text.clone_into(&mut article.link),
                Field::Author | Field::Link | Field::Lang => {}
            }
        }
        self.depth -= 1;
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> String {
    let attribute = element.try_get_attribute(name).ok().flatten();
    attribute
        .and_then(|found| found.normalized_value(XmlVersion::Implicit1_0).ok())
        .unwrap_or_default()
        .into_owned()
}

/// `en` of `en-US`.
fn language(text: &str) -> String {
    text.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

/// RSS writes times as mails do, Atom and Dublin Core in RFC 3339.
fn time(text: &str) -> Option<WallNanos> {
    let mail = || i64::try_from(rfc2822::parse(text).ok()?.timestamp().as_nanosecond()).ok();
    parse_rfc3339(text.as_bytes()).or_else(mail).map(WallNanos)
}

/// What `&name;` stands for.
fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hexadecimal = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
        let code = hexadecimal.unwrap_or_else(|| number.parse()).ok()?;
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" | "rsquo" | "lsquo" => '\'',
        "nbsp" => ' ',
        _ => return None,
    })
}

/// Longest entity that is read, with its ends: `&#x10FFFF;`.
const ENTITY_BYTES_MAX: usize = 10;

/// A text that may hold HTML without its tags and entities, and with single spaces.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let next = from.chars().nth(1);
        if from.starts_with('<') && next.is_some_and(|c| c.is_ascii_alphabetic() || "/!".contains(c)) {
            let Some((_, behind)) = from.split_once('>') else {
                rest = from;
                break;
            };
            text.push(' ');
            rest = behind;
            continue;
        }
        let end = from.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        let entity = end.filter(|_| from.starts_with('&')).and_then(|end| character(from.get(1..end)?));
        text.push(entity.or_else(|| from.chars().next()).unwrap_or(' '));
        rest = from.get(end.filter(|_| entity.is_some()).unwrap_or(0) + 1..).unwrap_or_default();
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
