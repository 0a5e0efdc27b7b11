//! Figures as people read them.

/// A whole number in groups of three.
#[must_use]
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that leaves up to three digits before the point.
#[must_use]
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Something a second.
#[must_use]
pub(crate) fn rate(rate: f64) -> String {
    format!("{rate:.1}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), expected);
        }
    }

    #[test]
    fn bytes_have_their_unit() {
        for (number, expected) in
            [(0, "0 B"), (999, "999 B"), (1_500, "1.5 KB"), (999_999, "999.9 KB"), (5_242_880, "5.2 MB")]
        {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }
}
