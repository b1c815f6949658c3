//! FTP through NAT: a scripted session, in which client and server each keep to their own sequence numbers.

use std::net::IpAddr;

use etherparse::{PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};
use ringmaster::conn::State;
use ringmaster::forward::Reason;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{FtpPorts, Hop, Load, Method, Options, PairId, Snapshot};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::{self, CLIENT_MAC, DIRECTOR_MAC, Packet};

/// A TCP segment as a test says and sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    from: String,
    to: String,
    flags: &'static str,
    sequence: u32,
    acknowledged: u32,
    sack: Option<(u32, u32)>,
    text: String,
}

impl Segment {
    fn frame(&self) -> Vec<u8> {
        let ((from, sport), (to, dport)) = (packets::end(&self.from), packets::end(&self.to));
        let ethernet = PacketBuilder::ethernet2(CLIENT_MAC, DIRECTOR_MAC);
        let ip = match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
            mixed => panic!("{mixed:?}"),
        };
        let mut tcp = ip.tcp(sport, dport, self.sequence, 8192);
        if self.flags.contains('S') {
            tcp = tcp.syn();
        }
        if self.flags.contains('A') {
            tcp = tcp.ack(self.acknowledged);
        }
        if let Some(block) = self.sack {
            let sack = TcpOptionElement::SelectiveAcknowledgement(block, [None; 3]);
            tcp = tcp.options(&[TcpOptionElement::Noop, sack]).unwrap();
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, self.text.as_bytes()).unwrap();
        frame
    }

    /// Takes a frame apart, after all of its checksums were found right.
    fn read(frame: &[u8]) -> Self {
        let packet = Packet::read(frame);
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("TCP") };
        let end = |(addr, port)| std::net::SocketAddr::new(addr, port).to_string();
        Self {
            from: end(packet.source),
            to: end(packet.destination),
            flags: match (tcp.syn(), tcp.ack()) {
                (true, true) => "SA",
                (true, false) => "S",
                _ => "A",
            },
            sequence: tcp.sequence_number(),
            acknowledged: if tcp.ack() { tcp.acknowledgment_number() } else { 0 },
            sack: tcp.options_iterator().find_map(|option| match option {
                Ok(TcpOptionElement::SelectiveAcknowledgement(block, _)) => Some(block),
                _ => None,
            }),
            text: String::from_utf8(packet.payload).unwrap(),
        }
    }
}

/// A session through a director: what the client sends and what the server sends, each in its own numbers.
struct Session {
    director: Offline<MemIo>,
    now: Tick,
    client: &'static str,
    virtual_: &'static str,
    real: &'static str,
    /// The next number of the client, of the server, and of the server as the client has it.
    numbers: [u32; 3],
}

const CLIENT_START: u32 = 100;
/// Shortly before the numbers wrap.
const SERVER_START: u32 = u32::MAX - 100;

impl Session {
    fn open(virtual_: &'static str, client: &'static str, real: &'static str) -> Self {
        Self::over(
            director(snapshot(&[Wanted::tcp(virtual_, Method::Nat, &[real])], options()), 100),
            virtual_,
            client,
            real,
        )
    }

    fn over(director: Offline<MemIo>, virtual_: &'static str, client: &'static str, real: &'static str) -> Self {
        let numbers = [CLIENT_START + 1, SERVER_START.wrapping_add(1), SERVER_START.wrapping_add(1)];
        let mut session = Self { director, now: Tick(1000), client, virtual_, real, numbers };
        let syn = session.segment(client, virtual_, "S", CLIENT_START, 0, "");
        assert_eq!(session.pass(CLIENTS, &syn).unwrap().to, real);
        let answer = session.segment(real, client, "SA", SERVER_START, CLIENT_START + 1, "");
        assert_eq!(session.pass(SERVERS, &answer).unwrap().from, virtual_);
        session.say("");
        session
    }

    fn segment(
        &self,
        from: &str,
        to: &str,
        flags: &'static str,
        sequence: u32,
        acknowledged: u32,
        text: &str,
    ) -> Segment {
        let (from, to, text) = (from.to_owned(), to.to_owned(), text.to_owned());
        Segment { from, to, flags, sequence, acknowledged, sack: None, text }
    }

