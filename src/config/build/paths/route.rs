//! A line of `virtual_routes` or `static_routes`.

use super::*;
use crate::config::build::addresses::scope;
use crate::config::model::{Metric, NextHop, RouteKind, RouterPreference};

/// Words for what connections by a route begin with, with the largest number.
const METRICS: [(&str, Metric, u32); 15] = [
    ("mtu", Metric::Mtu, u32::MAX),
    ("window", Metric::Window, u32::MAX),
    ("rtt", Metric::RoundTrip, u32::MAX),
    ("rttvar", Metric::RoundTripVariance, u32::MAX),
    ("ssthresh", Metric::SlowStartThreshold, u32::MAX),
    ("cwnd", Metric::CongestionWindow, u32::MAX),
    ("advmss", Metric::AdvertisedSegment, u32::MAX),
    ("reordering", Metric::Reordering, u32::MAX),
    ("hoplimit", Metric::HopLimit, 255),
    ("initcwnd", Metric::InitialCongestionWindow, u32::MAX),
    ("features", Metric::Features, 1),
    ("rto_min", Metric::LeastRetransmission, u32::MAX),
    ("initrwnd", Metric::InitialReceiveWindow, u32::MAX),
    ("quickack", Metric::QuickAck, 1),
    ("fastopen_no_cookie", Metric::FastOpenNoCookie, 1),
];

impl Builder<'_> {
    pub(super) fn route(&mut self, mut line: Line<'_>) -> Option<VirtualRoute> {
        let mut route = empty(&line);
        let (mut hop, mut asked, mut named) = (NextHop::default(), None, false);
        while let Some(word) = line.next() {
            if let Some(kind) = kind(&word.text) {
                route.kind = kind;
                continue;
            }
            if self.hop_word(&mut line, word, &mut hop)? || self.metric(&mut line, word, &mut route)? {
                continue;
            }
            match word.text.as_str() {
                "nexthop" => route.hops = self.hops(&mut line, word)?,
                "src" => route.source = Some(self.address_after(&mut line, word)?),
                "from" => route.from = self.prefix_after(&mut line, word)?,
                "metric" | "preference" | "priority" => {
                    route.metric = Some(self.number_after(&mut line, word, 0, u32::MAX)?);
                }
                "table" => route.table = self.table_after(&mut line, word)?,
                "scope" => {
                    route.scope = Some(self.read(&mut line, word, "global, site, link, host or a number", scope)?);
                }
                "protocol" => route.protocol = self.protocol_after(&mut line, word)?,
                "tos" | "dsfield" => route.tos = self.named_after(&mut line, word, Names::Services, 0, 255)? as u8,
                "expires" => route.expires = Some(self.number_after(&mut line, word, 0, u32::MAX)?),
                "pref" => route.preference = Some(self.read(&mut line, word, "low, medium or high", preference)?),
                "append" => route.appended = true,
                "inet" => asked = Some(Family::V4),
                "inet6" => asked = Some(Family::V6),
                "no_track" => {}
                "track_group" => self.track_group(&mut line, word)?,
                "or" => return self.not_done(&line, word, "write `nexthop via ... nexthop via ...`"),
                "to" => (route.destination, named) = (self.prefix_after(&mut line, word)?, true),
                _ if !named => (route.destination, named) = (self.prefix(&line, word)?, true),
                _ => return self.not_done(&line, word, "each route needs its own line"),
            }
        }
        self.leads(&line, &mut route, hop)?;
        let near =
            [route.destination.map(|prefix| prefix.address), route.from.map(|prefix| prefix.address), route.source];
        route.family = family(asked, near.into_iter().chain(route.hops.iter().map(|hop| hop.via)));
        self.fits(&line, &route).then_some(route)
    }

    /// Puts what stood before any `nexthop` where it belongs.
    fn leads(&mut self, line: &Line<'_>, route: &mut VirtualRoute, hop: NextHop) -> Option<()> {
        use RouteKind::{Blackhole, Prohibit, Throw, Unreachable};
        let nowhere = matches!(route.kind, Blackhole | Prohibit | Throw | Unreachable);
        let problem = match route.hops.is_empty() {
            true if !nowhere && hop.via.is_none() && hop.device.is_none() => "a route needs `via` or `dev`",
            false if nowhere => "such a route leads nowhere",
            false if hop != NextHop::default() => "each way of several stands behind a `nexthop`",
            only => {
                route.hops.extend(Some(hop).filter(|hop| only && *hop != NextHop::default()));
                return Some(());
            }
        };
        self.reports.error(line.all[0].span, problem, "");
        None
    }

    /// Whether all of a route is for its own family.
    fn fits(&mut self, line: &Line<'_>, route: &VirtualRoute) -> bool {
        let is_v6 = route.family == Family::V6;
        let prefixes = [route.destination, route.from].map(|prefix| prefix.map(|prefix| prefix.address));
        let strange = prefixes.into_iter().chain([route.source]).flatten().any(|address| address.is_ipv6() != is_v6);
        // Of IPv4 packets a router may be known by its IPv6 address (RFC 5549), not the other way about.
        let far = is_v6 && route.hops.iter().any(|hop| hop.via.is_some_and(|via| via.is_ipv4()));
        let problem = if strange || far {
            "the addresses of a route must be of one family"
        } else if !is_v6 && (route.from.is_some() || route.expires.is_some() || route.preference.is_some()) {
            "`from`, `expires` and `pref` are for IPv6 routes"
        } else if is_v6 && (route.tos != 0 || route.hops.iter().any(|hop| hop.realms.is_some())) {
            "`tos` and `realms` are for IPv4 routes"
        } else {
            return true;
        };
        self.reports.error(line.all[0].span, problem, "");
        false
    }

    /// Takes `word` and its value if it is about what connections begin with. `None` after an error.
    fn metric(&mut self, line: &mut Line<'_>, word: &Word, route: &mut VirtualRoute) -> Option<bool> {
        if word.text == "congctl" {
            let locked = line.take(&["lock"]).is_some();
            route.congestion = Some((self.next_word(line, word)?.text.clone(), locked));
            return Some(true);
        }
        let Some((name, metric, most)) = METRICS.into_iter().find(|(name, ..)| *name == word.text) else {
            return Some(false);
        };
        if line.take(&["lock"]).is_some() {
            route.locked.push(metric);
        }
        let value = match name {
            "features" => self.read(line, word, "ecn", |text| (text == "ecn").then_some(1))?,
            "rtt" => self.read(line, word, "a time, as 100ms", |text| time(text, 8))?,
            "rttvar" => self.read(line, word, "a time, as 100ms", |text| time(text, 4))?,
            "rto_min" => self.read(line, word, "a time, as 100ms", |text| time(text, 1))?,
            _ => self.number_after(line, word, 0, most)?,
        };
        route.metrics.push((metric, value));
        Some(true)
    }
}

