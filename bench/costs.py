"""What a message costs, by feed, sockets, symbols and fields, in the engine and in the database. scripts/costs starts it.

Claim: with 100,000 symbols a message costs at most 1.5 times what it costs with 100. The floor is the raw receiver of
bench/compare, the rival of every row the row before it.
Every row is the median of some rounds in which the rows of a table take turns.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import zmq

from server import Server, cpu_s

PROGRAMS = Path(os.environ["PROGRAMS"])
ROUNDS = int(os.environ.get("COSTS_ROUNDS", "3"))
DURATION = os.environ.get("COSTS_DURATION", "8s")
RECORDINGS = os.environ.get("TICKLINE_RECORDINGS")
Row = dict[str, Any]
# CPU of a run with next to no message, s: main sets it first.
IDLE_S = 0.0


def sets(*keys: str) -> list[str]:
    return [part for key in keys for part in ("--set", key)]


FEEDS = ("kraken_tick", "kraken_depth", "kraken_trades", "oanda_tick", "betfair_stream")
QUOTES = "oanda/lean_eurusd_tick_20140502_quote.zip"
# Messages a second that two cores take that also send them. They come in bursts, a hundred a second: apart from each other
# each would mostly cost what it takes to wake three threads, which is the table `arrivals`.
NULL_RATE, INFLUX_RATE = 64_000, 20_000
INLINE = sets("engine.encode='inline'")
BUNDLED = 16



def cost(*arguments: str) -> Row:
    """One run of `tickline-bench cost`."""
    command = [PROGRAMS / "tickline-bench", "cost", "--duration", DURATION, *arguments]
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    # Starting, stopping and waiting are no message's.
    idle_ns = round(IDLE_S * 1e9 / result["messages"])
    result["cpu_ns_a_message"] -= idle_ns
    result["stages_ns_a_message"]["other"] -= idle_ns
    ledger = result["report"]["ledger"]
    points = ledger["points_made"]
    lines = sum(sink["bytes"] for sink in result["report"]["sinks"].values())
    return {
        "payload_bytes": result["payload_bytes"],
        "cpu_ns_a_message": result["cpu_ns_a_message"],
        **{f"{stage}_ns_a_message": ns for stage, ns in result["stages_ns_a_message"].items()},
        "points_a_message": points / result["messages"],
        "line_bytes_a_point": lines / max(points, 1),
        "unchanged": ledger["suppressed"].get("unchanged", 0) / max(ledger["candidates"], 1),
        "rss_mib": result["rss_max_bytes"] / 2**20,
        "points": points,
    }


def table(rows: dict[str, Callable[[], Row]]) -> dict[str, Row]:
    """Each row some times, in turns; medians."""
    runs: dict[str, list[Row]] = {name: [] for name in rows}
    for at in range(ROUNDS):
        names = list(rows)
        for name in names[at % len(names) :] + names[: at % len(names)]:
            runs[name].append(rows[name]())
            print(f"{name}: {runs[name][-1]}", file=sys.stderr, flush=True)
    return {name: {key: statistics.median(run[key] for run in done) for key in done[0]} for name, done in runs.items()}


def null(*arguments: str) -> Callable[[], Row]:
    return lambda: cost("--rate", str(NULL_RATE), *arguments)


FIELDS = {
    "bid and ask, no system fields": ["feeds.*.fields=['bid','ask']", "feeds.*.system_fields=[]"],
    "bid and ask": ["feeds.*.fields=['bid','ask']"],
    "core": ["feeds.*.fields='core'"],
    "all": ["feeds.*.fields='all'"],
    "core, deadband_ppm = 0": ["feeds.*.fields='core'", "feeds.*.deadband_ppm=0"],
    "core, deadband_ppm = 50": ["feeds.*.fields='core'", "feeds.*.deadband_ppm=50"],
}


def into_influx(server: Server, *keys: str) -> Row:
    """The same into an empty database; its CPU until it has nothing left to do."""
    server.renew()
    before = cpu_s(server.pid)
    sink = {"kind": "influxdb", "url": server.url, "database": server.database}
    texts = [f"sinks.db.{key}='{value}'" for key, value in sink.items()]
    row = cost("--rate", str(INFLUX_RATE), *sets(*texts, "sinks.db.version=1", *keys))
    # Before anyone counts: that costs, too.
    spent = server.quiet() - before
    stored = server.stored("kraken_tick", "bid")
    if stored != row["points"]:
        raise RuntimeError(f"{row['points']} points made, {stored} stored")
    return row | {"influxd_ns_a_point": spent * 1e9 / stored, "influxd_ns_a_message": spent * 1e9 / stored * row["points_a_message"]}


def roll_up(server: Server) -> Row:
    """Minutes of what the last run has stored: what they cost influxd once, and how many points they are."""
    raw, before = server.stored("kraken_tick", "bid"), cpu_s(server.pid)
    server.query(
        "SELECT first(bid) AS open, max(bid) AS high, min(bid) AS low, last(bid) AS close, count(bid) AS ticks "
        "INTO kraken_tick_1m FROM kraken_tick GROUP BY time(1m), *"
    )
    spent = server.quiet() - before
    minutes = server.stored("kraken_tick_1m", "close")
    return {"raw_points": raw, "minute_points": minutes, "influxd_ns_a_raw_point": spent * 1e9 / raw}


def deadband(ppm: int | None) -> Row:
    """A day of EUR/USD quotes as recorded. Flat out, so that the point a minute does not show."""
    keys = [] if ppm is None else [f"feeds.*.deadband_ppm={ppm}"]
    return cost("--feed", "oanda_tick", "--replay", f"{RECORDINGS}/{QUOTES}", *sets(*keys))


def messages(feed: str, decimals: str) -> list[tuple[Row, int]]:
    """Generated messages as Python reads them, and their bytes."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/feed"
        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.subscribe("")
        socket.rcvtimeo = 30_000
        socket.connect(endpoint)
        command = [PROGRAMS / "tickline-loadgen", "run", "--feeds", feed, "--rate", "2000/s", "--duration", "1s"]
        command += ["--endpoint", f"{feed}={endpoint}", "--decimals", decimals]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as generator:
            found: list[tuple[Row, int]] = []
            while True:
                payload = socket.recv_multipart()[-1]
                message = msgpack.unpackb(payload)
                if "_end" in message:
                    break
                if "_hb" not in message:
                    found.append((message, len(payload)))
            generator.wait(30)
        socket.close(0)
    return found


