"""The golden cases: made-up messages in the venues' shapes. Nothing here was recorded anywhere."""

from cases_betfair import BETFAIR
from cases_kraken import KRAKEN
from cases_orders import ORDERS
from cases_records import RECORDS
from cases_text import TEXTS

RECV = 1_785_641_762_650_000_000
AT = "2026-08-02T03:36:02.621302145Z"


def one(tree, **more):
    return dict(more, tree=tree)


def price(**more):
    return {"type": "PRICE", "instrument": "EUR_USD", "time": AT} | more


OANDA = [
    {
        "name": "oanda_price_with_several_buckets",
        "decoder": "oanda_tick",
        "messages": [
            one(
                price(
                    bids=[{"price": "1.19195", "liquidity": 10000000}, {"price": "1.19197", "liquidity": 500000}],
                    asks=[{"price": "1.1922", "liquidity": "500000"}, {"price": "1.1921", "liquidity": 10000000}],
                    closeoutBid="1.19180",
                    closeoutAsk="1.19235",
                    status="tradeable",
                    tradeable=True,
                    unitsAvailable={"default": {"long": "1", "short": "2"}},
                )
            )
        ],
    },
    {
        "name": "oanda_core_fields_and_edges",
        "decoder": "oanda_tick",
        "fields": "core",
        "messages": [
            one({"type": "HEARTBEAT", "time": AT}),
            one(price(bids=[], asks=[{"price": "1.2", "liquidity": 1}], status="non-tradeable")),
            one(price(bids=[{"price": "1.3", "liquidity": 2}], asks=[{"price": "1.2", "liquidity": 1}])),
            one(price(instrument="", bids=[{"price": "1.3", "liquidity": 2}])),
            one(price(instrument="SPX500", bids=[{"price": "1.30"}], asks=[])),
            one({"type": "TRANSACTION", "id": "7"}, means="undecodable:unknown_shape"),
        ],
    },
    {
        "name": "oanda_predecessors_flat_map",
        "decoder": "oanda_tick",
        "messages": [
            one({b"instrument": b"USD_JPY", b"time": AT.encode(), b"bid": b"147.012", b"ask": b"147.0201"}),
            one({"instrument": "USD_JPY", "timestamp": 1785641762.5, "bid": 147.012, "ask": 147.02, "volume": 3}),
            one({"instrument": "USD_JPY", "timestamp": 1785641763, "bid": 147, "ask": 148, "tradeable": False}),
            one({"instrument": "USD_JPY", "timestamp": "1785641764.000000001", "bid": "147", "ask": "147.5"}),
        ],
    },
]

CUSTOM = {
    "measurement": "bars, odd name",
    "time": "t.at",
    "unit": "ms",
    "tags": [["on", "flags.on"], ["sym bol", "sym"], ["year", "year"]],
    "fields": [["px", "px", "float"], ["qty", "q.total", "int"], ["ok", "ok", "bool"], ["text", "text", "str"]],
}


def bar(**more):
    return {"sym": "A B", "year": 2026, "t": {"at": 1785641762621}, "px": "1.50", "q": {"total": 7}} | more


CUSTOM_CASES = [
    {
        "name": "custom_feed_in_the_users_words",
        "decoder": "custom",
        "custom": CUSTOM,
        "messages": [
            one(bar(flags={"on": True, "off": [1, {"deep": [None]}]}, ok=False, text='say "hi"\\ \n')),
            one(bar(t={"at": "2026-08-02T03:36:02.5Z"}, px=2.25, q={"total": "8"}, unknown={"px": "9"})),
            one(bar(t={}, year=None, q=None)),
            one({"sym": "A", "px": "abc"}),
            one(bar(sym="trailing\\")),
        ],
    },
    {
        "name": "custom_bundle_takes_the_reserved_keys_of_its_first_map",
        "decoder": "custom",
        "custom": CUSTOM,
        "messages": [one([bar(_v=1, _src=5, _seq=1, _ts=RECV, _recv=RECV + 1, _tie=2), bar(_tie=3), bar(_tie=0)])],
    },
]

TICKER = {"channel": "ticker", "type": "update"}


def ticker(**more):
    return {"symbol": "BTC/USD", "bid": "63388.7", "ask": "63401.3", "timestamp": AT} | more


HOSTILE = ["a\nb,c=d e", "line\nbreak", "com,ma", "e=q", "spa ce", 'quo"te', "trail\\", "in\\side", "nul\0", "🦀", "", "x" * 65536]

