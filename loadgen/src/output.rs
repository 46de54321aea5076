//! A measurement as people and programs read it: text, CSV a second, HDR interval log and percentile files, one page
//! with pictures. Pure functions of what was measured; the JSON report is the measurement itself.

mod chart;
mod hdr;
mod page;
mod said;
mod text;

use std::fmt::{self, Write};

pub use hdr::{interval_log, percentiles};
pub use page::page;
pub use text::text;

use crate::measure::Second;

/// The stages whose columns a CSV has, in its order; a sink's name follows `ack.`.
fn stage_names(seconds: &[Second]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in seconds.iter().flat_map(Second::stages) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// A line a second: rates in messages or points a second, latencies from the due time in ns, empty where nothing
/// was measured.
pub fn csv(seconds: &[Second]) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    write_csv(seconds, &mut out).ok();
    out
}

fn write_csv(seconds: &[Second], out: &mut String) -> fmt::Result {
    let names = stage_names(seconds);
    out.push_str("at_s,sent_per_s,received_per_s,written_per_s,in_flight,spooled");
    for name in &names {
        for figure in ["count", "p50_ns", "p99_ns", "p999_ns", "max_ns"] {
            write!(out, ",{name}.{figure}")?;
        }
    }
    out.push('\n');
    for second in seconds {
        let rate = |count: u64| if second.span_s > 0.0 { count as f64 / second.span_s } else { 0.0 };
        write!(out, "{:.3},{:.1}", second.at_s, rate(second.sent))?;
        match &second.target {
            Some(target) => {
                let (received, written) = (rate(target.received), rate(target.written));
                write!(out, ",{received:.1},{written:.1},{},{}", target.in_flight, target.spooled)?;
            }
            None => out.push_str(",,,,"),
        }
        for name in &names {
            match second.stages().find(|(known, latency)| known == name && latency.count > 0) {
                Some((_, l)) => write!(out, ",{},{},{},{},{}", l.count, l.p50, l.p99, l.p999, l.max)?,
                None => out.push_str(",0,,,,"),
            }
        }
        out.push('\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests;
