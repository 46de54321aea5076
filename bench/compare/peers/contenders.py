"""Who is measured, and how each of them is run against one sender and one database."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from server import Server, get

SEED = 7
PEERS = Path(__file__).parent
# A subscriber that takes longer than this has failed, s.
TIMEOUT_S = 180.0
# How often tickline is asked whether it is done, s. Its answers cost it some CPU, which counts against it.
LOOK_EVERY_S = 0.025
# Measurement and a field that every point has, for counting.
OURS = {"kraken_tick": ("kraken_tick", "recv_ns"), "oanda_tick": ("oanda_tick", "recv_ns")}
PREDECESSOR = {"kraken_tick": ("tick", "bid_price"), "oanda_tick": ("tick", "bid")}


@dataclass(frozen=True)
class Setting:
    """What all runs share: the server, and where the programs are."""

    server: Server
    programs: Path


# Shapes with 16 ticks a message.
BUNDLES = {"kraken_tick": "bundle_kraken", "oanda_tick": "bundle_oanda"}
BUNDLED = 16


class Sender:
    """A sender process; it waits for its subscriber, and ends when it is told that everything has come."""

    def __init__(self, setting: Setting, decoder: str, ticks: int, bundled: bool) -> None:
        self.decoder, self.ticks = decoder, ticks
        shape, messages = (BUNDLES[decoder], ticks // BUNDLED) if bundled else (decoder, ticks)
        self.shape, self.messages = shape, messages
        command: list[str | Path] = [setting.programs / "tickline-bench", "send"]
        command += ["--shape", shape, "--seed", str(SEED)]
        command += ["--messages", str(messages), "--rate", "max"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the sender has ended early")
        return line

    def first_ns(self) -> int:
        """Wall time of the first message, ns; known once all are sent."""
        return json.loads(self.line())["first_ns"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Received:
    """What a contender did with the messages of one sender."""

    points: int
    cpu_s: float
    elapsed_s: float


Receive = Callable[[Setting, Sender], Received]


@dataclass(frozen=True)
class Contender:
    """A way from the socket to the database."""

    name: str
    title: str
    # Messages of a first short run, from which the number for the wanted time is estimated.
    first: int
    receive: Receive
    # Measurement and field to count, for each shape; none where nothing is written.
    stored: dict[str, tuple[str, str]] | None = None
    # Whether its points must be tickline's, value for value.
    same_points: bool = False
    # Whether it is sent bundles.
    bundled: bool = False


def measures_itself(command: list[str | Path], setting: Setting, sender: Sender, *flags: str) -> Received:
    """Runs a program with the common arguments, which prints a line of JSON."""
    server = setting.server
    common = [sender.endpoint, sender.shape, server.url, server.database, str(sender.messages)]
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    output = subprocess.run(
        [*command, *common, *flags], stdout=subprocess.PIPE, env=environment, timeout=TIMEOUT_S, check=True
    )
    done = json.loads(output.stdout)
    if done["messages"] != sender.messages:
        raise RuntimeError(f"{sender.messages} messages sent, {done['messages']} received")
    return Received(done["points"], done["cpu_s"], done["elapsed_s"])


def python(program: str, *flags: str) -> Receive:
    """One of the Python programs in this folder."""
    return lambda setting, sender: measures_itself([sys.executable, PEERS / program], setting, sender, *flags)


def rust(mode: str) -> Receive:
    """The Rust subscriber."""
    return lambda setting, sender: measures_itself([setting.programs / "subscriber", mode], setting, sender)


def tickline(durability: str) -> Receive:
    """`tickline run` with its defaults, apart from the sink's durability."""
    return lambda setting, sender: run_tickline(durability, setting, sender)


def run_tickline(durability: str, setting: Setting, sender: Sender) -> Received:
    """From start to stop, start and stop counted as CPU; elapsed until `/status` says that everything is written."""
    with tempfile.TemporaryDirectory() as folder:
        keys = {
            f"feeds.{sender.shape}.endpoint": sender.endpoint,
            f"feeds.{sender.shape}.topic": sender.shape,
            f"feeds.{sender.shape}.decoder": sender.decoder,
            "sinks.influx.kind": "influxdb",
            "sinks.influx.url": setting.server.url,
            "sinks.influx.database": setting.server.database,
            "sinks.influx.durability": durability,
            "engine.state_dir": f"{folder}/state",
            # Its rows about itself are no points of the feed.
            "engine.ledger_every": "inf",
            "http.listen": "127.0.0.1:0",
        }
        command: list[str | Path] = [setting.programs / "tickline", "run", "--report", f"{folder}/report"]
        for key, value in keys.items():
            command += ["--set", f'{key}="{value}"']
        command += ["--set", "sinks.influx.version=1"]
        log = Path(folder, "log")
        with log.open("w") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            done_ns = wait_until_written(process, log, sender.ticks)
        finally:
            process.send_signal(signal.SIGTERM)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"tickline ended with {process.returncode}:\n{log.read_text()}")
        points = json.loads(Path(folder, "report").read_text())["ledger"]["points_made"]
        elapsed_s = (done_ns - sender.first_ns()) / 1e9
        return Received(points, usage.ru_utime + usage.ru_stime, elapsed_s)


def wait_until_written(process: subprocess.Popen[bytes], log: Path, ticks: int) -> int:
    """Wall time, ns, at which the point of each tick was written; these shapes make one of each."""
    deadline, address = time.monotonic() + TIMEOUT_S, None
    while time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        if address is None:
            found = re.search(r"listening on (http://\S+)", log.read_text())
            address = found and found[1]
            continue
        try:
            ledger: dict[str, Any] = get(f"{address}/status")["ledger"]
        except urllib.error.URLError:
            break
        if ledger["written"] >= ticks:
            return time.time_ns()
    raise RuntimeError(f"tickline has not written everything, running: {process.returncode is None}:\n{log.read_text()}")


CONTENDERS = [
    Contender("raw", "raw libzmq receiver, counts only (the limit)", 300_000, rust("raw")),
    Contender("tickline", 'tickline, `durability = "memory"`', 50_000, tickline("memory"), OURS, True),
    Contender("tickline_spill", 'tickline, `durability = "spill"`, the default', 50_000, tickline("spill"), OURS, True),
    Contender(
        "tickline_bundles", "tickline, 16 ticks a message", 160_000, tickline("memory"), OURS, bundled=True
    ),
    Contender("rust", "Rust: rmp-serde, official line builder, batches", 30_000, rust("write"), OURS, True),
    Contender("decode", "Python: receive and unpack only", 20_000, python("decode.py")),
    Contender("batch", "Python: influxdb-client, batches", 5_000, python("batch.py"), OURS, True),
    Contender("batch_no_time", "the same without timestamps", 5_000, python("batch.py", "--no-time"), OURS),
    Contender("predecessor", "Python: the predecessor's algorithm", 300, python("predecessor.py"), PREDECESSOR),
]
