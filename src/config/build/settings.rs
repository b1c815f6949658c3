//! The `ringmaster` block, and `lvs_timeouts`.

use super::items::Item;
use super::values;
use super::*;
use crate::config::keywords::LONGEST_TIMEOUT;
use crate::config::problem::Level;
use crate::io::options::{Attach, Poll, Transfer};

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
            "poll" => settings.poll = if item.text() == Some("spin") { Poll::Spin } else { Poll::Adaptive },
            "connections" => settings.connections = item.number().unwrap_or(settings.connections),
            "frames" => settings.frames = self.frames(item).unwrap_or(settings.frames),
            "socket" => settings.socket = item.text().unwrap_or_default().into(),
            "conn_reuse_mode" => options.conn_reuse_mode = item.number().unwrap_or_default(),
            "expire_nodest_conn" => options.expire_nodest_conn = item.is_on(),
            "expire_quiescent_template" => options.expire_quiescent_template = item.is_on(),
            "flagless_segment_closes" => options.flagless_segment_closes = item.is_on(),
            "template_keeps_timeout" => options.template_keeps_timeout = item.is_on(),
            "sloppy_tcp" => options.sloppy_tcp = item.is_on(),
            "last_service_ends_all" => options.last_service_ends_all = item.is_on(),
            "reset_unknown" => options.reset_unknown = item.is_on(),
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
