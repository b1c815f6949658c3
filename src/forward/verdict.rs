//! What became of a frame. One reason, one counter, one line of documentation.

use crate::io::PortId;

/// The end of a frame's way through the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves through this port, rewritten.
    Transmit(PortId),
    /// It is answered: what leaves through this port was made by the director (a reset or an ICMP error).
    Answer(PortId, Reason),
    /// It is none of the director's business and belongs to the kernel.
    Pass,
    /// It goes no further.
    Drop(Reason),
    /// It waits until the neighbour it must go to is resolved.
    Wait,
    /// It leaves through this port in several pieces, none longer than this many bytes of IP.
    Cut(PortId, u16),
    /// It is a piece of a datagram, and is kept until the others have come.
    Gather,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Why a frame was not forwarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The name of its counter.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)+
                }
            }

            /// The counter's line in the reference.
            pub const fn doc(self) -> &'static str {
                match self {
                    $(Reason::$name => concat!($($doc,)+),)+
                }
            }
        }
    };
}

reasons! {
    /// The frame ends before the headers it announces.
    Truncated = "truncated",
    /// A length, version or address field cannot be true.
    Malformed = "malformed",
    /// A datagram whose pieces overlap or contradict each other.
    FragmentOverlap = "fragment-overlap",
    /// A piece that was there already.
    FragmentDuplicate = "fragment-duplicate",
    /// A datagram of which pieces were still missing after 30 s (IPv6: 60 s).
    FragmentTimeout = "fragment-timeout",
    /// A datagram in pieces that had to make room for newer ones, or has too many pieces, or is too long.
    FragmentOverflow = "fragment-overflow",
    /// An IPv4 header or an ICMP error about a connection whose checksum is wrong.
    BadChecksum = "bad-checksum",
    /// An IPv4 packet that wants to be routed by its source.
    SourceRoute = "source-route",
    /// An IPv4 packet with an option that cannot be read; its sender was told.
    HeaderOption = "header-option",
    /// An ICMP error about a tunnel packet that was understood and concerns nobody else.
    TunnelError = "tunnel-error",
    /// A new connection from the director's own address, or from one that is no single host's.
    BadSource = "bad-source",
    /// A TCP segment that opens no connection and belongs to none.
    NoConnection = "no-connection",
    /// No real server can take the new connection: none is there, or none has weight.
    NoServer = "no-server",
    /// The connection's real server was removed.
    ServerRemoved = "server-removed",
    /// A new connection without a Call-ID, to a service whose clients are told apart by it.
    NoCallId = "no-call-id",
    /// A new connection too many for the service's limit, or for what it may get in a second.
    Limit = "limit",
    /// A new connection, while the defence drops some of them.
    Defence = "defence",
    /// Full NAT has no local address and port left for a new connection to the server that was chosen.
    NoLocalEnd = "no-local-end",
    /// The connection table has no room.
    TableFull = "table-full",
    /// The connection table was too busy at this spot; the sender will try again.
    TableBusy = "table-busy",
    /// The time to live ran out.
    TtlExpired = "ttl-expired",
    /// The packet does not fit the next link and must not be cut.
    TooBig = "too-big",
    /// There is no route to where the packet must go, or none through an attached interface.
    NoRoute = "no-route",
    /// The next hop's MAC address could not be had in time.
    Unresolved = "unresolved",
    /// There was no free buffer for a piece of a packet to be cut.
    NoBuffer = "no-buffer",
    /// The transmit ring had no room.
    TransmitFull = "transmit-full",
    /// The kernel's own, but the way to the kernel had no room or could not be opened at the start.
    NotPassed = "not-passed",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at && !reason.doc().is_empty()));
    }
}
