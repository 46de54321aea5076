//! Values of the command line; each says what it must be.

use std::time::Duration;

use jiff::SignedDuration;
use tickline_loadgen::plan::Rate;
use tickline_loadgen::replay::{Speed, TimeMode};

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("must be a duration such as 10s or 500ms, found {text:?}");
    let parsed = text.parse::<SignedDuration>().map_err(|_| wrong())?;
    Duration::try_from(parsed).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

pub(super) fn feed_endpoint(text: &str) -> Result<(Option<String>, String), String> {
    let (feed, endpoint) =
        text.split_once('=').map_or((None, text), |(feed, at)| (Some(feed.to_owned()), at));
    if !endpoint.contains("://") || feed.as_deref() == Some("") {
        return Err(format!("must be FEED=ENDPOINT or ENDPOINT, found {text:?}"));
    }
    Ok((feed, endpoint.to_owned()))
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let percent = percent.filter(|percent| *percent > 0.0 && *percent < 100.0);
    percent
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("must be a share such as 5%, found {text:?}"))
}

pub(super) fn threshold(text: &str) -> Result<(Option<String>, f64), String> {
    match text.split_once('=') {
        Some((metric, share)) => Ok((Some(metric.to_owned()), percent(share)?)),
        None => Ok((None, percent(text)?)),
    }
}

pub(super) fn per_second(text: &str) -> Result<f64, String> {
    match text.parse::<Rate>() {
        Ok(Rate::PerSecond(rate)) => Ok(rate),
        _ => Err(format!("must be messages a second such as 5000/s, found {text:?}")),
    }
}

pub(super) fn zipf(text: &str) -> Result<f64, String> {
    let zipf = text.parse::<f64>().ok().filter(|zipf| (0.0..=10.0).contains(zipf));
    zipf.ok_or_else(|| format!("must be 0.0..=10.0, found {text:?}"))
}

pub(super) fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times = text.strip_suffix('x').and_then(|times| times.parse::<f64>().ok());
    let times = times.filter(|times| times.is_finite() && *times > 0.0);
    times.map(Speed::Times).ok_or_else(|| format!("must be max or a factor such as 1x, found {text:?}"))
}

pub(super) fn time_mode(text: &str) -> Result<TimeMode, String> {
    match text {
        "original" => Ok(TimeMode::Original),
        "now" => Ok(TimeMode::Now),
        _ => {
            let by = text.strip_prefix("shift=").map(|by| by.strip_prefix('+').unwrap_or(by));
            let by = by.and_then(|by| by.parse::<SignedDuration>().ok());
            let ns = by.and_then(|by| i64::try_from(by.as_nanos()).ok());
            ns.map(TimeMode::Shift).ok_or_else(|| {
                format!("must be original, now or a shift such as shift=-720h, found {text:?}")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units_and_signs() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(time_mode("shift=+10s"), Ok(TimeMode::Shift(10_000_000_000)));
        assert_eq!(time_mode("shift=-1ms"), Ok(TimeMode::Shift(-1_000_000)));
        assert_eq!(speed("10x"), Ok(Speed::Times(10.0)));
        for bad in ["10", "-1s", "0s", ""] {
            assert_eq!(duration(bad), Err(format!("must be a duration such as 10s or 500ms, found {bad:?}")));
        }
        assert!(speed("0x").is_err() && speed("10").is_err() && time_mode("shift=5").is_err());
    }
}
