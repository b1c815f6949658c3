//! The states of connections, as tables of words: a row for each event, in it the state that each state leads to.

/// Which side a packet comes from; [`Seen::InputOnly`] where answers go another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Input = 0,
    Output = 1,
    InputOnly = 2,
}

/// The names in listings, of TCP.
const TCP: [&str; 11] = [
    "NONE",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "SYNACK",
];

/// Rows of the tables.
const SYN: usize = 0;
const FIN: usize = 1;
const ACK: usize = 2;
const RST: usize = 3;

/// The four rows from the client, from the server, and from the client where that is all that is seen (`ip_vs_proto_tcp.c: tcp_states`).
const TCP_NEXT: [[&str; 4]; 3] = [
    [
        "SYN_RECV ESTABLISHED ESTABLISHED SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV",
        "CLOSE CLOSE_WAIT SYN_SENT TIME_WAIT TIME_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN TIME_WAIT",
        "ESTABLISHED ESTABLISHED SYN_SENT ESTABLISHED FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT CLOSE LISTEN ESTABLISHED",
        "CLOSE CLOSE CLOSE SYN_RECV CLOSE CLOSE CLOSE CLOSE LAST_ACK LISTEN SYN_RECV",
    ],
    [
        "SYN_SENT ESTABLISHED SYN_SENT SYN_RECV SYN_SENT SYN_SENT SYN_SENT SYN_SENT SYN_SENT LISTEN SYN_RECV",
        "TIME_WAIT FIN_WAIT SYN_SENT TIME_WAIT FIN_WAIT TIME_WAIT CLOSE TIME_WAIT LAST_ACK LISTEN TIME_WAIT",
        "ESTABLISHED ESTABLISHED SYN_SENT ESTABLISHED FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK ESTABLISHED ESTABLISHED",
        "CLOSE CLOSE SYN_SENT CLOSE CLOSE TIME_WAIT CLOSE CLOSE CLOSE CLOSE CLOSE",
    ],
    [
        "SYN_RECV ESTABLISHED ESTABLISHED SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV SYN_RECV",
        "CLOSE FIN_WAIT SYN_SENT TIME_WAIT FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN TIME_WAIT",
        "ESTABLISHED ESTABLISHED SYN_SENT ESTABLISHED FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT CLOSE LISTEN ESTABLISHED",
        "CLOSE CLOSE CLOSE SYN_RECV CLOSE CLOSE CLOSE CLOSE LAST_ACK LISTEN CLOSE",
    ],
];

/// Of SCTP. Changes alone: the type of the first chunk, from which states (`*`: all others), to which
const SCTP_NEXT: [&[(u8, &str, &str)]; 3] = [
    &[
        (0, "NONE", "ESTABLISHED"),
        (1, "NONE", "INIT1"),
        (1, "INIT1 REJECTED CLOSED", "INIT"),
        (2, "NONE INIT1 INIT", "C-WAIT"),
        (2, "C-WAIT", "COOKIE"),
        (10, "NONE C-SENT", "C-REPLIED"),
        (10, "INIT1", "INIT"),
        (11, "NONE C-ECHOED", "ESTABLISHED"),
        (7, "NONE ESTABLISHED", "S-RECEIVED"),
        (8, "NONE S-SENT S-ACK-SENT", "CLOSED"),
        (8, "INIT1", "INIT"),
        (14, "NONE INIT1 INIT S-ACK-SENT", "CLOSED"),
        (9, "NONE C-ECHOED", "CLOSED"),
        (6, "C-WAIT", "REJECTED"),
        (6, "*", "CLOSED"),
    ],
    &[
        (0, "NONE", "ESTABLISHED"),
        (1, "ESTABLISHED", "ESTABLISHED"),
        (1, "*", "C-WAIT"),
        (2, "NONE INIT1 INIT", "C-SENT"),
        (10, "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT COOKIE C-ECHOED", "C-ECHOED"),
        (11, "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT COOKIE C-ECHOED", "ESTABLISHED"),
        (7, "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT COOKIE C-ECHOED ESTABLISHED", "S-SENT"),
        (8, "NONE INIT1 INIT C-SENT C-REPLIED S-SENT S-RECEIVED", "S-ACK-SENT"),
        (14, "NONE", "CLOSED"),
        (9, "NONE INIT1 INIT C-SENT C-REPLIED", "CLOSED"),
        (6, "INIT1", "REJECTED"),
        (6, "*", "CLOSED"),
    ],
    &[
        (0, "NONE C-WAIT", "ESTABLISHED"),
        (1, "NONE", "INIT1"),
        (1, "INIT1 C-SENT C-REPLIED C-WAIT REJECTED CLOSED", "INIT"),
        (2, "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT", "C-ECHOED"),
        (10, "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT", "ESTABLISHED"),
        (11, "NONE C-SENT C-REPLIED COOKIE C-ECHOED", "ESTABLISHED"),
        (7, "NONE ESTABLISHED", "S-RECEIVED"),
        (8, "NONE ESTABLISHED S-SENT S-ACK-SENT", "CLOSED"),
        (8, "INIT1", "INIT"),
        (14, "NONE INIT1 INIT C-SENT C-REPLIED S-RECEIVED S-ACK-SENT", "CLOSED"),
        (9, "NONE", "CLOSED"),
        (6, "C-WAIT", "REJECTED"),
        (6, "*", "CLOSED"),
    ],
];

