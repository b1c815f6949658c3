//! What entered the switch: captured by tcpdump, read back as adverts and announcements.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use pcap_file::pcap::PcapReader;
use ringmaster::vrrp::packet::Packet;
use ringmaster::vrrp::wire::Advert;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::netns::Namespace;

/// A tcpdump at one port of the switch.
pub(crate) struct Capture {
    child: Child,
    file: PathBuf,
    host: usize,
}

/// A frame of interest, and when it entered the switch.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Since the epoch.
    pub(crate) at: Duration,
    /// The host that sent it, by its number.
    pub(crate) host: usize,
    /// The whole frame.
    pub(crate) frame: Vec<u8>,
    /// What it says.
    pub(crate) what: What,
}

/// What a frame can say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// An advert.
    Advert(Advert),
    /// A gratuitous ARP request or an unsolicited neighbour advertisement.
    Announcement,
}

impl Capture {
    /// Begins to capture what `host` sends into `port`.
    pub(crate) fn start(switch: &Namespace, port: &str, host: usize, directory: &Path) -> Self {
        let file = directory.join(format!("{port}.pcap"));
        // Its buffer of 4 MiB has room for so many frames of the length that is to be kept: by default for sixteen.
        let line = format!("tcpdump -i {port} -Q in -n -U --immediate-mode -s 2048 -B 4096 -w {}", file.display());
        let mut child = switch.command(&line).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("as said");
        let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("listening on")));
        assert!(ready, "tcpdump listens on {port}");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, file, host }
    }

    /// All frames of interest so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let Ok(file) = std::fs::File::open(&self.file) else { return Vec::new() };
        let Ok(mut reader) = PcapReader::new(file) else { return Vec::new() };
        let mut seen = Vec::new();
        // The last one may be written by halves.
        while let Some(Ok(packet)) = reader.next_packet() {
            if let Some(what) = classify(&packet.data) {
                seen.push(Seen { at: packet.timestamp, host: self.host, frame: packet.data.into_owned(), what });
            }
        }
        seen
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn classify(frame: &[u8]) -> Option<What> {
    let (kind, rest) = (frame.get(12..14)?, frame.get(14..)?);
    match kind {
        [0x08, 0x06] if rest.get(7) == Some(&1) && rest.get(14..18) == rest.get(24..28) => Some(What::Announcement),
        [0x86, 0xdd] if rest.get(6) == Some(&58) && rest.get(40) == Some(&136) => Some(What::Announcement),
        _ => {
            let packet = Packet::parse(rest)?;
            // A broken one is a bystander's.
            Advert::parse(packet.payload, packet.ends).ok().map(What::Advert)
        }
    }
}

impl Seen {
    /// The priority, if it is an advert.
    pub(crate) fn priority(&self) -> Option<u8> {
        match &self.what {
            What::Advert(advert) => Some(advert.priority),
            What::Announcement => None,
        }
    }
}
