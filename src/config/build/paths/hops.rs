//! Where a route leads: one way, or several after `nexthop`.

use super::*;
use crate::config::model::NextHop;

/// Words that begin a part of a next hop.
const WORDS: [&str; 8] = ["via", "gw", "dev", "oif", "onlink", "weight", "realms", "encap"];

impl Builder<'_> {
    /// Takes `word` and its value if it is about a next hop. `None` after an error.
    pub(super) fn hop_word(&mut self, line: &mut Line<'_>, word: &Word, hop: &mut NextHop) -> Option<bool> {
        match word.text.as_str() {
            "via" | "gw" => hop.via = Some(self.family_and_address(line, word)?),
            "dev" | "oif" => hop.device = Some(self.next_word(line, word)?.text.clone()),
            "onlink" => hop.onlink = true,
            "realms" => hop.realms = Some(self.realms_after(line, word)?),
            "encap" => hop.encapsulation = Some(self.encapsulation(line, word)?),
            _ => return Some(false),
        }
        Some(true)
    }

    /// All `nexthop`s, from the first one to the end of the line.
    pub(super) fn hops(&mut self, line: &mut Line<'_>, first: &Word) -> Option<Vec<NextHop>> {
        let (mut hops, mut keyword) = (Vec::new(), Some(first));
        while let Some(nexthop) = keyword.take() {
            let mut hop = NextHop::default();
            while let Some(word) = line.take(&WORDS) {
                if word.text == "weight" {
                    hop.extra_weight = self.number_after(line, word, 1, 256).map(|weight| (weight - 1) as u8)?;
                } else {
                    self.hop_word(line, word, &mut hop)?;
                }
            }
            if hop.via.is_none() && hop.device.is_none() {
                self.reports.error(nexthop.span, "`nexthop` needs `via` or `dev`", "");
                return None;
            }
            hops.push(hop);
            keyword = line.take(&["nexthop"]);
        }
        // `no_track` may stand anywhere.
        while line.take(&["no_track"]).is_some() {}
        match line.peek() {
            None => Some(hops),
            Some(word) => {
                let message = format!("`{}` stands behind the next hops", word.text);
                self.reports.error(word.span, message, "what is about the whole route stands before `nexthop`");
                None
            }
        }
    }
}