/// What a segment does; `None` if its flags are none that count. `secure`: while `secure_tcp` holds.
pub fn tcp(state: &'static str, flags: u8, seen: Seen, secure: bool) -> Option<&'static str> {
    let event = [(4, RST), (2, SYN), (1, FIN), (16, ACK)].into_iter().find(|(bit, _)| flags & bit != 0)?.1;
    let other = match (seen, event, state) {
        (Seen::Input, SYN | FIN | ACK, "SYNACK") => Some("SYNACK"),
        (Seen::Input, ACK, "SYN_RECV") => Some("SYN_RECV"),
        (Seen::Input, RST, "SYNACK") => Some("CLOSE"),
        (Seen::Output, SYN, "SYN_RECV" | "SYNACK") => Some("SYNACK"),
        (Seen::InputOnly, SYN, "ESTABLISHED" | "SYN_SENT") => Some("ESTABLISHED"),
        (Seen::InputOnly, SYN, "SYN_RECV") => Some("SYN_RECV"),
        (Seen::InputOnly, SYN, _) => Some("SYNACK"),
        _ => None,
    };
    if let Some(other) = other.filter(|_| secure) {
        return Some(other);
    }
    let at = TCP.iter().position(|name| *name == state).expect("a state of TCP");
    TCP_NEXT[seen as usize][event].split(' ').nth(at)
}

pub fn sctp(state: &'static str, chunk: u8, seen: Seen) -> &'static str {
    let named = [1, 2, 6, 7, 8, 9, 10, 11, 14];
    let event = if named.contains(&chunk) { chunk } else { 0 };
    let holds =
        |&&(of, from, _): &&(u8, &str, &str)| of == event && (from == "*" || from.split(' ').any(|name| name == state));
    SCTP_NEXT[seen as usize].iter().find(holds).map_or(state, |(.., to)| to)
}

/// Whether it counts as an active connection.
pub fn is_active(state: &str) -> bool {
    ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"].contains(&state)
}

/// Seconds, but for those that can be set: ESTABLISHED and FIN_WAIT of TCP, and UDP.
pub fn seconds(protocol: u8, state: &str, [tcp, tcp_fin, udp]: [u32; 3]) -> u32 {
    match (protocol, state) {
        (crate::places::UDP, _) => udp,
        (crate::places::TCP, "ESTABLISHED") => tcp,
        (crate::places::TCP, "FIN_WAIT") => tcp_fin,
        (_, "ESTABLISHED") => 900,
        (_, "NONE") => 2,
        (_, "SYN_RECV" | "CLOSE_WAIT") => 60,
        (_, "CLOSE") => 10,
        (_, "LAST_ACK") => 30,
        (_, "INIT1" | "REJECTED") => 4,
        (crate::places::TCP, _) => 120,
        _ => 61,
    }
}
