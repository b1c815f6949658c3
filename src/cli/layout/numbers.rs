//! Large numbers in narrow columns.

/// In nine columns or more. A number of nine digits and more is cut to thousands and beyond, unless it is to be `exact`.
pub(super) fn large(number: u64, exact: bool) -> String {
    const UNITS: [(u64, u64, &str); 4] = [
        (1_000_000_000, 1_000, "K"),
        (100_000_000_000, 1_000_000, "M"),
        (100_000_000_000_000, 1_000_000_000, "G"),
        (u64::MAX, 1_000_000_000_000, "T"),
    ];
    if exact {
        let width = number.to_string().len().max(8) + 1;
        return format!("{number:>width$}");
    }
    if number < 100_000_000 {
        return format!("{number:>9}");
    }
    let (_, unit, letter) = UNITS.into_iter().find(|&(below, ..)| number < below).unwrap_or(UNITS[3]);
    format!("{:>8}{letter}", number / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_where_ipvsadm_cuts_them() {
        for (number, short, exact) in [
            (0, "        0", "        0"),
            (99_999_999, " 99999999", " 99999999"),
            (100_000_000, "  100000K", " 100000000"),
            (999_999_999, "  999999K", " 999999999"),
            (1_000_000_000, "    1000M", " 1000000000"),
            (99_999_999_999, "   99999M", " 99999999999"),
            (100_000_000_000, "     100G", " 100000000000"),
            (100_000_000_000_000, "     100T", " 100000000000000"),
            (u64::MAX, "18446744T", " 18446744073709551615"),
        ] {
            assert_eq!((large(number, false).as_str(), large(number, true).as_str()), (short, exact));
        }
    }
}
