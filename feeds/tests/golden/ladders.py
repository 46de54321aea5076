"""Betfair market changes, plainly: dictionaries of prices and levels, and every rule spelled out once.

A side of a runner is None as long as nothing was said of it, an empty ladder once it is known to be empty.
Prices and sizes stay the texts they came as; they are compared as numbers.
"""

from values import decimal, integer, nanos, string

LADDERS = {"atb": ("full", "back"), "atl": ("full", "lay")}
LADDERS |= {"bdatb": ("display", "back"), "bdatl": ("display", "lay")}
LADDERS |= {"batb": ("best", "back"), "batl": ("best", "lay")}
RANK = ["best", "display", "full"]


def stamp(value):
    """A time as an integer field: ns."""
    return nanos(value, 1_000_000)


def same(left, right):
    return (left is None) == (right is None) and (left is None or float(left) == float(right))


class Runner:
    def __init__(self, key):
        self.key = key
        self.definition = None
        self.clear()
        self.known = {"back": None, "lay": None}

    def clear(self):
        self.ladders = {(kind, side): {} for kind in RANK for side in ("back", "lay")}
        self.figures = {"ltp": None, "tv": None, "spn": None, "spf": None}

    def take_figures(self, change):
        moved = False
        for key in self.figures:
            text = decimal(change.get(key))
            if text is not None and not same(text, self.figures[key]):
                self.figures[key] = text
                moved = True
        return moved

    def take_ladders(self, change):
        for key, (kind, side) in LADDERS.items():
            if key not in change:
                continue
            ladder = self.ladders[kind, side]
            if not change[key]:
                ladder.clear()
            for step in change[key] or []:
                at, price, size = (float(step[0]), *step) if kind == "full" else step
                if float(size) == 0:
                    ladder.pop(at, None)
                else:
                    ladder[at] = (price, size)

    def best(self, kind, side):
        ladder = self.ladders[kind, side]
        if not ladder:
            return ()
        if kind != "full":
            return ladder.get(0, ())
        return ladder[max(ladder) if side == "back" else min(ladder)]

    def settle(self, kind, mentioned):
        """Takes over what is best now. Returns whether it is something else than before."""
        moved = False
        for side in ("back", "lay"):
            best, known = self.best(kind, side), self.known[side]
            if known is None and not best and side not in mentioned:
                continue
            numbers = [tuple(map(float, level)) for level in (best, known or ())]
            moved |= known is None or numbers[0] != numbers[1]
            if known is None or numbers[0] != numbers[1]:
                self.known[side] = best
        return moved


class Market:
    def __init__(self):
        self.runners = {}
        self.seeded = False
        self.kind = None
        self.level_only = False
        self.state = (None, None)
        self.total = None
        self.definition = None

    def runner(self, item):
        handicap = item.get("hc")
        key = (int(item["id"]), "" if handicap is None or float(handicap) == 0 else str(handicap))
        return self.runners.setdefault(key, Runner(key))

    def forget(self):
        self.kind = None
        for runner in self.runners.values():
            runner.clear()
            runner.known = {side: None if known is None else () for side, known in runner.known.items()}

    def choose_ladder(self, changes):
        """One kind of ladder a market: the best that any runner has sent."""
        before = self.kind
        for key, (kind, _) in LADDERS.items():
            if any(key in change for change in changes) and not (self.level_only and kind == "full"):
                self.kind = max(self.kind or kind, kind, key=RANK.index)
        if self.seeded and self.kind != before:
            for runner in self.runners.values():
                runner.settle(self.kind, set())

    def change(self, runner, change):
        figures = runner.take_figures(change)
        prices = False
        if self.seeded:
            runner.take_ladders(change)
            if self.kind is not None:
                prices = runner.settle(self.kind, {side for key, (_, side) in LADDERS.items() if key in change})
        return figures or prices


