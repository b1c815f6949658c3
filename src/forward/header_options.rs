//! IPv4 packets with options: checked before, filled in after the decision.
//!
//! As in the kernel, a request records the virtual address, at which it has arrived; what goes through records the
//! address it is sent on from (`ip_options.c: ip_options_compile`, `ip_forward_options`). A source route is refused.
//! Timestamps count milliseconds since boot, which they say by their highest bit: the data path knows no time of day.

use super::look::{Look, Way};
use super::{Decision, Packet, Reason, Turn, Verdict, answer};
use crate::time::TICKS_PER_SECOND;
use crate::wire::checksum::finish;
use crate::wire::options::{self, Refusal};
use crate::wire::{Addr, Family, parse};

impl Turn<'_> {
    /// Decides about a packet whose IPv4 header has options.
    #[cold]
    #[inline(never)]
    pub(super) fn with_options(&self, packet: &mut Packet<'_>) -> Decision {
        let Ok(parsed) = parse(packet.bytes()) else { return Decision::drop(Reason::Malformed) };
        let look = Look::of(&parsed, &self.services.vips, self.table);
        if !is_sound(packet.bytes(), look.l3, look.family) {
            return Decision::drop(Reason::BadChecksum);
        }
        match options::check(&packet.bytes()[usize::from(parsed.l3)..usize::from(parsed.l4)]) {
            Ok(()) => {}
            Err(Refusal::SourceRoute) => return Decision::drop(Reason::SourceRoute),
            Err(Refusal::Malformed(at)) => return answer::parameter_problem(self, packet, &look, at),
        }
        // The header stays where it is in the slot, whatever is put in front.
        let start = usize::from(packet.frame.offset) + usize::from(parsed.l3);
        let length = usize::from(parsed.l4 - parsed.l3);
        let decision = self.decide_alone(packet, &look);
        if let Verdict::Transmit(_) | Verdict::Cut(..) = decision.verdict()
            && let Some(header) = packet.slot.get_mut(start..start + length)
        {
            let address = match look.way {
                Way::In => Some(look.other.addr),
                Way::Out => self.network.source_towards(look.key.client),
            };
            // 15.625 ms a tick, in whole numbers.
            let milliseconds = (u64::from(self.now.0) * 1000 / u64::from(TICKS_PER_SECOND)) as u32 & (u32::MAX >> 1);
            options::fill(header, address.map_or(0, Addr::low32), milliseconds, |address| {
                self.is_own(Addr::v4(address))
            });
        }
        decision
    }
}

/// Whether the checksum of the packet's header is right, if it has one (IPv4). Packets of known connections are not asked:
/// theirs is corrected by difference, so that what was wrong stays wrong, for the next to find out.
pub(super) fn is_sound(frame: &[u8], l3: u16, family: Family) -> bool {
    let l3 = usize::from(l3);
    let length = frame.get(l3).map_or(0, |first| usize::from(first & 0x0f) * 4);
    family == Family::V6 || frame.get(l3..l3 + length).is_some_and(|header| finish(0, header) == 0)
}
