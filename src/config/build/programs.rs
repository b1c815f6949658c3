//! Programs and whom they run as: `notify_*`, `script`, `script_user`, pipes.

use super::election::Defaults;
use super::items::Item;
use super::*;
use crate::config::text::Word;
use crate::notify::{Hooks, Pipe};
use crate::program::{Program, User};

impl Builder<'_> {
    /// The first word as a program, and what follows as `user [group]`.
    pub(super) fn program(&mut self, item: &Item<'_>) -> Option<Program> {
        let (line, user) = item.words().split_first()?;
        let Some(program) = Program::parse(&line.text) else {
            let message = format!("`{}`: this is not a program; ignored", item.name);
            self.reports.warning(line.span, message, "a path, perhaps with arguments between double quotes");
            return None;
        };
        Some(Program { user: self.user(user), ..program })
    }

    /// `user [group]`.
    pub(super) fn user(&mut self, words: &[Word]) -> Option<User> {
        let (name, rest) = words.split_first()?;
        let group = rest.first().map(|group| group.text.clone());
        if let Some(surplus) = rest.get(1) {
            self.reports.warning(
                surplus.span,
                "ignored after user and group",
                "arguments of a program belong into its quotes",
            );
        }
        Some(User { name: name.text.clone(), group })
    }

    /// `notify_*` and `smtp_alert` of an instance or a group.
    pub(super) fn hooks(&mut self, items: &[Item<'_>], defaults: &Defaults) -> Hooks {
        let mut hooks = Hooks { priorities: defaults.tells_priorities, mail: defaults.mails, ..Hooks::default() };
        for item in items {
            let place = match item.name {
                "notify_master" => &mut hooks.master,
                "notify_backup" => &mut hooks.backup,
                "notify_fault" => &mut hooks.fault,
                "notify_stop" => &mut hooks.stop,
                "notify_master_rx_lower_pri" => &mut hooks.lower,
                "notify" => &mut hooks.any,
                "smtp_alert" => {
                    hooks.mail = item.is_on();
                    continue;
                }
                "notify_deleted" => {
                    hooks.tells_deleted = true;
                    if item.words().is_empty() {
                        continue;
                    }
                    &mut hooks.deleted
                }
                "notify_priority_changes" => {
                    hooks.priorities = item.is_on();
                    continue;
                }
                _ => continue,
            };
            *place = self.program(item);
        }
        hooks
    }

    /// `notify_fifo` and `vrrp_notify_fifo`, with their readers.
    pub(super) fn pipes(&mut self, items: &[Item<'_>]) -> Vec<Pipe> {
        let mut pipes: Vec<Pipe> = Vec::new();
        for (name, reader) in [("notify_fifo", "notify_fifo_script"), ("vrrp_notify_fifo", "vrrp_notify_fifo_script")] {
            let find = |name: &str| items.iter().find(|item| item.name == name);
            let reader = find(reader);
            let Some(item) = find(name) else {
                if let Some(reader) = reader {
                    self.reports.warning(reader.span(), format!("there is no `{name}` for it to read; ignored"), "");
                }
                continue;
            };
            let Some((path, owner)) = item.words().split_first() else { continue };
            if pipes.iter().any(|pipe| pipe.path.as_os_str() == path.text.as_str()) {
                self.reports.warning(path.span, "another pipe has this name; ignored", "");
                continue;
            }
            let owner = self.user(owner);
            let reader = reader.and_then(|reader| self.program(reader));
            pipes.push(Pipe { path: path.text.clone().into(), owner, reader });
        }
        pipes
    }
}
