//! What the benches and the end-to-end runs share: the message shapes that figures are named after.

pub mod shapes;
pub mod venue;
