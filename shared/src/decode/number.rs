//! Numbers in the spelling of .NET, so that a value reads the same whatever format it came in.

/// The shortest text that stands for a double, as .NET writes it: an exponent from 1E+15 on and below 1E-04.
pub(super) fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-INF" } else { "INF" }.to_owned();
    }
    let scientific = format!("{number:E}");
    let Some((digits, exponent)) = scientific.split_once('E') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..15).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}E{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::double;

    #[test]
    fn doubles_are_spelled_as_dotnet_does() {
        let cases = [
            (51.508_53, "51.50853"),
            (-0.125_74, "-0.12574"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0, "1"),
            (1e10, "10000000000"),
            (1e14, "100000000000000"),
            (1e15, "1E+15"),
            (1e20, "1E+20"),
            (-1e-300, "-1E-300"),
            (0.0001, "0.0001"),
            (0.000_01, "1E-05"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568E+17"),
            (f64::MAX, "1.7976931348623157E+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "INF"),
            (f64::NEG_INFINITY, "-INF"),
        ];
        for (number, expected) in cases {
            assert_eq!(double(number), expected);
        }
    }
}
