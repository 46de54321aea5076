//! The stages of the data path, in the order of the data: receive, encode, spool, write. Loops and policy live here;
//! what they call is straight-line code over bytes.

pub mod archive;
pub mod batcher;
pub mod encode;
pub mod multiplex;
pub mod receive;
pub mod replay;
pub mod socket;
pub mod spool;
pub mod write;