    fn pass(&mut self, port: PortId, segment: &Segment) -> Option<Segment> {
        let mut out = pass(&mut self.director, port, &segment.frame(), self.now);
        assert!(out.len() <= 1);
        out.pop().filter(|(by, _)| *by != port).map(|(_, frame)| Segment::read(&frame))
    }

    /// The client says something and acknowledges all it has; the server sees it in its own numbers.
    fn say(&mut self, text: &str) {
        let [sequence, server, seen] = self.numbers;
        let there = self.segment(self.client, self.virtual_, "A", sequence, seen, text);
        let expected = Segment { to: self.real.into(), acknowledged: server, ..there.clone() };
        assert_eq!(self.pass(CLIENTS, &there), Some(expected));
        self.numbers[0] += text.len() as u32;
    }

    /// The server says something; the client sees `seen`.
    fn answer(&mut self, text: &str, seen: &str) {
        let [acknowledged, sequence, at] = self.numbers;
        let back = self.segment(self.real, self.client, "A", sequence, acknowledged, text);
        let expected = Segment { from: self.virtual_.into(), sequence: at, text: seen.into(), ..back.clone() };
        assert_eq!(self.pass(SERVERS, &back), Some(expected));
        self.numbers[1] = sequence.wrapping_add(text.len() as u32);
        self.numbers[2] = at.wrapping_add(seen.len() as u32);
    }

    /// A connection opened from one end to the other through the director: what the far end sees of its SYN, and the
    /// near end of the answer.
    fn connect(&mut self, near: PortId, from: &str, to: &str) -> Option<[String; 4]> {
        let far = if near == CLIENTS { SERVERS } else { CLIENTS };
        let syn = self.segment(from, to, "S", 7000, 0, "");
        let there = self.pass(near, &syn)?;
        let answer = self.segment(&there.to, &there.from, "SA", 9000, 7001, "");
        let back = self.pass(far, &answer)?;
        Some([there.from, there.to, back.from, back.to])
    }

    fn states(&self) -> Vec<State> {
        let mut states: Vec<_> = self.director.shared.table.entries().map(|listed| listed.record.state).collect();
        states.sort_by_key(|&state| state as u8);
        states
    }
}

fn options() -> Options {
    Options { ftp_ports: FtpPorts::new([21, 2121]), ..Options::RINGMASTER }
}

const VIP: &str = "192.0.2.100:21";
const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "10.1.0.11:21";

fn v4() -> Session {
    Session::open(VIP, CLIENT, SERVER)
}

const PASSIVE: &str = "227 Entering Passive Mode (10,1,0,11,195,80).\r\n";
const PASSIVE_SEEN: &str = "227 Entering Passive Mode (192,0,2,100,195,80).\r\n";

#[test]
fn a_passive_session() {
    let mut session = v4();
    session.answer("220 hello\r\n", "220 hello\r\n");
    session.say("PASV\r\n");
    session.answer(PASSIVE, PASSIVE_SEEN);
    session.say("RETR file\r\n");
    assert_eq!(session.states(), [State::Established, State::Listen]);
    let ends = session.connect(CLIENTS, "198.51.100.7:50123", "192.0.2.100:50000").unwrap();
    assert_eq!(ends, ["198.51.100.7:50123", "10.1.0.11:50000", "192.0.2.100:50000", "198.51.100.7:50123"]);
    assert_eq!(session.states(), [State::Established, State::SynRecv]);
    session.answer("150 here it comes\r\n", "150 here it comes\r\n");
    session.say("PASV\r\n");
    session.answer(PASSIVE, PASSIVE_SEEN);
    session.answer("226 done\r\n", "226 done\r\n");
    session.say("QUIT\r\n");
    let load = session.director.shared.loads.load(PairId(0));
    assert_eq!(load, Load { active: 2, inactive: 1 });
    assert_eq!(session.director.counters.pair(PairId(0)).unwrap().connections.get(), 1, "one was scheduled");
}

#[test]
fn an_active_session_with_a_mapped_port() {
    let mut session = Session::open("192.0.2.100:2121", CLIENT, "10.1.0.11:21");
    session.say("PORT 198,51,100,7,200,1\r\n");
    session.answer("200 OK\r\n", "200 OK\r\n");
    let ends = session.connect(SERVERS, "10.1.0.11:20", "198.51.100.7:51201").unwrap();
    assert_eq!(ends, ["192.0.2.100:2120", "198.51.100.7:51201", "198.51.100.7:51201", "10.1.0.11:20"]);
    assert_eq!(session.states(), [State::Established, State::SynRecv]);
}

