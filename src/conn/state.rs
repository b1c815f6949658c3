//! Connection states and the TCP transitions of LVS; those of SCTP are in `sctp.rs`.
//!
//! LVS follows TCP loosely: by flags alone, without sequence numbers, in tables per direction
//! (`ip_vs_proto_tcp.c: tcp_states`). Any RST or FIN inside the tuple moves the state.

use crate::wire::{Protocol, TcpFlags};

/// State of a table entry. The numbers are part of the table's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The slot holds nothing.
    Free = 0,
    /// No packet has been judged yet.
    None = 1,
    /// Data may flow both ways.
    Established = 2,
    /// The server opened (or re-opened) the connection.
    SynSent = 3,
    /// The client's SYN was seen.
    SynRecv = 4,
    /// The server's FIN was seen first (or, where replies are not seen, the client's).
    FinWait = 5,
    /// Both FINs were seen.
    TimeWait = 6,
    /// Reset, or closed for good.
    Close = 7,
    /// The client's FIN was seen first.
    CloseWait = 8,
    /// Waiting for the last acknowledgement.
    LastAck = 9,
    /// Waiting for a connection that a helper announced.
    Listen = 10,
    /// SYN answered, not acknowledged (secure_tcp).
    SynAck = 11,
    /// A UDP exchange.
    Udp = 16,
    /// SCTP: no packet has been judged yet.
    SctpNone = 32,
    /// SCTP: one INIT was seen.
    SctpInit1 = 33,
    /// SCTP: more than one INIT was seen.
    SctpInit = 34,
    /// SCTP: the server answered with a cookie.
    SctpCookieSent = 35,
    /// SCTP: the client returned the cookie.
    SctpCookieReplied = 36,
    /// SCTP: the server asked for an association.
    SctpCookieWait = 37,
    /// SCTP: the client answered it with a cookie.
    SctpCookie = 38,
    /// SCTP: the server returned the cookie.
    SctpCookieEchoed = 39,
    /// SCTP: data may flow both ways.
    SctpEstablished = 40,
    /// SCTP: the server began to shut down.
    SctpShutdownSent = 41,
    /// SCTP: the client began to shut down.
    SctpShutdownReceived = 42,
    /// SCTP: the server agreed to shut down.
    SctpShutdownAckSent = 43,
    /// SCTP: refused.
    SctpRejected = 44,
    /// SCTP: aborted, or shut down for good.
    SctpClosed = 45,
    /// A persistence template none of whose connections was ever established. Listed as `NONE`.
    Template = 48,
    /// A persistence template with an established connection behind it. Listed as `ASSURED`.
    TemplateAssured = 49,
    /// Ended; the slot is not yet free.
    Dead = 254,
    /// Being written by its owner; not yet to be read.
    Filling = 255,
}

impl State {
    /// From the byte in the table; a byte that is no state is [`State::Dead`].
    #[inline(always)]
    pub const fn from_byte(byte: u8) -> State {
        match byte {
            0 => State::Free,
            1 => State::None,
            2 => State::Established,
            3 => State::SynSent,
            4 => State::SynRecv,
            5 => State::FinWait,
            6 => State::TimeWait,
            7 => State::Close,
            8 => State::CloseWait,
            9 => State::LastAck,
            10 => State::Listen,
            11 => State::SynAck,
            16 => State::Udp,
            32 => State::SctpNone,
            33 => State::SctpInit1,
            34 => State::SctpInit,
            35 => State::SctpCookieSent,
            36 => State::SctpCookieReplied,
            37 => State::SctpCookieWait,
            38 => State::SctpCookie,
            39 => State::SctpCookieEchoed,
            40 => State::SctpEstablished,
            41 => State::SctpShutdownSent,
            42 => State::SctpShutdownReceived,
            43 => State::SctpShutdownAckSent,
            44 => State::SctpRejected,
            45 => State::SctpClosed,
            48 => State::Template,
            49 => State::TemplateAssured,
            255 => State::Filling,
            _ => State::Dead,
        }
    }

    /// Whether the connection counts as active (`ActiveConn`): UDP never does, half-open TCP does, half-open SCTP does
    /// not.
    #[inline(always)]
    pub const fn is_active(self) -> bool {
        matches!(self, State::Established | State::SynSent | State::SynRecv | State::SynAck | State::SctpEstablished)
    }

