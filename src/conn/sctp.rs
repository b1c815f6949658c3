//! The SCTP transitions of LVS, by the first chunk alone (`ip_vs_proto_sctp.c: sctp_states`).

use super::state::{Seen, State};
use crate::wire::SctpEvent;

/// The state after a packet with this first chunk. The argument must be a state of SCTP.
pub fn sctp_next(state: State, event: SctpEvent, seen: Seen) -> State {
    use SctpEvent as E;
    use State::*;
    match (seen, event) {
        (Seen::Input | Seen::InputOnly, E::Abort) => match state {
            SctpCookieWait => SctpRejected,
            _ => SctpClosed,
        },
        (Seen::Output, E::Abort) => match state {
            SctpInit1 => SctpRejected,
            _ => SctpClosed,
        },
        (Seen::Input, _) => input(state, event),
        (Seen::Output, _) => output(state, event),
        (Seen::InputOnly, _) => input_only(state, event),
    }
}

/// From the client, where replies are seen too.
fn input(state: State, event: SctpEvent) -> State {
    use SctpEvent as E;
    use State::*;
    match (event, state) {
        (E::Data, SctpNone) => SctpEstablished,
        (E::Init, SctpNone) => SctpInit1,
        (E::Init, SctpInit1 | SctpRejected | SctpClosed) => SctpInit,
        (E::InitAck, SctpNone | SctpInit1 | SctpInit) => SctpCookieWait,
        (E::InitAck, SctpCookieWait) => SctpCookie,
        (E::CookieEcho, SctpNone | SctpCookieSent) => SctpCookieReplied,
        (E::CookieEcho, SctpInit1) => SctpInit,
        (E::CookieAck, SctpNone | SctpCookieEchoed) => SctpEstablished,
        (E::Shutdown, SctpNone | SctpEstablished) => SctpShutdownReceived,
        (E::ShutdownAck, SctpNone | SctpShutdownSent | SctpShutdownAckSent) => SctpClosed,
        (E::ShutdownAck, SctpInit1) => SctpInit,
        (E::ShutdownComplete, SctpNone | SctpInit1 | SctpInit | SctpShutdownAckSent) => SctpClosed,
        (E::Error, SctpNone | SctpCookieEchoed) => SctpClosed,
        _ => state,
    }
}

/// From the server.
fn output(state: State, event: SctpEvent) -> State {
    use SctpEvent as E;
    use State::*;
    match (event, state) {
        (E::Data, SctpNone) => SctpEstablished,
        (E::Init, SctpEstablished) => SctpEstablished,
        (E::Init, _) => SctpCookieWait,
        (E::InitAck, SctpNone | SctpInit1 | SctpInit) => SctpCookieSent,
        (E::CookieEcho, early) if is_early(early) => SctpCookieEchoed,
        (E::CookieAck, early) if is_early(early) => SctpEstablished,
        (E::Shutdown, SctpEstablished) => SctpShutdownSent,
        (E::Shutdown, early) if is_early(early) => SctpShutdownSent,
        (
            E::ShutdownAck,
            SctpNone | SctpInit1 | SctpInit | SctpCookieSent | SctpCookieReplied | SctpShutdownSent
            | SctpShutdownReceived,
        ) => SctpShutdownAckSent,
        (E::ShutdownComplete, SctpNone) => SctpClosed,
        (E::Error, SctpNone | SctpInit1 | SctpInit | SctpCookieSent | SctpCookieReplied) => SctpClosed,
        _ => state,
    }
}

/// From the client, where replies are not seen (DR, TUN).
fn input_only(state: State, event: SctpEvent) -> State {
    use SctpEvent as E;
    use State::*;
    match (event, state) {
        (E::Data, SctpNone | SctpCookieWait) => SctpEstablished,
        (E::Init, SctpNone) => SctpInit1,
        (E::Init, SctpInit1 | SctpCookieSent | SctpCookieReplied | SctpCookieWait | SctpRejected | SctpClosed) => {
            SctpInit
        }
        (E::InitAck, SctpNone | SctpInit1 | SctpInit | SctpCookieSent | SctpCookieReplied | SctpCookieWait) => {
            SctpCookieEchoed
        }
        (E::CookieEcho, SctpNone | SctpInit1 | SctpInit | SctpCookieSent | SctpCookieReplied | SctpCookieWait) => {
            SctpEstablished
        }
        (E::CookieAck, SctpNone | SctpCookieSent | SctpCookieReplied | SctpCookie | SctpCookieEchoed) => {
            SctpEstablished
        }
        (E::Shutdown, SctpNone | SctpEstablished) => SctpShutdownReceived,
        (E::ShutdownAck, SctpNone | SctpEstablished | SctpShutdownSent | SctpShutdownAckSent) => SctpClosed,
        (E::ShutdownAck, SctpInit1) => SctpInit,
        (
            E::ShutdownComplete,
            SctpNone | SctpInit1 | SctpInit | SctpCookieSent | SctpCookieReplied | SctpShutdownReceived
            | SctpShutdownAckSent,
        ) => SctpClosed,
        (E::Error, SctpNone) => SctpClosed,
        _ => state,
    }
}

