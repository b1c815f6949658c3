//! What the defences have workers do at this moment (`ip_vs_ctl.c: update_defense_level`).
//!
//! The sweeper looks once a second how full the table is and sets the levels; workers only read them, and only where a
//! connection is opened or not yet established.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::service::Defences;

/// The levels, shared by all workers.
#[derive(Debug, Default)]
pub struct Defence {
    /// One packet in so many that would open a connection is dropped; 0: none.
    drop_rate: AtomicU32,
    /// How many such packets until one is dropped.
    countdown: AtomicI32,
    secure_tcp: AtomicBool,
    /// Entries that were ended to make room, ever.
    culled: AtomicU64,
}

impl Defence {
    /// Sets the levels for a table with `free` of its `room` left.
    pub(super) fn update(&self, defences: &Defences, free: u32, room: u32) {
        self.drop_rate.store(defences.drop_rate(free, room), Relaxed);
        self.secure_tcp.store(defences.secure_tcp.is_up(free < defences.threshold(room)), Relaxed);
    }

    /// Whether this packet, which would open a connection, is one of those to drop (`ip_vs_todrop`). The first is, and
    /// then every so-manieth; two workers at once may drop one more between them.
    pub(super) fn drops_packet(&self) -> bool {
        let rate = self.drop_rate.load(Relaxed);
        if rate == 0 || self.countdown.fetch_sub(1, Relaxed) > 1 {
            return false;
        }
        self.countdown.store(i32::try_from(rate).unwrap_or(i32::MAX), Relaxed);
        true
    }

    /// Whether the secure table of TCP states holds.
    #[inline(always)]
    pub(super) fn secure_tcp(&self) -> bool {
        self.secure_tcp.load(Relaxed)
    }

    /// Counts an entry that was ended to make room.
    pub(super) fn note_culled(&self) {
        self.culled.fetch_add(1, Relaxed);
    }

    /// How many entries were ended to make room, since the start.
    pub fn culled(&self) -> u64 {
        self.culled.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Defend;

    #[test]
    fn the_first_packet_is_dropped_and_then_one_in_the_rate() {
        let defence = Defence::default();
        let dropped = |defence: &Defence| (1..=9).filter(|_| defence.drops_packet()).count();
        assert_eq!(dropped(&defence), 0);
        let always = Defences { drop_packet: Defend::Always, am_droprate: 3, ..Defences::OFF };
        defence.update(&always, 100, 100);
        let which: Vec<_> = (1..=9).filter(|_| defence.drops_packet()).collect();
        assert_eq!(which, [1, 4, 7]);
        defence.update(&Defences::OFF, 0, 100);
        assert_eq!(dropped(&defence), 0);
    }

    #[test]
    fn secure_tcp_follows_the_room_that_is_left() {
        let defence = Defence::default();
        let auto = Defences { secure_tcp: Defend::Auto, ..Defences::OFF };
        for (free, up) in [(100, false), (12, false), (11, true), (50, false)] {
            defence.update(&auto, free, 100);
            assert_eq!(defence.secure_tcp(), up, "{free} free");
        }
    }
}