    /// The state of a new connection of this protocol, before its first packet is judged.
    pub const fn first(protocol: u8) -> State {
        match protocol {
            Protocol::UDP => State::Udp,
            Protocol::SCTP => State::SctpNone,
            _ => State::None,
        }
    }

    /// Whether the connection, of TCP or SCTP, is established.
    pub const fn is_established(self) -> bool {
        matches!(self, State::Established | State::SctpEstablished)
    }

    /// Whether only the client has said something so far, which anybody can in any name.
    pub const fn is_half_open(self) -> bool {
        matches!(self, State::SynRecv | State::SynAck | State::SctpInit1 | State::SctpInit)
    }

    /// Whether both sides are done, and the entry waits only for stragglers.
    pub const fn is_finished(self) -> bool {
        matches!(self, State::TimeWait | State::Close | State::LastAck | State::SctpRejected | State::SctpClosed)
    }

    /// The name in `ipvsadm -Lc`.
    pub const fn name(self) -> &'static str {
        match self {
            State::None | State::SctpNone | State::Template => "NONE",
            State::Established | State::SctpEstablished => "ESTABLISHED",
            State::SynSent => "SYN_SENT",
            State::SynRecv => "SYN_RECV",
            State::FinWait => "FIN_WAIT",
            State::TimeWait => "TIME_WAIT",
            State::Close => "CLOSE",
            State::CloseWait => "CLOSE_WAIT",
            State::LastAck => "LAST_ACK",
            State::Listen => "LISTEN",
            State::SynAck => "SYNACK",
            State::Udp => "UDP",
            State::SctpInit1 => "INIT1",
            State::SctpInit => "INIT",
            State::SctpCookieSent => "C-SENT",
            State::SctpCookieReplied => "C-REPLIED",
            State::SctpCookieWait => "C-WAIT",
            State::SctpCookie => "COOKIE",
            State::SctpCookieEchoed => "C-ECHOED",
            State::SctpShutdownSent => "S-SENT",
            State::SctpShutdownReceived => "S-RECEIVED",
            State::SctpShutdownAckSent => "S-ACK-SENT",
            State::SctpRejected => "REJECTED",
            State::SctpClosed => "CLOSED",
            State::TemplateAssured => "ASSURED",
            State::Free | State::Dead | State::Filling => "-",
        }
    }
}

/// What a segment is to the state table: the first match of RST, SYN, FIN, ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TcpEvent {
    /// SYN, with or without ACK.
    Syn = 0,
    /// FIN.
    Fin = 1,
    /// ACK alone.
    Ack = 2,
    /// RST, whatever else is set.
    Rst = 3,
    /// None of the four.
    Flagless = 4,
}

impl TcpEvent {
    /// Judges a segment by its flags.
    #[inline(always)]
    pub const fn of(flags: TcpFlags) -> TcpEvent {
        EVENTS[(flags.0 & 0x1f) as usize]
    }

    const fn judge(flags: TcpFlags) -> TcpEvent {
        if flags.rst() {
            TcpEvent::Rst
        } else if flags.syn() {
            TcpEvent::Syn
        } else if flags.fin() {
            TcpEvent::Fin
        } else if flags.ack() {
            TcpEvent::Ack
        } else {
            TcpEvent::Flagless
        }
    }
}

/// [`TcpEvent::judge`] of the lowest five flags, FIN to ACK.
const EVENTS: [TcpEvent; 32] = {
    let mut events = [TcpEvent::Flagless; 32];
    let mut flags = 0;
    while flags < 32 {
        events[flags as usize] = TcpEvent::judge(TcpFlags(flags));
        flags += 1;
    }
    events
};

/// Which way a segment goes, and whether the other way is seen at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Seen {
    /// From the client; replies are seen too (NAT).
    Input = 0,
    /// From the server.
    Output = 1,
    /// From the client; replies are not seen (DR, TUN).
    InputOnly = 2,
}

/// The state after a segment (`tcp_states`, the normal table). `Flagless` leads to CLOSE, as in the kernel; callers that
/// choose otherwise do not ask.
#[inline(always)]
pub const fn tcp_next(state: State, event: TcpEvent, seen: Seen) -> State {
    NEXT[seen as usize][event as usize][(state as u8 & 0x0f) as usize]
}

