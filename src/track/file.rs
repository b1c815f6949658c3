//! The number in a file (`track_file`).

use std::path::PathBuf;

/// A file that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `file`.
    pub path: PathBuf,
    /// `init_file`: what is written into it at the start.
    pub initial: Option<Initial>,
}

/// What a file holds at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initial {
    /// The number.
    pub value: i64,
    /// Also if the file is there already.
    pub overwrite: bool,
}

/// The most of a file that is looked at, in bytes.
pub const LOOK: usize = 128;

/// The number that a file begins with, or 0: a file that is not there, or holds no number, changes nothing. Numbers
/// beyond 64 bits are cut to the largest.
pub fn number(contents: &[u8]) -> i64 {
    let text = contents[..contents.len().min(LOOK)].trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        let value = value.saturating_mul(10);
        if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says() {
        for (contents, value) in [
            ("", 0),
            ("0", 0),
            ("42\n", 42),
            ("  -7 and more\n", -7),
            ("\n\n+3\n", 3),
            ("twelve", 0),
            ("-", 0),
            ("- 3", 0),
            ("12abc", 12),
            ("99999999999999999999999", i64::MAX),
            ("-99999999999999999999999", i64::MIN),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(number(contents.as_bytes()), value, "{contents:?}");
        }
        let long = [&[b' '; LOOK][..], b"5"].concat();
        assert_eq!(number(&long), 0);
        assert_eq!(number(&[0xff, 0, 1]), 0);
    }
}
