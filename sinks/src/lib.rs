//! Batches of line protocol in, databases and files out. Owns the batch, the [`Sink`] trait with its five
//! outcomes, the sinks themselves and the pure rules of retrying. It starts no threads, reads no clock, and
//! does not know which venue a line came from.

pub mod batch;
pub mod sink;
