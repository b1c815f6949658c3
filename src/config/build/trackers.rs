//! `vrrp_script`, `vrrp_track_process`, `track_file`, `bfd_instance`: what can be tracked.

use super::items::{Item, has};
use super::values;
use super::*;
use crate::bfd;
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::track::file::{self, Initial};
use crate::track::process::{self, Matching, Pattern};
use crate::track::script;
use crate::track::{Watch, Weight};
use crate::wire::Addr;

/// What a name stands for, and what it counts where the line that names it does not say.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) watch: Watch,
    pub(super) weight: Weight,
}

impl Builder<'_> {
    /// Whether it was a block of this kind.
    pub(super) fn tracker(&mut self, block: &Item<'_>, bfd: &mut Vec<bfd::Spec>) {
        let Some(name) = block.words().first().map(|word| word.text.clone()) else {
            return self.reports.error(block.span(), format!("`{}` needs a name", block.name), "");
        };
        let watch = match block.name {
            "vrrp_script" => self.script(block),
            "vrrp_track_process" => self.process(block),
            "track_file" | "vrrp_track_file" => self.track_file(block),
            _ => self.bfd(block, &name, bfd),
        };
        let Some((watch, weight)) = watch else { return };
        if self.trackers.iter().any(|other| other.name == name && other.watch.kind() == watch.kind()) {
            let message = format!("a {} `{name}` is there already; this one is ignored", watch.kind());
            return self.reports.warning(block.words()[0].span, message, "");
        }
        self.trackers.push(Definition { name, watch, weight });
    }

    fn script(&mut self, block: &Item<'_>) -> Option<(Watch, Weight)> {
        let items = self.items(Block::VrrpScript, block.body());
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let Some(line) = find("script") else {
            self.reports.warning(block.span(), "a vrrp_script without `script`; ignored", "");
            return None;
        };
        let mut program = self.program(line)?;
        program.user = find("user").and_then(|item| self.user(item.words()));
        let seconds = |name: &str| find(name).and_then(Item::seconds);
        let count = |name: &str| find(name).and_then(Item::number);
        let defaults = script::Spec::new(program);
        let interval = seconds("interval").unwrap_or(defaults.interval);
        let spec = script::Spec {
            interval,
            timeout: seconds("timeout").unwrap_or(interval),
            rise: count("rise").unwrap_or(defaults.rise),
            fall: count("fall").unwrap_or(defaults.fall),
            starts_down: has(&items, "init_fail"),
            ..defaults
        };
        Some((Watch::Script(spec), self.weight_of(&items, 0, 253)))
    }

    fn process(&mut self, block: &Item<'_>) -> Option<(Watch, Weight)> {
        let items = self.items(Block::TrackProcess, block.body());
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let Some(line) = find("process").filter(|item| !item.words().is_empty()) else {
            self.reports.warning(block.span(), "a vrrp_track_process without `process`; ignored", "");
            return None;
        };
        let words: Vec<String> = line.words().iter().map(|word| word.text.clone()).collect();
        let matching = match find("param_match").and_then(Item::text) {
            // Without arguments to match, it says that there must be none.
            _ if words.len() == 1 => Matching::Exact,
            Some("initial") => Matching::Initial,
            Some("partial") => Matching::Partial,
            _ => Matching::Exact,
        };
        let by_line = words.len() > 1 || has(&items, "full_command") || has(&items, "param_match");
        let pattern = if by_line { Pattern::CommandLine { words, matching } } else { Pattern::Name(words[0].clone()) };
        let seconds = |name: &str| find(name).and_then(Item::seconds);
        let delay = seconds("delay").unwrap_or_default();
        let most = find("quorum_max").and_then(Item::number).unwrap_or(u32::MAX);
        let least = find("quorum").and_then(Item::number).unwrap_or(1);
        let spec = process::Spec {
            pattern,
            // `quorum_max 0` alone: it must not run at all.
            least: if has(&items, "quorum") { least } else { least.min(most) },
            most,
            fork_delay: seconds("fork_delay").unwrap_or(delay),
            terminate_delay: seconds("terminate_delay").unwrap_or(delay),
        };
        if spec.least > spec.most {
            self.reports.warning(block.span(), "`quorum` is above `quorum_max`: it can never be met", "");
        }
        Some((Watch::Process(spec), self.weight_of(&items, 1, 254)))
    }

    fn track_file(&mut self, block: &Item<'_>) -> Option<(Watch, Weight)> {
        let items = self.items(Block::TrackFile, block.body());
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let Some(path) = find("file").and_then(Item::text) else {
            self.reports.warning(block.span(), "a track_file without `file`; ignored", "");
            return None;
        };
        let initial = find("init_file").map(|item| self.initial(item));
        let spec = file::Spec { path: path.into(), initial };
        Some((Watch::File(spec), self.weight_of(&items, 1, i32::MAX)))
    }

    /// `init_file [VALUE] [overwrite]`.
    fn initial(&mut self, item: &Item<'_>) -> Initial {
        let mut initial = Initial { value: 0, overwrite: false };
        for word in item.words() {
            match values::signed(word, i64::MAX) {
                Ok(value) => initial.value = value,
                Err(_) if word.text == "overwrite" => initial.overwrite = true,
                Err(fault) => self.fault(Level::Warning, item.name, word.span, fault),
            }
        }
        initial
    }

    fn bfd(&mut self, block: &Item<'_>, name: &str, sessions: &mut Vec<bfd::Spec>) -> Option<(Watch, Weight)> {
        let items = self.items(Block::BfdInstance, block.body());
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let Some(neighbour) = find("neighbor_ip").or(find("neighbour_ip")) else {
            self.reports.error(block.span(), format!("bfd_instance `{name}` has no `neighbor_ip`"), "");
            return None;
        };
        let span = neighbour.span();
        let neighbour = Addr::from(neighbour.address()?);
        let mut spec = bfd::Spec::new(name, neighbour);
        spec.source = find("source_ip").and_then(Item::address).map(Addr::from);
        if spec.source.is_some_and(|source| source.family() != neighbour.family()) {
            self.reports.error(span, "`neighbor_ip` and `source_ip` are of different families", "");
        }
        for (keyword, time) in
            [("min_rx", &mut spec.min_rx), ("min_tx", &mut spec.min_tx), ("idle_tx", &mut spec.idle_tx)]
        {
            *time = find(keyword).and_then(Item::seconds).unwrap_or(*time);
        }
        let hops = if neighbour.family() == Family::V4 { "ttl" } else { "hoplimit" };
        let number = |name: &str| find(name).and_then(Item::number);
        spec.multiplier = number("multiplier").unwrap_or(spec.multiplier);
        spec.ttl = number(hops).unwrap_or(spec.ttl);
        spec.passive = has(&items, "passive");
        spec.multihop = has(&items, "multihop");
        // RFC 5883 5: how far away the neighbour may be is nobody's to say but the file's.
        spec.max_hops = number("max_hops").unwrap_or(if spec.multihop { u8::MAX } else { 0 });
        let rival = |other: &&bfd::Spec| other.neighbour == neighbour && other.multihop == spec.multihop;
        if let Some(other) = sessions.iter().find(rival) {
            let message = format!("`{}` and `{name}` have the same neighbour", other.name);
            self.reports.error(span, message, "there is one session for each");
        }
        sessions.push(spec);
        Some((Watch::Bfd, self.weight_of(&items, 0, 253)))
    }

    fn weight_of(&mut self, items: &[Item<'_>], default: i32, most: i32) -> Weight {
        let default = Weight { value: default, reverse: false };
        let Some(item) = items.iter().find(|item| item.name == "weight") else { return default };
        self.weight(item.words(), most).unwrap_or(default)
    }

    /// `N [reverse|noreverse]`. What is wrong with it is a warning, as keepalived sees it.
    pub(super) fn weight(&mut self, words: &[Word], most: i32) -> Option<Weight> {
        let (number, rest) = words.split_first()?;
        let value = match values::signed(number, most.into()) {
            Ok(value) => i32::try_from(value).ok()?,
            Err(fault) => {
                self.fault(Level::Warning, "weight", number.span, fault);
                return None;
            }
        };
        let reverse = match rest.first().map(|word| (word.text.as_str(), word.span)) {
            Some(("reverse", _)) => true,
            Some(("noreverse" | "no_reverse", _)) | None => false,
            Some((other, span)) => {
                let message = format!("unknown word `{other}` after a weight; ignored");
                self.reports.warning(span, message, "expected reverse or noreverse");
                false
            }
        };
        Some(Weight { value, reverse })
    }
}
