#!/usr/bin/env python3
"""A publisher for tickline in another language: python3 publisher.py [ENDPOINT] [MESSAGES]

Needs pyzmq and msgpack. Every reserved key that a publisher sets is here; see docs/PUBLISHERS.md for what each means."""
import random, sys, time
from datetime import datetime, timedelta
import msgpack, zmq

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5558"
messages = int(sys.argv[2]) if len(sys.argv) > 2 else 10
topic, source, number, used = b"kraken_tick", random.randrange(1, 2**32), 0, (None, 0)
socket = zmq.Context().socket(zmq.XPUB)
socket.bind(endpoint)
print(socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), flush=True)


def send(payload):
    socket.send_multipart([topic, msgpack.packb(payload, use_bin_type=True)])


def control(key):  # heartbeat after a second without a message, end at the end; neither takes a number
    send({key: True, "_src": source, "_seq": number, "_ts": time.time_ns()})


start = datetime(1970, 1, 1) + timedelta(microseconds=time.time_ns() // 1000)
socket.recv()  # the first subscription: before it ZeroMQ keeps nothing
for tick in range(messages):
    received, moment = time.time_ns(), (start + timedelta(microseconds=tick // 2)).isoformat() + "Z"
    used = (moment, used[1] + 1 if used[0] == moment else 0)  # two ticks of one time keep apart by _tie
    number += 1
    send({"_v": 1, "_src": source, "_seq": number, "_ts": time.time_ns(), "_recv": received, "_tie": used[1],
          "symbol": "BTC/USD", "timestamp": moment, "bid": f"{63000 + tick}.10", "ask": f"{63001 + tick}.20"})
control("_hb")
number += 1
send({"_v": 1, "_src": source, "_seq": number, "_ts": time.time_ns(), "_event": "gap", "scope": "BTC/USD",
      "from": time.time_ns() - 10**9, "to": time.time_ns(), "lost": 3, "detail": "an example"})
control("_end")
sys.stdin.read()
