//! Files that the HdrHistogram tools read: an interval log, and percentile distributions.

use std::fmt::{self, Write};
use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use tickline_feeds::clock::WallNanos;

use crate::interval;
use crate::measure::Second;

/// Lines a halving of the rest in a percentile file, as the tools print them.
const TICKS: u32 = 5;

/// A histogram a second and stage, tagged with the stage; values in ns, the largest of each line in ms. Begins
/// at `start`.
pub fn interval_log(seconds: &[Second], start: WallNanos) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let failed = |error: &dyn std::fmt::Debug| io::Error::other(format!("{error:?}"));
    {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_nanos(start.0.max(0).unsigned_abs());
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("tickline-loadgen: from the due time to the end of the stage named by the tag, ns")
            .with_start_time(begin)
            .with_base_time(begin)
            .with_max_value_divisor(1e6)
            .begin_log_with(&mut out, &mut serializer)?;
        for second in seconds {
            let span = Duration::from_secs_f64(second.span_s);
            let at = Duration::from_secs_f64((second.at_s - second.span_s).max(0.0));
            for (name, latency) in second.stages() {
                let Some(histogram) = interval::histogram(latency) else { continue };
                // A tag may not hold what separates columns.
                let name = name.replace([',', ' ', '\r', '\n'], "_");
                log.write_histogram(&histogram, at, span, Tag::new(&name)).map_err(|error| failed(&error))?;
            }
        }
    }
    Ok(out)
}

/// The percentile distribution that `plotFiles` and its kin read; values in µs.
pub fn percentiles(histogram: &Histogram<u64>) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    write_percentiles(histogram, &mut out).ok();
    out
}

fn write_percentiles(histogram: &Histogram<u64>, out: &mut String) -> fmt::Result {
    const UNIT: f64 = 1_000.0;
    out.push_str("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut upto = 0;
    for step in histogram.iter_quantiles(TICKS) {
        upto += step.count_since_last_iteration();
        let value = histogram.highest_equivalent(step.value_iterated_to()) as f64 / UNIT;
        let quantile = step.quantile_iterated_to();
        write!(out, "{value:12.3} {quantile:2.12} {upto:10}")?;
        // Behind the last line there is nothing: it has no rest.
        if quantile < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        out.push('\n');
    }
    let (mean, deviation) = (histogram.mean() / UNIT, histogram.stdev() / UNIT);
    let (max, total) = (histogram.max() as f64 / UNIT, histogram.len());
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    writeln!(out, "#[Max     = {max:12.3}, TotalCount     = {total:12}]")?;
    // Three digits: 2,048 values a bucket.
    writeln!(out, "#[Buckets = {:12}, SubBuckets     = {:12}]", histogram.buckets(), 2_048)
}