/// Before the association is established.
const fn is_early(state: State) -> bool {
    matches!(
        state,
        State::SctpNone
            | State::SctpInit1
            | State::SctpInit
            | State::SctpCookieSent
            | State::SctpCookieReplied
            | State::SctpCookieWait
            | State::SctpCookie
            | State::SctpCookieEchoed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use SctpEvent::*;
    use Seen::{Input, InputOnly, Output};
    use State::*;

    /// Walks an association from its first packet.
    fn walk(steps: &[(SctpEvent, Seen)]) -> Vec<State> {
        steps
            .iter()
            .scan(SctpNone, |state, &(event, seen)| {
                *state = sctp_next(*state, event, seen);
                Some(*state)
            })
            .collect()
    }

    /// The states in the order of their numbers, by short names.
    const NAMES: [&str; 14] = ["no", "i1", "in", "cs", "cr", "cw", "co", "ce", "es", "ss", "sr", "sa", "rj", "cl"];
    const EVENTS: [SctpEvent; 10] =
        [Data, Init, InitAck, CookieEcho, CookieAck, Shutdown, ShutdownAck, ShutdownComplete, Error, Abort];

    /// All of the kernel's tables: a row for each event, in it the state that each state leads to.
    #[test]
    fn every_transition_is_the_kernels() {
        const INPUT: [&str; 10] = [
            "es i1 in cs cr cw co ce es ss sr sa rj cl",
            "i1 in in cs cr cw co ce es ss sr sa in in",
            "cw cw cw cs cr co co ce es ss sr sa rj cl",
            "cr in in cr cr cw co ce es ss sr sa rj cl",
            "es i1 in cs cr cw co es es ss sr sa rj cl",
            "sr i1 in cs cr cw co ce sr ss sr sa rj cl",
            "cl in in cs cr cw co ce es cl sr cl rj cl",
            "cl cl cl cs cr cw co ce es ss sr cl rj cl",
            "cl i1 in cs cr cw co cl es ss sr sa rj cl",
            "cl cl cl cl cl rj cl cl cl cl cl cl cl cl",
        ];
        const OUTPUT: [&str; 10] = [
            "es i1 in cs cr cw co ce es ss sr sa rj cl",
            "cw cw cw cw cw cw cw cw es cw cw cw cw cw",
            "cs cs cs cs cr cw co ce es ss sr sa rj cl",
            "ce ce ce ce ce ce ce ce es ss sr sa rj cl",
            "es es es es es es es es es ss sr sa rj cl",
            "ss ss ss ss ss ss ss ss ss ss sr sa rj cl",
            "sa sa sa sa sa cw co ce es sa sa sa rj cl",
            "cl i1 in cs cr cw co ce es ss sr sa rj cl",
            "cl cl cl cl cl cw co ce es ss sr sa rj cl",
            "cl rj cl cl cl cl cl cl cl cl cl cl cl cl",
        ];
        const INPUT_ONLY: [&str; 10] = [
            "es i1 in cs cr es co ce es ss sr sa rj cl",
            "i1 in in in in in co ce es ss sr sa in in",
            "ce ce ce ce ce ce co ce es ss sr sa rj cl",
            "es es es es es es co ce es ss sr sa rj cl",
            "es i1 in es es cw es es es ss sr sa rj cl",
            "sr i1 in cs cr cw co ce sr ss sr sa rj cl",
            "cl in in cs cr cw co ce cl cl sr cl rj cl",
            "cl cl cl cl cl cw co ce es ss cl cl rj cl",
            "cl i1 in cs cr cw co ce es ss sr sa rj cl",
            "cl cl cl cl cl rj cl cl cl cl cl cl cl cl",
        ];
        let number = |state: State| usize::from(state as u8 - SctpNone as u8);
        for (seen, table) in [(Input, INPUT), (Output, OUTPUT), (InputOnly, INPUT_ONLY)] {
            for (event, row) in EVENTS.into_iter().zip(table) {
                let after = |at: u8| number(sctp_next(State::from_byte(SctpNone as u8 + at), event, seen));
                let present: Vec<_> = (0..14).map(|at| NAMES[after(at)]).collect();
                assert_eq!(present.join(" "), row, "{seen:?} {event:?}");
            }
        }
    }

    #[test]
    fn nat_a_whole_life() {
        let steps = [
            (Init, Input),
            (InitAck, Output),
            (CookieEcho, Input),
            (CookieAck, Output),
            (Data, Input),
            (Data, Output),
            (Shutdown, Input),
            (ShutdownAck, Output),
            (ShutdownComplete, Input),
        ];
        let expected = [
            SctpInit1,
            SctpCookieSent,
            SctpCookieReplied,
            SctpEstablished,
            SctpEstablished,
            SctpEstablished,
            SctpShutdownReceived,
            SctpShutdownAckSent,
            SctpClosed,
        ];
        assert_eq!(walk(&steps), expected);
    }

    #[test]
    fn dr_sees_one_side_only() {
        let steps = [(Init, InputOnly), (CookieEcho, InputOnly), (Shutdown, InputOnly), (ShutdownComplete, InputOnly)];
        assert_eq!(walk(&steps), [SctpInit1, SctpEstablished, SctpShutdownReceived, SctpClosed]);
    }

    #[test]
    fn the_server_opens_or_refuses() {
        assert_eq!(walk(&[(Init, Output), (InitAck, Input)]), [SctpCookieWait, SctpCookie]);
        assert_eq!(walk(&[(Init, Input), (Abort, Output)]), [SctpInit1, SctpRejected]);
        assert_eq!(walk(&[(Init, Input), (Init, Input), (Abort, Output)]), [SctpInit1, SctpInit, SctpClosed]);
        assert_eq!(walk(&[(Init, Output), (Abort, Input)]), [SctpCookieWait, SctpRejected]);
    }
}
