//! Skew and master-down (RFC 5798 6.1, RFC 3768 6.1): the higher the priority, the sooner a backup takes over.

use std::time::Duration;

use super::spec::Version;

/// `Skew_Time`: (256 - priority) / 256 of a second in version 2, of the master's interval in version 3.
pub fn skew(version: Version, interval: Duration, priority: u8) -> Duration {
    let whole = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    whole * (256 - u32::from(priority)) / 256
}

/// `Master_Down_Interval`: so many intervals of the master, and the skew.
pub fn master_down(version: Version, interval: Duration, priority: u8, adverts: u8) -> Duration {
    interval * u32::from(adverts) + skew(version, interval, priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_rfc() {
        let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
        for (version, interval, priority, micros) in [
            (Version::V2, second, 100, 3_609_375),
            (Version::V2, second, 90, 3_648_437),
            (Version::V2, second * 2, 90, 6_648_437),
            (Version::V2, second, 255, 3_003_906),
            (Version::V3, second, 100, 3_609_375),
            (Version::V3, tenth, 90, 364_843),
            (Version::V3, second * 2, 1, 7_992_187),
        ] {
            assert_eq!(master_down(version, interval, priority, 3).as_micros(), micros, "{version:?} {priority}");
        }
    }

    #[test]
    fn a_higher_priority_waits_less() {
        for version in [Version::V2, Version::V3] {
            let wait = |priority| master_down(version, Duration::from_millis(10), priority, 3);
            assert!((1..255).all(|priority| wait(priority + 1) < wait(priority)));
        }
    }
}
