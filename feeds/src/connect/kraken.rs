//! Kraken: WebSocket version 2 and REST (<https://docs.kraken.com/api/docs/websocket-v2/ticker>). What every channel has
//! in common is in `session`: subscriptions and their answers, pings, the dead timer, waits, and the hole that a lost
//! connection leaves. Each channel is a connector of its own.

mod book;
mod books;
mod depth;
mod instruments;
mod names;
mod orders;
mod quotes;
mod rest;
mod session;
mod trades;
mod wire;

pub use book::{Amount, Book, BookError, Level};
pub use depth::{DEPTHS, Depth, DepthSettings, Mode};
pub(super) use instruments::Instruments;
pub use names::Pairs;
pub use orders::{Orders, OrdersSettings};
pub use quotes::{QuoteSettings, QuoteSource, Quotes, Trigger};
pub(super) use rest::queue;
pub use rest::sign;
pub use trades::{TradeSettings, Trades};
