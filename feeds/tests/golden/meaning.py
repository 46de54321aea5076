"""What a payload means: a second, plain decoder, written from the wire and schema description alone.

It keeps every rule where it can be read next to the description and cares for nothing else: no speed, no
limits. `Feed.message` answers "control", "undecodable:REASON" or a list of points.
"""

import csv
import pathlib

from ladders import Betfair
from records import Records
from values import READERS, SECOND, UNITS, Undecodable, crossed, decimal, exact_difference, integer, nanos
from values import text_of, writable

RESERVED_TIMES = ("_ts", "_recv")


class Feed(Records):
    """One feed: what it was told and what it remembers."""

    def __init__(self, case):
        super().__init__()
        self.case = case
        self.ties = {}
        self.betfair = Betfair()
        self.pairs = {}
        table = pathlib.Path(__file__).with_name("instruments.csv").read_text().splitlines()
        for row in csv.DictReader(line for line in table if not line.startswith("#")):
            for name in (row["rest_name"], row["altname"], row["wsname"]):
                self.pairs[name] = (row["base"], row["quote"])

    def message(self, payload):
        payload = text_of(payload)
        maps = payload if isinstance(payload, list) else [payload]
        if not maps or not all(isinstance(item, dict) for item in maps):
            return "undecodable:not_a_map"
        first = maps[0]
        points = []
        control = True
        for part, item in enumerate(maps):
            head = dict(first, **{"_tie": item.get("_tie")})
            try:
                made = self.map(item, head)
            except Undecodable as error:
                return f"undecodable:{error}"
            if made is None:
                continue
            control = False
            counts = {}
            for point in made:
                position = counts.get(point["series"], 0)
                counts[point["series"]] = position + 1
                if point["fields"] and point["writable"]:
                    points.append(self.place(point, head, part, position))
        return "control" if control else points

    def map(self, item, head):
        """Candidates of one map, in order; None if it is no data by design."""
        if any(head.get(key) is True for key in ("_hb", "_end")) or isinstance(head.get("_event"), str):
            return None
        return getattr(self, self.case["decoder"])(item, head)

    def place(self, point, head, part, position):
        """Time, ordinal and system fields."""
        sent, recv = (head.get(key) or 0 for key in RESERVED_TIMES)
        flags = point["flags"]
        fields = list(point["fields"])
        base, unit = point["time"], point["unit"]
        venue = None
        if base is None:
            base, unit, flags = sent or self.case["received_ns"], 1, flags | 8
        elif recv and not recv - 48 * 3600 * SECOND <= base <= recv + 60 * SECOND:
            base, unit, flags, venue = recv, 1, flags | 8, base
        base -= base % unit
        ordinal = point["own"]
        if ordinal is None and head.get("_tie") is not None:
            ordinal = head["_tie"] + position
        elif ordinal is None and "_v" in head:
            ordinal = position
        elif ordinal is None:
            ordinal = self.counted(point["series"], base, (head.get("_src"), head.get("_seq"), part), position)
        used = self.ties.setdefault((point["series"], base), {"next": 0, "seen": {}})
        used["next"] = max(used["next"], ordinal + 1)
        if ordinal >= unit:
            flags |= 16
        fields.append(("recv_ns", "int", str(recv or sent or self.case["received_ns"])))
        if flags:
            fields.append(("flags", "int", str(flags)))
        if venue is not None:
            fields.append(("venue_ns", "int", str(venue)))
        return {
            "measurement": point["measurement"],
            "tags": point["tags"],
            "fields": {name: [kind, text] for name, kind, text in fields},
            "time": base + ordinal,
        }

    def counted(self, series, base, message, position):
        """The engine's own count for a series and time; a message that comes again keeps its ordinals."""
        state = self.ties.setdefault((series, base), {"next": 0, "seen": {}})
        key = message + (position,)
        if message[1] is not None and key in state["seen"]:
            return state["seen"][key]
        state["seen"][key] = state["next"]
        state["next"] += 1
        return state["next"] - 1

    def candidate(self, measurement, tags, values, time, unit, flags=0, own=None, usable=True):
        """`values`: (field, type, core, value) in the order of the schema."""
        choice = self.case["fields"]
        fields = []
        for name, kind, core, value in values:
            wanted = choice == "all" or (core if choice == "core" else name in choice)
            text = READERS[kind](value)
            if wanted and text is not None:
                fields.append((name, kind, text))
        tags = {name: tags[name] for name in sorted(tags) if tags[name] != ""}
        return {
            "measurement": measurement,
            "tags": tags,
            "series": (measurement, *tags.items()),
            "fields": fields,
            "time": time,
            "unit": unit,
            "flags": flags,
            "own": own,
            "writable": usable and all(writable(value) for value in tags.values()),
        }

    def pair(self, name):
        """Tags of a Kraken name."""
        if "/" in name:
            names = {"XBT": "BTC", "XDG": "DOGE"}
            base, _, quote = name.partition("/")
            base, quote = names.get(base, base), names.get(quote, quote)
        elif name in self.pairs:
            base, quote = self.pairs[name]
        else:
            return {"base": "", "exchange": "kraken", "pair": name, "quote": ""}
        return {"base": base, "exchange": "kraken", "pair": f"{base}/{quote}", "quote": quote}

    def elements(self, item, channel):
        """The elements of a WebSocket message, or the map itself."""
        if "method" in item or item.get("channel") in ("heartbeat", "status"):
            return None
        if item.get("channel", channel) != channel:
            raise Undecodable("unknown_shape")
        return item["data"] if "data" in item else [item]

    def rest(self, item):
        if item.get("error"):
            raise Undecodable("venue_error")
        return item["result"]

    def kraken_tick(self, item, _head):
        if "result" in item or "error" in item:
            made = []
            for name, ticker in self.rest(item).items():
                if isinstance(ticker, list):
                    ticker = dict(zip("abcvptlho", ticker))
                made += self.ticker(name, rest_ticker(ticker), None, 0)
            return made
        elements = self.elements(item, "ticker")
        if elements is None:
            return None
        made = []
        for element in elements:
            name = element.get("symbol", element.get("instrument"))
            name = name if isinstance(name, str) else ""
            if not name and "bid" not in element:
                raise Undecodable("unknown_shape")
            flags = 1 if item.get("type") == "snapshot" else 0
            ticker = dict(element, last_trade_price=element.get("last"))
            made += self.ticker(name, ticker, nanos(element.get("timestamp"), SECOND), flags)
        return made

    def ticker(self, name, t, time, flags):
        core = "bid bid_qty ask ask_qty last_trade_price volume vwap".split()
        more = "last_trade_qty volume_today vwap_today trades trades_today low low_today high high_today".split()
        values = [(field, "float", True, t.get(field)) for field in core]
        for field in [*more, "open", "change", "change_pct"]:
            values.append((field, "int" if field.startswith("trades") else "float", False, t.get(field)))
        flags |= 32 if crossed(decimal(t.get("bid")), decimal(t.get("ask"))) else 0
        tags = self.pair(name)
        made = [self.candidate("kraken_tick", tags, values, time, 1_000, flags, usable=name != "")]
        if self.case.get("legacy_tick"):
            values = [(field, "float", True, t.get(source)) for field, source in LEGACY]
            tags = {"base_ccy": tags["base"], "instrument": name, "term_ccy": tags["quote"]}
            fields, self.case["fields"] = self.case["fields"], "all"
            made.append(self.candidate("tick", tags, values, time, 1_000, flags, usable=name != ""))
            self.case["fields"] = fields
        return made

    def kraken_depth(self, item, _head):
        if "result" in item or "error" in item:
            books = [(name, None, book) for name, book in self.rest(item).items()]
        elif "bids" in item or "asks" in item:
            books = [(item.get("symbol", ""), nanos(item.get("timestamp"), 1), item)]
        else:
            raise Undecodable("unknown_shape")
        made = []
        for name, time, book in books:
            bids, asks = book.get("bids", []), book.get("asks", [])
            for level in range(max(len(bids), len(asks))):
                bid, ask = (side[level] if level < len(side) else [None, None] for side in (bids, asks))
                values = [
                    ("bid_price", "float", True, bid[0]),
                    ("bid_size", "float", True, bid[1]),
                    ("ask_price", "float", True, ask[0]),
                    ("ask_size", "float", True, ask[1]),
                ]
                if level == 0:
                    values.append(("checksum", "int", False, book.get("checksum")))
                flags = 32 if level == 0 and crossed(decimal(bid[0]), decimal(ask[0])) else 0
                tags = dict(self.pair(name), level=str(level))
                made.append(self.candidate("kraken_depth", tags, values, time, 1_000, flags, usable=name != ""))
        return made

    def kraken_trades(self, item, _head):
        elements = self.elements(item, "trade")
        if elements is None:
            return None
        made = []
        for trade in elements:
            if "symbol" not in trade:
                raise Undecodable("unknown_shape")
            name, side, key = trade["symbol"], trade.get("side"), integer(trade.get("trade_id"))
            time = nanos(trade.get("timestamp"), SECOND)
            values = [
                ("price", "float", True, trade.get("price")),
                ("qty", "float", True, trade.get("qty")),
                ("trade_id", "int", True, trade.get("trade_id")),
                ("ord_type", "str", False, trade.get("ord_type")),
            ]
            flags = 1 if item.get("type") == "snapshot" else 0
            own = int(key) % 1_000 if key is not None and time is not None else None
            usable = name != "" and side in ("buy", "sell")
            tags = dict(self.pair(name), side=side if usable else "")
            made.append(self.candidate("kraken_trades", tags, values, time, 1_000, flags, own, usable))
        return made

    def oanda_tick(self, item, _head):
        if item.get("type") == "HEARTBEAT":
            return None
        if item.get("type", "PRICE") != "PRICE":
            raise Undecodable("unknown_shape")
        t = dict(item)
        for key, side, best in (("bids", "bid", max), ("asks", "ask", min)):
            buckets = [b for b in item.get(key, []) if decimal(b.get("price")) is not None]
            if buckets:
                found = best(buckets, key=lambda b: float(b["price"]))
                t[side], t[side + "_liquidity"] = found["price"], found.get("liquidity")
        if "tradeable" not in t and "status" in t:
            t["tradeable"] = t["status"] == "tradeable"
        bid, ask = decimal(t.get("bid")), decimal(t.get("ask"))
        spread = None if bid is None or ask is None else exact_difference(ask, bid)
        values = [("bid", "float", True, bid), ("ask", "float", True, ask)]
        values += [(side + "_liquidity", "int", True, t.get(side + "_liquidity")) for side in ("bid", "ask")]
        values.append(("tradeable", "bool", True, t.get("tradeable")))
        values.append(("spread", "float", False, spread))
        values.append(("closeout_bid", "float", False, t.get("closeoutBid")))
        values.append(("closeout_ask", "float", False, t.get("closeoutAsk")))
        values.append(("volume", "int", False, t.get("volume")))
        name = item.get("instrument", "")
        base, _, quote = name.partition("_") if "_" in name else ("", "", "")
        tags = {"base": base, "exchange": "oanda", "instrument": name, "quote": quote}
        time = nanos(item.get("time", item.get("timestamp")), SECOND)
        flags = 32 if crossed(bid, ask) else 0
        return [self.candidate("oanda_tick", tags, values, time, 1, flags, usable=name != "")]

    def betfair_stream(self, item, head):
        kind, made = self.betfair.message(item, head)
        if kind == "unknown":
            raise Undecodable("unknown_shape")
        if kind == "control":
            return None
        time = nanos(item.get("pt"), 1_000_000)
        points = []
        for measurement, tags, values, flags in made:
            point = self.candidate(measurement, tags, values or [], time, 1_000_000, flags)
            point["fields"] = point["fields"] if values is not None else []
            points.append(point)
        return points

    def custom(self, item, _head):
        described = self.case["custom"]

        def at(path):
            value = item
            for key in path.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            return value

        values = [(name, kind, True, at(path)) for name, path, kind in described["fields"]]
        tags = {}
        for name, path in described["tags"]:
            value = at(path)
            plain = isinstance(value, (bool, int, str))
            tags[name] = (str(value).lower() if isinstance(value, bool) else str(value)) if plain else ""
        unit = UNITS[described["unit"]]
        time = nanos(at(described["time"]), unit)
        return [self.candidate(described["measurement"], tags, values, time, unit)]


