"""Runs tickline and its peers in turns: the same messages, the same influxd, one subscriber at a time.

Claim: for a stored point tickline takes at most 1/60 of the CPU that the predecessor's algorithm takes, and it stores
every point that is sent. The floor is the raw libzmq receiver. Before anything is timed, the points of those who write
the same are read back and must be tickline's. scripts/compare starts it; it writes one JSON file.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tomllib
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import zmq

from contenders import BUNDLED, CONTENDERS, SEED, Contender, Sender, Setting
from server import Server, cpu_s

SHAPES = ("kraken_tick", "oanda_tick")
# Points that are read back and held against tickline's.
CHECKED = 2_000
TICKS_MAX = 10_000_000
PACKAGES = ("pyzmq", "msgpack", "influxdb", "influxdb-client", "urllib3", "requests")
CRATES = ("zmq", "rmp-serde", "influxdb-line-protocol", "ureq")


@dataclass(frozen=True)
class Run:
    """What one run did."""

    ticks: int
    points_sent: int
    points_stored: int | None
    cpu_s: float
    elapsed_s: float
    influxd_cpu_s: float

    def figures(self) -> dict[str, float]:
        """What runs are compared by. A lost point costs those that are stored."""
        figures = {"ticks_per_s": self.ticks / self.elapsed_s, "cpu_ns_per_tick": self.cpu_s / self.ticks * 1e9}
        if self.points_stored:
            figures["cpu_ns_per_stored_point"] = self.cpu_s / self.points_stored * 1e9
            figures["influxd_cpu_ns_per_stored_point"] = self.influxd_cpu_s / self.points_stored * 1e9
        return figures


def run(setting: Setting, contender: Contender, shape: str, ticks: int) -> Run:
    """One contender, one sender, one fresh database."""
    ticks -= ticks % BUNDLED
    server = setting.server
    server.renew()
    before = cpu_s(server.pid)
    with Sender(setting, shape, ticks, contender.bundled) as sender:
        received = contender.receive(setting, sender)
    influxd_cpu_s = cpu_s(server.pid) - before
    stored = server.stored(*contender.stored[shape]) if contender.stored else None
    return Run(ticks, received.points, stored, received.cpu_s, received.elapsed_s, influxd_cpu_s)


def check_points(setting: Setting, shape: str) -> None:
    """Everyone who writes the same must store what tickline stores: each series, time, field and value."""
    expected = None
    # tickline comes first.
    for contender in (each for each in CONTENDERS if each.same_points and each.stored):
        run(setting, contender, shape, CHECKED)
        points = setting.server.points(shape)
        expected = expected or points
        if len(points) != CHECKED or points != expected:
            other = next((pair for pair in zip(points, expected) if pair[0] != pair[1]), None)
            raise RuntimeError(f"{shape}, {contender.name}: {len(points)} points, first that differs: {other}")


def say(shape: str, contender: Contender, done: Run) -> None:
    figures = ", ".join(f"{name} {value:,.0f}" for name, value in done.figures().items())
    stored = "" if done.points_stored is None else f", {done.points_stored:,} of {done.points_sent:,} stored"
    print(f"{shape} {contender.name}: {done.ticks:,} ticks, {figures}{stored}", file=sys.stderr, flush=True)


def ticks_for(setting: Setting, contender: Contender, shape: str, seconds: float) -> int:
    """How many ticks take about that long. The second estimate no longer has the start in it."""
    ticks = contender.first
    for share in (0.5, 1.0):
        done = run(setting, contender, shape, ticks)
        ticks = min(max(int(ticks / done.elapsed_s * seconds * share), contender.first), TICKS_MAX)
    return ticks


def measure(setting: Setting, shape: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """A row a contender: medians over the rounds, and the rounds."""
    check_points(setting, shape)
    ticks = {contender.name: ticks_for(setting, contender, shape, seconds) for contender in CONTENDERS}
    runs: dict[str, list[Run]] = {contender.name: [] for contender in CONTENDERS}
    for at in range(rounds):
        # Whoever comes later finds a warmer machine: they take turns at that, too.
        for contender in CONTENDERS[at % len(CONTENDERS) :] + CONTENDERS[: at % len(CONTENDERS)]:
            done = run(setting, contender, shape, ticks[contender.name])
            say(shape, contender, done)
            runs[contender.name].append(done)
    return [row(shape, contender, runs) for contender in CONTENDERS]


def row(shape: str, contender: Contender, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """A ratio is made of two runs of one round; the median over the rounds is told."""
    own = [each.figures() for each in runs[contender.name]]

    def ratios(other: str) -> dict[str, float]:
        pairs = list(zip(own, (each.figures() for each in runs[other]), strict=True))
        shared = [name for name in own[0] if all(name in each for pair in pairs for each in pair)]
        return {name: statistics.median(ours[name] / theirs[name] for ours, theirs in pairs) for name in shared}

    return {
        "shape": shape,
        "contender": contender.name,
        "title": contender.title,
        "medians": {name: statistics.median(each[name] for each in own) for name in own[0]},
        "ratio_to_tickline": ratios("tickline"),
        "ratio_to_raw": ratios("raw"),
        "points_sent": sum(each.points_sent for each in runs[contender.name]),
        "points_stored": sum(each.points_stored or 0 for each in runs[contender.name]) if contender.stored else None,
        "rounds": [asdict(each) for each in runs[contender.name]],
    }


def host() -> dict[str, Any]:
    """The machine, as tickline's reports name it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "governor": governor.read_text().strip() if governor.exists() else None,
    }


def versions(server: Server) -> dict[str, Any]:
    """What was measured, by version."""
    lock = tomllib.loads((Path(__file__).parents[1] / "Cargo.lock").read_text())
    crates = {package["name"]: package["version"] for package in lock["package"] if package["name"] in CRATES}
    return {
        "influxd": server.version(),
        "python": platform.python_version(),
        "libzmq of pyzmq": zmq.zmq_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "crates": crates,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="an influxd of our own")
    parser.add_argument("--pid", required=True, type=int, help="its process, whose CPU is told")
    parser.add_argument("--programs", required=True, type=Path, help="where cargo has put the programs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="about how long one run takes")
    parser.add_argument("--output", required=True, type=Path)
    wanted = parser.parse_args()
    setting = Setting(Server(wanted.url, wanted.pid), wanted.programs.resolve())
    result = {
        "command": "compare",
        "unit": "medians of rounds; CPU in ns of user and system time of the subscriber's process",
        "commit": os.environ.get("TICKLINE_COMMIT", "unknown"),
        "host": host(),
        "versions": versions(setting.server),
        "arguments": {"seed": SEED, "rate": "max", "rounds": wanted.rounds, "seconds": wanted.seconds},
        "points_checked": CHECKED,
        "rows": [row for shape in SHAPES for row in measure(setting, shape, wanted.rounds, wanted.seconds)],
    }
    wanted.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
