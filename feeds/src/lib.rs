//! Frames in, line protocol out. Owns framing, the capture format, the msgpack cursor, the venue decoders, the
//! schema, the line writer, sequences and instruments. It starts no threads, reads no clock, logs nothing, does
//! not know which database there is, and once warm allocates nothing for a message.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod capture;
pub mod clock;
pub mod condition;
pub mod connect;
pub mod counts;
pub mod cursor;
pub mod curve;
pub mod deadband;
pub mod decoder;
pub mod derive;
pub mod emit;
pub mod envelope;
pub mod field;
pub mod frame;
pub mod framing;
pub mod instruments;
pub mod json;
pub mod key;
pub mod line;
pub mod minutes;
pub mod news;
pub mod number;
pub mod payload;
pub mod publisher;
pub mod quote;
pub mod rewrite;
pub mod schema;
pub mod scratch;
pub mod sequence;
pub mod series;
pub mod socket;
pub mod subject;
pub mod text;
pub mod tie;
pub mod time;
pub mod transcode;
pub mod venue;
pub mod xpub;
