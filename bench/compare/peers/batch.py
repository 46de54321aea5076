"""What one would write in Python today: pyzmq receives, msgpack unpacks, `Point` of the client `influxdb-client` makes
a line of each point, and 5,000 lines are one request. Series, fields and time are those that tickline writes.

The client's own `WriteApi` cannot be used: it posts to /api/v2/write, which InfluxDB 1.6.7 answers with 404 (it came with
1.8). So its `Point.to_line_protocol` formats, and its HTTP library, urllib3, posts to /write over a connection that stays.

With --no-time the points carry no time. All points of a request then get one time from the server, and those of one
series overwrite each other.
"""

from calendar import timegm
from collections.abc import Iterator
from functools import lru_cache
from time import strptime
from typing import Any
from urllib.parse import urlencode

import msgpack
import urllib3
from influxdb_client import Point

from peer import Receiver, arguments

BATCH_LINES = 5_000

# Field and key of those that travel as text.
KRAKEN_FIELDS = (
    ("bid", "bid"),
    ("bid_qty", "bid_qty"),
    ("ask", "ask"),
    ("ask_qty", "ask_qty"),
    ("last_trade_price", "last"),
    ("volume", "volume"),
    ("vwap", "vwap"),
)


@lru_cache(maxsize=64)
def second_ns(text: str) -> int:
    """Date and time up to the second, in ns: many messages share it."""
    return timegm(strptime(text, "%Y-%m-%dT%H:%M:%S")) * 1_000_000_000


def time_ns(text: str) -> int:
    """RFC 3339 in UTC with any number of digits, in ns. `datetime` would keep six of them."""
    return second_ns(text[:19]) + int(text[20:-1].ljust(9, "0"))


def kraken_tick(message: dict[str, Any]) -> Iterator[tuple[Point, int]]:
    """Points of a ticker message, and their times."""
    for ticker in message["data"]:
        symbol = ticker["symbol"]
        base, quote = symbol.split("/")
        point = Point("kraken_tick").tag("base", base).tag("exchange", "kraken")
        point.tag("pair", symbol).tag("quote", quote)
        for field, key in KRAKEN_FIELDS:
            point.field(field, float(ticker[key]))
        yield point.field("recv_ns", message["_recv"]), time_ns(ticker["timestamp"])


def oanda_tick(message: dict[str, Any]) -> Iterator[tuple[Point, int]]:
    """The point of a price, and its time. A price has one bucket a side."""
    instrument, bid, ask = message["instrument"], message["bids"][0], message["asks"][0]
    base, quote = instrument.split("_")
    point = Point("oanda_tick").tag("base", base).tag("exchange", "oanda")
    point.tag("instrument", instrument).tag("quote", quote)
    point.field("bid", float(bid["price"])).field("ask", float(ask["price"]))
    point.field("bid_liquidity", bid["liquidity"]).field("ask_liquidity", ask["liquidity"])
    point.field("tradeable", message["tradeable"])
    yield point.field("recv_ns", message["_recv"]), time_ns(message["time"])


READERS = {"kraken_tick": kraken_tick, "oanda_tick": oanda_tick}


class Writer:
    """Collects lines and posts them."""

    def __init__(self, url: str, database: str) -> None:
        self.pool = urllib3.PoolManager(timeout=10)
        self.url = f"{url}/write?{urlencode({'db': database})}"
        self.lines: list[str] = []
        self.sent = 0

    def add(self, line: str) -> None:
        self.lines.append(line)
        if len(self.lines) >= BATCH_LINES:
            self.post()

    def post(self) -> None:
        if not self.lines:
            return
        answer = self.pool.request("POST", self.url, body="\n".join(self.lines).encode(), retries=False)
        if answer.status != 204:
            raise RuntimeError(f"{answer.status}: {answer.data[:200]!r}")
        self.sent += len(self.lines)
        self.lines.clear()


def main() -> None:
    wanted = arguments(__doc__, may_leave_out_times=True)
    writer = Writer(wanted.url, wanted.database)
    read = READERS[wanted.topic]
    receiver = Receiver(wanted)
    for payload in receiver.payloads():
        for point, time in read(msgpack.unpackb(payload)):
            writer.add((point if wanted.no_time else point.time(time)).to_line_protocol())
    writer.post()
    receiver.say(points_sent=writer.sent)


if __name__ == "__main__":
    main()
