//! The connector of Betfair, played against scripts of what happens: what it publishes, asks for and tells, and what
//! decoders make of it.

mod changes;
mod holes;
mod images;
mod instruments;
mod play;
mod session;
mod statuses;
