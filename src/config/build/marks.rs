//! `mark N { ... }`: which packets get which firewall mark.

use super::addresses::parse_prefixed;
use super::items::Item;
use super::values::{self, Fault};
use super::*;
use crate::config::model::Mark;
use crate::config::text::Word;
use crate::io::options::MOST_MARK_RULES;
use crate::service::MarkRule;
use crate::wire::{ANY_PORT, Addr, Family, Pattern, Protocol};

/// A prefix with its family, or everything.
type Place = Option<(Family, crate::wire::Block)>;

impl Builder<'_> {
    pub(super) fn mark(&mut self, block: &Item<'_>, marks: &mut Vec<Mark>) {
        let items = self.items(Block::Mark, block.body());
        let mark = self.mark_number(block, block.words());
        let sources = self.each(&items, "source", place);
        let destinations = self.each(&items, "destination", place);
        let protocols = self.each(&items, "protocol", protocol);
        let ports = self.each(&items, "ports", ports);
        let source_ports = self.each(&items, "source_ports", self::ports);
        let interfaces = self.each(&items, "interface", |word| Ok(Some(word.text.clone())));
        let Some(mark) = mark else { return };
        let before = marks.len();
        for (source, destination) in product(&sources, &destinations) {
            let families = [source, destination].map(|place| place.map(|(family, _)| family));
            let [from, to] = families;
            if from.is_some() && to.is_some() && from != to {
                continue;
            }
            let block = |place: Place| place.map_or(crate::wire::Block::ANY, |(_, block)| block);
            let (source, destination) = (block(source), block(destination));
            for ((protocol, ports), (source_ports, interface)) in
                product(&product(&protocols, &ports), &product(&source_ports, &interfaces))
            {
                let (ports, source_ports) = (ports.unwrap_or(ANY_PORT), source_ports.unwrap_or(ANY_PORT));
                let family = from.or(to);
                let pattern = Pattern { family, protocol, source, destination, source_ports, ports };
                marks.push(Mark { rule: MarkRule { mark, pattern, arrival: None }, interface });
            }
        }
        let span = block.statement.span();
        let faulty = protocols.is_empty() || ports.is_empty() || source_ports.is_empty() || interfaces.is_empty();
        if marks.len() == before && !faulty && !sources.is_empty() && !destinations.is_empty() {
            self.reports.error(span, "no packet can match", "source and destination are of different families");
        }
        if before <= MOST_MARK_RULES && marks.len() > MOST_MARK_RULES {
            let message = format!("too many rules for marks: {} with this block", marks.len());
            let hint = format!("a rule for each combination of values; at most {MOST_MARK_RULES}");
            self.reports.error(span, message, hint);
        }
    }

    /// The mark that follows a keyword: 1 to 4294967295.
    pub(super) fn mark_number(&mut self, item: &Item<'_>, words: &[Word]) -> Option<u32> {
        let Some(word) = words.first() else {
            self.reports.error(item.span(), format!("`{}` needs a mark", item.name), "expected a number from 1");
            return None;
        };
        let number = self.or_fault(item, word, values::number(word, 1, u64::from(u32::MAX)))?;
        u32::try_from(number).ok()
    }

    /// The values of all keywords of this name; everything if there is none.
    fn each<T: Clone>(
        &mut self,
        items: &[Item<'_>],
        name: &str,
        value: impl Fn(&Word) -> Result<Option<T>, Fault>,
    ) -> Vec<Option<T>> {
        let mut all = Vec::new();
        let mut given = false;
        for item in items.iter().filter(|item| item.name == name) {
            given = true;
            all.extend(item.words().iter().filter_map(|word| self.or_fault(item, word, value(word))));
        }
        if given { all } else { vec![None] }
    }

    /// A service by mark that no rule gives can never be reached.
    pub(super) fn marks_are_given(&mut self, config: &Config) {
        let given: BTreeSet<u32> = config.settings.marks.iter().map(|mark| mark.rule.mark).collect();
        for (mark, span) in std::mem::take(&mut self.marks) {
            if !given.contains(&mark) {
                let hint = format!("write `mark {mark} {{ ... }}` in the `ringmaster` block");
                self.reports.warning(span, format!("no packet gets mark {mark}"), hint);
            }
        }
    }
}

fn product<A: Clone, B: Clone>(first: &[A], second: &[B]) -> Vec<(A, B)> {
    first.iter().flat_map(|a| second.iter().map(move |b| (a.clone(), b.clone()))).collect()
}

fn place(word: &Word) -> Result<Option<(Family, crate::wire::Block)>, Fault> {
    let (address, length) = parse_prefixed(word)?;
    let address = Addr::from(address);
    Ok(Some((address.family(), crate::wire::Block::new(address, length))))
}

fn protocol(word: &Word) -> Result<Option<u8>, Fault> {
    match word.text.to_ascii_uppercase().as_str() {
        "TCP" => Ok(Some(Protocol::TCP)),
        "UDP" => Ok(Some(Protocol::UDP)),
        "SCTP" => Ok(Some(Protocol::SCTP)),
        _ => Err(Fault::new(&word.text, "TCP, UDP or SCTP")),
    }
}

/// `80` or `8000-8010`.
fn ports(word: &Word) -> Result<Option<(u16, u16)>, Fault> {
    let fault = || Fault::new(&word.text, "a port or a range of ports, 0 to 65535");
    let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
    let port = |text: &str| text.parse::<u16>().map_err(|_| fault());
    let range = (port(first)?, port(last)?);
    if range.0 <= range.1 { Ok(Some(range)) } else { Err(fault()) }
}
