"""The tables of README.md and docs/PERFORMANCE.md, made from bench/results. scripts/performance writes them in place.

Between `<!-- NAME -->` and `<!-- end -->` stands what the function of that name returns; nothing there is written by hand.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path("bench/results")
PAGES = (Path("README.md"), Path("docs/PERFORMANCE.md"))
FEEDS = ("kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream")
POINT = "cpu_ns_per_stored_point"

Json = dict[str, Any]


def result(name: str) -> Json:
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(head: list[str], rows: list[list[str]]) -> str:
    """The first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def amount(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def times(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{ratio:,.0f}×" if ratio >= 20 else f"{ratio:.1f}×" if ratio >= 2 else f"{ratio:.2f}×"


def machine(host: Json) -> str:
    return f"{host['cpu']}, {host['cores']} cores, kernel {host['kernel']}"


def limits() -> str:
    """Each path flat out beside its floor."""
    raw, loader = "raw libzmq receiver", "loader of ready-made batches"
    rows = []

    def row(what: str, run: Json, floor: str, wanted: float) -> None:
        ticks = run["ticks_a_message"]
        figure = amount(run["msgs_per_s"] * ticks)
        rows.append([what, figure, f"{run['ratio_to_floor']:.2f} of a {floor}", f"{wanted:.2f}"])

    for shape, wanted in (("kraken_tick", 0.92), ("oanda_tick", 0.97), ("betfair_stream", 0.75)):
        row(f"`{shape}`", result(f"null_{shape}"), raw, wanted)
        row(f"`{shape}`, encode inline", result(f"inline_{shape}"), raw, wanted)
    for venue, wanted in (("kraken", 1.5), ("oanda", 2.5)):
        bundle, single = result(f"null_bundle_{venue}"), result(f"null_{venue}_tick")
        ticks = bundle["msgs_per_s"] * bundle["ticks_a_message"]
        ratio = f"{ticks / single['msgs_per_s']:.2f} of single messages"
        rows.append([f"`{venue}_tick`, 16 ticks a message", amount(ticks), ratio, f"{wanted:.2f}"])
        encoder = 1e9 / result("criterion")["median"][f"decode/bundle_{venue}/tickline"] * bundle["ticks_a_message"]
        ratio = f"{ticks / encoder:.2f} of the decoder alone"
        rows.append([f"`{venue}_tick`, 16 ticks a message", amount(ticks), ratio, "0.85"])
    stage = result("receive_kraken_tick")
    figure = amount(stage["ratio_to_floor"] * stage["floor_msgs_per_s"])
    rows.append(["receive stage alone, `kraken_tick`", figure, f"{stage['ratio_to_floor']:.2f} of a {raw}", "0.95"])
    for shape in ("kraken_tick", "kraken_depth"):
        for connections in (1, 2):
            run = result(f"influx_{shape}_{connections}")
            what = f"`{shape}` into InfluxDB 1, {connections} connection{'s' * (connections > 1)}"
            row(what, run | {"ticks_a_message": 1}, loader, 0.90)
    sender = result("generator")
    figure = amount(sender["msgs_per_s"])
    ratio = f"{sender['ratio_to_floor']:.2f} of a bare libzmq sender"
    rows.append([f"the load generator alone, `{sender['feed']}`", figure, ratio, "0.90"])
    return table(["flat out, into the null sink", "ticks/s", "beside its floor", "wanted"], rows)


def steady() -> str:
    """What does not go flat out."""
    rows = []
    for how, name in (("", "latency"), (", encode inline", "latency_inline")):
        run = result(f"{name}_kraken_tick")
        ratio, p50 = run["latency_ratio"], run["latency_ns"]["publish_to_encode"]["p50"]
        beside = f"p50 {ratio['p50']:.2f}×, p99 {ratio['p99']:.2f}× the raw receiver"
        rows.append([f"publish to encoded, 10,000 msgs/s{how}", f"p50 {p50 / 1e3:,.0f} µs", beside, "1.3×, 2×"])
    run = result("load_100k")
    off = abs(run["achieved_per_s"] / run["rate_per_s"] - 1)
    late = f"{100 * off:.3f} % off, {run['load']['late']} of {run['messages']:,} late"
    rows.append(["100,000 msgs/s for a minute", f"{run['achieved_per_s']:,.0f} msgs/s", late, "0.5 %"])
    sizes = sorted(result(f"rss_{n}")["rss_max_bytes"] / 2**20 for n in (1, 2, 3))
    spread = f"{sizes[0]:.1f} to {sizes[-1]:.1f} MiB in {len(sizes)} runs"
    rows.append(["resident memory, 4 feeds, 10,000 series", f"{sizes[1]:.1f} MiB", spread, "64 MiB"])
    return table(["what", "figure", "beside", "wanted"], rows)


def stages() -> str:
    """ns a message by stage, each beside its floor."""
    ns, costs, peers = result("criterion")["median"], result("costs")["feeds"], result("peers")
    raw = {row["shape"]: row["medians"]["cpu_ns_per_tick"] for row in peers["rows"] if row["contender"] == "raw"}
    rows = []
    for feed in FEEDS:
        walk, decode = ns[f"decode/{feed}/floor_walk"], ns[f"decode/{feed}/tickline"]
        hop = ns[f"pipeline/{feed}/over_a_queue"] - ns[f"pipeline/{feed}/one_thread"]
        batch = ns[f"pipeline/{feed}/one_thread"] - ns[f"pipeline/{feed}/floor_decode"]
        whole = costs[feed]
        received = whole["receive_ns_a_message"] + whole["other_ns_a_message"]
        rows.append([
            f"`{feed}`", amount(received), amount(raw.get(feed)), amount(walk), amount(decode - walk),
            amount(batch), amount(hop), amount(whole["write_ns_a_message"]), amount(whole["cpu_ns_a_message"]),
        ])
    head = ["feed", "receive", "floor: raw receiver", "walk the payload", "format the lines", "batch", "hop over the queue",
            "write", "whole process"]
    return table(head, rows)


def instructions() -> str:
    """Instructions of one message, exact."""
    benches = result("../baselines/instructions")["benches"]
    counted = {row["shape"]: row for row in result("instructions")["rows"]}
    wanted = {"perf_kraken": 3_500, "perf_oanda": 1_200, "perf_betfair": 6_000}
    rows = []
    for shape, row in counted.items():
        of_path = benches.get(f"path.{shape}")
        goal = amount(wanted.get(shape))
        rows.append([f"`{shape}`", amount(row["walk"]), amount(row["decode"]), amount(of_path), goal])
    return table(["shape", "walk the payload", "decode, with its lines", "the whole path into the null sink", "wanted of decode"], rows)


def cost_rows(name: str, first: str, columns: dict[str, str], beside: str | None = None) -> str:
    """`beside`: the row that the others' CPU is divided by."""
    found = result("costs")[name]
    def cell(row: Json, column: str) -> str:
        return f"{row[column]:.2f}" if column == "points_a_message" else amount(row[column])

    rows = [[key, *[cell(row, column) for column in columns]] for key, row in found.items()]
    if beside is None:
        return table([first, *columns.values()], rows)
    for cells, row in zip(rows, found.values(), strict=True):
        cells.append(times(row["cpu_ns_a_message"] / found[beside]["cpu_ns_a_message"]))
    return table([first, *columns.values(), f"beside {beside}"], rows)


CPU = {
    "cpu_ns_a_message": "CPU ns a message",
    "receive_ns_a_message": "receive",
    "encode_ns_a_message": "encode",
    "write_ns_a_message": "write",
    "other_ns_a_message": "libzmq and the rest",
}


def sockets() -> str:
    return cost_rows("sockets", "sockets", CPU | {"rss_mib": "memory, MiB"}, "1")


def symbols() -> str:
    return cost_rows("symbols", "symbols", CPU | {"rss_mib": "memory, MiB"}, "100")


def feeds() -> str:
    columns = {"payload_bytes": "payload, bytes", "points_a_message": "points", "line_bytes_a_point": "bytes a line"}
    return cost_rows("feeds", "feed", columns | CPU)


def arrivals() -> str:
    return cost_rows("arrivals", "messages come", CPU)


def fields() -> str:
    return cost_rows("fields", "fields", {"line_bytes_a_point": "bytes a line"} | CPU)


def database() -> str:
    """What the levers save where it costs most."""
    costs = result("costs")
    rows = []
    for name, row in costs["database"].items():
        share = f"{100 * (1 - row['unchanged']):.0f} %"
        rows.append([name, share, amount(row["line_bytes_a_point"]), amount(row["influxd_ns_a_point"]),
                     amount(row["influxd_ns_a_message"]), amount(row["cpu_ns_a_message"])])
    head = ["kraken_tick with", "written", "bytes a line", "influxd CPU ns a point", "influxd CPU ns a message", "tickline CPU ns a message"]
    roll = costs["roll_up"]
    minutes = (f"Minutes (open, high, low, close, count) of the {roll['raw_points']:,} stored points, made by influxd: "
               f"{roll['minute_points']:,} points, once {roll['influxd_ns_a_raw_point']:,.0f} ns of its CPU a raw point.")
    return table(head, rows) + "\n\n" + minutes


def deadband() -> str:
    rows = []
    for ppm, row in result("costs")["deadband"].items():
        rows.append(["none" if ppm == "None" else ppm, amount(row["points"]), f"{100 * (1 - row['unchanged']):.1f} %"])
    return table(["`deadband_ppm`", "points written", "of all quotes"], rows)


def sizes() -> str:
    columns = {
        "json_text": "JSON, decimals as text", "json_float64": "JSON, decimals as numbers", "msgpack_text": "msgpack, text",
        "msgpack_float64": "msgpack, float64", "sent": "as we send it (text and reserved keys)", "sent_bundled": "the same, 16 ticks a message",
    }
    rows = []
    for feed, row in result("costs")["sizes"].items():
        rows.append([f"`{feed}`", *[amount(row[column]) for column in columns], f"{100 * (1 - row['msgpack_text'] / row['json_text']):.0f} %"])
    return table(["bytes of a tick", *columns.values(), "msgpack saves, text against text"], rows)


def footprint() -> str:
    """What a point takes on disk, measured by scripts/footprint."""
    rows = []
    for feed in json.loads(Path("config/footprint.json").read_text())["feeds"]:
        for name, row in feed["measurements"].items():
            influx = f"{feed['influx_bytes_per_point']:.1f}"
            rows.append([f"`{name}`", f"{row['line_bytes']:.0f}", influx, f"{row['parquet_bytes']:.1f}"])
    return table(["measurement", "bytes a line", "InfluxDB 1, compacted (all of the feed)", "Parquet"], rows)


def peers() -> str:
    """tickline beside others, from the socket to the database."""
    found = result("peers")
    lines = []
    for shape in dict.fromkeys(row["shape"] for row in found["rows"]):
        rows = []
        for row in (each for each in found["rows"] if each["shape"] == shape):
            medians, beside, stored = row["medians"], row["ratio_to_tickline"], row["points_stored"]
            share = "–" if stored is None else "all" if stored == row["points_sent"] else f"{100 * stored / row['points_sent']:.2f} %"
            rows.append([row["title"], amount(medians["ticks_per_s"]), f"{row['ratio_to_raw']['ticks_per_s']:.3f}",
                         amount(medians["cpu_ns_per_tick"]), times(beside["cpu_ns_per_tick"]), amount(medians.get(POINT)),
                         times(beside.get(POINT)), amount(medians.get(f"influxd_{POINT}")), share])
        head = ["subscriber", "ticks/s", "of the raw receiver", "CPU ns a tick", "beside tickline", "CPU ns a stored point",
                "beside tickline", "influxd's CPU ns a stored point", "stored of sent"]
        lines += [f"`{shape}`:", "", table(head, rows), ""]
    single, bundled = [], []
    for row in (each for each in found["rows"] if each["contender"] == "predecessor"):
        same = {each["contender"]: each["medians"][POINT] for each in found["rows"] if each["shape"] == row["shape"] and POINT in each["medians"]}
        single.append(f"{times(row['ratio_to_tickline'][POINT])} (`{row['shape']}`)")
        bundled.append(f"{times(same['predecessor'] / same['tickline_bundles'])} (`{row['shape']}`)")
    lines += [
        f"For a stored point the predecessor's algorithm takes {' and '.join(single)} tickline's CPU; wanted: at least 60×. "
        f"Where the publisher puts 16 ticks into a message it is {' and '.join(bundled)}; wanted: at least 100×.", ""]
    arguments, versions = found["arguments"], found["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in (versions["packages"] | versions["crates"]).items())
    lines.append(f"Medians of {arguments['rounds']} rounds, about {arguments['seconds']:g} s a run, seed {arguments['seed']}, commit "
                 f"{found['commit']}. {machine(found['host'])}; InfluxDB {versions['influxd']}, Python {versions['python']}, {packages}.")
    return "\n".join(lines)


def rivals() -> str:
    """Decode and lines of one message beside others, one thread."""
    shapes = {shape["shape"]: {row["contender"]: row for row in shape["rows"]} for shape in result("compare")["shapes"]}
    names = list(shapes["perf_kraken"])
    rows = []
    for name in names:
        cells = []
        for found in shapes.values():
            row = found.get(name)
            cells += [amount(row and row["ns_per_message"]), times(row and row["ratio_to_tickline"])]
        rows.append([name, *cells])
    head = ["one thread"]
    for shape in shapes:
        head += [f"`{shape}`, ns", "beside tickline"]
    return table(head, rows)


def live() -> str:
    """Publishers and the forwarder beside bare loops."""
    run = result("venue")
    p99 = [f"p99 {run[f'{who}_p99_ns'] / 1e3:,.0f} µs" for who in ("tickline", "bare")]
    p50 = [f"p50 {run[f'{who}_p50_ns'] / 1e3:,.0f} µs" for who in ("tickline", "bare")]
    beside = f"p99 {run['p99_ratio']:.2f}× a bare loop ({p50[1]}, {p99[1]})"
    rows = [[f"venue's write to the subscriber, {run['rate']:,} book updates a second", ", ".join([p50[0], p99[0]]), beside, "1.5×"]]
    flat = run["flat_out"]
    cores = f"{flat['updates_per_core_second']:,.0f} a second of one core"
    rows.append(["book updates with checksums, flat out", f"{flat['updates_per_s']:,.0f}/s", cores, "50,000"])
    first = [accept_to_first for _, accept_to_first in run["reconnections_wait_ns_and_accept_to_first_book_ns"]]
    longest = f"the longest of {len(first)} connections"
    rows.append(["venue's accept to the first book", f"{run['accept_to_first_book_max_ns'] / 1e6:.1f} ms", longest, "1 s"])
    for how, name in (("", "forward"), (" with last values", "forward_cache")):
        run = result(name)
        beside = f"{run['ratio_to_floor']:.2f} of libzmq's proxy"
        rows.append([f"`tickline forward`{how}", f"{run['msgs_per_s']:,.0f} msgs/s", beside, "–" if how else "0.80"])
    return table(["what", "figure", "beside", "wanted"], rows)


def operate() -> str:
    """What it takes to operate it, and the queries of the dashboards."""
    run, queries = result("operate"), result("dashboards")

    def spread(of: Json, unit: str, digits: int) -> str:
        return f"{of[f'median_{unit}']:.{digits}f} {unit}, at most {of[f'max_{unit}']:.{digits}f} {unit}"

    paint = {"median_ms": run["page"]["first_paint_median_ms"], "max_ms": run["page"]["first_paint_max_ms"]}
    everything = f"`tickline run` with archive, roll-ups and canary, {run['run']['feeds']} feeds, {run['run']['rate_per_s']:,} messages a second"
    rows = [
        [f"`tickline up`, {run['feeds']} feeds, until marked ticks came back", spread(run["up"], "s", 2), "10 s"],
        ["`tickline down`, idle", spread(run["down"], "s", 2), "2 s"],
        [f"`tickline validate`, {run['feeds']} feeds", spread(run["validate"], "s", 2), "5 s"],
        [f"`/metrics`, {run['metrics']['bytes'] / 1e3:.0f} kB, under that load", spread(run["metrics"], "ms", 1), "5 ms"],
        ["`/metrics` once a second, of a core", f"{100 * run['metrics']['core_share_at_one_a_second']:.2f} %", "0.5 %"],
        ["status page, all its files", f"{run['page']['bytes'] / 1e3:.0f} kB", "200 kB"],
        ["status page, first paint", spread(paint, "ms", 0), "500 ms"],
        [f"{everything}: memory", f"{run['run']['rss_max_mib']:.0f} MiB", "100 MiB"],
        [f"{queries['queries']} queries of the dashboards on {queries['days']} days, {queries['points']:,} points", f"p95 {queries['p95_ms']:.1f} ms", "100 ms"],
    ]
    return table(["what", "figure", "wanted"], rows)


def bridges() -> str:
    """Each bridge beside the bare client of the same server."""
    rows = []
    for connections, name in (("one connection", "postgres"), ("two connections", "postgres_two")):
        run = result(name)
        rate = {way: f"{points / 1e3:,.0f},000" for way, points in run["points_per_s"].items()}
        rows.append([f"rows a second, {connections}", rate["bare_copy_without_key"], rate["bare_copy"], rate["bare_staged"],
                     rate["sink"], f"{run['ratio']:.2f}", rate["sink_again"]])
    head = ["PostgreSQL", "bare COPY, no key", "bare COPY", "bare COPY and INSERT", "sink", "of bare COPY", "sink, all there already"]
    return table(head, rows)


def measured_on() -> str:
    run, costs = result("null_kraken_tick"), result("costs")
    return (f"{machine(run['host'])}. `scripts/bench` at commit {run['build']['commit']}, "
            f"`scripts/costs` at {costs['commit']} ({costs['rounds']} rounds of {costs['duration']}).")


SECTIONS: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (limits, steady, stages, instructions, sockets, symbols, feeds, arrivals, fields, database, deadband, sizes,
                 footprint, live, bridges, operate, peers, rivals, measured_on)
}


def fill(found: re.Match[str]) -> str:
    if found[1] not in SECTIONS:
        raise SystemExit(f"<!-- {found[1]} -->: there is {', '.join(SECTIONS)}")
    return f"<!-- {found[1]} -->\n{SECTIONS[found[1]]()}\n<!-- end -->"


def main() -> None:
    for page in PAGES:
        text = page.read_text()
        made = re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.S)
        if sys.argv[1:] != ["--check"]:
            page.write_text(made)
        elif made != text:
            raise SystemExit(f"{page} is not what bench/results says: run scripts/performance")


if __name__ == "__main__":
    main()
