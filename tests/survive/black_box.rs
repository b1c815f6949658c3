//! The packets that a director had in hand when it died, as it has saved them.

use std::fs::File;
use std::path::Path;

use etherparse::{SlicedPacket, TransportSlice};
use ringmaster::io::pcap::Reader;

/// Numbered datagrams among them, by the client's port and the number; and how many packets there are in all.
pub(crate) fn read(file: &Path) -> (Vec<(u16, u64)>, u64) {
    let mut reader = Reader::new(File::open(file).expect("the log says so")).expect("it is a capture");
    let (mut numbered, mut all) = (Vec::new(), 0);
    while let Some(record) = reader.read().expect("it is whole") {
        all += 1;
        let packet = SlicedPacket::from_ethernet(record.frame.expect("it is an Ethernet frame"));
        let Ok(SlicedPacket { transport: Some(TransportSlice::Udp(udp)), .. }) = packet else { continue };
        if let Some(number) = udp.payload().first_chunk().filter(|_| udp.payload().len() == 8) {
            numbered.push((udp.source_port(), u64::from_be_bytes(*number)));
        }
    }
    (numbered, all)
}