LEGACY = [
    ("ask_price", "ask"), ("ask_whole_lot_volume", "ask_whole"), ("ask_lot_volume", "ask_qty"),
    ("bid_price", "bid"), ("bid_whole_lot_volume", "bid_whole"), ("bid_lot_volume", "bid_qty"),
    ("last_trade_price", "last_trade_price"), ("last_trade_lot_volume", "last_trade_qty"),
    ("volume_today", "volume_today"), ("volume_last_24_hours", "volume"),
    ("vwap_today", "vwap_today"), ("vwap_last_24_hours", "vwap"),
    ("number_of_trades_today", "trades_today"), ("number_of_trades_last_24_hours", "trades"),
    ("low_today", "low_today"), ("low_last_24_hours", "low"),
    ("high_today", "high_today"), ("high_last_24_hours", "high"), ("opening_price", "open"),
]


def rest_ticker(t):
    """REST's arrays by name: today's or the price first, 24 hours or the lot second."""
    found = {}
    for key, side in (("a", "ask"), ("b", "bid")):
        found[side], found[side + "_qty"] = t[key][0], t[key][-1]
        if len(t[key]) > 2:
            found[side + "_whole"] = t[key][1]
    found["last_trade_price"], found["last_trade_qty"] = t["c"]
    for key, name in (("v", "volume"), ("p", "vwap"), ("t", "trades"), ("l", "low"), ("h", "high")):
        found[name + "_today"], found[name] = t[key]
    found["open"] = t["o"][0] if isinstance(t["o"], list) else t["o"]
    return found
