//! The measurements of a user's own orders.

use super::FieldType::{Float, Integer, String};
use super::{Measurement, core};

/// `kraken_orders`
pub const KRAKEN_ORDERS: Measurement = Measurement {
    name: "kraken_orders",
    from: "kraken_orders",
    tags: &["account", "base", "exchange", "pair", "quote", "side", "status", "type"],
    fields: &[
        core("order_id", String),
        core("exec_id", String),
        core("exec_type", String),
        core("cl_ord_id", String),
        core("price", Float),
        core("amount", Float),
        core("limit_price", Float),
        core("order_qty", Float),
        core("cum_amount", Float),
        core("avg_price", Float),
        core("cost", Float),
        core("fee", Float),
        core("fee_asset", String),
        core("liquidity", String),
        core("trade_id", Integer),
    ],
};

/// `oanda_orders`
pub const OANDA_ORDERS: Measurement = Measurement {
    name: "oanda_orders",
    from: "oanda_orders",
    tags: &["account", "exchange", "instrument", "reason", "type"],
    fields: &[
        core("id", Integer),
        core("order_id", Integer),
        core("batch_id", Integer),
        core("units", Float),
        core("price", Float),
        core("pl", Float),
        core("commission", Float),
        core("account_balance", Float),
    ],
};

/// `betfair_orders`
pub const BETFAIR_ORDERS: Measurement = Measurement {
    name: "betfair_orders",
    from: "betfair_orders",
    tags: &["account", "market_id", "selection_id", "side", "status"],
    fields: &[
        core("bet_id", String),
        core("price", Float),
        core("size", Float),
        core("matched", Float),
        core("remaining", Float),
        core("avg_price", Float),
    ],
};
