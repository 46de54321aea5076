#!/usr/bin/env python3
"""Twenty minutes of known ticks, sent through tickline into InfluxDB 1 and Parquet files.

    python3 dataset.py --tickline PROGRAM --influx http://HOST:PORT --parquet DIR [--day YYYY-MM-DD]

The lists below are all that is known about the data; run_queries.py computes what every query must answer from them. They are
sent as the publishers of the venues send them, over ZeroMQ, into one `tickline run` with two sinks. Database `tick` is made.
The day is yesterday unless it is named: a hole that is older than 30 days is not stored."""
import argparse, json, random, shutil, subprocess, sys, tempfile, threading, time, urllib.parse, urllib.request
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

BEGIN = "14:50:00"  # UTC; ends at 15:10, so that midnight in Tokyo (15:00 UTC) is in it
MINUTES = 20
SECOND, US, MS = 10**9, 10**3, 10**6
MARKET = "1.234567890"
PATIENCE = 120


def begin_ns(day):
    moment = datetime.fromisoformat(f"{day}T{BEGIN}+00:00")
    return int(moment.timestamp()) * SECOND


def text(ns, digits=6):
    """RFC 3339 with that many digits."""
    whole = datetime.fromtimestamp(ns // SECOND, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % SECOND:09d}"[: 20 + digits] + "Z"


def quotes(day):
    """Quotes of two pairs: venue time (us precision), ordinal within it, price texts (None: the venue left it out), latency."""
    begin, dice, made = begin_ns(day), random.Random(7), []

    def add(pair, at, bid, ask, tie=0, flags=0, took=None):
        made.append({"pair": pair, "venue_ns": begin + at, "tie": tie, "bid": bid, "ask": ask, "flags": flags,
                     "recv_ns": begin + at + (took or dice.randrange(2, 90) * MS + dice.randrange(1000))})

    for pair, step, price in (("BTC/USD", 7, 63000.0), ("ETH/USD", 11, 3100.0)):
        for at in range(step, MINUTES * 60, step):
            if pair == "ETH/USD" and 360 <= at < 420:
                continue  # a minute without a quote
            price += dice.randrange(-20, 21) / 2
            add(pair, at * SECOND + dice.randrange(1000) * US, f"{price:.2f}", f"{price + 1.5:.2f}")
    # Three quotes of one microsecond; the last of them is the one that counts.
    for tie in range(3):
        add("BTC/USD", 64 * SECOND, f"{63100 + tie}.00", f"{63101 + tie}.00", tie, took=(99 + tie) * MS)
    # The quote that a trade of the same microsecond brought about.
    add("BTC/USD", 61 * SECOND + 500 * MS, "62990.00", "62995.00")
    # The first words of the venue after a subscription are old: flag 1.
    made.append({"pair": "BTC/USD", "venue_ns": begin + SECOND, "tie": 0, "bid": "62999.00", "ask": "63000.50", "flags": 1,
                 "recv_ns": begin + 6 * SECOND})
    # The last quote of ETH/USD has one side only.
    add("ETH/USD", 1199 * SECOND + 500 * MS, None, "3333.00")
    # The last of BTC/USD are two of one microsecond.
    for tie in range(2):
        add("BTC/USD", 1198 * SECOND, f"{63200 + tie}.00", f"{63201 + tie}.00", tie)
    return sorted(made, key=lambda q: (q["venue_ns"], q["tie"]))


def trades(day):
    """Trades: the ordinal within a microsecond is trade_id mod 1000."""
    begin, dice, made = begin_ns(day), random.Random(11), []
    moments = [(pair, at * SECOND + dice.randrange(900) * MS) for pair, step in (("BTC/USD", 9), ("ETH/USD", 13))
               for at in range(step, MINUTES * 60, step)]
    moments = [(pair, at) for pair, at in moments if not (pair == "BTC/USD" and 420 <= at // SECOND < 480)]
    moments += [("BTC/USD", -5 * SECOND), ("ETH/USD", -3 * SECOND), ("BTC/USD", 61 * SECOND + 500 * MS)]
    # Four of one microsecond: the highest price first, the lowest last in the minute.
    moments += [("BTC/USD", 179 * SECOND + 999 * MS)] * 4
    for number, (pair, at) in enumerate(sorted(moments, key=lambda m: m[1])):
        price = (63000 if pair == "BTC/USD" else 3100) + dice.randrange(-400, 400) / 10
        if at == 179 * SECOND + 999 * MS:
            price = 63900 - number
        made.append({"pair": pair, "venue_ns": begin + at, "side": dice.choice(["buy", "sell"]), "price": f"{price:.1f}",
                     "qty": f"{dice.randrange(1, 5000) / 10000:.4f}", "trade_id": 880150 + number, "snapshot": at < 0})
    return made


def books(day):
    """Whole books of twelve levels, best first; a side that has fewer is filled up with no price and size 0."""
    begin, dice, made = begin_ns(day), random.Random(13), []
    for at, tie, bids in [(at * SECOND, 0, 12) for at in range(15, 600, 30)] + [(300 * SECOND, 0, 12), (300 * SECOND, 1, 9)]:
        best = 63000 + dice.randrange(-50, 50)
        side = lambda sign, count: [[f"{best + sign * (level + 1)}.5", f"0.{dice.randrange(1, 999):03d}"] for level in range(count)]
        made.append({"pair": "BTC/USD", "venue_ns": begin + at, "tie": tie,
                     "bids": side(-1, bids) + [[None, "0"]] * (12 - bids), "asks": side(1, 12)})
    return sorted(made, key=lambda b: (b["venue_ns"], b["tie"]))


def definition(day, status, in_play, runners, version, **more):
    start = text(begin_ns(day) + 590 * SECOND, 3)
    return {"status": status, "inPlay": in_play, "betDelay": 5 if in_play else 0, "complete": True, "numberOfWinners": 1,
            "numberOfActiveRunners": sum(r["status"] == "ACTIVE" for r in runners), "bspMarket": True, "bspReconciled": in_play,
            "marketTime": start, "suspendTime": start, "eventId": "30000001", "eventTypeId": "7", "countryCode": "GB",
            "venue": "Ascot", "version": version, "bettingType": "ODDS", "marketType": "WIN", "name": "R1 1m",
            "runners": runners} | more


def runners(*of):
    return [{"id": 101 + n, "sortPriority": 1 + n} | one for n, one in enumerate(of)]


THE_OFF = 605 * SECOND + 500 * MS


def market(day):
    """Changes of one Betfair market: (ns since the begin, market changes)."""
    active, away = {"status": "ACTIVE"}, {"status": "REMOVED", "removalDate": text(begin_ns(day) + 100 * SECOND, 3)}
    bsp = [{"bsp": "2.46"}, {"bsp": "3.80"}, {}]
    before = runners(active, active, active)
    removed = runners(active, active, away)
    running = runners(active | bsp[0], active | bsp[1], away)
    over = runners({"status": "WINNER"} | bsp[0], {"status": "LOSER"} | bsp[1], away)
    def ladder(of, back, lay, **more):
        sides = {"atb": back, "atl": lay}  # an empty list would clear its side
        return {"id": of} | {side: levels for side, levels in sides.items() if levels} | more

    change = lambda *rc, **more: {"id": MARKET, "rc": list(rc)} | more
    return [
        (0, change(ladder(101, [["2.5", "20"], ["2.48", "90"]], [["2.52", "15"]], ltp="2.5", tv="1000.5"),
                   ladder(102, [["3.7", "30"]], [["3.8", "12"]], ltp="3.75", tv="800"),
                   ladder(103, [["11", "4"]], [["13", "6"]]), img=True, marketDefinition=definition(day, "OPEN", False, before, 1))),
        (100 * SECOND, change(ladder(103, [["11", "0"]], [["13", "0"]]),
                              marketDefinition=definition(day, "OPEN", False, removed, 2))),
        (300 * SECOND, change(ladder(101, [["2.5", "0"]], [], ltp="2.48", tv="1500"))),
        (300 * SECOND + MS, change(ladder(101, [], [["2.5", "8"]]))),
        (590 * SECOND, change(ladder(102, [["3.75", "5"]], [["3.8", "0"]], ltp="3.8", tv="900.25"))),
        (596 * SECOND, change({"id": 101, "atb": [["2.46", "11"]], "ltp": "2.46", "tv": "1600"})),
        (600 * SECOND, change(marketDefinition=definition(day, "SUSPENDED", False, removed, 3))),
        (600 * SECOND + 200 * MS, change(ladder(101, [["2.48", "0"], ["2.46", "0"]], [["2.52", "0"], ["2.5", "0"]]),
                                         ladder(102, [["3.7", "0"], ["3.75", "0"]], []))),
        (THE_OFF, change(marketDefinition=definition(day, "OPEN", True, running, 4))),
        (610 * SECOND, change(ladder(101, [["1.9", "50"]], [["1.95", "40"]], ltp="1.9", tv="2000"))),
        (700 * SECOND, change(ladder(102, [["9", "3"]], [["10", "2"]], ltp="9.4", tv="1200"))),
        (840 * SECOND, change(marketDefinition=definition(day, "CLOSED", True, over, 5))),
    ]


def holes(day):
    """Holes that publishers tell: (feed, scope, from, to, messages lost)."""
    begin = begin_ns(day)
    of = [("kraken_trades", "*", -120, 20, 3), ("kraken_trades", "BTC/USD", 185, 250, 7), ("kraken_trades", "ETH/USD", 500, 530, 2),
          ("kraken_tick", "*", 700, 730, 4)]
    return [{"feed": feed, "scope": scope, "from_ns": begin + first * SECOND, "to_ns": begin + last * SECOND, "lost": lost}
            for feed, scope, first, last, lost in of]


def messages(day):
    """Payloads of each feed, in order: map, `_recv`, `_tie`."""
    of = {"kraken_tick": [], "kraken_depth": [], "kraken_trades": [], "betfair_stream": []}
    for q in quotes(day):
        element = {"symbol": q["pair"], "bid": q["bid"], "bid_qty": "1.5", "ask": q["ask"], "ask_qty": "0.5",
                   "timestamp": text(q["venue_ns"])}
        kind = "snapshot" if q["flags"] else "update"
        of["kraken_tick"].append(({"channel": "ticker", "type": kind, "data": [element]}, q["recv_ns"], q["tie"]))
    for b in books(day):
        of["kraken_depth"].append(({"symbol": b["pair"], "timestamp": text(b["venue_ns"]), "checksum": 7, "bids": b["bids"],
                                    "asks": b["asks"]}, b["venue_ns"] + 5 * MS, b["tie"]))
    element = lambda t: {"symbol": t["pair"], "side": t["side"], "price": t["price"], "qty": t["qty"], "ord_type": "market",
                         "trade_id": t["trade_id"], "timestamp": text(t["venue_ns"])}
    trade = lambda kind, of, recv: ({"channel": "trade", "type": kind, "data": [element(t) for t in of]}, recv, 0)
    all = trades(day)
    of["kraken_trades"].append(trade("snapshot", [t for t in all if t["snapshot"]], begin_ns(day)))
    of["kraken_trades"] += [trade("update", [t], t["venue_ns"] + 20 * MS) for t in all if not t["snapshot"]]
    # After a reconnection the venue's last trades come again.
    of["kraken_trades"].append(trade("snapshot", all[-5:], all[-1]["venue_ns"] + 3 * SECOND))
    for at, change in market(day):
        ns = begin_ns(day) + at
        image = {"ct": "SUB_IMAGE"} if change.get("img") else {}
        of["betfair_stream"].append(({"op": "mcm", "id": 2, "clk": "AAA", "pt": ns // MS} | image | {"mc": [change]}, ns + 30 * MS, 0))
    return of


TOPICS = {"kraken_depth": "kr_depth"}


def wait(what, look):
    """Looks until there is something, or gives up."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.02)  # between two looks; nothing depends on it
    raise SystemExit(f"not within {PATIENCE} s: {what}")


def get(url, **query):
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}" if query else url, timeout=30) as answer:
        return answer.read().decode()


def fill(tickline, influx, parquet, day, state):
    """Sends everything through one engine and waits until it has ended."""
    import msgpack, zmq

    create = urllib.request.Request(f"{influx}/query", b"q=" + urllib.parse.quote("CREATE DATABASE tick").encode())
    urllib.request.urlopen(create, timeout=30).read()
    sockets, sets = {}, []
    context = zmq.Context()
    for feed in messages(day):
        sockets[feed] = socket = context.socket(zmq.XPUB)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.bind("tcp://127.0.0.1:*")
        endpoint = socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        sets.append(f'feeds.{feed}.endpoint="{endpoint}"')
    sets += ['http.listen="127.0.0.1:0"', f'engine.state_dir="{state}"', 'engine.instance="one"', 'engine.ledger_every="1s"',
             'sinks.influx.kind="influxdb"', "sinks.influx.version=1", f'sinks.influx.url="{influx}"', 'sinks.influx.database="tick"',
             'sinks.files.kind="parquet"', f'sinks.files.dir="{parquet}"', 'sinks.files.file_age_max="1s"']
    command = [tickline, "run"] + [word for one in sets for word in ("--set", one)]
    engine = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=state)
    log = []
    reader = threading.Thread(target=lambda: log.extend(iter(engine.stderr.readline, "")), daemon=True)
    reader.start()
    try:
        def address():
            if engine.poll() is not None:
                raise SystemExit("the engine has ended:\n" + "".join(log))
            return next((line.rsplit("http://", 1)[1].strip() for line in log if "listening on http://" in line), None)

        url = "http://" + wait("the engine listens", address)
        sent, numbers = 0, {}

        def sum_of(field, measurement, feed):
            statement = f"SELECT sum({field}) FROM {measurement} WHERE feed = '{feed}'"
            series = json.loads(get(influx + "/query", db="tick", q=statement))["results"][0].get("series")
            return series[0]["values"][0][1] if series else 0

        for feed, socket in sockets.items():
            if not socket.poll(PATIENCE * 1000):
                raise SystemExit(f"nobody subscribes to {feed}")
            topic = TOPICS.get(feed, feed).encode()
            while socket.recv() != b"\1" + topic:
                if not socket.poll(PATIENCE * 1000):
                    raise SystemExit(f"nobody subscribes to {feed}")

            def send(payload):
                nonlocal sent
                socket.send_multipart([topic, msgpack.packb(payload)])
                sent += 1

            def numbered(recv, tie=0):
                numbers[feed] = numbers.get(feed, 0) + 1
                return {"_v": 1, "_src": 77, "_seq": numbers[feed], "_ts": recv + 1000, "_recv": recv, "_tie": tie}

            for number, (payload, recv, tie) in enumerate(messages(day)[feed]):
                if feed == "kraken_trades" and recv == messages(day)[feed][-1][1]:
                    # The engine has written its totals, and writes one of them again.
                    wait("the totals of kraken_trades", lambda: sum_of("points", "tickline_points", feed) >= number or None)
                payload = numbered(recv, tie) | payload
                send(payload)
                if feed == "kraken_tick" and number == 5:
                    send(payload)  # a message that comes twice
            for hole in (hole for hole in holes(day) if hole["feed"] == feed):
                send(numbered(hole["to_ns"]) | {"_event": "gap", "scope": hole["scope"], "from": hole["from_ns"],
                                                "to": hole["to_ns"], "lost": hole["lost"], "detail": "disconnected"})

        def received():
            ledger = json.loads(get(url + "/status"))["ledger"]
            return ledger if ledger["received"] == sent and ledger["in_flight"] == 0 else None

        ledger = wait("all received", received)
        # Holes are gathered for a second before they are written.
        lost = lambda feed: sum(hole["lost"] for hole in holes(day) if hole["feed"] == feed)
        wait("the holes are stored", lambda: all(sum_of("lost", "feed_gap", feed) == lost(feed) for feed in sockets) or None)
        metrics = get(url + "/metrics")
        for name in ('tickline_latency_seconds{stage="publish_to_receive"', "tickline_sink_publish_to_ack_seconds{"):
            if name not in metrics:
                raise SystemExit(f"QUERIES.md speaks of {name}, and /metrics has none")
    finally:
        engine.terminate()
        code = engine.wait(PATIENCE)
        reader.join(PATIENCE)
    if code:
        raise SystemExit(f"the engine ended with {code}:\n" + "".join(log))
    return ledger


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--tickline", required=True, help="the program")
    args.add_argument("--influx", required=True, help="InfluxDB 1 without a database tick")
    args.add_argument("--parquet", required=True, type=Path, help="an empty folder")
    args.add_argument("--day", help="UTC day, at most 29 days ago. Default: yesterday")
    args = args.parse_args()
    day = args.day or str(datetime.now(timezone.utc).date() - timedelta(days=1))
    args.parquet.mkdir(parents=True, exist_ok=True)
    state = tempfile.mkdtemp(prefix="tickline-queries-")
    try:
        ledger = fill(str(Path(args.tickline).resolve()), args.influx.rstrip("/"), args.parquet.resolve(), day, state)
    finally:
        shutil.rmtree(state)
    print(f"{day}: {ledger['received']} messages, {ledger['points_made']} points")


if __name__ == "__main__":
    main()
