//! Kraken's messages, as far as connectors look into them: numbers keep their text, and what is not named is passed
//! over. Texts are borrowed from the message unless they hold escapes.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A text of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reading)
    }
}

/// Any message: an answer has a `method`, data have a `channel`.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(borrow, default)]
    pub(super) method: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) channel: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(default)]
    pub(super) success: Option<bool>,
    #[serde(borrow, default)]
    pub(super) error: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) symbol: Option<Text<'a>>,
    #[serde(default)]
    pub(super) req_id: Option<u64>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) sequence: Option<u64>,
}

/// `result` of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Subscribed<'a> {
    #[serde(borrow, default)]
    pub(super) symbol: Option<Text<'a>>,
}

/// `data` of channel `status`.
#[derive(Debug, Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    pub(super) system: Text<'a>,
}

/// An element of `data`, as far as every channel has it.
#[derive(Debug, Deserialize)]
pub(super) struct Element<'a> {
    #[serde(borrow, default)]
    pub(super) symbol: Text<'a>,
    #[serde(borrow, default)]
    pub(super) timestamp: Option<Text<'a>>,
    #[serde(default)]
    pub(super) trade_id: Option<u64>,
}

/// An element of channel `book`.
#[derive(Debug, Deserialize)]
pub(super) struct BookData<'a> {
    #[serde(borrow)]
    pub(super) symbol: Text<'a>,
    #[serde(borrow)]
    pub(super) bids: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    pub(super) asks: Vec<RawLevel<'a>>,
    pub(super) checksum: u32,
    #[serde(borrow, default)]
    pub(super) timestamp: Option<Text<'a>>,
}

/// A level as the venue writes it; quantity 0 removes.
#[derive(Debug, Deserialize)]
pub(super) struct RawLevel<'a> {
    #[serde(borrow)]
    pub(super) price: &'a RawValue,
    #[serde(borrow)]
    pub(super) qty: &'a RawValue,
}

/// `data` of channel `instrument`.
#[derive(Debug, Deserialize)]
pub(super) struct InstrumentData<'a> {
    /// Each an [`InstrumentPair`], so that an odd one takes no other with it.
    #[serde(borrow, default)]
    pub(super) pairs: Vec<&'a RawValue>,
}

/// A pair of channel `instrument`.
#[derive(Debug, Deserialize)]
pub(super) struct InstrumentPair<'a> {
    #[serde(borrow)]
    pub(super) symbol: Text<'a>,
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    #[serde(default)]
    pub(super) price_precision: Option<u8>,
    #[serde(default)]
    pub(super) qty_precision: Option<u8>,
    /// May have an exponent.
    #[serde(borrow, default)]
    pub(super) price_increment: Option<&'a RawValue>,
}
