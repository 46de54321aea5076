"""The influxd that all write to: an empty database before each run, what was stored after it, and what it cost."""

import json
import os
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

DATABASE = "tickline_peers"
# Below this share of a core influxd counts as quiet; it is not waited for longer than the second number, s.
QUIET_SHARE = 0.05
QUIET_WAIT_MAX_S = 15.0
LOOK_EVERY_S = 0.25

# No proxy, whatever the environment says.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str) -> Any:
    """The JSON behind a URL."""
    with _direct.open(url, timeout=30) as answer:
        return json.load(answer)


def cpu_s(pid: int) -> float:
    """CPU that a running process has taken so far, in steps of a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """An InfluxDB 1."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid, self.database = url, pid, DATABASE

    def version(self) -> str:
        with _direct.open(f"{self.url}/ping", timeout=30) as answer:
            return answer.headers["X-Influxdb-Version"]

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The series of the answer."""
        query = urllib.parse.urlencode({"db": self.database, "epoch": "ns", "q": statement})
        request = urllib.request.Request(f"{self.url}/query", data=query.encode())
        with _direct.open(request, timeout=60) as answer:
            result = json.load(answer)["results"][0]
        if "error" in result:
            raise RuntimeError(f"{statement}: {result['error']}")
        return result.get("series", [])

    def renew(self) -> None:
        """Empties the database, and waits until influxd has nothing left to do."""
        self.query(f"DROP DATABASE {self.database}")
        self.query(f"CREATE DATABASE {self.database}")
        self.quiet()

    def quiet(self) -> float:
        """Waits until influxd has nothing left to do; returns the CPU that it has taken so far."""
        waited, before = 0.0, cpu_s(self.pid)
        while waited < QUIET_WAIT_MAX_S:
            time.sleep(LOOK_EVERY_S)
            waited, now = waited + LOOK_EVERY_S, cpu_s(self.pid)
            if now - before < QUIET_SHARE * LOOK_EVERY_S:
                return now
            before = now
        return before

    def stored(self, measurement: str, field: str) -> int:
        """Points stored, once their number does not change any more."""
        counted = -1
        while True:
            series = self.query(f"SELECT count({field}) FROM {measurement}")
            now = series[0]["values"][0][1] if series else 0
            if now == counted:
                return now
            counted = now
            time.sleep(LOOK_EVERY_S)

    def points(self, measurement: str) -> list[dict[str, Any]]:
        """Every point, in the order of time."""
        rows = []
        for series in self.query(f"SELECT * FROM {measurement}"):
            rows += [dict(zip(series["columns"], values, strict=True)) for values in series["values"]]
        return rows
