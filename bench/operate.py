"""What it takes to operate tickline. scripts/operate starts it.

`up` until everything is validated, `down`, `validate` of a feed of every decoder, `/metrics`, the status page and its first
paint in Chromium, and the memory of `tickline run` with everything on at 10,000 messages a second.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import zmq

from server import cpu_s

PROGRAMS, URL = Path(os.environ["PROGRAMS"]), os.environ["URL"]
ROUNDS = 5
# What the load generator says, and the decoders that only marked ticks go through.
LOADED = ("kraken_tick", "kraken_depth", "kraken_trades", "oanda_tick", "betfair_stream")
OTHERS = ("kraken_orders", "oanda_orders", "betfair_orders", "kraken_eurusd_tick", "kraken_eurusd_depth", "instruments")
RATE, LOAD_S, SCRAPES = 10_000, 30, 300
# What the status page is made of.
PAGE = ("", "page.css", "page.js", "charts.js", "words.js")
Row = dict[str, Any]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def configuration(folder: Path, feeds: tuple[str, ...], more: str) -> Row:
    """A file with these feeds, each at a port of its own, and one publisher: of posts."""
    ports = {feed: free_port() for feed in feeds}
    http = f"127.0.0.1:{free_port()}"
    lines = [f'[http]\nlisten = "{http}"\n{more}']
    for feed, port in ports.items():
        lines.append(f'[feeds.{feed}]\nendpoint = "tcp://127.0.0.1:{port}"')
        if feed in OTHERS:
            lines.append(f'topic = "{feed}"\ndecoder = "{feed}"')
    lines.append(f'[sinks.influx]\nkind = "influxdb"\nversion = 1\nurl = "{URL}"\ndatabase = "tick"')
    (folder / "tickline.toml").write_text("\n".join(lines) + "\n")
    return {"http": f"http://{http}", "ports": ports}


def tickline(folder: Path, *arguments: str) -> tuple[float, bytes]:
    """Runs it to its end, which must be a success; how long it took, s, and what it printed."""
    began = time.monotonic()
    ran = subprocess.run([PROGRAMS / "tickline", *arguments, "-c", "tickline.toml"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    took = time.monotonic() - began
    if ran.returncode != 0:
        raise SystemExit(f"tickline {arguments[0]}: exit {ran.returncode}\n{ran.stdout.decode()}{ran.stderr.decode()}")
    return took, ran.stdout


def get(url: str) -> tuple[float, bytes]:
    """How long it took, s, and the body."""
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=10) as answer:
        body = answer.read()
    return time.monotonic() - began, body


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            get(url)
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def spread(seconds: list[float], unit: str = "s") -> Row:
    scale = {"s": 1, "ms": 1e3}[unit]
    return {f"median_{unit}": statistics.median(seconds) * scale, f"max_{unit}": max(seconds) * scale}


def commands(folder: Path) -> Row:
    """`up --detach` on a database that runs, `validate` beside it, and `down` of what is idle."""
    port = free_port()
    posts = f'[publishers.posts]\nkind = "twitter_sentiment"\nsource = "file"\npath = "posts.jsonl"\nendpoint = "tcp://127.0.0.1:{port}"\n'
    posts += f'[feeds.posts]\ndecoder = "twitter_sentiment"\ntopic = "twitter_sentiment"\nendpoint = "tcp://127.0.0.1:{port}"\n'
    (folder / "posts.jsonl").write_text("")
    ports = configuration(folder, (*LOADED, *OTHERS), posts)["ports"]
    tickline(folder, "db", "apply")
    context = zmq.Context()
    publishers = {feed: context.socket(zmq.PUB) for feed in ports}
    for feed, publisher in publishers.items():
        publisher.bind(f"tcp://127.0.0.1:{ports[feed]}")
    ups, downs, validates = [], [], []
    try:
        for _ in range(ROUNDS):
            ups.append(tickline(folder, "up", "--detach")[0])
            validates.append(tickline(folder, "validate")[0])
            downs.append(tickline(folder, "down")[0])
    finally:
        # What a failure has left running ends with us.
        subprocess.run([PROGRAMS / "tickline", "down", "-c", "tickline.toml"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        context.destroy(linger=0)
    return {"feeds": len(ports) + 1, "up": spread(ups), "down": spread(downs), "validate": spread(validates)}


def first_paint_ms(url: str, folder: Path) -> float:
    """Chromium's own trace: from the start of the navigation to the first contentful paint."""
    trace = folder / "trace.json"
    subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile",
         "--trace-startup=loading,blink.user_timing", "--trace-startup-format=json", f"--trace-startup-file={trace}",
         "--timeout=2000", f"--screenshot={folder}/page.png", f"{url}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    events = json.loads(trace.read_text())["traceEvents"]
    shutil.rmtree(folder / "profile")
    start = next(e for e in events if e["name"] == "navigationStart" and e["args"]["data"]["documentLoaderURL"] == f"{url}/")
    of = start["args"]["data"]["navigationId"]
    paint = next(e for e in events if e["name"] == "firstContentfulPaint" and e["args"]["data"]["navigationId"] == of)
    return (paint["ts"] - start["ts"]) / 1e3


