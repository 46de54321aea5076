//! From the configuration of what is made from other feeds to the settings of its connector.

use std::time::Duration;

use tickline_config::model::publisher::{self as model, SampledPrice};
use tickline_feeds::connect::kraken::Amount;
use tickline_feeds::derive::{BarsSettings, LegsSettings, Price, StatisticsSettings};

pub(super) fn legs(of: &model::EurUsd, from: &str, topic: &str) -> LegsSettings {
    // The configuration has seen that they are numbers; one too long for an amount is none that a rate can reach.
    let amount = |text: &str| Amount::parse(text).unwrap_or_default();
    let [low, high] = &of.window;
    LegsSettings {
        endpoint: of.from.clone(),
        from: from.to_owned(),
        topic: topic.to_owned(),
        coins: of.coins.clone(),
        window: (amount(low), amount(high)),
        leg_age_max_ns: nanos(of.leg_age_max),
    }
}

pub(super) fn statistics(of: &model::Statistics) -> StatisticsSettings {
    let model::Derived { from: endpoint, from_topic: from, topic, price } = of.derived.clone();
    let (window_ns, every_ns) = (nanos(of.window), nanos(of.every));
    StatisticsSettings { endpoint, from, topic, window_ns, every_ns, price: sampled(price) }
}

pub(super) fn bars(of: &model::Bars) -> BarsSettings {
    let model::Derived { from: endpoint, from_topic: from, topic, price } = of.derived.clone();
    let (every_ns, late_ns) = (nanos(of.every), nanos(of.late));
    BarsSettings { endpoint, from, topic, every_ns, late_ns, price: sampled(price) }
}

const fn sampled(price: SampledPrice) -> Price {
    match price {
        SampledPrice::Mid => Price::Mid,
        SampledPrice::Bid => Price::Bid,
        SampledPrice::Ask => Price::Ask,
        SampledPrice::Last => Price::Last,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