fn empty(line: &Line<'_>) -> VirtualRoute {
    VirtualRoute {
        written: line.written(),
        family: Family::V4,
        destination: None,
        from: None,
        kind: RouteKind::Unicast,
        hops: Vec::new(),
        source: None,
        metric: None,
        table: MAIN,
        scope: None,
        protocol: KEEPALIVED,
        tos: 0,
        metrics: Vec::new(),
        locked: Vec::new(),
        congestion: None,
        expires: None,
        preference: None,
        appended: false,
    }
}

fn kind(word: &str) -> Option<RouteKind> {
    Some(match word {
        "unicast" => RouteKind::Unicast,
        "local" => RouteKind::Local,
        "broadcast" => RouteKind::Broadcast,
        "anycast" => RouteKind::Anycast,
        "multicast" => RouteKind::Multicast,
        "blackhole" => RouteKind::Blackhole,
        "unreachable" => RouteKind::Unreachable,
        "prohibit" => RouteKind::Prohibit,
        "throw" => RouteKind::Throw,
        _ => return None,
    })
}

fn preference(word: &str) -> Option<RouterPreference> {
    Some(match word {
        "low" => RouterPreference::Low,
        "medium" => RouterPreference::Medium,
        "high" => RouterPreference::High,
        _ => return None,
    })
}

/// As `ip` reads it (iproute2 `utils.c: get_time_rtt`): with a unit a time, rounded up to milliseconds, which the kernel keeps
/// in `parts` of them; without one, the kernel's number.
fn time(text: &str, parts: u64) -> Option<u32> {
    const UNITS: [(&str, u64); 6] = [("msecs", 1), ("msec", 1), ("ms", 1), ("secs", 1000), ("sec", 1000), ("s", 1000)];
    let text = text.to_ascii_lowercase();
    let timed =
        UNITS.into_iter().find_map(|(unit, milliseconds)| Some((text.strip_suffix(unit)?, milliseconds, parts)));
    let (number, unit, parts) = timed.unwrap_or((&text, 1, 1));
    u32::try_from(times(number, unit)?.checked_mul(parts)?).ok()
}

/// A number, perhaps with decimals, times `unit`; rounded up.
fn times(number: &str, unit: u64) -> Option<u64> {
    let Some((before, behind)) = number.split_once('.') else { return whole(number)?.checked_mul(unit) };
    let digits = [before, behind].concat();
    let scale = 10_u64.checked_pow(u32::try_from(behind.len()).ok()?)?;
    let all = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'))?;
    Some(all.checked_mul(unit)?.div_ceil(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_ip() {
        for (text, expected) in [
            ("100ms", Some(800)),
            ("2s", Some(16_000)),
            ("3 s", None),
            ("1.5S", Some(12_000)),
            ("0.2sec", Some(1600)),
            ("7msecs", Some(56)),
            ("7.01msec", Some(64)),
            (".5s", Some(4000)),
            ("77", Some(77)),
            ("0x10", Some(16)),
            ("0.5", Some(1)),
            ("0x10ms", Some(128)),
            ("5m", None),
            ("s", None),
            (".", None),
            ("+1.5s", None),
            ("1.-5s", None),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("536870912ms", None),
            ("0.00000000000000000001s", None),
        ] {
            assert_eq!(time(text, 8), expected, "{text:?}");
        }
    }
}
