"""Payloads as text, as the predecessor sent them."""

AT = "2026-08-02T03:36:02.621302Z"

KRAKEN = "XXBTZUSD 63401.3 1 0.5 63388.7 2 2.5 63395.0 0.1 900.5 1834.1 63100.1 63150.9 9000 18000".split()
KRAKEN += "62500.0 62000.1 63999.9 64000.0 62900.0".split()
LEG = "63401.3 1.5 63388.7 2.25".split()
SPREADS = ["0.00062", "-0.00097", "0.00044"]
SYNTHETIC = ["ETHUSD", "1.08511", "1.0859", "XBTUSD", "1.08493", "1.08555"] + SPREADS
DEPTH = ["ETHUSD", "1.08511", "1.0859"] + LEG + ["XBTUSD", "1.08493", "1.08555"] + LEG + SPREADS


def fields(items, **more):
    return dict({"text": "\x01".join(items), "framing": "one"}, **more)


UNFIT = [
    fields(["1"] * 2, means="undecodable:unknown_shape"),
    fields(["1"] * 21, means="undecodable:unknown_shape"),
    {"raw": b"", "means": "undecodable:unknown_shape"},
    {"raw": b"\xff\x01\xfe", "means": "undecodable:malformed"},
    {"raw": b"\x81\xa1a\xa1b", "means": "undecodable:malformed"},
]
WRONG = fields(["XXBTZUSD", "", "None", "-", " 1", "1e5"] + KRAKEN[6:13] + ["-", "x"] + KRAKEN[15:])

X01 = [
    {
        "name": "text_x01_kraken_tick",
        "decoder": "kraken_tick",
        "format": "x01",
        "legacy_tick": True,
        "messages": [fields(KRAKEN), fields(["NEWCOIN"] + KRAKEN[1:]), WRONG, fields([""] + KRAKEN[1:])] + UNFIT,
    },
    {
        "name": "text_x01_oanda_tick",
        "decoder": "oanda_tick",
        "format": "x01",
        "messages": [
            fields(["EUR_USD", AT, "1.08512", "1.08525"]),
            fields([AT, "1.08512", "1.08525"], topic="EUR_USD"),
            fields(["USD_JPY", "1785641762.621302145", "147.012", "147.02"], framing="two"),
        ]
        + UNFIT[:2],
    },
    {
        "name": "text_x01_kraken_eurusd_tick",
        "decoder": "kraken_eurusd_tick",
        "format": "x01",
        "messages": [fields(SYNTHETIC, topic="kr_eurusd_tick"), fields(SYNTHETIC[:3] + [""] + SYNTHETIC[4:])] + UNFIT[:2],
    },
    {
        "name": "text_x01_kraken_eurusd_depth",
        "decoder": "kraken_eurusd_depth",
        "format": "x01",
        "messages": [fields(DEPTH, topic="kr_eurusd_depth")] + UNFIT[:2],
    },
]

BOOK = '{"error":[],"result":{"XXBTZUSD":{"asks":[["52523.00000","1.199",1616663113]],"bids":[["52522.90000", "0.7"'
BOOK += ", 1616663112]]}}}"
TICKER = '{"error":[],"result":{"XXBTZUSD":{"a":["3.10","1","1.5"],"b":["3.05","9","2.5"],"c":["3.07","0.1"],"v":["5"'
TICKER += ',"6.25"],"p":["7","8"],"t":[9,10],"l":["11","12"],"h":["13","14"],"o":"15"}}}'
QUOTED = '"' + TICKER.replace('"', '\\"') + '"'
SEQUENCED = '{"_v":1,"_src":77,"_seq":1,"_ts":1785641762640000000,"_recv":1785641762630000000,"_tie":2,'

JSON = [
    {
        "name": "text_json_kraken_depth",
        "decoder": "kraken_depth",
        "format": "json",
        "messages": [
            {"text": BOOK, "framing": "one", "topic": "kr_depth"},
            {"text": BOOK, "framing": "two", "topic": "kr_order_book"},
            {"text": '{"error":["EQuery:Unknown asset pair"]}'},
            {"text": BOOK[:-1], "means": "undecodable:malformed"},
            {"text": "[" * 17 + "]" * 17, "means": "undecodable:malformed"},
            {"text": "7"},
            {"raw": b'{"symbol":"\xff"}', "means": "undecodable:malformed"},
        ],
    },
    {
        "name": "text_json_kraken_tick_inside_a_string",
        "decoder": "kraken_tick",
        "format": "json",
        "messages": [
            {"text": TICKER},
            {"text": QUOTED},
            {"text": '"' + QUOTED.replace("\\", "\\\\").replace('"', '\\"') + '"', "means": "undecodable:not_a_map"},
            {"text": '"kraken"', "means": "undecodable:malformed"},
            {"text": SEQUENCED + '"symbol":"BTC/USD","bid":1.50,"ask":1.5e1,"timestamp":"' + AT + '"}'},
            {"text": '{"_hb":true,"_src":77,"_seq":1,"_ts":1785641762640000000}'},
        ],
    },
    {
        "name": "text_json_betfair_orders",
        "decoder": "betfair_orders",
        "format": "json",
        "messages": [
            {
                "text": '{"op":"ocm","id":3,"clk":"A","pt":1785641762621,"oc":[{"id":"1.2","closed":false,"orc":[{"id":11,'
                '"hc":0,"uo":[{"id":"789","p":1.02,"s":2,"side":"L","status":"E","pt":"L","sm":0,"sr":2.00}]}]}]}'
            },
        ],
    },
]

TEXTS = X01 + JSON
