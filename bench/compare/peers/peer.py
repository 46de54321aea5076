"""What the Python subscribers share: their arguments, the socket, and the line of JSON that they print.

It promises that time and CPU are counted from the connected socket on, imports left out, and refuses to wait more
than thirty seconds for a message.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import zmq

# As tickline has them, so that the work behind the socket is compared and not the socket.
RCVHWM = 100_000
RCVBUF_BYTES = 4 * 1024 * 1024
SILENCE_MAX_MS = 30_000


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    endpoint: str
    topic: str
    url: str
    database: str
    messages: int
    no_time: bool


def arguments(description: str | None, may_leave_out_times: bool = False) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("endpoint", help="where the publisher is, such as tcp://127.0.0.1:5558")
    parser.add_argument("topic", help="what to subscribe to; it also names the kind of message")
    parser.add_argument("url", help="base URL of InfluxDB 1")
    parser.add_argument("database")
    parser.add_argument("messages", type=int, help="how many messages to take")
    if may_leave_out_times:
        parser.add_argument("--no-time", action="store_true", help="let the server's clock time the points")
    return Arguments(**{"no_time": False} | vars(parser.parse_args()))


class Receiver:
    """A SUB socket that counts, and the clocks that run since it was connected."""

    def __init__(self, wanted: Arguments, tuned: bool = True) -> None:
        self.wanted = wanted
        self.received = 0
        self.first: float | None = None
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        if tuned:
            self.socket.setsockopt(zmq.RCVHWM, RCVHWM)
            self.socket.setsockopt(zmq.RCVBUF, RCVBUF_BYTES)
        self.socket.setsockopt(zmq.RCVTIMEO, SILENCE_MAX_MS)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt_string(zmq.SUBSCRIBE, wanted.topic)
        self.cpu_start = time.process_time()
        self.socket.connect(wanted.endpoint)

    def payloads(self) -> Iterator[bytes]:
        """As many payloads as are wanted."""
        recv = self.socket.recv_multipart
        for _ in range(self.wanted.messages):
            _topic, payload = recv()
            if self.first is None:
                self.first = time.monotonic()
            self.received += 1
            yield payload

    def say(self, points_sent: int) -> None:
        """Prints what was done, once everything is answered."""
        cpu_s = time.process_time() - self.cpu_start
        elapsed_s = time.monotonic() - (self.first or time.monotonic())
        done = {"messages": self.received, "points": points_sent, "cpu_s": cpu_s, "elapsed_s": elapsed_s}
        print(json.dumps(done), flush=True)