/// The state after a segment while connections are defended against half-open ones (`secure_tcp`; `tcp_states_dos`):
/// SYN_RECV counts as SYNACK once answered, and becomes ESTABLISHED only by what the server sends.
pub const fn tcp_next_secure(state: State, event: TcpEvent, seen: Seen) -> State {
    use State::*;
    match (seen, event, state) {
        (Seen::Input, TcpEvent::Syn | TcpEvent::Fin | TcpEvent::Ack, SynAck) => SynAck,
        (Seen::Input, TcpEvent::Ack, SynRecv) => SynRecv,
        (Seen::Input, TcpEvent::Rst, SynAck) => Close,
        (Seen::Output, TcpEvent::Syn, SynRecv | SynAck) => SynAck,
        (Seen::InputOnly, TcpEvent::Syn, Established | SynSent) => Established,
        (Seen::InputOnly, TcpEvent::Syn, SynRecv) => SynRecv,
        (Seen::InputOnly, TcpEvent::Syn, _) => SynAck,
        _ => tcp_next(state, event, seen),
    }
}

/// [`transition`] worked out for the sixteen numbers that TCP states may have.
const NEXT: [[[State; 16]; 5]; 3] = {
    let seen = [Seen::Input, Seen::Output, Seen::InputOnly];
    let events = [TcpEvent::Syn, TcpEvent::Fin, TcpEvent::Ack, TcpEvent::Rst, TcpEvent::Flagless];
    let mut next = [[[State::Close; 16]; 5]; 3];
    let mut at = 0;
    while at < 3 * 5 * 16 {
        let (way, event, state) = (at / 80, at / 16 % 5, at % 16);
        next[way][event][state] = transition(State::from_byte(state as u8), events[event], seen[way]);
        at += 1;
    }
    next
};