def sizes(feed: str) -> Row:
    """Mean bytes of a tick in each encoding. The venue's keys alone, then with the reserved keys, as it is sent."""
    means: Row = {}
    for decimals in ("text", "float64"):
        sent = messages(feed, decimals)
        maps = [{key: value for key, value in each.items() if not key.startswith("_")} for each, _ in sent]
        means[f"json_{decimals}"] = statistics.mean(len(json.dumps(each, separators=(",", ":"))) for each in maps)
        means[f"msgpack_{decimals}"] = statistics.mean(len(msgpack.packb(each)) for each in maps)
        if decimals == "text":
            means["sent"] = statistics.mean(size for _, size in sent)
            bundles = [[sent[at][0], *maps[at + 1 : at + BUNDLED]] for at in range(0, len(maps) - BUNDLED + 1, BUNDLED)]
            means["sent_bundled"] = statistics.mean(len(msgpack.packb(bundle)) / BUNDLED for bundle in bundles)
    return means


def idle_s() -> float:
    """CPU of a run of the same length in which nothing comes but ten messages."""
    runs = [cost("--rate", "10", "--even") for _ in range(ROUNDS)]
    return statistics.median(run["cpu_ns_a_message"] * run["points"] / 1e9 for run in runs)


def main() -> None:
    global IDLE_S
    IDLE_S = idle_s()
    server = Server(os.environ["URL"], int(os.environ["PID"]))
    at_sockets = {str(n): null("--sockets", str(n)) for n in (1, 4, 16, 64)}
    multiplexed = sets("engine.receive='multiplexed'")
    at_sockets |= {f"{n}, multiplexed": null("--sockets", str(n), *multiplexed) for n in (16, 64)}
    at_symbols = {f"{n:,}": null("--symbols", str(n)) for n in (10, 100, 1_000, 10_000, 100_000)}
    result: Row = {
        "command": "costs",
        "unit": "ns of user and system time of the whole process; medians of rounds",
        "commit": os.environ["COMMIT"],
        "rounds": ROUNDS,
        "duration": DURATION,
        "idle_s": IDLE_S,
        "null_rate_per_s": NULL_RATE,
        "influx_rate_per_s": INFLUX_RATE,
        "influxd": server.version(),
        "sizes": {feed: sizes(feed) for feed in FEEDS},
        "feeds": table({feed: null("--feed", feed) for feed in FEEDS}),
        "sockets": table(at_sockets),
        "symbols": table(at_symbols),
        "arrivals": table(
            {
                "bursts": null(),
                "even": null("--even"),
                "even, inline": null("--even", *INLINE),
                "bursts, inline": null(*INLINE),
            }
        ),
        "fields": table({name: null(*sets(*keys)) for name, keys in FIELDS.items()}),
        "database": table({name: lambda keys=keys: into_influx(server, *keys) for name, keys in FIELDS.items()}),
    }
    into_influx(server, *FIELDS["core"])
    result["roll_up"] = roll_up(server)
    if RECORDINGS:
        result["deadband"] = table({str(ppm): lambda ppm=ppm: deadband(ppm) for ppm in (None, 0, 10, 20, 50, 100)})
        result["quotes"] = QUOTES
    else:
        print("skipped: deadbands on recorded quotes, TICKLINE_RECORDINGS is not set", file=sys.stderr)
    Path(os.environ["OUTPUT"]).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
