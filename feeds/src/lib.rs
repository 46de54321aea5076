//! Frames in, line protocol out. Owns framing, the capture format, the msgpack cursor, the venue decoders, the
//! schema, the line writer, sequences and instruments. It starts no threads, reads no clock, logs nothing, does
//! not know which database there is, and once warm allocates nothing for a message.

pub mod clock;
pub mod counts;
pub mod decoder;
pub mod frame;
pub mod instruments;
pub mod sequence;
