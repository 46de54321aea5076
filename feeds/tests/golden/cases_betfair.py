"""Betfair: market changes in the shapes of the Exchange Stream API."""

PT = 1785700000123


def mcm(*mc, pt=PT, **more):
    return {"tree": {"op": "mcm", "id": 2, "clk": "AAA", "pt": pt} | more | {"mc": list(mc)}}


def change(*rc, **more):
    return {"id": "1.200000001"} | more | {"rc": list(rc)}


def runner(number=11, **more):
    return {"id": number} | more


def definition(**more):
    d = {"bspMarket": False, "betDelay": 0, "inPlay": False, "complete": True, "bspReconciled": False}
    d |= {"numberOfWinners": 1, "numberOfActiveRunners": 2, "marketTime": "2026-08-02T18:00:00.000Z"}
    d |= {"suspendTime": "2026-08-02T18:00:00.000Z", "eventId": "30000001", "eventTypeId": "7", "countryCode": "GB"}
    d |= {"venue": "Ascot", "version": 3, "bettingType": "ODDS", "marketType": "WIN", "status": "OPEN"}
    d |= {"priceLadderDefinition": {"type": "CLASSIC"}, "name": 'The "Big" one'}
    runners = [{"id": 11, "sortPriority": 1, "status": "ACTIVE", "adjustmentFactor": "50.5"}]
    runners.append({"id": 12, "sortPriority": 2, "status": "REMOVED", "removalDate": "2026-08-02T17:00:00.000Z"})
    return d | {"runners": runners} | more


IMAGE = mcm(
    change(
        runner(11, ltp="2.70", tv="321.5", atb=[["2.64", "13.2"], ["2.66", "1"]], atl=[["2.72", "8.8"], ["2.7", "3"]]),
        runner(12, atb=[["1.01", "500"]]),
        img=True,
        tv="1234.56",
        marketDefinition=definition(),
    ),
    ct="SUB_IMAGE",
)

