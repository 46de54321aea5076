//! Connectors are told scripts of events and must answer with the right messages, commands and due times. No socket,
//! no clock: time is what the script says.

mod holes;
mod hostile;
mod instruments;
mod prices;
mod recordings;
mod rig;
mod sentiment;
mod sentiment_rss;
mod simulation;
mod transactions;
mod venue;