def everything_on(folder: Path) -> Row:
    """An engine with archive, roll-ups and canary under load: its memory, its pages, and what a scrape costs."""
    extra = '[archive]\ndir = "archive"\n[rollups]\npolicy = "long_term"\n[canary]\nevery = "10s"\n'
    made = configuration(folder, LOADED, extra)
    tickline(folder, "db", "apply")
    log = (folder / "engine.log").open("w")
    engine = subprocess.Popen([PROGRAMS / "tickline", "run", "-c", "tickline.toml", "--report", "report.json"], cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
    try:
        wait_for(made["http"] + "/health")
        endpoints = [part for feed, port in made["ports"].items() for part in ("--endpoint", f"{feed}=tcp://127.0.0.1:{port}")]
        load = subprocess.Popen(
            [PROGRAMS / "tickline-loadgen", "run", "--feeds", ",".join(LOADED), "--rate", f"{RATE // len(LOADED)}/s", "--duration", f"{LOAD_S}s", *endpoints],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        scrapes = []
        while load.poll() is None:
            scrapes.append(get(made["http"] + "/metrics")[0])
            time.sleep(1)
        if load.returncode != 0:
            raise SystemExit(f"tickline-loadgen: exit {load.returncode}")
        before = cpu_s(engine.pid)
        idle = time.monotonic()
        time.sleep(5)
        idle_share = (cpu_s(engine.pid) - before) / (time.monotonic() - idle)
        before, began = cpu_s(engine.pid), time.monotonic()
        for _ in range(SCRAPES):
            get(made["http"] + "/metrics")
        took = time.monotonic() - began
        scrape_cpu_s = (cpu_s(engine.pid) - before - idle_share * took) / SCRAPES
        metrics = get(made["http"] + "/metrics")[1]
        page = [get(f"{made['http']}/{part}")[1] for part in PAGE]
        paints = [first_paint_ms(made["http"], folder) for _ in range(ROUNDS)]
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait()
    report = json.loads((folder / "report.json").read_text())
    if not report["ledger"]["balanced"]:
        raise SystemExit(f"the ledger does not balance: {report['ledger']}")
    return {
        "run": {"feeds": len(LOADED), "rate_per_s": RATE, "messages": report["ledger"]["received"],
                "rss_max_mib": report["rss_max_bytes"] / 2**20, "verdict": report["verdict"]},
        "metrics": {"bytes": len(metrics), **spread(scrapes, "ms"), "core_share_at_one_a_second": scrape_cpu_s},
        "page": {"bytes": sum(map(len, page)), "first_paint_median_ms": statistics.median(paints), "first_paint_max_ms": max(paints)},
    }


def main() -> None:
    result: Row = {"command": "operate", "commit": os.environ["COMMIT"], "rounds": ROUNDS,
                   "host": {"cores": os.cpu_count(), "kernel": os.uname().release}}
    for part in (commands, everything_on):
        with tempfile.TemporaryDirectory() as folder:
            result |= part(Path(folder))
    Path(os.environ["OUTPUT"]).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
