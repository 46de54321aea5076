"""Single values: numbers, times and texts as the wire description reads them."""

import datetime
import math
import re

SECOND = 1_000_000_000


class Undecodable(Exception):
    """Nothing of the frame is written."""


DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
UNITS = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}


def text_of(value):
    """bin that holds UTF-8 counts as str, at any depth."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, list):
        return [text_of(item) for item in value]
    if isinstance(value, dict):
        return {text_of(key): text_of(item) for key, item in value.items()}
    return value


def decimal(value):
    """The text of a float field, or None."""
    if isinstance(value, str):
        good = DECIMAL.fullmatch(value) and len(value) <= 40 and math.isfinite(float(value))
        return value if good else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    return None


def integer(value):
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
        return str(int(value))
    return None


def boolean(value):
    return str(value).lower() if isinstance(value, bool) else None


def string(value):
    if not isinstance(value, str):
        return None
    return "".join(" " if ord(c) < 0x20 or ord(c) == 0x7F else c for c in value)


READERS = {"float": decimal, "int": integer, "bool": boolean, "str": string}


def nanos(value, unit):
    """A venue time in ns, or None where there is none."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z", value)
        if found:
            at = datetime.datetime.fromisoformat(found[1] + "+00:00")
            whole = int((at - datetime.datetime.fromisoformat("1970-01-01T00:00:00+00:00")).total_seconds())
            return whole * SECOND + int((found[2] or "").ljust(9, "0")[:9])
        if decimal(value) is None:
            return None
        whole, _, fraction = value.partition(".")
        value = int(whole + fraction) * unit // 10 ** len(fraction)
    elif isinstance(value, float):
        value = int(value * unit)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = value * unit
    else:
        return None
    return value if -(2**63) <= value < 2**63 else None


def writable(value):
    hostile = any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value)
    return not (hostile or len(value.encode()) > 256 or re.search(r"\\(?:$|[\\,= ])", value))


def crossed(bid, ask):
    prices = [float(price) for price in (bid, ask) if price is not None]
    return any(price <= 0 for price in prices) or (len(prices) == 2 and prices[0] >= prices[1])


def exact_difference(left, right):
    """`left - right` with as many places as the longer of the two, on integers."""
    places = max(len(text.partition(".")[2]) for text in (left, right))

    def units(text):
        whole, _, fraction = text.partition(".")
        return int(whole + fraction.ljust(places, "0"))

    digits = units(left) - units(right)
    sign, digits = ("-" if digits < 0 else ""), str(abs(digits)).rjust(places + 1, "0")
    return sign + (digits[:-places] + "." + digits[-places:] if places else digits)
