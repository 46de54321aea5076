"""What orders and flat records mean: a part of the plain decoder in meaning.py."""

from values import SECOND, Undecodable, crossed, decimal, integer, nanos

REPORT = [
    ("order_id", "str", "order_id"), ("exec_id", "str", "exec_id"), ("exec_type", "str", "exec_type"),
    ("cl_ord_id", "str", "cl_ord_id"), ("price", "float", "last_price"), ("amount", "float", "last_qty"),
    ("limit_price", "float", "limit_price"), ("order_qty", "float", "order_qty"), ("cum_amount", "float", "cum_qty"),
    ("avg_price", "float", "avg_price"), ("cost", "float", "cost"), ("fee", "float", "fee"),
    ("fee_asset", "str", "fee_asset"), ("liquidity", "str", "liquidity_ind"), ("trade_id", "int", "trade_id"),
]
TRANSACTION = [
    ("id", "int", "id"), ("order_id", "int", "orderID"), ("batch_id", "int", "batchID"), ("units", "float", "units"),
    ("price", "float", "price"), ("pl", "float", "pl"), ("commission", "float", "commission"),
    ("account_balance", "float", "accountBalance"),
]
ORDER = [
    ("bet_id", "str", "id"), ("price", "float", "p"), ("size", "float", "s"), ("matched", "float", "sm"),
    ("remaining", "float", "sr"), ("avg_price", "float", "avp"),
]
SENTIMENT = [
    ("sentiment_score", "float"), ("text_length", "int"), ("pos", "float"), ("neg", "float"), ("neu", "float"),
    ("followers", "int"), ("author", "str"), ("location", "str"),
]
SYNTHETIC = "bid_t0 ask_t0 bid_t1 ask_t1 spread spread_t_bid spread_t_ask".split()
VOLUMES = "bid_volume_t0 ask_volume_t0 bid_volume_t1 ask_volume_t1".split()
DEFINITION = [
    ("base", "str"), ("quote", "str"), ("price_increment", "float"), ("qty_increment", "float"),
    ("price_precision", "int"), ("qty_precision", "int"), ("status", "str"),
]


def text(value):
    """A tag takes text alone."""
    return value if isinstance(value, str) else ""


class Records:
    """Mixed into Feed, whose `candidate` makes points."""

    def __init__(self):
        self.said = {}

    def account(self):
        return self.case.get("account", "")

    def kraken_orders(self, item, _head):
        reports = self.elements(item, "executions")
        if reports is None:
            return None
        made = []
        for report in reports:
            if "data" not in item and not any(key in report for _, _, key in REPORT):
                raise Undecodable("unknown_shape")
            flat = {key: value for key, value in report.items() if key not in ("fee", "fee_asset")}
            for fee in report.get("fees", [])[:1]:
                flat |= {"fee": fee.get("qty"), "fee_asset": fee.get("asset")}
            values = [(name, kind, True, flat.get(key)) for name, kind, key in REPORT]
            tags = {"account": self.account(), "exchange": "kraken"}
            if text(report.get("symbol")):
                tags |= self.pair(report["symbol"])
            for tag, key in (("side", "side"), ("status", "order_status"), ("type", "order_type")):
                tags[tag] = text(report.get(key))
            flags = 1 if item.get("type") == "snapshot" else 0
            usable = "symbol" not in report or text(report["symbol"]) != ""
            time = nanos(report.get("timestamp"), SECOND)
            made.append(self.candidate("kraken_orders", tags, values, time, 1_000, flags, usable=usable))
        return made

    def oanda_orders(self, item, _head):
        kind = text(item.get("type"))
        if kind == "HEARTBEAT":
            return None
        if not kind or not any(key in item for _, _, key in TRANSACTION):
            raise Undecodable("unknown_shape")
        time = nanos(item.get("time"), SECOND)
        own, ids = None, [integer(item.get(key)) for key in ("id", "batchID")]
        if time is not None and None not in ids and int(ids[0]) >= int(ids[1]):
            own = int(ids[0]) - int(ids[1])
        tags = {"account": self.account(), "exchange": "oanda", "type": kind}
        tags |= {tag: text(item.get(tag)) for tag in ("instrument", "reason")}
        values = [(name, kind, True, item.get(key)) for name, kind, key in TRANSACTION]
        return [self.candidate("oanda_orders", tags, values, time, 1, own=own)]

    def betfair_orders(self, item, _head):
        op = item.get("op", "ocm" if "oc" in item else "")
        if op in ("connection", "status") or (op == "ocm" and ("oc" not in item or item.get("ct") == "HEARTBEAT")):
            return None
        if op != "ocm":
            raise Undecodable("unknown_shape")
        time = nanos(item.get("pt"), 1_000_000)
        made = []
        for market in item["oc"]:
            for runner in market.get("orc", []):
                image = item.get("ct") == "SUB_IMAGE" or True in (market.get("fullImage"), runner.get("fullImage"))
                flags = (1 if image else 0) | (4 if integer(item.get("status")) == "503" else 0)
                for order in runner.get("uo", []):
                    selection, name = integer(runner.get("id")), text(market.get("id"))
                    tags = {"account": self.account(), "market_id": name, "selection_id": selection or ""}
                    tags |= {tag: text(order.get(tag)) for tag in ("side", "status")}
                    values = [(field, kind, True, order.get(key)) for field, kind, key in ORDER]
                    usable = name != "" and selection is not None
                    made.append(self.candidate("betfair_orders", tags, values, time, 1_000_000, flags, usable=usable))
        return made

    def flat(self, item, fields):
        """The values of a record whose keys are called as its fields are."""
        if not any(field in item for field, _ in fields):
            raise Undecodable("unknown_shape")
        return [(field, kind, True, item.get(field)) for field, kind in fields]

    def twitter_sentiment(self, item, _head):
        values = self.flat(item, SENTIMENT)
        tags = {tag: text(item.get(tag)) for tag in ("country", "lang", "source", "topic")}
        return [self.candidate("twitter_sentiment", tags, values, nanos(item.get("ts_ms"), 1_000_000), 1_000_000)]

    def kraken_eurusd_tick(self, item, _head, measurement="synthetic", fields=SYNTHETIC):
        values = self.flat(item, [(field, "float") for field in fields])
        legs = {tag: text(item.get(tag)) for tag in ("instrument_t0", "instrument_t1")}
        prices = [decimal(item.get(field)) for field in SYNTHETIC[:4]]
        flags = 32 if crossed(*prices[:2]) or crossed(*prices[2:]) else 0
        time = nanos(item.get("timestamp"), 1)
        tags = {"instrument": "KR_EURUSD"} | legs
        return [self.candidate(measurement, tags, values, time, 1_000, flags, usable=all(legs.values()))]

    def kraken_eurusd_depth(self, item, head):
        return self.kraken_eurusd_tick(item, head, "synthetic_depth", SYNTHETIC + VOLUMES)

    def instruments(self, item, _head):
        values = self.flat(item, DEFINITION)
        time = nanos(item.get("timestamp"), 1)
        tags = {tag: text(item.get(tag)) for tag in ("exchange", "instrument")}
        made = self.candidate(
            "instrument", tags, values + [("valid_from", "int", True, time)], time, 1, usable=tags["instrument"] != ""
        )
        if made["writable"] and self.said.get(made["series"]) == values:
            made["fields"] = []
        self.said[made["series"]] = values
        return [made]
