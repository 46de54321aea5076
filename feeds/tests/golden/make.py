"""Writes the golden files next to it, or with --check compares them: python3 make.py [--check]

NAME.msgpack  the payload of a case with one message
NAME.frames   the messages of a case with several, with framing or with text: a msgpack array of messages, each an
              array of parts as they cross ZeroMQ (bin): topic and payload, or one part `topic SP payload`
NAME.json     what they mean: a list with "control", "undecodable:REASON" or the points for each message
NAME.lp       the line protocol of all points, in order

Needs the package msgpack. The output depends on nothing but these files.
"""

import json
import pathlib
import sys

import msgpack

from cases import CASES
from legacy import tree_of
from meaning import Feed

FOLDER = pathlib.Path(__file__).parent
# When the engine takes each message off the socket.
RECEIVED_NS = 1_785_641_762_700_000_000


def escaped(text):
    return "".join("\\" + c if c in ",= " else c for c in text)


def field_text(kind, text):
    if kind == "int":
        return text + "i"
    if kind == "str":
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def line(point):
    tags = "".join(f",{escaped(name)}={escaped(value)}" for name, value in point["tags"].items())
    fields = ",".join(f"{escaped(name)}={field_text(*field)}" for name, field in point["fields"].items())
    return f"{escaped(point['measurement'])}{tags} {fields} {point['time']}\n"


def payload_of(message):
    """`raw`: bytes as they are; `text`: as text; else a tree, written by the msgpack package."""
    if "text" in message:
        return message["text"].encode()
    return message["raw"] if "raw" in message else msgpack.packb(message["tree"], use_bin_type=True)


def meaning_of(message, case, feed, topic):
    if "means" in message:
        return message["means"]
    return feed.message(tree_of(message["text"], case, topic) if "text" in message else message["tree"])


def files_of(case):
    case = dict({"fields": "all", "received_ns": RECEIVED_NS}, **case)
    feed = Feed(case)
    meanings, messages = [], []
    for message in case["messages"]:
        payload = payload_of(message)
        name = message.get("topic", case["decoder"])
        topic = name.encode()
        messages.append({"one": [topic + b" " + payload], "two": [topic, payload]}[message.get("framing", "two")])
        messages[-1] += message.get("more_parts", [])
        meanings.append(meaning_of(message, case, feed, name))
    keys = ("decoder", "format", "account", "fields", "legacy_tick", "custom", "received_ns")
    described = {key: case[key] for key in keys if key in case}
    text = json.dumps(dict(described, messages=meanings), indent=1, ensure_ascii=True) + "\n"
    points = [point for meaning in meanings if isinstance(meaning, list) for point in meaning]
    files = {".json": text.encode(), ".lp": "".join(map(line, points)).encode()}
    if len(messages) == 1 and len(messages[0]) == 2 and "format" not in case:
        files[".msgpack"] = messages[0][1]
    else:
        files[".frames"] = msgpack.packb(messages, use_bin_type=True)
    return {case["name"] + suffix: data for suffix, data in files.items()}


def main():
    wanted = {}
    for case in CASES:
        wanted |= files_of(case)
    there = {path.name for path in FOLDER.iterdir() if path.suffix in (".json", ".lp", ".msgpack", ".frames")}
    if sys.argv[1:] == ["--check"]:
        different = [name for name in wanted if name in there and (FOLDER / name).read_bytes() != wanted[name]]
        odd = sorted(different) + sorted(there.symmetric_difference(wanted))
        if odd:
            sys.exit("golden files are not what make.py writes: " + " ".join(odd))
        print(f"{len(wanted)} files are as make.py writes them")
        return
    for name in there.difference(wanted):
        (FOLDER / name).unlink()
    for name, data in wanted.items():
        (FOLDER / name).write_bytes(data)
    print(f"{len(wanted)} files written")


if __name__ == "__main__":
    main()
