//! Steps to frames, and frames to what became of a packet.

use std::net::{IpAddr, SocketAddr};

use crate::packets::{Kind, Packet, tcp, udp};
use crate::places::{SCTP, TCP, UDP};
use crate::sctp_packets;
use crate::steps::What;

/// An address with a port.
pub type End = (IpAddr, u16);

/// A packet of the client's or the server's.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub protocol: u8,
    pub from: End,
    pub to: End,
    pub what: What,
}

impl Sent {
    pub fn bytes(&self) -> Vec<u8> {
        let text = |end: End| SocketAddr::from(end).to_string();
        let (from, to) = (text(self.from), text(self.to));
        let payload = vec![0x5a; usize::from(self.what.payload)];
        match self.protocol {
            TCP => tcp(&from, &to, &flags(self.what.flags)).with_payload(&payload).bytes(),
            UDP => udp(&from, &to, &payload).bytes(),
            _ => sctp_packets::sctp(&from, &to, self.what.chunk),
        }
    }
}

fn flags(bits: u8) -> String {
    let all = [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P'), (16, 'A')];
    all.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| letter).collect()
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It left for a server: by which, in a tunnel or not, and with which ends.
    ToServer { server: IpAddr, tunnel: bool, from: End, to: End },
    /// It left for its client.
    ToClient { from: End, to: End },
    /// It left for where it was sent, past all servers.
    ToOrigin,
    /// A reset.
    Reset,
    /// Port unreachable.
    PortUnreachable,
    /// Protocol unreachable.
    ProtocolUnreachable,
    /// The kernel's.
    Untouched,
    /// It is gone.
    Dropped,
}

/// What a frame that left says, beside a packet that was sent. Everything but what balancing changes must be as it was.
/// `None`: something that no packet should become.
pub fn outcome(sent: &Sent, to_servers: bool, server: Option<IpAddr>, frame: &[u8]) -> Option<Outcome> {
    let (outer, inner) = unwrapped(frame);
    match read(sent, &inner)? {
        Read::PortUnreachable => Some(Outcome::PortUnreachable),
        Read::ProtocolUnreachable => Some(Outcome::ProtocolUnreachable),
        Read::Whole(packet) => {
            let (from, to) = (packet.source, packet.destination);
            let is_reset = matches!(&packet.kind, Kind::Tcp(flags) if flags.contains('R')) && packet.ttl == 64;
            if is_reset && (from, to) == (sent.to, sent.from) && !to_servers {
                return Some(Outcome::Reset);
            }
            same_beside_ends(sent, &packet).then_some(())?;
            Some(match (to_servers, server) {
                _ if !to_servers && (from, to) == (sent.from, sent.to) => Outcome::ToOrigin,
                (true, Some(server)) => {
                    let tunnel = outer.is_some();
                    (outer.is_none_or(|outer| outer == server)).then_some(())?;
                    Outcome::ToServer { server, tunnel, from, to }
                }
                (false, _) => Outcome::ToClient { from, to },
                (true, None) => return None,
            })
        }
    }
}

fn same_beside_ends(sent: &Sent, packet: &Packet) -> bool {
    let same_kind = match &packet.kind {
        Kind::Tcp(its) => sent.protocol == TCP && flags(sent.what.flags) == sorted(its),
        Kind::Udp => sent.protocol != TCP,
    };
    let payload = if sent.protocol == SCTP { 0 } else { usize::from(sent.what.payload) };
    same_kind && packet.ttl == 63 && packet.payload.len() == payload
}

fn sorted(letters: &str) -> String {
    ['F', 'S', 'R', 'P', 'A'].iter().filter(|&&letter| letters.contains(letter)).collect()
}

/// The tunnel's destination, and the frame without the tunnel.
fn unwrapped(frame: &[u8]) -> (Option<IpAddr>, Vec<u8>) {
    let (protocol, header, outer): (u8, usize, IpAddr) = match frame[12] {
        8 => (frame[23], 20, <[u8; 4]>::try_from(&frame[30..34]).unwrap().into()),
        _ => (frame[20], 40, <[u8; 16]>::try_from(&frame[38..54]).unwrap().into()),
    };
    let ethertype = match protocol {
        4 => [0x08, 0x00],
        41 => [0x86, 0xdd],
        _ => return (None, frame.to_vec()),
    };
    (Some(outer), [&frame[..12], &ethertype, &frame[14 + header..]].concat())
}

enum Read {
    Whole(Packet),
    PortUnreachable,
    ProtocolUnreachable,
}

fn read(sent: &Sent, frame: &[u8]) -> Option<Read> {
    let v4 = frame[12] == 8;
    let (its, l4) = if v4 { (frame[23], 34) } else { (frame[20], 54) };
    let answers = || match v4 {
        true => frame[26..34] == [octets(sent.to.0), octets(sent.from.0)].concat(),
        false => frame[22..54] == [octets(sent.to.0), octets(sent.from.0)].concat(),
    };
    match (its, frame[l4], frame[l4 + 1]) {
        (1, 3, 3) | (58, 1, 4) => answers().then_some(Read::PortUnreachable),
        (1, 3, 2) | (58, 4, 1) => answers().then_some(Read::ProtocolUnreachable),
        (SCTP, ..) if sent.protocol == SCTP => {
            let (packet, wrong) = sctp_packets::read(frame);
            (wrong == [0; 4]).then_some(Read::Whole(packet))
        }
        _ if its == sent.protocol => Some(Read::Whole(Packet::read(frame))),
        _ => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
