#!/usr/bin/env python3
"""A subscriber of tickline's topics in another language: python3 subscriber.py ENDPOINT TOPIC

Needs pyzmq and msgpack. It prints each payload as JSON, and at the end how many messages were lost, which it sees by the
numbers alone; see docs/PUBLISHERS.md for the reserved keys."""
import json, sys
import msgpack, zmq

socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, sys.argv[2].encode())
socket.connect(sys.argv[1])
last, lost = {}, 0
while True:
    topic, payload, *_ = socket.recv_multipart()
    if topic != sys.argv[2].encode():  # ZeroMQ compares only the beginning of a topic
        continue
    payload = msgpack.unpackb(payload, raw=False)
    for tick in payload if isinstance(payload, list) else [payload]:  # a bundle is one message with several ticks
        print(json.dumps(tick), flush=True)
    first = payload[0] if isinstance(payload, list) else payload
    source, number = first.get("_src"), first.get("_seq")
    silent = "_hb" in first or "_end" in first  # these repeat the last number instead of taking one
    if source in last:
        lost += number - last[source] - (0 if silent else 1)
    last[source] = number
    if "_end" in first:
        print(json.dumps({"lost": lost}), flush=True)
        break
