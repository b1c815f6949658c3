//! `vrrp_sync_group`: instances that move together.

use super::election::Defaults;
use super::items::Item;
use super::tracking;
use super::*;
use crate::config::model::SyncGroup;

impl Builder<'_> {
    /// To be called when all instances are known.
    pub(super) fn sync_group(&mut self, block: &Item<'_>, defaults: &Defaults, config: &mut Config) {
        let items = self.items(Block::VrrpSyncGroup, block.body());
        let name = block.words().first().map(|word| word.text.clone()).unwrap_or_default();
        let mut members = Vec::new();
        let lines = items.iter().filter(|item| item.name == "group").flat_map(Item::body);
        for word in lines.flat_map(|line| &line.words) {
            let Some(member) = config.instances.iter().position(|instance| instance.election.name == word.text) else {
                self.reports.warning(word.span, format!("there is no vrrp_instance `{}`; ignored", word.text), "");
                continue;
            };
            let elsewhere = config.groups.iter().find(|group| group.members.contains(&member));
            if let Some(other) = elsewhere {
                let message = format!("`{}` is a member of `{}` already; ignored", word.text, other.name);
                self.reports.warning(word.span, message, "");
            } else if !members.contains(&member) {
                members.push(member);
            }
        }
        match members.len() {
            0 => return self.reports.warning(block.span(), "a sync group without members; ignored", ""),
            1 => self.reports.warning(block.span(), "a sync group of one member moves nothing with it", ""),
            _ => {}
        }
        self.useless_preemption(block.span(), &members, config);
        let is_on = |name: &str| items.iter().any(|item| item.name == name && item.is_on());
        let members_weigh = is_on("sync_group_tracking_weight") || is_on("global_tracking");
        let hooks = self.hooks(&items, defaults);
        self.tracked_by_groups.push((config.groups.len(), tracking::lines(&items)));
        config.groups.push(SyncGroup { name, members, members_weigh, hooks });
    }
}
