//! Line protocol read back, for sinks that need columns.

use influxdb_line_protocol::{ParsedLine, parse_lines};

/// Reads one line, which must be one point.
pub(crate) fn read_line(line: &[u8]) -> Result<ParsedLine<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    let mut lines = parse_lines(text);
    match (lines.next(), lines.next()) {
        (Some(Ok(line)), None) => Ok(line),
        (Some(Err(error)), _) => Err(error.to_string()),
        _ => Err("not one point".to_owned()),
    }
}
