//! Claim: writing a line whose fields are decimal text, already checked, is copying: it stays near the floor,
//! which copies the finished line. `text` are the 19 fields of a Kraken ticker as borrowed text, `float` the same
//! fields as float64, which cost a shortest representation each. One iteration is one line.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickline_bench::shapes::START_NS;
use tickline_config::model::{FieldChoice, SystemFields, Tiebreak};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::emit::{Emit, Settings, VenueTime};
use tickline_feeds::field::{FieldPlan, Slot};
use tickline_feeds::schema;
use tickline_feeds::scratch::Scratch;
use tickline_feeds::series::SeriesTable;

const UNIT_NS: i64 = 1_000;

fn slots(floats: bool) -> [Slot<'static>; 19] {
    let texts: [&'static str; 19] = [
        "63394.90000",
        "1.23400000",
        "63395.10000",
        "0.56780000",
        "63395.00000",
        "123456.12345678",
        "63150.91234",
        "0.00120000",
        "101234.87654321",
        "63101.12345",
        "",
        "",
        "62900.00000",
        "62950.10000",
        "64000.00000",
        "63990.20000",
        "63010.00000",
        "385.00000",
        "0.61",
    ];
    texts.map(|text| match text {
        "" => Slot::Int(31_234),
        _ if floats => Slot::Float(text.parse().expect("a decimal")),
        _ => Slot::Decimal(text.as_bytes()),
    })
}

fn line(criterion: &mut Criterion) {
    let plan = FieldPlan::new(&schema::KRAKEN_TICK, &FieldChoice::All);
    let settings = Settings {
        system: SystemFields { recv_ns: true, flags: true, seq: false },
        tiebreak: Tiebreak::Ordinal,
        fields_listed: false,
    };
    let tags: [(&str, &[u8]); 4] =
        [("base", b"BTC"), ("exchange", b"kraken"), ("pair", b"BTC/USD"), ("quote", b"USD")];
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::with_capacity(1 << 12);
    for (name, floats) in [("text", false), ("float", true)] {
        let slots = slots(floats);
        let mut table = SeriesTable::new(10);
        let series = table.intern(schema::KRAKEN_TICK.name, &tags);
        let (mut time, mut map) = (START_NS, 0);
        let mut scratch = Scratch::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                time += UNIT_NS;
                let mut emit = Emit::new(&mut scratch, &mut table, settings, WallNanos(time), map);
                emit.begin_map();
                emit.point(series, &plan, black_box(&slots), VenueTime::new(Some(time), UNIT_NS), 0);
                map = emit.map();
                black_box(scratch.lines());
            });
        });
        let finished = scratch.lines().to_vec();
        group.bench_function(format!("floor_copy_of_{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                out.extend_from_slice(black_box(&finished));
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, line);
criterion_main!(benches);