#[test]
fn extended_commands_in_both_families() {
    for (virtual_, client, real, vip, ip, rip, number) in [
        (VIP, CLIENT, SERVER, "192.0.2.100", "198.51.100.7", "10.1.0.11", 1),
        (
            "[2001:db8::10]:21",
            "[2001:db8:f::7]:40000",
            "[2001:db8:1::11]:21",
            "[2001:db8::10]",
            "[2001:db8:f::7]",
            "[2001:db8:1::11]",
            2,
        ),
    ] {
        let mut session = Session::open(virtual_, client, real);
        session.say("EPSV\r\n");
        session.answer("229 Extended (|||50000|)\r\n", "229 Extended (|||50000|)\r\n");
        let [_, to, from, _] = session.connect(CLIENTS, &format!("{ip}:50123"), &format!("{vip}:50000")).unwrap();
        assert_eq!([to, from], [format!("{rip}:50000"), format!("{vip}:50000")]);
        let bare = ip.trim_matches(['[', ']']);
        session.say(&format!("EPRT |{number}|{bare}|51201|\r\n"));
        let [from, to, ..] = session.connect(SERVERS, &format!("{rip}:20"), &format!("{ip}:51201")).unwrap();
        assert_eq!([from, to], [format!("{vip}:20"), format!("{ip}:51201")]);
        session.answer("150 OK\r\n", "150 OK\r\n");
    }
}

/// Both ends may have lost something, and neither knows of the other's numbers.
#[test]
fn retransmissions_and_selective_acknowledgments() {
    let mut session = v4();
    session.say("PASV\r\n");
    let before = session.numbers;
    session.answer(PASSIVE, PASSIVE_SEEN);
    let after = session.numbers;
    assert_eq!(after[2].wrapping_sub(after[1]), 2, "two bytes longer");
    for _ in 0..2 {
        session.numbers = before;
        session.answer(PASSIVE, PASSIVE_SEEN);
        assert_eq!(session.numbers, after);
    }
    // The client still lacks the reply, but has what came after it.
    let [sequence, server, seen] = session.numbers;
    let duplicate = Segment {
        sack: Some((seen, seen.wrapping_add(10))),
        ..session.segment(CLIENT, VIP, "A", sequence, before[2], "")
    };
    let there = session.pass(CLIENTS, &duplicate).unwrap();
    assert_eq!((there.acknowledged, there.sack), (before[1], Some((server, server.wrapping_add(10)))));
}

#[test]
fn who_names_a_third_address_is_not_helped() {
    let mut session = v4();
    session.say("PORT 203,0,113,9,200,1\r\n");
    assert_eq!(session.connect(SERVERS, "10.1.0.11:20", "203.0.113.9:51201"), None);
    session.answer("227 Elsewhere (10,1,0,99,195,80)\r\n", "227 Elsewhere (10,1,0,99,195,80)\r\n");
    assert_eq!(session.connect(CLIENTS, "198.51.100.7:50123", "192.0.2.100:50000"), None);
    assert_eq!(session.states(), [State::Established]);
    session.answer("227 Public (192,0,2,100,195,80)\r\n", "227 Public (192,0,2,100,195,80)\r\n");
    assert!(session.connect(CLIENTS, "198.51.100.7:50123", "192.0.2.100:50000").is_some(), "told by its configuration");
}

#[test]
fn what_nobody_comes_to_is_awaited_for_two_minutes() {
    let mut session = v4();
    session.say("PASV\r\n");
    session.answer(PASSIVE, PASSIVE_SEEN);
    assert_eq!(session.connect(CLIENTS, "198.51.100.8:50123", "192.0.2.100:50000"), None, "another client");
    assert_eq!(session.connect(CLIENTS, "198.51.100.7:50123", "192.0.2.100:50001"), None, "another port");
    session.now = session.now.plus(Ticks::from_secs(120));
    session.director.sweep(session.now);
    assert_eq!(session.states(), [State::Established, State::Listen]);
    session.now = session.now.plus(Ticks(1));
    assert_eq!(session.connect(CLIENTS, "198.51.100.7:50123", "192.0.2.100:50000"), None);
    session.director.sweep(session.now);
    assert_eq!(session.states(), [State::Established]);
    assert_eq!(session.director.shared.loads.load(PairId(0)), Load { active: 1, inactive: 0 });
}

