"""Kraken: tickers in all four shapes, books and trades."""

AT = "2026-08-02T03:36:02.621302Z"
SEQUENCED = {"_v": 1, "_src": 77, "_seq": 1, "_ts": 1_785_641_762_640_000_000, "_recv": 1_785_641_762_630_000_000}


def one(tree, **more):
    return dict(more, tree=tree)


def element(**more):
    t = {"symbol": "BTC/USD", "bid": "63388.70", "bid_qty": "0.20000000", "ask": "63401.3", "ask_qty": "1"}
    t |= {"last": "63395.0", "volume": "1834.12345678", "vwap": "63150.9", "low": "62000.1", "high": "64000.0"}
    return t | {"change": "-12.5", "change_pct": "-0.02", "timestamp": AT} | more


def rest(two=False):
    price = ["63401.30000", "0.5"] if two else ["63401.30000", "1", "0.50000000"]
    t = {"a": price, "b": ["63388.70000", "2", "2.5"], "c": ["63395.0", "0.1"], "v": ["900.5", "1834.1"]}
    t |= {"p": ["63100.1", "63150.9"], "t": [9000, 18000], "l": ["62500.0", "62000.1"]}
    return t | {"h": ["63999.9", "64000.0"], "o": "62900.0"}


LIST = [[b"3.10", b"1", b"1.5"], [b"3.05", b"9", b"2.5"], [b"3.07", b"0.1"], [b"5", b"6.25"], [b"7", b"8"]]
LIST += [[9, 10], [b"11", b"12"], [b"13", b"14"], b"15"]
FLAT = {"instrument": "XXBTZUSD", "bid": 63388.7, "ask": 63401.3, "volume": 12.5}

TICKS = [
    {
        "name": "kraken_tick_message",
        "decoder": "kraken_tick",
        "messages": [
            one(SEQUENCED | {"_tie": 0, "channel": "ticker", "type": "snapshot", "data": [element()]}),
            one(SEQUENCED | {"_seq": 2, "channel": "ticker", "type": "update", "data": [element(), element()]}),
        ],
    },
    {"name": "kraken_tick_element_core", "decoder": "kraken_tick", "fields": "core", "messages": [one(element())]},
    {
        "name": "kraken_tick_listed_fields",
        "decoder": "kraken_tick",
        "fields": ["last_trade_price", "high"],
        "messages": [one(element(bid="63402")), one(element(last=None, high="-")), one(element(symbol="XDG/EUR"))],
    },
    {
        "name": "kraken_tick_rest",
        "decoder": "kraken_tick",
        "legacy_tick": True,
        "messages": [one({"error": [], "result": {"XXBTZUSD": rest(), "ETHEUR": rest(two=True), "NEWCOIN": rest()}})],
    },
    {
        "name": "kraken_tick_rest_error",
        "decoder": "kraken_tick",
        "messages": [one({"error": ["EGeneral:Internal error"], "result": {"XXBTZUSD": rest()}})],
    },
    {
        "name": "kraken_tick_predecessors_list_of_nine",
        "decoder": "kraken_tick",
        "legacy_tick": True,
        "messages": [one({b"result": {b"XXBTZUSD": LIST}}), one({"result": {"XBT/USD": LIST, "XXBTZUSD": LIST}})],
    },
    {
        "name": "kraken_tick_predecessors_flat_map",
        "decoder": "kraken_tick",
        "messages": [
            one({"timestamp": 1785641762.5} | FLAT),
            one({"timestamp": 1785641763} | FLAT),
            one({"timestamp": "1785641764.000001"} | FLAT),
            one({b"timestamp": 1785641765, b"instrument": b"XBTUSD", b"bid": b"1", b"ask": b"2", b"volume": b"3"}),
            one(FLAT),
        ],
    },
    {
        "name": "kraken_tick_number_forms",
        "decoder": "kraken_tick",
        "messages": [
            one(element(bid=63388, ask=63401.25, last=float("nan"), volume=float("inf"), vwap="NaN", high="1e-08")),
            one(element(bid="", ask="1.", low=".5", high="+1", vwap="1,0", volume=[1], last={"a": 1}, change=True)),
            one(element(bid=None, ask="0", last="9" * 41, vwap="1" * 40, volume="1e400", change="1234567890.1234567")),
            one(element(bid=2**63 - 1, ask="18446744073709551616.5", bid_qty=-1, timestamp="yesterday")),
            one({"symbol": "BTC/USD", "bid": "x", "timestamp": AT}),
            one(element(symbol=5)),
        ],
    },
]


def book(bids, asks, **more):
    return {"symbol": "BTC/USD", "timestamp": AT, "checksum": 2904142184, "bids": bids, "asks": asks} | more


BIDS = [[f"6338{9 - level}.7", f"0.{level}0000000"] for level in range(10)]
ASKS = [[f"6340{level}.1", f"1.{level}"] for level in range(10)]

BOOKS = [
    {
        "name": "kraken_depth_ten_levels",
        "decoder": "kraken_depth",
        "messages": [one(SEQUENCED | {"_tie": 0} | book(BIDS, ASKS)), one(SEQUENCED | {"_tie": 1} | book(BIDS, ASKS))],
    },
    {
        "name": "kraken_depth_padded_crossed_and_odd",
        "decoder": "kraken_depth",
        "messages": [
            one(book([["2", "1"], [None, "0"]], [["3", "1"], [None, "0"]])),
            one(book([["4", "1"]], [["3", "1"], ["5", "2"]], timestamp=1785641762621302145)),
            one(book([["4", "1"]], [["4", "1"]], timestamp="1785641762621302999")),
            one(book([[4.5, 1]], [], timestamp=None, checksum="7")),
            one(book([], [])),
            one({"bids": [["1", "2"]]}),
            one({"symbol": "BTC/USD"}, means="undecodable:unknown_shape"),
        ],
    },
    {
        "name": "kraken_depth_rest",
        "decoder": "kraken_depth",
        "messages": [
            one(
                {
                    "error": [],
                    "result": {
                        "XXBTZUSD": {
                            "asks": [["52523.00000", "1.199", 1616663113], ["52536.00000", "0.300", 1616663112]],
                            "bids": [["52522.90000", "0.753", 1616663112]],
                        }
                    },
                }
            ),
            one({"error": ["EQuery:Unknown asset pair"]}),
        ],
    },
]


def trade(number, **more):
    t = {"symbol": "BTC/USD", "side": "buy", "price": "63395.0", "qty": "0.01", "ord_type": "limit"}
    return t | {"trade_id": number, "timestamp": AT} | more


TRADES = [
    {
        "name": "kraken_trades_message",
        "decoder": "kraken_trades",
        "messages": [
            one({"channel": "trade", "type": "snapshot", "data": [trade(4665846), trade(4665847, side="sell")]}),
            one({"channel": "trade", "type": "update", "data": [trade(4665999), trade(4666000), trade(4666001)]}),
            one(SEQUENCED | {"_tie": 5} | trade("4666002")),
        ],
    },
    {
        "name": "kraken_trades_odd",
        "decoder": "kraken_trades",
        "fields": "core",
        "messages": [
            one(trade(1, side="neither")),
            one(trade(2, timestamp=None)),
            one(trade(3, price="x", qty=None)),
            one(trade("id", timestamp=1785641762.25)),
            one(trade(5, symbol="")),
            one({"channel": "ticker", "data": [trade(6)]}, means="undecodable:unknown_shape"),
        ],
    },
]

KRAKEN = TICKS + BOOKS + TRADES
