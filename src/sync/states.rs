//! States and their numbers in sync messages (`include/net/ip_vs.h`: `IP_VS_TCP_S_*`, `IP_VS_UDP_S_*`, `IP_VS_SCTP_S_*`,
//! `IP_VS_CTPL_S_*`).

use crate::conn::State;
use crate::wire::Protocol;

/// TCP's, in the kernel's order.
const TCP: [State; 11] = [
    State::None,
    State::Established,
    State::SynSent,
    State::SynRecv,
    State::FinWait,
    State::TimeWait,
    State::Close,
    State::CloseWait,
    State::LastAck,
    State::Listen,
    State::SynAck,
];

/// SCTP's, in the kernel's order.
const SCTP: [State; 14] = [
    State::SctpNone,
    State::SctpInit1,
    State::SctpInit,
    State::SctpCookieSent,
    State::SctpCookieReplied,
    State::SctpCookieWait,
    State::SctpCookie,
    State::SctpCookieEchoed,
    State::SctpEstablished,
    State::SctpShutdownSent,
    State::SctpShutdownReceived,
    State::SctpShutdownAckSent,
    State::SctpRejected,
    State::SctpClosed,
];

/// The state of a connection of this protocol; `None` if either is not known.
pub fn from_wire(protocol: u8, number: u16) -> Option<State> {
    let states: &[State] = match protocol {
        Protocol::TCP => &TCP,
        Protocol::UDP => &[State::Udp],
        Protocol::SCTP => &SCTP,
        _ => return None,
    };
    states.get(usize::from(number)).copied()
}

/// A template's state. Protocols have no say in it, and an unknown one is as good as none (`ip_vs_proc_sync_conn`).
pub fn template_from_wire(number: u16) -> State {
    if number == 1 { State::TemplateAssured } else { State::Template }
}

/// The number of a state; `None` for what is never told of.
pub fn to_wire(state: State) -> Option<u16> {
    match state {
        State::Udp | State::Template => Some(0),
        State::TemplateAssured => Some(1),
        // At most fourteen of them.
        other => {
            let find = |states: &[State]| states.iter().position(|&state| state == other);
            find(&TCP).or_else(|| find(&SCTP)).map(|at| at as u16)
        }
    }
}

/// Whether a connection in this state is worth telling of (`ip_vs_sync_conn_needed`): not while it may still be nothing.
pub fn is_told(state: State) -> bool {
    use State::*;
    matches!(
        state,
        Established
            | FinWait
            | Close
            | CloseWait
            | TimeWait
            | Udp
            | SctpEstablished
            | SctpShutdownSent
            | SctpShutdownReceived
            | SctpShutdownAckSent
            | SctpClosed
            | Template
            | TemplateAssured
    )
}

/// Whether it is over, so that a peer that has never heard of it need not do so now.
pub fn is_over(state: State) -> bool {
    matches!(state, State::Close | State::TimeWait | State::SctpClosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (protocol, number, state) in [
            (6, 0, Some(State::None)),
            (6, 1, Some(State::Established)),
            (6, 4, Some(State::FinWait)),
            (6, 5, Some(State::TimeWait)),
            (6, 7, Some(State::CloseWait)),
            (6, 10, Some(State::SynAck)),
            (6, 11, None),
            (17, 0, Some(State::Udp)),
            (17, 1, None),
            (132, 0, Some(State::SctpNone)),
            (132, 8, Some(State::SctpEstablished)),
            (132, 13, Some(State::SctpClosed)),
            (132, 14, None),
            (47, 0, None),
        ] {
            assert_eq!(from_wire(protocol, number), state, "{protocol} {number}");
            if let Some(state) = state {
                assert_eq!(to_wire(state), Some(number), "{state:?}");
            }
        }
        assert_eq!([0, 1, 2].map(template_from_wire), [State::Template, State::TemplateAssured, State::Template]);
        assert_eq!([State::Free, State::Dead, State::Filling].map(to_wire), [None; 3]);
    }
}
