#!/usr/bin/env python3
"""Runs every query of QUERIES.md against the known data of dataset.py and compares the answers with Python's own.

    python3 run_queries.py --influx http://HOST:PORT --parquet DIR [--page QUERIES.md] [--mutants]

Exit 1 if an answer differs, is empty, or a block is unknown. --mutants spoils queries one by one and wants each of them found out."""
import argparse, json, math, re, sys, urllib.parse, urllib.request
from collections import defaultdict
from pathlib import Path

import duckdb

import dataset
from dataset import MARKET, MINUTES, MS, SECOND, THE_OFF, begin_ns

WRITTEN_DAY, WRITTEN_DIR = "2026-01-15", "tickline-data/parquet"
MINUTE, US = 60 * SECOND, 1000


class Wrong(Exception):
    """An answer that is not the one."""


# What the page says.
def sections(page):
    """Blocks of each heading: (heading, [(language, text)])."""
    for part in re.split(r"^## ", page, flags=re.M)[1:]:
        heading = part.split("\n", 1)[0].strip()
        yield heading, re.findall(r"^```(influxql|sql|python)\n(.*?)^```$", part, flags=re.M | re.S)


# What is asked.
def ask_influx(url, statements):
    query = urllib.parse.urlencode({"db": "tick", "epoch": "ns", "q": statements})
    with urllib.request.urlopen(f"{url}/query?{query}", timeout=60) as answer:
        results = json.load(answer)["results"]
    answers = []
    for result in results:
        if "error" in result:
            raise Wrong(f"InfluxDB says: {result['error']}")
        rows = [dict(zip(series["columns"], row)) | series.get("tags", {}) for series in result.get("series", []) for row in series["values"]]
        if not rows:
            raise Wrong("an InfluxQL statement has an empty answer")
        answers.append(rows)
    return answers


def ask_duckdb(connection, query):
    try:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    except duckdb.Error as error:
        raise Wrong(f"DuckDB says: {error}") from error
    if not rows:
        raise Wrong("the SQL query has an empty answer")
    return rows


# What must come out, from the raw data alone.
def best(prices, better):
    return better((float(price), float(size)) for price, size in prices) if prices else None


def whole_quotes(day, pair):
    return [q for q in dataset.quotes(day) if q["pair"] == pair and q["bid"] and q["ask"]]


def prices(quote):
    return {"bid": float(quote["bid"]), "ask": float(quote["ask"])} if quote else {"bid": None, "ask": None}


def last_quote(day):
    rows = []
    for pair in ("BTC/USD", "ETH/USD"):
        quote = whole_quotes(day, pair)[-1]
        rows.append({"pair": pair, "time": quote["venue_ns"] + quote["tie"]} | prices(quote))
    return rows


def before(day, pair, ns):
    return next((q for q in reversed(whole_quotes(day, pair)) if q["venue_ns"] < ns), None)


def quote_of_one_trade(day):
    quote = before(day, "BTC/USD", begin_ns(day) + 61 * SECOND + 500 * MS)
    return [{"time": quote["venue_ns"] + quote["tie"]} | prices(quote)]


def quote_of_each_trade(day):
    return [{"pair": t["pair"], "trade_id": t["trade_id"], "price": float(t["price"])} | prices(before(day, t["pair"], t["venue_ns"]))
            for t in dataset.trades(day)]


def book(day):
    newest = [b for b in dataset.books(day) if b["venue_ns"] <= begin_ns(day) + 310 * SECOND][-1]
    number = lambda text: None if text is None else float(text)
    return [{"level": level, "time": newest["venue_ns"] + newest["tie"], "bid_price": number(bid[0]), "bid_size": number(bid[1]),
             "ask_price": number(ask[0]), "ask_size": number(ask[1])}
            for level, (bid, ask) in enumerate(zip(newest["bids"], newest["asks"]))]


