//! SIGHUP: the configuration is read again, and what runs follows it while traffic flows.
//!
//! Services, their servers and checks, rules for marks, timeouts and choices of behaviour follow; connections stay, and a
//! server that is still there keeps its counters. Elections follow too, with what they track and whom they tell
//! ([`turnover`](super::turnover)). Interfaces, rings, workers and table are made once, at start: a file that changes them is
//! refused as a whole, and so is one with an error. A service that clients have changed since it was read, or made, stays as
//! they made it unless the file says something new about it.

use super::Director;
use super::sessions::release_sockets;
use super::turnover::Turnover;
use crate::config::Config;
use crate::config::model::{Settings, VirtualServer};
use crate::control::configuration::Written;
use crate::control::programs::Programs;
use crate::control::sync::SyncRole;
use crate::supervisor::CONFIGURATION;

impl Director {
    /// Goes over to a configuration that was read again. Refused, it changes nothing.
    pub(super) async fn reload(&mut self, Written { config: new, file, .. }: Written) {
        if let Some(what) = needs_restart(&self.file, &new) {
            tracing::error!("SIGHUP: {what} cannot change while the director runs; nothing was reloaded, restart it");
            return;
        }
        let turnover = match Turnover::prepare(&self.roles, &self.file, &new, &mut self.keeper) {
            Ok(turnover) => turnover,
            Err(error) => {
                let cause = super::synchronise::describe(&error);
                tracing::error!("SIGHUP: nothing was reloaded: {cause}");
                return;
            }
        };
        Programs::complain(&new);
        let before = self.config.clone();
        let services = merged(&self.file.services, std::mem::take(&mut self.config.services), &new.services);
        let mut settings = self.config.settings.clone();
        settings.marks.clone_from(&new.settings.marks);
        if new.settings.options != self.file.settings.options {
            settings.options = new.settings.options;
        }
        self.config = Config { services, settings, ..new.clone() };
        self.watch();
        self.work_out();
        self.confirm_soon = true;
        // The kernel would reset the connections to addresses that it still has and nobody forwards.
        self.place_only(&turnover.staying(&self.roles)).await;
        if let Err(error) = self.publish() {
            tracing::error!("SIGHUP: nothing was reloaded, since the steering program refuses it: {error}");
            self.config = before;
            self.watch();
            self.replan();
            self.place().await;
            turnover.abandon();
            return;
        }
        self.turn_over(turnover).await;
        release_sockets(&mut self.keeper, &self.file.bfd, &new.bfd);
        if self.file.global.sync_daemon != new.global.sync_daemon {
            self.restart_sync_daemons();
        }
        self.file = new;
        // What clients have changed is now told by its difference from the new file.
        self.save();
        // For a director that follows the death of this one.
        self.keeper.hold(CONFIGURATION, &file);
        self.keeper.reloaded();
        tracing::info!(
            "SIGHUP: reloaded, {} virtual services, {} instances",
            self.config.services.len(),
            self.config.instances.len()
        );
    }

    /// Unless a client of the control socket has decided about them.
    fn restart_sync_daemons(&mut self) {
        if self.sync_control.is_by_hand() {
            return;
        }
        for role in [SyncRole::Master, SyncRole::Backup] {
            // One that does not run is as good.
            let _ = self.sync.stop(role);
        }
        self.follow_sync_role();
    }
}

/// What differs that is only made at start.
fn needs_restart(old: &Config, new: &Config) -> Option<&'static str> {
    let fixed =
        |settings: &Settings| Settings { marks: Vec::new(), options: Settings::default().options, ..settings.clone() };
    let differs = [
        (
            old.static_addresses != new.static_addresses
                || old.static_routes != new.static_routes
                || old.static_rules != new.static_rules,
            "static addresses, routes and rules",
        ),
        (fixed(&old.settings) != fixed(&new.settings), "interfaces, rings, workers or table of the `ringmaster` block"),
    ];
    differs.into_iter().find(|&(differs, _)| differs).map(|(_, what)| what)
}

/// The new file's services, those that it says nothing new of as they are by now, and those that it never knew.
fn merged(old: &[VirtualServer], now: Vec<VirtualServer>, new: &[VirtualServer]) -> Vec<VirtualServer> {
    let said = |service: &VirtualServer| old.iter().find(|other| other.key == service.key);
    let present = |service: &VirtualServer| now.iter().find(|other| other.key == service.key);
    let kept = |service: &VirtualServer| match said(service) {
        Some(same) if same == service => present(service).cloned(),
        _ => Some(service.clone()),
    };
    let made =
        now.iter().filter(|service| said(service).is_none() && !new.iter().any(|other| other.key == service.key));
    new.iter().filter_map(kept).chain(made.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::config::parse_str("keepalived.conf", text).expect("it loads").config
    }

    /// Services on these ports of one address, each with a server of this weight.
    fn services(ports: &[(u16, u32)]) -> Vec<VirtualServer> {
        let text: String = ports
            .iter()
            .map(|(port, weight)| {
                format!(
                    "virtual_server 192.0.2.10 {port} {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
                     real_server 10.1.0.11 80 {{\nweight {weight}\n}}\n}}\n"
                )
            })
            .collect();
        config(&text).services
    }

    fn shown(services: &[VirtualServer]) -> Vec<(u16, u32)> {
        services.iter().map(|service| (service.key.virtual_.port, service.servers[0].weight)).collect()
    }

    #[test]
    fn what_the_file_says_anew_holds_and_the_rest_stays_as_clients_made_it() {
        let old = services(&[(80, 1), (81, 1), (82, 1), (83, 1)]);
        // Edited: 80 and 81. Removed: 83. Made: 90.
        let now = services(&[(80, 7), (81, 7), (82, 1), (90, 5)]);
        // The file edits 81 and forgets 82.
        let new = services(&[(80, 1), (81, 2), (83, 1), (84, 1)]);
        assert_eq!(shown(&merged(&old, now, &new)), [(80, 7), (81, 2), (84, 1), (90, 5)]);
    }

    #[test]
    fn a_service_that_clients_made_and_the_file_then_names_is_the_files() {
        let merged = merged(&services(&[]), services(&[(80, 7)]), &services(&[(80, 2)]));
        assert_eq!(shown(&merged), [(80, 2)]);
    }

    #[test]
    fn what_is_made_at_start_needs_a_restart() {
        let base = "global_defs {\nrouter_id A\nlvs_timeouts tcp 900\n}\nringmaster {\nworkers 1\nsloppy_tcp no\n}\n";
        let old = config(base);
        for (from, to, refused) in [
            ("sloppy_tcp no", "sloppy_tcp yes", false),
            ("tcp 900", "tcp 800", false),
            ("workers 1", "workers 2", true),
            ("router_id A", "router_id B", false),
        ] {
            assert_eq!(needs_restart(&old, &config(&base.replace(from, to))).is_some(), refused, "{to}");
        }
    }
}
