//! `track_*` of instances and groups: who depends on what.

use super::items::Item;
use super::trackers::Definition;
use super::values;
use super::*;
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::track::spec::Delays;
use crate::track::{Dependence, Spec, Watch, Weight};

/// A line of a `track_*` block, until all that it may name is known.
#[derive(Debug)]
pub(super) struct Line {
    keyword: &'static str,
    words: Vec<Word>,
}

/// The lines of a block's `track_*` blocks.
pub(super) fn lines(items: &[Item<'_>]) -> Vec<Line> {
    let blocks = items.iter().filter(|item| item.name.starts_with("track_"));
    let lines = blocks.flat_map(|item| item.body().iter().map(|line| (item.name, line)));
    lines.map(|(keyword, line)| Line { keyword, words: line.words.clone() }).collect()
}

/// The longest delay of an interface (keepalived.conf(5)).
const LONGEST_DELAY: Duration = Duration::from_secs(255);

impl Builder<'_> {
    /// To be called when all else is known.
    pub(super) fn tracking(&mut self, config: &mut Config) {
        self.own_links(config);
        for (instance, lines) in std::mem::take(&mut self.tracked).into_iter().enumerate() {
            let group = config.groups.iter().find(|group| group.members.contains(&instance));
            let held = group.is_some_and(|group| !group.members_weigh);
            let owner = config.instances[instance].election.priority == u8::MAX;
            let still = match (owner, held) {
                (true, _) => Some("an owner's priority does not move"),
                (false, true) => Some("members of a group move together"),
                (false, false) => None,
            };
            let before = config.tracking.dependences.len();
            self.depend(&lines, &[instance], None, still, &mut config.tracking);
            if let Some(line) = lines.first() {
                self.useless_weights(
                    line.words[0].span,
                    &config.instances[instance].election,
                    before,
                    &config.tracking,
                );
            }
        }
        self.useless_delays(config);
        for (place, lines) in std::mem::take(&mut self.tracked_by_groups) {
            let group = &config.groups[place];
            self.depend(&lines, &group.members, Some(&group.name), None, &mut config.tracking);
        }
    }

    /// Adds what these lines say of `instances`. `still`: why weights do not count for them.
    fn depend(
        &mut self,
        lines: &[Line],
        instances: &[usize],
        group: Option<&str>,
        still: Option<&str>,
        tracking: &mut Spec,
    ) {
        let mut seen = BTreeSet::new();
        for line in lines {
            let name = &line.words[0];
            let Some((tracker, weight)) = self.dependence(line, tracking) else { continue };
            if let Some(why) = still.filter(|_| weight.value != 0) {
                let message = format!("`{}` has a weight here; ignored, because {why}", name.text);
                self.reports.warning(name.span, message, "track it in the group, or with weight 0");
            } else if !seen.insert(tracker) {
                self.reports.warning(name.span, format!("`{}` is tracked here already; ignored", name.text), "");
            } else {
                let (instances, group) = (instances.to_vec(), group.map(str::to_owned));
                tracking.dependences.push(Dependence { tracker, instances, group, weight });
            }
        }
    }

    /// `NAME [weight N [reverse|noreverse]]`.
    fn dependence(&mut self, line: &Line, tracking: &mut Spec) -> Option<(usize, Weight)> {
        let (name, rest) = line.words.split_first()?;
        let kind = &line.keyword["track_".len()..];
        let known = match kind {
            "interface" => Definition { name: name.text.clone(), watch: Watch::Interface, weight: Weight::default() },
            _ => match self.trackers.iter().find(|known| known.name == name.text && known.watch.kind() == kind) {
                Some(known) => known.clone(),
                None => {
                    let message = format!("there is no {kind} `{}` to track; ignored", name.text);
                    self.reports.warning(name.span, message, "");
                    return None;
                }
            },
        };
        let most = match kind {
            "process" => 254,
            "file" => i32::MAX,
            _ => 253,
        };
        let weight = match rest.split_first() {
            Some((word, value)) if word.text == "weight" => self.weight(value, most),
            Some((word, _)) => {
                let message = format!("unknown word `{}`; ignored", word.text);
                self.reports.warning(word.span, message, "expected `weight` and a number");
                None
            }
            None => None,
        };
        let tracker = tracking.place(&name.text, || known.watch.clone(), |watch| watch.kind() == kind);
        Some((tracker, weight.unwrap_or(known.weight)))
    }

    /// An instance whose own interface is polled, or whose changes must last, depends on it like on any other.
    fn own_links(&mut self, config: &mut Config) {
        for (place, instance) in config.instances.iter_mut().enumerate() {
            let (election, tracking) = (&mut instance.election, &mut config.tracking);
            let special =
                tracking.delays.contains_key(&election.interface) || tracking.polled.contains(&election.interface);
            if !(special && std::mem::take(&mut election.needs_link)) {
                continue;
            }
            let tracker =
                tracking.place(&election.interface, || Watch::Interface, |watch| matches!(watch, Watch::Interface));
            let weight = Weight::default();
            tracking.dependences.push(Dependence { tracker, instances: vec![place], group: None, weight });
        }
    }

    /// `linkbeat_interfaces`: `NAME [MII|ETHTOOL|IOCTL]`.
    pub(super) fn polled(&mut self, block: &Item<'_>, tracking: &mut Spec) {
        tracking.polled.extend(block.body().iter().map(|line| line.words[0].text.clone()));
    }

    /// `interface_up_down_delays`: `NAME down [up]`.
    pub(super) fn delays(&mut self, block: &Item<'_>, tracking: &mut Spec) {
        for line in block.body() {
            let (name, times) = (&line.words[0], &line.words[1..]);
            let mut delays = Vec::new();
            for word in times.iter().take(2) {
                match values::seconds(word, Duration::ZERO, LONGEST_DELAY) {
                    Ok(delay) => delays.push(delay),
                    Err(fault) => self.fault(Level::Warning, block.name, word.span, fault),
                }
            }
            let Some(&down) = delays.first() else {
                self.reports.warning(
                    name.span,
                    format!("`{}` has no delay; ignored", name.text),
                    "seconds down, seconds up",
                );
                continue;
            };
            self.delayed.push((name.text.clone(), name.span));
            tracking.delays.insert(name.text.clone(), Delays { down, up: delays.get(1).copied().unwrap_or(down) });
        }
    }
}
