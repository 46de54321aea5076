//! Statistics and bars behind a venue: one process publishes Kraken's quotes and makes both of what goes over the bus.

use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace};

use crate::bus::Bus;

#[test]
fn statistics_and_bars_are_made_of_what_the_same_process_publishes() {
    let symbols = ["BTC/USD", "ETH/USD"];
    let feed = Feed { pace: Pace::Rate(200.0), ..Feed::default() };
    let venue =
        start(KrakenVenue { feed, symbols: symbols.map(str::to_owned).to_vec(), ..KrakenVenue::default() })
            .unwrap();
    let (url, rest) = (&venue.stream, &venue.rest);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("ipc://{}", folder.path().join(name).display());
    let (quotes, statistics) = (at("quotes"), at("statistics"));
    let toml = format!(
        "[publishers.kraken_tick]\nurl = {url:?}\nrest_url = {rest:?}\nsymbols = {symbols:?}\nendpoint = {quotes:?}\n\
         [publishers.statistics]\nendpoint = {statistics:?}\nfrom = {quotes:?}\nevery = \"1s\"\nprice = \"bid\"\n\
         [publishers.bars]\nfrom = {quotes:?}\nevery = \"1s\"\nprice = \"bid\"\n"
    );
    let mut bus = Bus::start_as_written(&toml);
    bus.until("statistics and complete bars of both", |heard| {
        let has = |topic: &str, symbol: &str, key: &str| {
            heard.iter().any(|h| {
                let is = h.topic == topic && h.is_data() && h.payload["symbol"] == *symbol;
                is && h.payload[key] != serde_json::json!(false)
            })
        };
        symbols.iter().all(|symbol| has("statistics", symbol, "mean") && has("bars", symbol, "complete"))
    });
    let number =
        |payload: &serde_json::Value, key: &str| payload[key].as_str().unwrap().parse::<f64>().unwrap();
    for bar in bus.data("bars") {
        let [open, high, low, close] = ["open", "high", "low", "close"].map(|key| number(bar, key));
        assert!(low <= open.min(close) && high >= open.max(close), "{bar}");
        assert!(low > 0.0 && bar["ticks"].as_u64() > Some(0), "{bar}");
    }
    for told in bus.data("statistics") {
        let [min, mean, max] = ["min", "mean", "max"].map(|key| number(told, key));
        assert!(min <= mean && mean <= max && told["window_s"] == 60, "{told}");
    }
}
