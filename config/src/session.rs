//! When a feed is expected to carry data: always, or in spans of the week on a clock somewhere, daylight saving
//! included. Outside of them silence is no alarm.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY_MINUTES: u32 = 24 * 60;
const WEEK_MINUTES: u32 = 7 * DAY_MINUTES;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The currency market's week.
const FX: &str = "Sun 17:00-Fri 17:00 America/New_York";

/// How a span is written.
pub(crate) const RULE: &str = "must be \"always\", \"fx\" or a list such as [\"Mon-Fri 08:00-16:30 Europe/London\"] \
                               or [\"Sun 17:00-Fri 17:00 America/New_York\"]";

/// `session` of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// Data may come at any time.
    Always,
    /// Data comes in these spans only.
    Spans(Vec<Span>),
}

/// Spans of the week on one clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    zone: TimeZone,
    /// Begin and length in minutes of the week, from Monday 00:00; one that reaches over its end begins again.
    open: Vec<(u32, u32)>,
}

impl Session {
    /// The session of the text `always` or `fx`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "always" => Some(Session::Always),
            "fx" => Span::parse(FX).map(|span| Session::Spans(vec![span])),
            _ => None,
        }
    }

    /// The session of a list of spans.
    pub(crate) fn of_spans(texts: &[String]) -> Option<Self> {
        let spans: Option<Vec<Span>> = texts.iter().map(|text| Span::parse(text)).collect();
        spans.filter(|spans| !spans.is_empty()).map(Session::Spans)
    }

    /// Whether data is expected at `wall_ns` since 1970.
    pub fn is_open(&self, wall_ns: i64) -> bool {
        match self {
            Session::Always => true,
            Session::Spans(spans) => spans.iter().any(|span| span.is_open(wall_ns)),
        }
    }
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (open, zone) = match words.as_slice() {
            [days, hours, zone] => {
                let (first, last) = days.split_once('-').unwrap_or((days, days));
                let (first, last) = (day(first)?, day(last)?);
                let (from, to) = hours.split_once('-')?;
                let (from, to) = (minute(from)?, minute(to)?);
                let days = (0..=(last + 7 - first) % 7).map(|ahead| (first + ahead) % 7);
                let daily = days.map(|day| (day * DAY_MINUTES + from, to.wrapping_sub(from)));
                (daily.filter(|_| from < to).collect::<Vec<_>>(), zone)
            }
            [first, middle, end, zone] => {
                let (from, last) = middle.split_once('-')?;
                let from = day(first)? * DAY_MINUTES + minute(from)?;
                let to = day(last)? * DAY_MINUTES + minute(end)?;
                (vec![(from % WEEK_MINUTES, (to + WEEK_MINUTES - from) % WEEK_MINUTES)], zone)
            }
            _ => return None,
        };
        let zone = TimeZone::get(zone).ok()?;
        let fits = !open.is_empty() && open.iter().all(|(_, length)| *length > 0);
        fits.then_some(Self { zone, open })
    }

    fn is_open(&self, wall_ns: i64) -> bool {
        let Ok(now) = Timestamp::from_nanosecond(i128::from(wall_ns)) else { return true };
        let now = self.zone.to_datetime(now);
        let day = u32::try_from(now.weekday().to_monday_zero_offset()).unwrap_or(0);
        let (hour, minute) = (u32::from(now.hour().unsigned_abs()), u32::from(now.minute().unsigned_abs()));
        let now = day * DAY_MINUTES + hour * 60 + minute;
        self.open.iter().any(|(from, length)| (now + WEEK_MINUTES - from) % WEEK_MINUTES < *length)
    }
}

fn day(name: &str) -> Option<u32> {
    DAYS.iter().zip(0..).find(|(day, _)| **day == name).map(|(_, at)| at)
}

/// Minute of the day; 24:00 is its end.
fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
    let at = two(hour)? * 60 + two(minute).filter(|minute| *minute < 60)?;
    (at <= DAY_MINUTES).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(session: &Session, utc: &str) -> bool {
        let ns = utc.parse::<Timestamp>().unwrap().as_nanosecond();
        session.is_open(i64::try_from(ns).unwrap())
    }

    #[test]
    fn the_currency_week_follows_daylight_saving_in_new_york() {
        let fx = Session::named("fx").unwrap();
        for (utc, is_open) in [
            // Winter: New York is UTC-5.
            ("2026-01-16T21:59:59Z", true),
            ("2026-01-16T22:00:00Z", false),
            ("2026-01-18T21:59:59Z", false),
            ("2026-01-18T22:00:00Z", true),
            // Summer: UTC-4.
            ("2026-07-17T20:59:59Z", true),
            ("2026-07-17T21:00:00Z", false),
            ("2026-07-19T20:59:59Z", false),
            ("2026-07-19T21:00:00Z", true),
            // The Sunday on which the clock goes forward, 2026-03-08, and back, 2026-11-01.
            ("2026-03-08T20:59:59Z", false),
            ("2026-03-08T21:00:00Z", true),
            ("2026-11-01T21:59:59Z", false),
            ("2026-11-01T22:00:00Z", true),
            ("2026-07-15T03:00:00Z", true),
            ("2026-07-18T12:00:00Z", false),
        ] {
            assert_eq!(open(&fx, utc), is_open, "{utc}");
        }
    }

    #[test]
    fn daily_hours_hold_on_each_of_their_days_and_a_span_may_reach_over_the_weekend() {
        let list = |text: &str| Session::of_spans(&[text.to_owned()]).unwrap();
        let london = list("Mon-Fri 08:00-16:30 Europe/London");
        for (utc, is_open) in [
            ("2026-01-05T08:00:00Z", true),
            ("2026-01-05T16:30:00Z", false),
            ("2026-01-09T16:29:59Z", true),
            ("2026-01-10T12:00:00Z", false),
            ("2026-07-06T07:00:00Z", true),
        ] {
            assert_eq!(open(&london, utc), is_open, "{utc}");
        }
        let weekend = list("Sat-Mon 00:00-24:00 UTC");
        assert!(open(&weekend, "2026-01-04T23:59:59Z") && open(&weekend, "2026-01-05T23:59:59Z"));
        assert!(!open(&weekend, "2026-01-06T00:00:00Z"));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "Mon",
            "Mon-Fri 08:00-16:30",
            "Mon-Fri 16:30-08:00 UTC",
            "Mon-Fri 08:00-08:00 UTC",
            "Mon-Fri 8:00-16:30 UTC",
            "Mon-Fri 08:00-25:00 UTC",
            "Mon-Fri 08:60-16:30 UTC",
            "Mo-Fr 08:00-16:30 UTC",
            "Mon-Fri 08:00-16:30 Mars/Olympus",
            "Sun 17:00-Sun 17:00 UTC",
        ] {
            assert_eq!(Session::of_spans(&[text.to_owned()]), None, "{text:?}");
        }
        assert_eq!(Session::of_spans(&[]), None);
    }
}
