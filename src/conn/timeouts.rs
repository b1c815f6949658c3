//! How long a connection lasts in each state without a packet.

use super::State;
use crate::time::Ticks;

/// Timeouts by state. Only three can be set (`lvs_timeouts tcp S tcpfin S udp S`, `ipvsadm --set`); the others are the
/// kernel's constants (`ip_vs_proto_tcp.c: tcp_timeouts`, `ip_vs_proto_sctp.c: sctp_timeouts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// ESTABLISHED TCP.
    pub tcp: Ticks,
    /// FIN_WAIT.
    pub tcp_fin: Ticks,
    /// UDP.
    pub udp: Ticks,
}

impl Timeouts {
    /// 900, 120 and 300 s, as in the kernel.
    pub const DEFAULT: Timeouts =
        Timeouts { tcp: Ticks::from_secs(900), tcp_fin: Ticks::from_secs(120), udp: Ticks::from_secs(300) };

    /// How long a connection stays in `state` after its last packet.
    #[inline]
    pub const fn of(&self, state: State) -> Ticks {
        match state {
            State::Established => self.tcp,
            State::SctpEstablished => Ticks::from_secs(900),
            State::FinWait => self.tcp_fin,
            State::Udp => self.udp,
            State::None | State::SctpNone => Ticks::from_secs(2),
            State::SctpInit1 | State::SctpRejected => Ticks::from_secs(4),
            State::SctpInit
            | State::SctpCookieSent
            | State::SctpCookieReplied
            | State::SctpCookieWait
            | State::SctpCookie
            | State::SctpCookieEchoed
            | State::SctpShutdownSent
            | State::SctpShutdownReceived
            | State::SctpShutdownAckSent
            | State::SctpClosed => Ticks::from_secs(61),
            State::SynRecv | State::CloseWait => Ticks::from_secs(60),
            State::SynSent | State::TimeWait | State::Listen | State::SynAck => Ticks::from_secs(120),
            State::Close => Ticks::from_secs(10),
            State::LastAck => Ticks::from_secs(30),
            // A template carries its service's timeout; a slot without a connection has none.
            State::Template | State::TemplateAssured | State::Free | State::Dead | State::Filling => Ticks(0),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}
