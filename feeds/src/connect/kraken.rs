//! Kraken: WebSocket version 2 and REST (<https://docs.kraken.com/api/docs/websocket-v2/ticker>). What every channel has
//! in common is in `session`: subscriptions and their answers, pings, the dead timer, waits, and the hole that a lost
//! connection leaves. Each channel is a connector of its own.

mod book;
mod books;
mod depth;
mod names;
mod orders;
mod quotes;
mod rest;
mod session;
mod trades;
mod wire;

pub use book::{Amount, Book, BookError, Level};
pub use depth::{DEPTHS, Depth, DepthSettings, Mode};
pub use names::Pairs;
pub use orders::{Orders, OrdersSettings};
pub use quotes::{QuoteSettings, QuoteSource, Quotes, Trigger};
pub use rest::{definitions, sign};
pub use trades::{TradeSettings, Trades};
