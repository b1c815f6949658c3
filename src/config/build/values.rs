//! Words to values. A [`Fault`] says what is wrong with a word, not how grave that is.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::text::Word;

/// Why a word is not the value it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: String,
}

impl Fault {
    /// `word` should have been `expected`.
    pub(super) fn new(word: &str, expected: impl Into<String>) -> Self {
        let hint = match word {
            "=" => "a value follows its keyword without `=`".to_owned(),
            _ if word.starts_with('$') => "the variable is not defined".to_owned(),
            _ if word.ends_with(';') => "lines end without `;`".to_owned(),
            _ => format!("expected {}", expected.into()),
        };
        Self { message: format!("`{word}` is not valid"), hint }
    }

    fn out_of_range(word: &str, range: String) -> Self {
        Self { message: format!("{word} is out of range"), hint: format!("expected {range}") }
    }
}

/// A whole number from `from` to `to`.
pub(super) fn number(word: &Word, from: u64, to: u64) -> Result<u64, Fault> {
    let text = word.text.trim();
    let range = || format!("{from} to {to}");
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new(text, format!("a number, {}", range())));
    }
    // What does not parse now is negative or too large for any range.
    let value = text.parse().ok().filter(|value| (from..=to).contains(value));
    value.ok_or_else(|| Fault::out_of_range(text, range()))
}

/// A time in seconds, with up to six decimals, from `from` to `to`.
pub(super) fn seconds(word: &Word, from: Duration, to: Duration) -> Result<Duration, Fault> {
    let range = format!("{} to {} seconds", from.as_secs_f64(), to.as_secs());
    time(word, 6, from, to, range)
}

/// A time in milliseconds, with up to three decimals, from `from` to `to`.
pub(super) fn millis(word: &Word, from: Duration, to: Duration) -> Result<Duration, Fault> {
    let range = format!("{} to {} milliseconds", from.as_millis(), to.as_millis());
    time(word, 3, from, to, range)
}

/// A decimal number in a unit of ten to the power of `places` microseconds.
fn time(word: &Word, places: usize, from: Duration, to: Duration, range: String) -> Result<Duration, Fault> {
    let text = word.text.trim();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.len() + decimals.len();
    let is_number = digits > 0 && [whole, decimals].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if !is_number {
        let negative = text.starts_with('-') && text.len() > 1;
        return Err(if negative { Fault::out_of_range(text, range) } else { Fault::new(text, range) });
    }
    let part = format!("{decimals:0<places$}").get(..places).and_then(|part| part.parse().ok()).unwrap_or(0);
    let whole = if whole.is_empty() { Some(0) } else { whole.parse().ok() };
    let unit = 10_u64.pow(places as u32);
    let value = whole.map(|whole: u64| Duration::from_micros(whole.saturating_mul(unit).saturating_add(part)));
    value.filter(|value| (from..=to).contains(value)).ok_or_else(|| Fault::out_of_range(text, range))
}

/// A whole number with a sign, from -`most` to `most`.
pub(super) fn signed(word: &Word, most: i64) -> Result<i64, Fault> {
    let text = word.text.strip_prefix('+').unwrap_or(&word.text);
    let range = || format!("a number, -{most} to {most}");
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new(&word.text, range()));
    }
    let value = text.parse().ok().filter(|value| (-most..=most).contains(value));
    value.ok_or_else(|| Fault::out_of_range(&word.text, range()))
}

/// An address of either family.
pub(super) fn address(word: &Word) -> Result<IpAddr, Fault> {
    let address = word.text.parse().map_err(|_| Fault::new(&word.text, "an IPv4 or IPv6 address"))?;
    match address {
        // The data path holds IPv4 addresses in this very form.
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(Fault::new(&word.text, "an IPv4 address as a.b.c.d")),
        other => Ok(other),
    }
}

/// yes or no, in the words that keepalived takes.
pub(super) fn yes_no(word: &Word) -> Result<bool, Fault> {
    match word.text.as_str() {
        "yes" | "on" | "true" => Ok(true),
        "no" | "off" | "false" => Ok(false),
        other => Err(Fault::new(other, "yes or no")),
    }
}

/// One of `choices`.
pub(super) fn choice(word: &Word, choices: &'static [&'static str]) -> Result<&'static str, Fault> {
    let found = choices.iter().find(|choice| **choice == word.text);
    found.copied().ok_or_else(|| Fault::new(&word.text, choices.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::Span;

    fn word(text: &str) -> Word {
        Word { text: text.to_owned(), span: Span { file: 0, line: 1, column: 1, width: 1 } }
    }

    #[test]
    fn numbers_have_a_range_and_no_decoration() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("255", Ok(255)),
            (" 7", Ok(7)),
            ("256", Err("256 is out of range")),
            ("-1", Err("-1 is out of range")),
            ("99999999999999999999", Err("99999999999999999999 is out of range")),
            ("1.5", Err("`1.5` is not valid")),
            ("1;", Err("`1;` is not valid")),
            ("", Err("`` is not valid")),
            ("-", Err("`-` is not valid")),
            ("+1", Err("`+1` is not valid")),
        ] {
            let got = number(&word(text), 0, 255);
            assert_eq!(
                got.as_ref().map_err(|fault| fault.message.as_str()),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        let parse = |text| seconds(&word(text), Duration::from_micros(1), Duration::from_secs(100)).ok();
        for (text, expected) in [
            ("3", Some(3_000_000)),
            ("1.5", Some(1_500_000)),
            (".25", Some(250_000)),
            ("0.0000019", Some(1)),
            ("100", Some(100_000_000)),
            ("0", None),
            ("100.1", None),
            ("-1", None),
            (".", None),
            ("1e3", None),
            ("18446744073709551615", None),
        ] {
            assert_eq!(parse(text), expected.map(Duration::from_micros), "{text}");
        }
    }

    #[test]
    fn hints_name_the_usual_slips() {
        for (text, hint) in [("=", "without `=`"), ("$PRIO", "not defined"), ("51;", "without `;`"), ("abc", "1 to 9")]
        {
            let fault = number(&word(text), 1, 9).unwrap_err();
            assert!(fault.hint.contains(hint), "{text}: {}", fault.hint);
        }
    }
}