FRAMES = [
    {
        "name": "framing_one_part_two_parts_and_more",
        "decoder": "kraken_tick",
        "messages": [
            one(ticker(), framing="two"),
            one(ticker(symbol="SPACE D/USD", bid="1"), framing="one"),
            one(ticker(bid="2"), framing="two", more_parts=[b"further", b""]),
        ],
    },
    {
        "name": "reserved_keys_in_any_order",
        "decoder": "kraken_tick",
        "fields": "core",
        "messages": [
            one({"data": [ticker(), ticker()], "_recv": RECV, "_tie": 7, "_seq": 3, "_src": 9, "_v": 1} | TICKER),
            one({"_v": 1, "data": [ticker()], "_tie": 9, "channel": "ticker", "_recv": RECV, "type": "snapshot"}),
            one({"_v": 1, "_src": 9, "_seq": 4, "_ts": RECV, "_recv": 0, "_tie": 20, "_due": RECV} | ticker()),
            one({"_v": 1, "data": [ticker()], "_hb": True} | TICKER),
            one({"_future": {"of": [1, 2]}, "_event": "up", "scope": "*", "data": [ticker()]} | TICKER),
        ],
    },
    {
        "name": "heartbeats_ends_and_events_make_no_points",
        "decoder": "kraken_trades",
        "messages": [
            one({"_hb": True, "_src": 1, "_seq": 4, "_ts": RECV}),
            one({"_end": True, "_src": 1, "_seq": 4, "_ts": RECV}),
            one({"_v": 1, "_src": 1, "_seq": 5, "_event": "gap", "scope": "*", "from": 1, "to": 2, "detail": "x"}),
            one({"method": "subscribe", "success": True, "result": {"channel": "trade", "symbol": "BTC/USD"}}),
            one({"channel": "status", "data": [{"system": "online"}], "type": "update"}),
            one({"channel": "heartbeat"}),
        ],
    },
    {
        "name": "a_venue_time_far_off_is_stored_at_the_receive_time",
        "decoder": "kraken_tick",
        "messages": [
            one({"_v": 1, "_recv": 1_785_641_762_621_302_000 + off} | ticker())
            for off in (-60_000_000_000, -60_000_000_001, 48 * 3600 * 10**9, 48 * 3600 * 10**9 + 1)
        ],
    },
    {
        "name": "a_bundle_keeps_its_maps_apart",
        "decoder": "kraken_tick",
        "messages": [
            one([ticker(_v=1, _src=2, _seq=1, _recv=RECV), ticker(_tie=1), ticker(_tie=2, symbol="ETH/USD")]),
            one([ticker(), ticker(), ticker(symbol="XBT/USD")]),
            one([ticker(_src=3, _seq=8), ticker(), ticker()]),
            one([ticker(_src=3, _seq=8), ticker(), ticker()]),
            one([ticker(), 7], means="undecodable:not_a_map"),
        ],
    },
    {
        "name": "hostile_symbols_are_escaped_or_left_out",
        "decoder": "kraken_tick",
        "fields": "core",
        "messages": [one([ticker(symbol=symbol) for symbol in HOSTILE])]
        + [one(ticker(symbol=symbol)) for symbol in HOSTILE],
    },
    {
        "name": "broken_payloads_leave_nothing",
        "decoder": "kraken_tick",
        "messages": [
            {"raw": b"", "means": "undecodable:truncated"},
            {"raw": b"\x93", "means": "undecodable:truncated"},
            {"raw": b"\xdf\x7f\xff\xff\xff\xa3bid", "means": "undecodable:truncated"},
            {"raw": b"\x81\xa3bid\xdb\xff\xff\xff\xff1", "means": "undecodable:truncated"},
            {"raw": b"\x81\xa3bid\xc1", "means": "undecodable:malformed"},
            {"raw": b"\x82\xa3bid\xa11\xa6symbol\xa3A/B\xc0", "means": "undecodable:malformed"},
            {"raw": b"\x81\xa1x" + b"\x91" * 16 + b"\xc0", "means": "undecodable:too_deep"},
            {"raw": b"\x07", "means": "undecodable:not_a_map"},
            {"raw": b"\xa3bid", "means": "undecodable:not_a_map"},
            {"raw": b"\x90", "means": "undecodable:not_a_map"},
            {"raw": b"\x80", "means": "undecodable:unknown_shape"},
        ],
    },
]

CASES = KRAKEN + OANDA + BETFAIR + ORDERS + RECORDS + TEXTS + CUSTOM_CASES + FRAMES
