"""A user's own orders at Kraken, OANDA and Betfair."""

AT = "2026-08-02T03:36:02.621302Z"
AT_NS = "2026-08-02T03:36:02.621302145Z"
PT = 1785641762621
RECV = 1_785_641_762_650_000_000
SEQUENCED = {"_v": 1, "_src": 77, "_seq": 1, "_ts": RECV, "_recv": RECV}


def one(tree, **more):
    return dict(more, tree=tree)


def trade(**more):
    t = {"order_id": "OAAAAA-BBBBB-CCCCCC", "cl_ord_id": "my-1", "order_userref": "0", "exec_id": "TAAAAA-BBBBB-CCCCCC"}
    t |= {"exec_type": "trade", "trade_id": 37496584, "symbol": "BTC/USD", "side": "sell", "order_type": "limit"}
    t |= {"order_status": "filled", "order_qty": "0.00016", "cum_qty": "0.00016", "cum_cost": "10.12"}
    t |= {"avg_price": "63377.2", "limit_price": "63377.0", "time_in_force": "gtc", "last_qty": "0.00016000"}
    t |= {"last_price": "63377.2", "liquidity_ind": "t", "cost": "10.12445", "fee_usd_equiv": "0.0405"}
    return t | {"fees": [{"asset": "USD", "qty": "0.04051"}], "timestamp": AT} | more


def executions(*reports, kind="update", **more):
    return one({"channel": "executions", "type": kind, "data": list(reports), "sequence": 3} | more)


KRAKEN_ORDERS = [
    {
        "name": "kraken_orders_message",
        "decoder": "kraken_orders",
        "account": "main",
        "messages": [
            executions(trade(exec_type="new", order_status="new"), trade(), kind="snapshot", **SEQUENCED),
            executions(trade(), trade(side="buy"), trade(), trade(symbol="XBT/USD"), **SEQUENCED | {"_tie": 7}),
            executions({"order_id": "O1", "exec_type": "canceled", "order_status": "canceled", "timestamp": AT}),
            one(trade(timestamp=1785641762.25, trade_id="5")),
            one({"channel": "heartbeat"}),
            one({"method": "subscribe", "result": {"channel": "executions"}, "success": True}),
        ],
    },
    {
        "name": "kraken_orders_odd",
        "decoder": "kraken_orders",
        "fields": "core",
        "messages": [
            executions(trade(symbol=""), trade(symbol=5), trade(symbol="XXBTZUSD"), trade(symbol="NEWCOIN")),
            executions(trade(timestamp=None, fees=[]), trade(fees=[{"qty": 1.5, "more": [1]}, {"qty": "2"}])),
            executions(trade(order_status="a,b =c", side=None, order_type="trailing\\")),
            executions({}, {"fees": [{"qty": "1"}], "fee": "9", "pair": "X", "exchange": "y"}),
            executions(),
            one({"channel": "trade", "data": [trade()]}, means="undecodable:unknown_shape"),
            one({"symbol": "BTC/USD", "timestamp": AT}),
            one({"channel": "executions", "data": [7]}, means="undecodable:unknown_shape"),
        ],
    },
]


def fill(**more):
    t = {"type": "ORDER_FILL", "id": "6356", "accountID": "101-004-1234567-001", "userID": "1234567", "batchID": "6355"}
    t |= {"requestID": "42", "time": AT_NS, "orderID": "6355", "clientOrderID": "my-1", "instrument": "EUR_USD"}
    t |= {"units": "-100", "price": "1.08525", "fullVWAP": "1.08525", "reason": "MARKET_ORDER", "pl": "0.0000"}
    t |= {"financing": "0.0000", "commission": "0.0000", "accountBalance": "43650.78835", "halfSpreadCost": "0.0065"}
    return t | {"tradeOpened": {"tradeID": "6356", "units": "100", "price": "1.08525"}} | more