const fn transition(state: State, event: TcpEvent, seen: Seen) -> State {
    use State::*;
    match (seen, event) {
        (Seen::Input | Seen::InputOnly, TcpEvent::Syn) => match state {
            Established | SynSent => Established,
            _ => SynRecv,
        },
        (Seen::Output, TcpEvent::Syn) => match state {
            None | FinWait | TimeWait | Close | CloseWait | LastAck => SynSent,
            SynAck => SynRecv,
            other => other,
        },
        (Seen::Input, TcpEvent::Fin) => match state {
            None => Close,
            Established => CloseWait,
            SynRecv | FinWait | SynAck => TimeWait,
            other => other,
        },
        (Seen::InputOnly, TcpEvent::Fin) => match state {
            None => Close,
            Established => FinWait,
            SynRecv | SynAck => TimeWait,
            other => other,
        },
        (Seen::Output, TcpEvent::Fin) => match state {
            None | SynRecv | CloseWait | SynAck => TimeWait,
            Established => FinWait,
            other => other,
        },
        (Seen::Input | Seen::InputOnly, TcpEvent::Ack) => match state {
            None | SynRecv | SynAck => Established,
            LastAck => Close,
            other => other,
        },
        (Seen::Output, TcpEvent::Ack) => match state {
            None | SynRecv | Listen | SynAck => Established,
            other => other,
        },
        (Seen::Input, TcpEvent::Rst) => match state {
            None | Established | SynSent | FinWait | TimeWait | CloseWait => Close,
            SynAck => SynRecv,
            other => other,
        },
        (Seen::InputOnly, TcpEvent::Rst) => match state {
            None | Established | SynSent | FinWait | TimeWait | CloseWait | SynAck => Close,
            other => other,
        },
        (Seen::Output, TcpEvent::Rst) => match state {
            None | Established | SynRecv | FinWait | CloseWait | LastAck | Listen | SynAck => Close,
            other => other,
        },
        (_, TcpEvent::Flagless) => Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Seen::*;
    use State::*;

    /// Walks a connection from its first packet.
    fn walk(steps: &[(TcpEvent, Seen)]) -> Vec<State> {
        steps
            .iter()
            .scan(State::None, |state, &(event, seen)| {
                *state = tcp_next(*state, event, seen);
                Some(*state)
            })
            .collect()
    }

    #[test]
    fn nat_the_client_closes() {
        let steps = [
            (TcpEvent::Syn, Input),
            (TcpEvent::Syn, Output),
            (TcpEvent::Ack, Input),
            (TcpEvent::Fin, Input),
            (TcpEvent::Fin, Output),
            (TcpEvent::Ack, Input),
        ];
        assert_eq!(walk(&steps), [SynRecv, SynRecv, Established, CloseWait, TimeWait, TimeWait]);
    }

    #[test]
    fn nat_the_server_closes() {
        let steps = [(TcpEvent::Syn, Input), (TcpEvent::Ack, Input), (TcpEvent::Fin, Output), (TcpEvent::Fin, Input)];
        assert_eq!(walk(&steps), [SynRecv, Established, FinWait, TimeWait]);
    }

    #[test]
    fn nat_the_server_refuses() {
        assert_eq!(walk(&[(TcpEvent::Syn, Input), (TcpEvent::Rst, Output)]), [SynRecv, Close]);
    }

    fn states(names: &str) -> Vec<State> {
        let of = |name: &str| match name {
            "NO" => None,
            "ES" => Established,
            "SS" => SynSent,
            "SR" => SynRecv,
            "FW" => FinWait,
            "TW" => TimeWait,
            "CL" => Close,
            "CW" => CloseWait,
            "LA" => LastAck,
            "LI" => Listen,
            "SA" => SynAck,
            other => panic!("no state {other}"),
        };
        names.split(' ').map(of).collect()
    }

    /// Both of the kernel's tables: a row for each event, in it the state that each state leads to.
    #[test]
    fn every_transition_is_the_kernels() {
        const NORMAL: [[&str; 4]; 3] = [
            [
                "SR ES ES SR SR SR SR SR SR SR SR",
                "CL CW SS TW TW TW CL CW LA LI TW",
                "ES ES SS ES FW TW CL CW CL LI ES",
                "CL CL CL SR CL CL CL CL LA LI SR",
            ],
            [
                "SS ES SS SR SS SS SS SS SS LI SR",
                "TW FW SS TW FW TW CL TW LA LI TW",
                "ES ES SS ES FW TW CL CW LA ES ES",
                "CL CL SS CL CL TW CL CL CL CL CL",
            ],
            [
                "SR ES ES SR SR SR SR SR SR SR SR",
                "CL FW SS TW FW TW CL CW LA LI TW",
                "ES ES SS ES FW TW CL CW CL LI ES",
                "CL CL CL SR CL CL CL CL LA LI CL",
            ],
        ];
        const SECURE: [[&str; 4]; 3] = [
            [
                "SR ES ES SR SR SR SR SR SR SR SA",
                "CL CW SS TW TW TW CL CW LA LI SA",
                "ES ES SS SR FW TW CL CW CL LI SA",
                "CL CL CL SR CL CL CL CL LA LI CL",
            ],
            [
                "SS ES SS SA SS SS SS SS SS LI SA",
                "TW FW SS TW FW TW CL TW LA LI TW",
                "ES ES SS ES FW TW CL CW LA ES ES",
                "CL CL SS CL CL TW CL CL CL CL CL",
            ],
            [
                "SA ES ES SR SA SA SA SA SA SA SA",
                "CL FW SS TW FW TW CL CW LA LI TW",
                "ES ES SS ES FW TW CL CW CL LI ES",
                "CL CL CL SR CL CL CL CL LA LI CL",
            ],
        ];
        let from = states("NO ES SS SR FW TW CL CW LA LI SA");
        let events = [TcpEvent::Syn, TcpEvent::Fin, TcpEvent::Ack, TcpEvent::Rst];
        for (at, seen) in [Input, Output, InputOnly].into_iter().enumerate() {
            for (row, event) in events.into_iter().enumerate() {
                let normal: Vec<_> = from.iter().map(|&state| tcp_next(state, event, seen)).collect();
                assert_eq!(normal, states(NORMAL[at][row]), "{seen:?} {event:?}");
                let secure: Vec<_> = from.iter().map(|&state| tcp_next_secure(state, event, seen)).collect();
                assert_eq!(secure, states(SECURE[at][row]), "secure {seen:?} {event:?}");
            }
        }
    }

    #[test]
    fn dr_sees_one_side_only() {
        let steps = [
            (TcpEvent::Syn, InputOnly),
            (TcpEvent::Ack, InputOnly),
            (TcpEvent::Fin, InputOnly),
            (TcpEvent::Ack, InputOnly),
            (TcpEvent::Syn, InputOnly),
            (TcpEvent::Rst, InputOnly),
        ];
        assert_eq!(walk(&steps), [SynRecv, Established, FinWait, FinWait, SynRecv, SynRecv]);
    }

    #[test]
    fn every_state_s_byte_leads_back_to_it() {
        for byte in 0..=255u8 {
            let state = State::from_byte(byte);
            assert!(state == Dead || state as u8 == byte, "{byte} reads as {state:?}");
        }
    }
}
