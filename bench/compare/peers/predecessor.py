"""The predecessor's algorithm: pyzmq receives one message, msgpack unpacks it, and one `write_points` of the client
`influxdb` writes it, which is one HTTP request a message. The points carry no time: the server's clock gives it.

Measurement, tags and field names are the predecessor's. In its favour, it is given messages that it can read, it writes
only the fields that the message has (the predecessor filled its nineteen up with zeros), and nothing is logged. The
socket has libzmq's defaults, as there.
"""

from typing import Any
from urllib.parse import urlsplit

import msgpack
from influxdb import InfluxDBClient

from peer import Receiver, arguments

KRAKEN_FIELDS = {
    "ask_price": "ask",
    "ask_lot_volume": "ask_qty",
    "bid_price": "bid",
    "bid_lot_volume": "bid_qty",
    "last_trade_price": "last",
    "volume_24h": "volume",
    "vwap_24h": "vwap",
    "low_24h": "low",
    "high_24h": "high",
}
Point = dict[str, Any]


def kraken_tick(message: dict[str, Any]) -> list[Point]:
    """One point a pair of a ticker message."""
    points = []
    for ticker in message["data"]:
        base, term = ticker["symbol"].split("/")
        points.append(
            {
                "measurement": "tick",
                "tags": {"instrument": ticker["symbol"], "base_ccy": base, "term_ccy": term},
                "fields": {field: float(ticker[key]) for field, key in KRAKEN_FIELDS.items()},
            }
        )
    return points


def oanda_tick(message: dict[str, Any]) -> list[Point]:
    """The first bucket of a price."""
    return [
        {
            "measurement": "tick",
            "tags": {"instrument": message["instrument"]},
            "fields": {"bid": float(message["bids"][0]["price"]), "ask": float(message["asks"][0]["price"])},
        }
    ]


READERS = {"kraken_tick": kraken_tick, "oanda_tick": oanda_tick}


def main() -> None:
    wanted = arguments(__doc__)
    server = urlsplit(wanted.url)
    client = InfluxDBClient(host=server.hostname, port=server.port, database=wanted.database, timeout=10)
    read, sent = READERS[wanted.topic], 0
    receiver = Receiver(wanted, tuned=False)
    for payload in receiver.payloads():
        points = read(msgpack.unpackb(payload))
        client.write_points(points, batch_size=500)
        sent += len(points)
    receiver.say(points_sent=sent)


if __name__ == "__main__":
    main()