OANDA_ORDERS = [
    {
        "name": "oanda_orders_of_a_batch",
        "decoder": "oanda_orders",
        "account": "demo-1",
        "messages": [
            one(SEQUENCED | fill(type="MARKET_ORDER", id="6355", orderID=None, reason="CLIENT_ORDER")),
            one(SEQUENCED | {"_tie": 9, "_seq": 2} | fill()),
            one(fill(id="6357")),
            one(fill(id=6358, batchID=6355)),
            one({"type": "HEARTBEAT", "lastTransactionID": "6358", "time": AT_NS}),
        ],
    },
    {
        "name": "oanda_orders_odd",
        "decoder": "oanda_orders",
        "messages": [
            one({"type": "TRANSFER_FUNDS", "id": "1", "batchID": "1", "time": "1785641762.5", "amount": "5"}),
            one(fill(id="6354")),
            one(fill(batchID=None)),
            one(fill(id="x")),
            one(fill(time=None)),
            one(fill(instrument=5, reason="a=b c", units="many")),
            one({"type": "PRICE", "instrument": "EUR_USD", "time": AT_NS, "bids": []}),
            one({"id": "7", "time": AT_NS}),
            one({"type": "DAILY_FINANCING", "id": "x"}),
        ],
    },
]


def order(**more):
    o = {"id": "78996704480", "p": "1.02", "s": "2", "side": "L", "status": "E", "pt": "L", "ot": "L"}
    o |= {"pd": PT - 1, "md": None, "avp": None, "sm": "0", "sr": "2", "sl": "0", "sc": "0", "sv": "0"}
    return o | {"rac": "", "rc": "REG_GGC"} | more


def runner(*orders, number=11131804, **more):
    return {"id": number, "hc": "0"} | more | {"uo": list(orders), "mb": [["12", "4.75"]], "ml": []}


def market(*runners, **more):
    return {"id": "1.200000001"} | more | {"orc": list(runners)}


def ocm(*markets, pt=PT, **more):
    return one({"op": "ocm", "id": 3, "clk": "AOkV", "pt": pt} | more | {"oc": list(markets)})


DONE = order(status="EC", sm="2", sr="0", avp="1.02")

BETFAIR_ORDERS = [
    {
        "name": "betfair_orders_of_several_runners",
        "decoder": "betfair_orders",
        "account": "main",
        "messages": [
            ocm(market(runner(order(), order(id="2", side="B"), order(id="3"))), ct="SUB_IMAGE"),
            ocm(market(runner(DONE), runner(order(), number=12)), market(runner(order()), id="1.3"), pt=PT + 1),
            ocm(market(runner(order(), fullImage=True), runner(DONE, fullImage=False)), pt=PT + 2, status=503),
            ocm(market(runner(DONE), fullImage=True, closed=True), pt=PT + 3),
            ocm(market(runner(DONE)), pt=PT + 3),
            ocm(market(fullImage=True), pt=PT + 4),
            ocm(pt=PT + 5, ct="HEARTBEAT"),
            one({"op": "ocm", "id": 3, "status": 503}),
            one({"op": "status", "id": 3, "statusCode": "SUCCESS"}),
        ],
    },
    {
        "name": "betfair_orders_odd",
        "decoder": "betfair_orders",
        "messages": [
            ocm(market(runner(order()), id=""), market(runner(order()), id=5)),
            ocm(market(runner(order(), number="x"), runner(order(), number="12"), runner(order(), number=None))),
            ocm(market(runner({}, order(id=7, p="x"), order(side="?", status="a b")))),
            one(dict(reversed(SEQUENCED.items())) | {"oc": [{"orc": [{"uo": [order()], "id": 1}], "id": "1.2"}], "pt": PT}),
            one({"oc": [{"orc": [{"uo": [order()], "id": 1, "fullImage": True}], "id": "1.2", "fullImage": False}]}),
            one({"op": "mcm", "pt": PT, "mc": []}),
            one({"op": "ocm", "pt": PT, "oc": [market(7)]}, means="undecodable:unknown_shape"),
            one({"op": "ocm", "pt": PT, "oc": [market(runner(7))]}, means="undecodable:unknown_shape"),
            one({"op": "ocm", "pt": PT, "oc": [[]]}, means="undecodable:unknown_shape"),
        ],
    },
]

ORDERS = KRAKEN_ORDERS + OANDA_ORDERS + BETFAIR_ORDERS