class Betfair:
    def __init__(self):
        self.markets = {}
        self.open_image = None

    def message(self, item, head):
        """("data" | "control" | "unknown", candidates (measurement, tags, values or None, flags))"""
        if item.get("op") in ("connection", "status"):
            return "control", []
        if item.get("op") != "mcm":
            return "unknown", []
        if "mc" not in item or item.get("ct") == "HEARTBEAT":
            return "control", []
        of_image = item.get("ct") == "SUB_IMAGE"
        if of_image and item.get("segmentType") in (None, "SEG_START"):
            self.open_image = set()
        made = []
        for change in item["mc"]:
            flags = 4 if item.get("status") == 503 else 0
            made += self.market(change, head, of_image, flags | (2 if change.get("con") is True else 0))
        return "control" if head.get("_image") is True else "data", made

    def market(self, change, head, of_image, flags):
        market_id = change["id"]
        market = self.markets.setdefault(market_id, Market())
        repeated = head.get("_image") is True
        if repeated and market.seeded:
            return []
        image = change.get("img") is True or of_image or head.get("_first") is True
        if (image and not (of_image and market_id in self.open_image)) or repeated:
            market.forget()
        if of_image:
            self.open_image.add(market_id)
        flags |= 1 if image else 0
        market.seeded |= image or repeated
        market.total = decimal(change.get("tv")) or market.total
        made, everyone, written = [], image, set()
        definition = change.get("marketDefinition")
        if definition is not None:
            state = (definition.get("status"), definition.get("inPlay"))
            everyone |= state != market.state
            market.state = state
            market.level_only = definition.get("bettingType") in ("LINE", "RANGE")
            made += self.define(market_id, market, definition, flags)
        market.choose_ladder(change.get("rc", []))
        for entry in change.get("rc", []):
            runner = market.runner(entry)
            moved = market.change(runner, entry) or everyone
            written.add(runner.key)
            made.append(self.point(market_id, market, runner, flags, moved))
        if everyone:
            rest = [runner for key, runner in market.runners.items() if key not in written]
            made += [self.point(market_id, market, runner, flags, True) for runner in rest]
        if market.state[0] == "CLOSED":
            del self.markets[market_id]
        return [] if repeated else made

    @staticmethod
    def tags(market_id, runner):
        selection, handicap = runner.key
        return {
            "exchange": "betfair",
            "handicap": handicap,
            "market_id": market_id,
            "selection_id": str(selection),
        }

    def point(self, market_id, market, runner, flags, moved):
        values = []
        for side in ("back", "lay"):
            known = runner.known[side]
            price, size = known or (None, None if known is None else "0")
            values += [(side + "_price", "float", True, price), (side + "_size", "float", True, size)]
        f = runner.figures
        values += [("last_price", "float", True, f["ltp"]), ("matched_amount", "float", True, f["tv"])]
        values += [("in_play", "bool", True, market.state[1]), ("status", "str", True, market.state[0])]
        values += [("sp_near", "float", False, f["spn"]), ("sp_far", "float", False, f["spf"])]
        return "betfair_stream", self.tags(market_id, runner), values if moved else None, flags

    def define(self, market_id, market, d, flags):
        values = [
            ("status", "str", True, string(d.get("status"))),
            ("bet_delay", "int", True, integer(d.get("betDelay"))),
            ("in_play", "bool", True, d.get("inPlay")),
            ("complete", "bool", True, d.get("complete")),
            ("bsp_reconciled", "bool", True, d.get("bspReconciled")),
            ("number_of_winners", "int", True, d.get("numberOfWinners")),
            ("number_of_active_runners", "int", True, d.get("numberOfActiveRunners")),
            ("market_time", "int", True, stamp(d.get("marketTime"))),
            ("suspend_time", "int", True, stamp(d.get("suspendTime"))),
            ("country", "str", True, d.get("countryCode")),
            ("venue", "str", True, d.get("venue")),
            ("version", "int", True, d.get("version")),
            ("betting_type", "str", True, d.get("bettingType")),
            ("total_matched", "float", True, market.total),
            ("ladder", "str", True, (d.get("priceLadderDefinition") or {}).get("type")),
            ("name", "str", True, d.get("name")),
        ]
        tags = {
            "event_id": d.get("eventId", ""),
            "event_type": d.get("eventTypeId", ""),
            "exchange": "betfair",
            "market_id": market_id,
            "market_type": d.get("marketType", ""),
        }
        made = [("betfair_market", tags, None if market.definition == d else values, flags)]
        market.definition = d
        for r in d.get("runners", []):
            runner = market.runner(r)
            values = [
                ("status", "str", True, r.get("status")),
                ("sort_priority", "int", True, r.get("sortPriority")),
                ("adjustment_factor", "float", True, r.get("adjustmentFactor")),
                ("bsp", "float", True, r.get("bsp")),
                ("removal_time", "int", True, stamp(r.get("removalDate"))),
                ("name", "str", True, r.get("name")),
            ]
            values = None if runner.definition == r else values
            runner.definition = r
            made.append(("betfair_runner", self.tags(market_id, runner), values, flags))
        return made
