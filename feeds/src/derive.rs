//! Feeds that are made from other feeds: connectors whose source is the bus itself. What they publish is a feed like any
//! other, with numbers, ordinals and holes: a hole of the source is a hole of what is derived from it.

mod bar;
mod bars;
mod basket;
mod holes;
mod legs;
mod price;
mod read;
mod source;
mod statistics;
mod synthetic;
mod window;

pub use bars::{Bars, BarsSettings};
pub use basket::Basket;
pub use legs::LegsSettings;
pub use price::Price;
pub use statistics::{Statistics, StatisticsSettings};
pub use synthetic::Synthetic;
pub use window::SAMPLES_MAX;
