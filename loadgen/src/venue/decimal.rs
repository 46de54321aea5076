//! Decimals as venues write them: an integer in units of the last digit, with a point.

/// `-5` with 2 digits is `-0.05`.
pub(super) fn decimal(scaled: i64, digits: u8) -> String {
    let sign = if scaled < 0 { "-" } else { "" };
    let whole = format!("{:0>width$}", scaled.unsigned_abs(), width = usize::from(digits) + 1);
    let (whole, fraction) = whole.split_at(whole.len() - usize::from(digits));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_all_its_digits() {
        for (scaled, digits, text) in [
            (633_887, 1, "63388.7"),
            (0, 8, "0.00000000"),
            (-5, 2, "-0.05"),
            (12, 0, "12"),
            (100_000, 5, "1.00000"),
        ] {
            assert_eq!(decimal(scaled, digits), text);
        }
    }
}
