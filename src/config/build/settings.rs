//! The `ringmaster` block, and `lvs_timeouts`.

use super::items::Item;
use super::values;
use super::*;
use crate::config::keywords::LONGEST_TIMEOUT;
use crate::config::problem::Level;
use crate::io::options::{Attach, BusyPoll, Driver, Poll, Transfer};
use crate::service::{Defend, FtpPorts};

impl Builder<'_> {
    /// `lvs_timeouts tcp N tcpfin N udp N`, each part optional.
    pub(super) fn lvs_timeouts(&mut self, item: &Item<'_>, settings: &mut Settings) {
        let timeouts = &mut settings.options.timeouts;
        for pair in item.words().chunks(2) {
            let timeout = match pair[0].text.as_str() {
                "tcp" => &mut timeouts.tcp,
                "tcpfin" => &mut timeouts.tcp_fin,
                "udp" => &mut timeouts.udp,
                other => {
                    let message = format!("`lvs_timeouts` does not know `{other}`");
                    self.reports.error(pair[0].span, message, "expected tcp, tcpfin or udp");
                    continue;
                }
            };
            let Some(seconds) = pair.get(1) else {
                self.reports.error(pair[0].span, format!("`{}` needs a value", pair[0].text), "seconds");
                continue;
            };
            match values::number(seconds, 1, LONGEST_TIMEOUT) {
                // The range is below u32::MAX.
                Ok(seconds) => *timeout = Ticks::from_secs(seconds as u32),
                Err(fault) => self.fault(Level::Error, item.name, seconds.span, fault),
            }
        }
    }

    pub(super) fn settings(&mut self, block: &Item<'_>, settings: &mut Settings) {
        let items = self.items(Block::Ringmaster, block.body());
        // First the profile, so that single choices hold wherever they stand.
        if let Some(profile) = items.iter().find_map(|item| (item.name == "profile").then(|| item.text())).flatten() {
            let timeouts = settings.options.timeouts;
            let options = if profile == "kernel" { Options::KERNEL } else { Options::RINGMASTER };
            settings.options = Options { timeouts, ..options };
        }
        for item in &items {
            self.setting(item, settings);
        }
        for item in items.iter().filter(|item| item.name == "mark") {
            self.mark(item, &mut settings.marks);
        }
        if let Some(item) = items.iter().find(|item| item.name == "busy_poll")
            && settings.busy_poll.is_some()
            && settings.driver == Driver::XskRs
        {
            let message = "`busy_poll` goes with `rings own` only";
            self.reports.error(item.words()[0].span, message, "xsk-rs cannot do it");
        }
    }

    fn setting(&mut self, item: &Item<'_>, settings: &mut Settings) {
        let options = &mut settings.options;
        match item.name {
            "workers" => settings.workers = item.number(),
            "cpus" => settings.cpus = self.cpus(item),
            "interfaces" => settings.interfaces = item.words().iter().map(|word| word.text.clone()).collect(),
            "attach" => {
                settings.attach = match item.text() {
                    Some("native") => Attach::Native,
                    Some("generic") => Attach::Generic,
                    _ => Attach::Auto,
                }
            }
            "transfer" => {
                settings.transfer = match item.text() {
                    Some("zero-copy") => Transfer::ZeroCopy,
                    Some("copy") => Transfer::Copy,
                    _ => Transfer::Auto,
                }
            }
            "rings" => settings.driver = if item.text() == Some("xsk-rs") { Driver::XskRs } else { Driver::Own },
            "busy_poll" => {
                settings.busy_poll =
                    item.number().filter(|&most| most > 0).map(|microseconds| BusyPoll { microseconds });
            }
            "poll" => settings.poll = if item.text() == Some("spin") { Poll::Spin } else { Poll::Adaptive },
            "connections" => settings.connections = item.number().unwrap_or(settings.connections),
            "frames" => settings.frames = self.frames(item).unwrap_or(settings.frames),
            "socket" => settings.socket = item.text().unwrap_or_default().into(),
            "user" => settings.user = item.text().map(str::to_owned),
            "privileges" => settings.keep_privileges = item.text() == Some("keep"),
            "conn_reuse_mode" => options.conn_reuse_mode = item.number().unwrap_or_default(),
            "expire_nodest_conn" => options.expire_nodest_conn = item.is_on(),
            "expire_quiescent_template" => options.expire_quiescent_template = item.is_on(),
            "flagless_segment_closes" => options.flagless_segment_closes = item.is_on(),
            "template_keeps_timeout" => options.template_keeps_timeout = item.is_on(),
            "sloppy_tcp" => options.sloppy_tcp = item.is_on(),
            "sloppy_sctp" => options.sloppy_sctp = item.is_on(),
            "schedule_icmp" => options.schedule_icmp = item.is_on(),
            "nat_icmp_send" => options.nat_icmp_send = item.is_on(),
            "cache_bypass" => options.cache_bypass = item.is_on(),
            "lblc_expiration" => options.expirations.lblc = Ticks::from_secs(item.number().unwrap_or_default()),
            "lblcr_expiration" => options.expirations.lblcr = Ticks::from_secs(item.number().unwrap_or_default()),
            "drop_entry" => options.defences.drop_entry = defend(item),
            "drop_packet" => options.defences.drop_packet = defend(item),
            "secure_tcp" => options.defences.secure_tcp = defend(item),
            "amemthresh" => options.defences.amemthresh = item.number(),
            "am_droprate" => options.defences.am_droprate = item.number().unwrap_or(options.defences.am_droprate),
            "ftp_ports" => options.ftp_ports = self.ftp_ports(item),
            "local_ports" => settings.local_ports = self.local_ports(item).unwrap_or(settings.local_ports),
            "limit" => self.limit(item),
            "last_service_ends_all" => options.last_service_ends_all = item.is_on(),
            "reset_expired" => options.reset_expired = item.is_on(),
            "reset_unknown" => options.reset_unknown = item.is_on(),
            "pmtu_disc" => options.pmtu_disc = item.is_on(),
            "tunnel_error_tells_new_mtu" => options.tunnel_error_tells_new_mtu = item.is_on(),
            "icmp_ratelimit" => options.icmp_ratelimit = Ticks::from_millis(item.number().unwrap_or_default()),
            "icmp_msgs_per_sec" => options.icmp_msgs_per_sec = item.number().unwrap_or_default(),
            "signed_sort" => options.signed_sort = item.is_on(),
            "save_limits" => options.save_limits = item.is_on(),
            _ => self.sync_choice(item, &mut settings.sync),
        }
    }

    fn cpus(&mut self, item: &Item<'_>) -> Vec<usize> {
        /// More cores than Linux is built for anywhere.
        const MOST: u64 = 8191;
        let mut cpus = Vec::new();
        for word in item.words() {
            match values::number(word, 0, MOST) {
                Ok(cpu) => cpus.push(cpu as usize),
                Err(fault) => self.fault(Level::Error, item.name, word.span, fault),
            }
        }
        cpus
    }

    fn ftp_ports(&mut self, item: &Item<'_>) -> FtpPorts {
        let words = item.words();
        if let [word] = words
            && word.text == "none"
        {
            return FtpPorts::NONE;
        }
        if let Some(surplus) = words.get(FtpPorts::MOST) {
            let message = format!("`ftp_ports` takes no more than {}", FtpPorts::MOST);
            self.reports.error(surplus.span, message, "");
        }
        let number = |word| self.or_fault(item, word, values::number(word, 1, u64::from(u16::MAX)));
        // The range ends at u16::MAX.
        FtpPorts::new(words.iter().filter_map(number).map(|port| port as u16).collect::<Vec<_>>())
    }

    fn frames(&mut self, item: &Item<'_>) -> Option<usize> {
        let frames: usize = item.number()?;
        if !frames.is_power_of_two() {
            let near = frames.next_power_of_two();
            let hint = format!("expected a power of two, such as {} or {near}", near / 2);
            self.reports.error(item.words()[0].span, format!("`frames`: {frames} is not valid"), hint);
        }
        Some(frames)
    }
}

/// 0 to 3, as LVS numbers it.
fn defend(item: &Item<'_>) -> Defend {
    item.number().and_then(Defend::from_number).unwrap_or_default()
}