def by_minute(day, pair="BTC/USD"):
    """Trades of the span by minute, in order."""
    begin, minutes = begin_ns(day), defaultdict(list)
    for t in sorted(dataset.trades(day), key=lambda t: (t["venue_ns"], t["trade_id"] % 1000)):
        if t["pair"] == pair and begin <= t["venue_ns"] < begin + MINUTES * MINUTE:
            minutes[t["venue_ns"] // MINUTE * MINUTE].append((float(t["price"]), float(t["qty"])))
    return dict(minutes)


def bars(day):
    rows = []
    for minute, of in by_minute(day).items():
        price, volume = [p for p, _ in of], math.fsum(q for _, q in of)
        rows.append({"time": minute, "open": price[0], "high": max(price), "low": min(price), "close": price[-1], "volume": volume,
                     "vwap": math.fsum(p * q for p, q in of) / volume})
    return rows


def days_of_tokyo(day):
    volume, nine = defaultdict(list), 9 * 60 * MINUTE  # no summer time there
    for minute, of in by_minute(day).items():
        local = minute + nine
        volume[local - local % (1440 * MINUTE) - nine] += [q for _, q in of]
    return [{"time": time, "volume": math.fsum(of)} for time, of in volume.items()]


def betfair(day):
    ladders, ltp, status, in_play, at_the_off, result = {}, {}, None, None, {}, {}
    for at, change in dataset.market(day):
        definition = change.get("marketDefinition", {})
        status, in_play = definition.get("status", status), definition.get("inPlay", in_play)
        for one in definition.get("runners", []):
            result[one["id"]] = one
        for one in change["rc"]:
            of = ladders.setdefault(one["id"], {"atb": {}, "atl": {}})
            for side in of:
                for price, size in one.get(side, []):
                    of[side].pop(float(price), None)
                    if float(size):
                        of[side][float(price)] = float(size)
            ltp[one["id"]] = one.get("ltp", ltp.get(one["id"]))
        if at < THE_OFF and status == "OPEN" and not in_play:
            at_the_off = {id: (max(of["atb"], default=None), min(of["atl"], default=None), ltp[id] and float(ltp[id]))
                          for id, of in ladders.items()}
    return [{"selection_id": str(id), "the_off": begin_ns(day) + THE_OFF}
            | dict(zip(("back_price", "lay_price", "last_price"), at_the_off[id]))
            | {"bsp": one.get("bsp") and float(one["bsp"]), "result": one["status"]} for id, one in result.items()]


def bars_without_holes(day):
    holes = [h for h in dataset.holes(day) if h["feed"] == "kraken_trades" and h["scope"] in ("*", "BTC/USD")]
    whole = lambda minute: all(h["to_ns"] < minute or h["from_ns"] >= minute + MINUTE for h in holes)
    return [{"time": minute, "close": of[-1][0], "trades": len(of)} for minute, of in by_minute(day).items() if whole(minute)]


def latency(day):
    took = sorted(q["recv_ns"] - q["venue_ns"] for q in dataset.quotes(day) if q["pair"] == "BTC/USD" and not q["flags"])
    rank = lambda percent: took[(percent * len(took) + 99) // 100 - 1]  # nearest rank
    return [{"ticks": len(took), "least_ns": took[0], "p50_ns": rank(50), "p99_ns": rank(99), "most_ns": took[-1]}]


def ticks_a_minute(day):
    begin, count = begin_ns(day), defaultdict(int)
    for q in dataset.quotes(day):
        count[q["pair"], q["venue_ns"] // MINUTE * MINUTE] += 1
    return [{"pair": pair, "time": begin + n * MINUTE, "ticks": count[pair, begin + n * MINUTE]}
            for pair in ("BTC/USD", "ETH/USD") for n in range(MINUTES)]


def counted(day):
    count = defaultdict(int)
    for payload, *_ in dataset.messages(day)["kraken_trades"]:  # what comes twice counts twice
        for trade in payload["data"]:
            ns = next(t["venue_ns"] for t in dataset.trades(day) if t["trade_id"] == trade["trade_id"])
            count[ns // MINUTE * MINUTE] += 1
    return [{"time": time, "points": points} for time, points in sorted(count.items()) if time >= begin_ns(day)]


EXPECTED = {
    "Last quote": last_quote,
    "Quote of one trade": quote_of_one_trade,
    "Quote of each trade": quote_of_each_trade,
    "Book at a time": book,
    "Bars with VWAP": bars,
    "Days of another place": days_of_tokyo,
    "Betfair: price at the off, BSP, result": betfair,
    "Bars without holes": bars_without_holes,
    "Latency from the venue to us": latency,
    "Ticks a minute": ticks_a_minute,
    "Ticks a minute, as the engine counted them": counted,
}
SQL_ONLY = {"Quote of each trade"}


# Whether it does.
def in_order(rows, names):
    """By what identifies a row: a float of InfluxDB may look like an integer."""
    return sorted(rows, key=lambda row: [str(row.get(name)) for name in names])


def same(found, expected):
    if type(found) is bool or type(expected) is bool:
        return found is expected
    if isinstance(found, (int, float)) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9)
    return type(found) is type(expected) and found == expected


def compare(language, found, expected):
    """Rows in any order; floats to nine digits, all else exactly."""
    if not expected:
        raise Wrong("nothing is expected: the data set does not fit the question")
    names = [name for name in expected[0] if name in ("pair", "selection_id", "trade_id", "level", "time")]
    found, expected = in_order(found, names), in_order(expected, names)
    for row, wanted in zip(found, expected):
        if row.keys() != wanted.keys() or not all(same(row[name], wanted[name]) for name in wanted):
            raise Wrong(f"{language}: found {row}\n    expected {wanted}")
    if len(found) != len(expected):
        raise Wrong(f"{language}: {len(found)} rows, expected {len(expected)}")


def check(heading, blocks, influx, connection, day):
    blocks = dict(blocks)
    wanted = {"sql"} if heading in SQL_ONLY else {"sql", "influxql"}
    if not wanted <= blocks.keys():
        raise Wrong(f"blocks {sorted(wanted - blocks.keys())} are missing")
    expected = EXPECTED[heading](day)
    if "influxql" in blocks:
        answers = ask_influx(influx, blocks["influxql"])
        if "python" in blocks:
            scope = {}
            exec(blocks["python"], scope)
            rows = scope["answer"](*answers)
        elif len(answers) == 1:
            rows = answers[0]
        else:
            raise Wrong("several statements and no Python that joins them")
        compare("InfluxQL", rows, expected)
    compare("SQL", ask_duckdb(connection, blocks["sql"]), expected)
    return len(expected)


MUTANTS = [  # heading, what is replaced, by what
    ("Last quote", "bid > 0 AND ask > 0 AND time", "ask > 0 AND time"),
    ("Last quote", "SELECT bid, ask FROM kraken_tick WHERE bid > 0 AND ask > 0", "SELECT last(bid) AS bid, last(ask) AS ask FROM kraken_tick WHERE ask > 0"),
    ("Last quote", "ORDER BY ns DESC) = 1", "ORDER BY ns - ns % 1000 DESC, ns) = 1"),
    ("Quote of one trade", "time < '2026-01-15T14:51:01.500000Z'", "time <= '2026-01-15T14:51:01.500000Z'"),
    ("Quote of each trade", "q.ns < t.venue_ns", "q.ns <= t.ns"),
    ("Quote of each trade", "ASOF LEFT JOIN", "ASOF JOIN"),
    ("Book at a time", "SELECT bid_price, bid_size, ask_price, ask_size FROM", "SELECT last(bid_price) AS bid_price, last(bid_size) AS bid_size, last(ask_price) AS ask_price, last(ask_size) AS ask_size FROM"),
    ("Book at a time", "CAST(level AS INTEGER)", "level"),
    ("Bars with VWAP", "arg_min(price, ns)", "min(price)"),
    ("Bars with VWAP", "fill(none)", "fill(previous)"),
    ("Bars with VWAP", "sum(value) / sum(qty)", "mean(price)"),
    ("Days of another place", " tz('Asia/Tokyo')", ""),
    ("Betfair: price at the off, BSP, result", " AND status = 'OPEN' AND time", " AND time"),
    ("Betfair: price at the off, BSP, result", "NOT in_play AND status = 'OPEN'", "NOT in_play"),
    ("Betfair: price at the off, BSP, result", "SELECT back_price, lay_price, last_price, recv_ns FROM", "SELECT last(back_price) AS back_price, last(lay_price) AS lay_price, last(last_price) AS last_price FROM"),
    ("Betfair: price at the off, BSP, result", "last_price, recv_ns FROM", "last_price FROM"),
    ("Bars without holes", "Z' - 1d AND", "Z' AND"),
    ("Bars without holes", "coalesce(scope, '*') IN ('*', 'BTC/USD')", "true"),
    ("Latency from the venue to us", "coalesce(flags, 0) & 9 = 0", "flags & 9 = 0"),
    ("Latency from the venue to us", "coalesce(flags, 0) & 9 = 0", "true"),
    ("Latency from the venue to us", "recv_ns - (ns - ns % 1000)", "recv_ns - ns"),
    ("Ticks a minute", "count(recv_ns)", "count(bid)"),
    ("Ticks a minute", "fill(0)", "fill(none)"),
    ("Ticks a minute, as the engine counted them", "measurement = 'kraken_trades'", "measurement <> 'kraken_trades'"),
    ("Views", "PARTITION BY date, pair, time ORDER", "PARTITION BY date, pair, time, uuid() ORDER"),
    ("Views", "PARTITION BY date, pair, side, time ORDER", "PARTITION BY date, pair, side, time, uuid() ORDER"),
    ("Views", "PARTITION BY date, feed, instance, measurement, time ORDER", "PARTITION BY date, feed, instance, measurement, time, uuid() ORDER"),
]


def run(page, influx, parquet, day, quiet=False):
    """Checks every section; returns the faults by heading."""
    faults, seen = {}, set()
    # Known only at run time: the day of the data, the day before and after it, and the folder.
    moved = lambda days: str(dataset.date.fromisoformat(day) + dataset.timedelta(days=days))
    for written, there in (("2026-01-14", moved(-1)), ("2026-01-16", moved(1)), (WRITTEN_DAY, day), (WRITTEN_DIR, str(parquet))):
        page = page.replace(written, there)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")  # no answer may depend on it
    for heading, blocks in sections(page):
        try:
            if heading == "Views":
                connection.execute(dict(blocks)["sql"])
                continue
            if heading not in EXPECTED:
                raise Wrong("nothing is known about this question" if blocks else "no queries")
            seen.add(heading)
            rows = check(heading, blocks, influx, connection, day)
            if not quiet:
                print(f"ok    {heading}: {rows} rows")
        except (Wrong, duckdb.Error, KeyError, TypeError, IndexError) as error:
            faults[heading] = f"{type(error).__name__}: {error}" if not isinstance(error, Wrong) else str(error)
    faults |= {heading: "is missing on the page" for heading in EXPECTED.keys() - seen}
    return faults


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--influx", required=True)
    args.add_argument("--parquet", required=True, type=Path)
    args.add_argument("--page", type=Path, default=Path(__file__).with_name("QUERIES.md"))
    args.add_argument("--mutants", action="store_true")
    args = args.parse_args()
    if int(duckdb.__version__.split(".")[0]) < 2:
        sys.exit(f"DuckDB {duckdb.__version__} reads times as microseconds: 2.0 or newer")
    days = {folder.name.removeprefix("date=") for folder in args.parquet.glob("kraken_trades/date=*")}
    if len(days) != 1:
        sys.exit(f"{args.parquet} holds no data set, or more than one: {sorted(days)}")
    ask = lambda page, quiet=False: run(page, args.influx.rstrip("/"), args.parquet.resolve(), *days, quiet)
    page = args.page.read_text()
    faults = ask(page)
    for heading, fault in faults.items():
        print(f"WRONG {heading}: {fault}")
    if args.mutants and not faults:
        alive = 0
        for heading, old, new in MUTANTS:
            head, rest = page.split(f"## {heading}\n", 1)
            body, *tail = re.split(r"(?=^## )", rest, maxsplit=1, flags=re.M)
            if old not in body:
                sys.exit(f"{heading}: the page has no {old!r}")
            found = ask(head + f"## {heading}\n" + body.replace(old, new) + "".join(tail), quiet=True)
            print(f"{'found' if found else 'ALIVE'} {heading}: {old} -> {new}")
            alive += not found
        sys.exit(f"{alive} spoiled queries were not found" if alive else 0)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
