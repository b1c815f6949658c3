//! `lvs_sync_daemon`, and the `sync_*` keys of the `ringmaster` block.

use super::items::Item;
use super::values::{self, Fault};
use super::*;
use crate::config::model::{SyncChoices, SyncDaemon};
use crate::config::problem::Level;
use crate::config::text::Word;

/// The words that take a value.
const OPTIONS: [&str; 5] = ["id", "maxlen", "port", "ttl", "group"];
/// The longest message that fits into an IPv4 datagram, and the shortest that holds a record of IPv6.
const MAXLEN: (u64, u64) = (80, 65507);

impl Builder<'_> {
    /// `lvs_sync_daemon INTERFACE [INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group A]`.
    pub(super) fn sync_daemon(&mut self, item: &Item<'_>) -> Option<SyncDaemon> {
        let (interface, mut rest) = item.words().split_first()?;
        self.sync_daemon = Some(item.span());
        let mut daemon = SyncDaemon::on(&interface.text);
        if let Some((first, others)) = rest.split_first()
            && !OPTIONS.contains(&first.text.as_str())
        {
            daemon.instance = Some(first.text.clone());
            rest = others;
        }
        // An older form has the number without its word.
        if let Some((first, others)) = rest.split_first()
            && first.text.bytes().all(|byte| byte.is_ascii_digit())
        {
            self.reports.warning(first.span, "`lvs_sync_daemon`: a bare number is deprecated", "write `id` before it");
            self.sync_option("id", first, &mut daemon);
            rest = others;
        }
        for pair in rest.chunks(2) {
            let Some(name) = OPTIONS.into_iter().find(|name| *name == pair[0].text) else {
                let message = format!("`lvs_sync_daemon` does not know `{}`", pair[0].text);
                self.reports.error(pair[0].span, message, format!("expected {}", OPTIONS.join(", ")));
                continue;
            };
            match pair.get(1) {
                Some(value) => self.sync_option(name, value, &mut daemon),
                None => self.reports.error(pair[0].span, format!("`{name}` needs a value"), ""),
            }
        }
        Some(daemon)
    }

    fn sync_option(&mut self, name: &'static str, word: &Word, daemon: &mut SyncDaemon) {
        let number = |from, to| values::number(word, from, to);
        // Each range fits its type.
        let outcome = match name {
            "id" => number(0, 255).map(|id| daemon.id = id as u8),
            "maxlen" => number(MAXLEN.0, MAXLEN.1).map(|maxlen| daemon.maxlen = maxlen as u16),
            "port" => number(1, 65535).map(|port| daemon.port = port as u16),
            "ttl" => number(1, 255).map(|ttl| daemon.ttl = ttl as u8),
            _ => multicast(word).map(|group| daemon.group = group),
        };
        if let Err(fault) = outcome {
            self.fault(Level::Error, name, word.span, fault);
        }
    }

    pub(super) fn sync_choice(&mut self, item: &Item<'_>, choices: &mut SyncChoices) {
        match item.name {
            "sync_key" => choices.key = self.sync_key(item),
            "sync_peer_port" => choices.peer_port = item.number().unwrap_or(choices.peer_port),
            "sync_kernel_peers" => choices.kernel_peers = item.is_on(),
            "sync_refresh_period" => choices.refresh = item.number().map_or(choices.refresh, Ticks::from_secs),
            "sync_persist_mode" => choices.templates_only = item.is_on(),
            _ => {}
        }
    }

    fn sync_key(&mut self, item: &Item<'_>) -> Option<String> {
        /// A secret of fewer letters is soon guessed by who records messages.
        const SHORT: usize = 16;
        let key = item.text().filter(|key| !key.is_empty())?;
        if key.len() < SHORT {
            let hint = format!("write {SHORT} letters or more, drawn at random");
            self.reports.warning(item.words()[0].span, "`sync_key` is short enough to be guessed", hint);
        }
        Some(key.to_owned())
    }

    /// Checks what only the whole file shows: that the instance is there, and the ports differ.
    pub(super) fn check_sync(&mut self, config: &Config) {
        let (Some(daemon), Some(span)) = (&config.global.sync_daemon, self.sync_daemon) else { return };
        if let Some(name) = daemon.instance.as_ref().filter(|name| !self.names.contains(*name)) {
            let message = format!("`lvs_sync_daemon`: there is no vrrp_instance `{name}`");
            self.reports.error(span, message, "its role decides between telling and listening");
        }
        if config.settings.sync.key.is_some() && config.settings.sync.peer_port == daemon.port {
            let message = format!("`sync_peer_port` and `lvs_sync_daemon` both use port {}", daemon.port);
            self.reports.error(span, message, "kernels must not meet messages under a seal");
        }
    }
}

fn multicast(word: &Word) -> Result<std::net::IpAddr, Fault> {
    let address = values::address(word)?;
    if address.is_multicast() { Ok(address) } else { Err(Fault::new(&word.text, "a multicast address")) }
}