#[test]
fn a_long_download_keeps_its_control_connection() {
    let mut session = v4();
    session.say("PASV\r\n");
    session.answer(PASSIVE, PASSIVE_SEEN);
    session.connect(CLIENTS, "198.51.100.7:50123", "192.0.2.100:50000").unwrap();
    let data = session.segment("198.51.100.7:50123", "192.0.2.100:50000", "A", 7001, 9001, "");
    for _ in 0..5 {
        assert!(session.pass(CLIENTS, &data).is_some());
        session.now = session.now.plus(Ticks::from_secs(600));
        session.director.sweep(session.now);
    }
    assert_eq!(session.states(), [State::Established, State::Established]);
    session.answer("226 done\r\n", "226 done\r\n");
}

/// What waits for a neighbour is decided about again, and must be changed but once.
#[test]
fn a_reply_that_had_to_wait_is_translated_once() {
    let mut session = v4();
    session.say("PASV\r\n");
    session.answer(PASSIVE, PASSIVE_SEEN);
    let known = session.director.snapshot().clone();
    let mut network = (*known.network).clone();
    network.hops[0] = Hop::default();
    network.epoch += 1;
    let unknown = Snapshot { network: network.into(), ..known.clone() };
    session.director.publish(unknown);
    let [acknowledged, sequence, at] = session.numbers;
    let reply = session.segment(SERVER, CLIENT, "A", sequence, acknowledged, PASSIVE);
    assert_eq!(session.pass(SERVERS, &reply), None);
    let mut network = (*known.network).clone();
    network.epoch += 2;
    session.director.publish(Snapshot { network: network.into(), ..known });
    session.director.drain(session.now);
    let out = session.director.worker.io().take_sent(CLIENTS);
    let seen = Segment::read(&out[0]);
    assert_eq!((seen.sequence, seen.text.as_str()), (at, PASSIVE_SEEN));
    session.numbers = [acknowledged, sequence, at];
    session.answer(PASSIVE, PASSIVE_SEEN);
    session.answer("226 done\r\n", "226 done\r\n");
    session.say("QUIT\r\n");
}

/// Rewritten, it would be right.
#[test]
fn a_wrong_checksum_is_not_made_right() {
    let mut session = v4();
    let [acknowledged, sequence, _] = session.numbers;
    let mut frame = session.segment(SERVER, CLIENT, "A", sequence, acknowledged, PASSIVE).frame();
    *frame.last_mut().unwrap() ^= 1;
    assert!(pass(&mut session.director, SERVERS, &frame, session.now).is_empty());
    assert_eq!(session.director.counters.reason(Reason::Malformed), 1);
}

#[test]
fn services_on_other_ports_and_by_other_methods_are_left_alone() {
    for (virtual_, real, method, ports) in [
        ("192.0.2.100:8021", "10.1.0.11:8021", Method::Nat, FtpPorts::STANDARD),
        (VIP, SERVER, Method::Nat, FtpPorts::NONE),
        (VIP, SERVER, Method::Dr, FtpPorts::STANDARD),
    ] {
        let options = Options { ftp_ports: ports, ..Options::RINGMASTER };
        let mut director = director(snapshot(&[Wanted::tcp(virtual_, method, &[real])], options), 100);
        let sent = |from: &str, to: &str, flags, text: &str| Segment {
            from: from.into(),
            to: to.into(),
            flags,
            sequence: 1,
            acknowledged: 1,
            sack: None,
            text: text.into(),
        };
        pass(&mut director, CLIENTS, &sent(CLIENT, virtual_, "S", "").frame(), Tick(1000));
        let out = pass(
            &mut director,
            CLIENTS,
            &sent(CLIENT, virtual_, "A", "PORT 198,51,100,7,200,1\r\n").frame(),
            Tick(1000),
        );
        assert_eq!(out.len(), 1);
        if method == Method::Nat {
            let out = pass(&mut director, SERVERS, &sent(real, CLIENT, "A", PASSIVE).frame(), Tick(1000));
            assert_eq!(Segment::read(&out[0].1).text, PASSIVE);
        }
        assert_eq!(director.shared.table.len(), 1);
    }
}
