"""The ceiling of a Python subscriber: pyzmq receives, msgpack unpacks, and nothing is written."""

import msgpack

from peer import Receiver, arguments


def main() -> None:
    receiver = Receiver(arguments(__doc__))
    for payload in receiver.payloads():
        msgpack.unpackb(payload)
    receiver.say(points_sent=0)


if __name__ == "__main__":
    main()
