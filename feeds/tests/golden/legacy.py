"""Payloads that are text, as the predecessor sent them, as the trees that meaning.py reads."""

import json

SYNTHETIC = "instrument_t0 bid_t0 ask_t0 instrument_t1 bid_t1 ask_t1 spread spread_t_bid spread_t_ask".split()
LEG = "instrument bid ask - bid_volume - ask_volume".split()


def depth_names():
    """Of each leg its own book's prices are not kept, only their volumes."""
    legs = [["-" if name == "-" else f"{name}_{leg}" for name in LEG] for leg in ("t0", "t1")]
    return legs[0] + legs[1] + SYNTHETIC[6:]


def tree_of(text, case, topic):
    """The tree of one payload, or what msgpack would call no map."""
    if case["format"] == "json":
        tree = json.loads(text, parse_float=str)
        return json.loads(tree, parse_float=str) if isinstance(tree, str) else tree
    fields = text.split("\x01")
    decoder = case["decoder"]
    if decoder == "kraken_tick":
        name, *rest = fields
        ticker = {"a": rest[0:3], "b": rest[3:6], "c": rest[6:8], "v": rest[8:10], "p": rest[10:12]}
        ticker |= {"t": rest[12:14], "l": rest[14:16], "h": rest[16:18], "o": rest[18]}
        return {"result": {name: ticker}}
    if decoder == "oanda_tick":
        fields = [topic] + fields if len(fields) == 3 else fields
        return dict(zip(("instrument", "time", "bid", "ask"), fields))
    names = SYNTHETIC if decoder == "kraken_eurusd_tick" else depth_names()
    return {name: value for name, value in zip(names, fields) if name != "-"}
