//! `encap mpls LABELS`, `encap ip ...` and `encap ip6 ...`.

use super::*;
use crate::config::model::{Encapsulation, Outer};

impl Builder<'_> {
    pub(super) fn encapsulation(&mut self, line: &mut Line<'_>, keyword: &Word) -> Option<Encapsulation> {
        let kind = self.next_word(line, keyword)?;
        match kind.text.as_str() {
            "mpls" => self.labels(line, kind),
            "ip" => self.outer(line, kind, Family::V4),
            "ip6" => self.outer(line, kind, Family::V6),
            _ => self.not_done(line, kind, "encapsulations are mpls, ip and ip6"),
        }
    }

    /// `100/200 ttl 9`.
    fn labels(&mut self, line: &mut Line<'_>, kind: &Word) -> Option<Encapsulation> {
        let all =
            |text: &str| text.split('/').map(|label| in_range(label, 0, (1 << 20) - 1)).collect::<Option<Vec<_>>>();
        let labels = self.read(line, kind, "labels of 20 bits, as 100/200", all)?;
        let ttl = match line.take(&["ttl"]) {
            Some(word) => Some(self.byte_after(line, word)?),
            None => None,
        };
        Some(Encapsulation::Mpls { labels, ttl })
    }

    fn outer(&mut self, line: &mut Line<'_>, kind: &Word, family: Family) -> Option<Encapsulation> {
        let mut outer =
            Outer { family, id: None, destination: None, source: None, hops: None, class: None, flags: None };
        let words: &[&str] = match family {
            Family::V4 => &["id", "dst", "src", "ttl", "tos", "flags"],
            Family::V6 => &["id", "dst", "src", "hoplimit", "tc", "flags"],
        };
        while let Some(word) = line.take(words) {
            match word.text.as_str() {
                "id" => outer.id = Some(self.read(line, word, "a number", whole)?),
                "dst" => outer.destination = Some(self.end(line, word, family)?),
                "src" => outer.source = Some(self.end(line, word, family)?),
                "flags" => outer.flags = Some(self.number_after(line, word, 0, 0xffff)? as u16),
                "ttl" | "hoplimit" => outer.hops = Some(self.byte_after(line, word)?),
                _ => outer.class = Some(self.byte_after(line, word)?),
            }
        }
        if outer.destination.is_none() {
            self.reports.error(kind.span, format!("`encap {}` needs `dst`", kind.text), "the other end of the tunnel");
            return None;
        }
        Some(Encapsulation::Ip(outer))
    }

    /// An address of the tunnel's own family.
    fn end(&mut self, line: &mut Line<'_>, keyword: &Word, family: Family) -> Option<IpAddr> {
        let expected = match family {
            Family::V4 => "an IPv4 address",
            Family::V6 => "an IPv6 address",
        };
        self.read(line, keyword, expected, |text| {
            text.parse().ok().filter(|address: &IpAddr| address.is_ipv6() == (family == Family::V6))
        })
    }
}
