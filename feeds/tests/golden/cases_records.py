"""Feeds whose payload is a flat record."""

AT = "2026-08-02T03:36:02.621302Z"
TS = 1785641762621
RECV = 1_785_641_762_650_000_000
SEQUENCED = {"_v": 1, "_src": 77, "_seq": 1, "_ts": RECV, "_recv": RECV}


def one(tree, **more):
    return dict(more, tree=tree)


def post(**more):
    p = {"id": "1890000000000000001", "ts_ms": TS, "author": "some user", "topic": "bitcoin", "location": "London, UK"}
    p |= {"lang": "en", "country": "GB", "source": "x", "text_length": 24, "sentiment_score": "0.4019"}
    return p | {"pos": "0.351", "neg": "0", "neu": 0.649, "followers": 1234} | more


SENTIMENT = [
    {
        "name": "twitter_sentiment_records",
        "decoder": "twitter_sentiment",
        "messages": [
            one(SEQUENCED | {"_tie": 0} | post()),
            one(SEQUENCED | {"_tie": 1, "_seq": 2} | post(id="2", author='a "b" \\ c\nd', location="")),
            one([post(), post(lang="de"), post(topic="e=th er,")]),
            one(post(sentiment_score=-1, ts_ms=str(TS + 1), country=None)),
        ],
    },
    {
        "name": "twitter_sentiment_odd",
        "decoder": "twitter_sentiment",
        "fields": ["sentiment_score", "author"],
        "messages": [
            one(post(ts_ms=None, author=None)),
            one(post(sentiment_score="NaN", author=7)),
            one(post(topic=None, lang=None, country=None, source=None)),
            one(post(topic="trailing\\")),
            one({"id": "1", "ts_ms": TS, "topic": "bitcoin"}),
            one({"_hb": True, "_src": 77, "_seq": 2, "_ts": RECV}),
        ],
    },
]


def implied(**more):
    t = {"instrument_t0": "ETHUSD", "instrument_t1": "XBTUSD", "timestamp": AT, "bid_t0": "1.08511", "ask_t0": "1.08590"}
    t |= {"bid_t1": "1.08493", "ask_t1": "1.08555", "spread": "0.00062", "spread_t_bid": "0.00097"}
    return t | {"spread_t_ask": "0.00044"} | more


def volumes(**more):
    v = {"bid_volume_t0": "0.5", "ask_volume_t0": "1.25", "bid_volume_t1": "0.00012000", "ask_volume_t1": 3}
    return implied() | v | more


SYNTHETIC = [
    {
        "name": "kraken_eurusd_tick_records",
        "decoder": "kraken_eurusd_tick",
        "messages": [
            one(SEQUENCED | {"_tie": 0} | implied()),
            one(implied(spread_t_bid="-0.00002", instrument="OTHER", bid_volume_t0="1")),
            one(implied(ask_t1="1.08493")),
            one(implied(bid_t0=1.2, timestamp=1785641762621302145)),
            one(implied(instrument_t1="")),
            one({"instrument_t0": "A", "instrument_t1": "B", "timestamp": AT}),
        ],
    },
    {
        "name": "kraken_eurusd_depth_records",
        "decoder": "kraken_eurusd_depth",
        "messages": [
            one(volumes()),
            one([volumes(_v=1, _tie=3), volumes(_tie=4, bid_t1="-1"), volumes(instrument_t0="XRPUSD")]),
            one(volumes(timestamp=None, bid_volume_t0=None, ask_volume_t0="x")),
        ],
    },
]


def pair(**more):
    p = {"exchange": "kraken", "instrument": "BTC/USD", "base": "BTC", "quote": "USD", "price_increment": "0.1"}
    p |= {"qty_increment": "1e-08", "price_precision": 1, "qty_precision": "8", "status": "online"}
    return p | {"timestamp": AT} | more


DEFINITIONS = [
    {
        "name": "instruments_are_told_on_change",
        "decoder": "instruments",
        "messages": [
            one([SEQUENCED | pair(), pair(instrument="ETH/USD", base="ETH"), pair(exchange="other")]),
            one([pair(), pair(instrument="ETH/USD", base="ETH")]),
            one(pair(timestamp=1785641762621302145)),
            one(pair(timestamp=1785641762621302145, status="cancel_only")),
            one([pair(timestamp=None), pair(timestamp=None)]),
            one([pair(instrument=""), pair(instrument="a\\"), pair(exchange="", price_increment="x")]),
            one({"exchange": "kraken", "instrument": "BTC/USD", "timestamp": AT}),
            one({"_end": True, "_src": 77, "_seq": 9, "_ts": RECV}),
        ],
    },
]

RECORDS = SENTIMENT + SYNTHETIC + DEFINITIONS
