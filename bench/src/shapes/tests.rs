use tickline_feeds::decoder::FrameClass;

use super::*;

#[test]
fn every_message_of_a_shape_makes_points_and_every_ledger_balances() {
    for shape in Shape::all() {
        let mut decoder = shape.decoder();
        let mut lines = Vec::new();
        let messages = shape.run(7, 900).take(2_000);
        for (at, message) in messages.iter().enumerate() {
            let decoded = decoder.decode(&shape.frame(message, at as u64), &mut lines);
            assert_eq!(decoded.class, FrameClass::Points, "{} message {at}", shape.name);
        }
        let counts = decoder.counts();
        assert!(counts.balanced(), "{}: {counts:?}", shape.name);
        assert_eq!(
            (counts.bad_points, counts.bad_field, counts.timestamp_collisions, counts.venue_time_off),
            (0, 0, 0, 0),
            "{}",
            shape.name
        );
        assert_eq!((counts.unknown_instrument, counts.out_of_order), (0, 0), "{}", shape.name);
        assert_eq!(counts.points_made, lines.iter().filter(|b| **b == b'\n').count() as u64);
        assert_eq!(counts.sequenced, if shape.reserved { 2_000 } else { 0 }, "{}", shape.name);
        let bytes = messages.iter().map(Vec::len).sum::<usize>() / messages.len();
        println!("{}: {bytes} B a message, {} B of lines", shape.name, lines.len() / messages.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for shape in Shape::all().iter().filter(|shape| shape.source() == "generated") {
        let [first, again, other] = [7, 7, 8].map(|seed| shape.run(seed, 100).take(100));
        assert_eq!(first, again, "{}", shape.name);
        assert_ne!(first, other, "{}", shape.name);
    }
}

#[test]
fn performance_shapes_have_about_the_sizes_that_were_measured() {
    for (name, bytes) in [("perf_kraken", 241), ("perf_oanda", 131), ("perf_betfair", 380)] {
        let messages = Shape::named(name).unwrap().run(7, 500).take(500).split_off(100);
        let mean = messages.iter().map(Vec::len).sum::<usize>() / messages.len();
        assert!(mean.abs_diff(bytes) <= bytes / 20, "{name}: {mean} B");
    }
}