BETFAIR = [
    {
        "name": "betfair_image_and_deltas",
        "decoder": "betfair_stream",
        "messages": [
            IMAGE,
            mcm(change(runner(atb=[["2.66", "0"]])), pt=PT + 1),
            mcm(change(runner(atb=[["2.60", "7"]])), pt=PT + 2),
            mcm(change(runner(atl=[["2.7", "0"], ["2.68", "2"]], ltp="2.68"), con=True), pt=PT + 3),
            mcm(change(runner(ltp="2.7"), runner(ltp="2.71"), runner(12, ltp="1.5")), pt=PT + 3),
            mcm(change(runner(atb=[])), pt=PT + 4),
            mcm(change(runner(atl=None, tv="400.00")), pt=PT + 5),
            mcm(change(runner(atb=[["2.5", "1"]])), pt=PT + 6, status=503),
            mcm(change(runner(atb=[["2.5", "1"]])), pt=PT + 7),
            mcm(pt=PT + 8, ct="HEARTBEAT"),
            {"tree": {"op": "mcm", "id": 2, "status": 503}},
        ],
    },
    {
        "name": "betfair_definition_and_close",
        "decoder": "betfair_stream",
        "messages": [
            IMAGE,
            mcm(change(marketDefinition=definition()), pt=PT + 1),
            mcm(change(marketDefinition=definition(version=4)), pt=PT + 2),
            mcm(change(runner(ltp="3"), marketDefinition=definition(status="SUSPENDED", version=5)), pt=PT + 3),
            mcm(change(marketDefinition=definition(inPlay=True, betDelay=5, version=6)), pt=PT + 4),
            mcm(change(marketDefinition=definition(inPlay=True, eventId="30000002", version=7)), pt=PT + 5),
            mcm(
                change(
                    marketDefinition=definition(
                        status="CLOSED",
                        priceLadderDefinition=None,
                        runners=[{"id": 11, "status": "WINNER", "bsp": "2.74"}, {"id": 12, "status": "LOSER", "bsp": "NaN"}],
                    )
                ),
                pt=PT + 6,
            ),
            mcm(change(runner(atb=[["2", "1"]])), pt=PT + 7),
        ],
    },
    {
        "name": "betfair_no_prices_before_an_image",
        "decoder": "betfair_stream",
        "messages": [
            mcm(change(runner(atb=[["2.5", "1"]]))),
            mcm(change(runner(atb=[["2.5", "1"]], ltp="2.5", tv="7")), pt=PT + 1),
            mcm(change(runner(spn="NaN", spf="Infinity")), pt=PT + 2),
            mcm(change(runner(spn="2.71", spf="2.9")), pt=PT + 3),
            mcm(change(runner(atb=[["2.4", "1"]]), runner(12, atl=[["3", "4"]]), img=True), pt=PT + 4, ct="RESUB_DELTA"),
        ],
    },
    {
        "name": "betfair_segmented_image",
        "decoder": "betfair_stream",
        "fields": "core",
        "messages": [
            mcm(change(runner(atb=[["2", "1"]]), img=True), ct="SUB_IMAGE", segmentType="SEG_START"),
            mcm(change(runner(12, atl=[["3", "1"]]), img=True), ct="SUB_IMAGE", segmentType="SEG"),
            mcm(change(runner(11, atl=[["2.1", "9"]])), ct="SUB_IMAGE", segmentType="SEG_END"),
            mcm(change(runner(12, atb=[["2.9", "5"]])), pt=PT + 1),
            mcm(change(runner(12, atb=[["2.8", "6"]])), ct="SUB_IMAGE", pt=PT + 2),
        ],
    },
    {
        "name": "betfair_repeated_image_seeds_without_points",
        "decoder": "betfair_stream",
        "messages": [
            mcm(change(runner(atb=[["2", "1"]]), img=True, marketDefinition=definition()), ct="SUB_IMAGE", _image=True),
            mcm(change(runner(atl=[["2.2", "3"]])), pt=PT + 1),
            mcm(change(runner(atb=[["9", "9"]]), img=True), ct="SUB_IMAGE", _image=True, pt=PT + 2),
            mcm(change(runner(ltp="2.1"), marketDefinition=definition()), pt=PT + 3),
        ],
    },
    {
        "name": "betfair_file_without_image",
        "decoder": "betfair_stream",
        "messages": [
            mcm(change(marketDefinition=definition()), _first=True),
            mcm(change(runner(atb=[["2", "1"]])), pt=PT + 1),
        ],
    },
    {
        "name": "betfair_level_ladders",
        "decoder": "betfair_stream",
        "fields": "core",
        "messages": [
            mcm(change(runner(batb=[[1, "2", "5"], [0, "2.02", "3"]], batl=[[0, "2.1", "1"]]), img=True)),
            mcm(change(runner(bdatb=[[6, "1.5", "1"], [0, "2.04", "9"], [3, "1.6", "1"]])), pt=PT + 1),
            mcm(change(runner(batb=[[0, "2.06", "3"]])), pt=PT + 2),
            mcm(change(runner(bdatb=[[0, 0, 0]])), pt=PT + 3),
            mcm(change(runner(12, atb=[["3", "1"]])), pt=PT + 4),
            mcm(change(runner(ltp="2")), pt=PT + 5),
            mcm(change(runner(atb=[["9", "1"]]), id="1.3", img=True, marketDefinition=definition(bettingType="LINE"))),
        ],
    },
    {
        "name": "betfair_handicaps_numbers_and_odd_input",
        "decoder": "betfair_stream",
        "messages": [
            mcm(change(runner(hc="-1.5", ltp="2"), runner(hc=0, ltp="3"), runner(hc=1.25, ltp=4.5), img=True)),
            mcm(change(runner(ltp="-"), runner(ltp="5."), runner(tv=".5"), runner(spn=float("nan"))), pt=PT + 1),
            mcm(change(runner("11", ltp="6")), pt=PT + 2),
            {"tree": {"op": "ocm", "id": 3, "oc": []}},
            {"tree": {"op": "connection", "connectionId": "002"}},
            {"tree": {"op": "status", "id": 1, "statusCode": "SUCCESS"}},
        ],
    },
]
