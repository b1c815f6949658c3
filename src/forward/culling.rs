//! Ending connections of little worth, so that others find room.
//!
//! Two reasons lead here. `drop_entry` is the kernel's defence: it visits a part of the table at random and ends what is
//! half-open, hardly used or a template without an established connection (`ip_vs_conn.c: ip_vs_random_dropentry`). And
//! the table here has a fixed size, which the kernel's has not: as it fills up, half-open connections have to go after
//! seconds instead of a minute, then finished ones and datagrams that nothing followed. What is established stays; once
//! nothing else is left, new connections are refused.

use super::Shared;
use super::lifecycle::LOCAL_END;
use crate::conn::State;
use crate::conn::table::Entry;
use crate::service::{Defences, Options};
use crate::time::{Tick, Ticks};

/// The kernel's defence leaves alone what was heard of more lately.
const SETTLED_FOR: Ticks = Ticks::from_secs(60);
/// It visits one entry in so many each second.
const VISITED: u64 = 32;

/// How full the table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Pressure {
    #[default]
    None,
    /// Less than an eighth is free.
    High,
    /// Less than a thirty-second is free.
    Extreme,
}

impl Pressure {
    const fn of(free: u32, room: u32) -> Self {
        match free {
            _ if free < room / 32 => Pressure::Extreme,
            _ if free < room / 8 => Pressure::High,
            _ => Pressure::None,
        }
    }

    /// Whether a connection in `state` with so many requests, of which nothing was heard for `idle`, has to go.
    fn ends(self, state: State, requests: u32, idle: Ticks) -> bool {
        // A client sends its SYN again after 1 s and after 3 s (RFC 6298 2.1, 5.5).
        let (half_open, done) = match self {
            Pressure::None => return false,
            Pressure::High => (Ticks::from_secs(4), Ticks(u32::MAX)),
            Pressure::Extreme => (Ticks::from_secs(1), Ticks::from_secs(10)),
        };
        let unanswered = state == State::Udp && requests <= 1;
        state.is_half_open() && idle >= half_open || (state.is_finished() || unanswered) && idle >= done
    }
}

/// The sweeper's part in the defences.
#[derive(Debug)]
pub struct Culling {
    /// When the levels were set, if they were.
    updated: Option<Tick>,
    /// When the present walk through the table began, to the whole second.
    walk_began: Option<Tick>,
    /// How many seconds of visits this walk has to make up for.
    due: u64,
    drop_entry: bool,
    pressure: Pressure,
    random: u64,
    /// By the number of requests: how many connections of so few are spared until one is ended.
    spared: [u32; 9],
}

impl Default for Culling {
    fn default() -> Self {
        Self {
            updated: None,
            walk_began: None,
            due: 0,
            drop_entry: false,
            pressure: Pressure::None,
            random: 0x9e37_79b9_7f4a_7c15,
            spared: [0; 9],
        }
    }
}

impl Culling {
    /// Sets the levels anew, once a second; to be called with every step of the sweep.
    pub fn step(&mut self, shared: &Shared, options: &Options, now: Tick) {
        if self.updated.is_some_and(|updated| now.since(updated) < Ticks::from_secs(1)) {
            return;
        }
        self.updated = Some(now);
        let Defences { drop_entry, .. } = options.defences;
        let room = shared.table.room();
        let free = room.saturating_sub(u32::try_from(shared.table.estimated_len()).unwrap_or(u32::MAX));
        shared.defence.update(&options.defences, free, room);
        self.drop_entry = drop_entry.is_up(free < options.defences.threshold(room));
        self.pressure = Pressure::of(free, room);
    }

    /// A walk through the table begins: each entry will be shown once.
    pub fn walk(&mut self, now: Tick) {
        let began = self.walk_began.unwrap_or(now);
        let seconds = now.since(began).as_secs();
        self.walk_began = Some(began.plus(Ticks::from_secs(seconds)));
        self.due = u64::from(seconds);
    }

    /// Whether it is worth while to hurry with the walk.
    pub fn is_urgent(&self) -> bool {
        self.pressure == Pressure::Extreme
    }

    /// Whether a live entry, which would otherwise go on, has to go.
    pub fn takes(&mut self, shared: &Shared, entry: &Entry, now: Tick) -> bool {
        let local_end = entry.state_word().flags() & LOCAL_END != 0;
        if local_end || !self.drop_entry && self.pressure == Pressure::None {
            return false;
        }
        let (state, idle) = (entry.state_word().state(), now.since(entry.last_seen()));
        let taken = self.pressure.ends(state, entry.requests(), idle)
            || self.drop_entry && self.visits() && self.drops(entry, state, idle);
        if taken {
            shared.defence.note_culled();
        }
        taken
    }

    /// Whether chance leads `drop_entry` to this entry.
    fn visits(&mut self) -> bool {
        // xorshift64 (Marsaglia 2003): even enough to pick entries, and the same in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % VISITED < self.due
    }

    /// What the kernel's `drop_entry` does with an entry that it visits.
    fn drops(&mut self, entry: &Entry, state: State, idle: Ticks) -> bool {
        match state {
            State::Template => entry.children() == 0,
            _ if state.is_half_open() => true,
            State::Established | State::SctpEstablished | State::Udp => self.tires_of(entry.requests(), idle),
            _ => false,
        }
    }

    /// One in `requests` connections that had so many requests, eight at most, and then were silent
    /// (`ip_vs_conn.c: todrop_entry`).
    fn tires_of(&mut self, requests: u32, idle: Ticks) -> bool {
        if idle < SETTLED_FOR || requests == 0 {
            return false;
        }
        let Some(spared) = self.spared.get_mut(requests as usize) else { return false };
        let ends = *spared <= 1;
        *spared = if ends { requests } else { *spared - 1 };
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_room_the_sooner_the_worthless_go() {
        let second = Ticks::from_secs;
        for (free, state, requests, idle, ends) in [
            (125, State::SynRecv, 1, second(60), false),
            (124, State::SynRecv, 1, Ticks(4 * 64 - 1), false),
            (124, State::SynRecv, 1, second(4), true),
            (124, State::SynAck, 1, second(4), true),
            (124, State::SctpInit1, 1, second(4), true),
            (124, State::TimeWait, 9, second(100), false),
            (124, State::Udp, 1, second(299), false),
            (30, State::SynRecv, 1, Ticks(63), false),
            (30, State::SynRecv, 1, second(1), true),
            (30, State::TimeWait, 9, second(10), true),
            (30, State::Close, 9, Ticks(639), false),
            (30, State::Udp, 1, second(10), true),
            (30, State::Udp, 2, second(299), false),
            (0, State::Established, 1, second(899), false),
            (0, State::SctpEstablished, 1, second(899), false),
            (0, State::FinWait, 1, second(119), false),
            (0, State::Template, 0, second(1000), false),
        ] {
            let pressure = Pressure::of(free, 1000);
            assert_eq!(pressure.ends(state, requests, idle), ends, "{free} of 1000 free, {state:?} for {idle:?}");
        }
    }

    /// The kernel's `todrop_entry`: of connections with i requests the first goes, then every i-th.
    #[test]
    fn of_silent_connections_one_in_as_many_as_it_had_requests() {
        let mut culling = Culling::default();
        for (requests, taken) in [(0, 0), (1, 12), (2, 6), (3, 4), (4, 3), (6, 2), (8, 2), (9, 0)] {
            let count = (0..12).filter(|_| culling.tires_of(requests, SETTLED_FOR)).count();
            assert_eq!(count, taken, "{requests} requests");
        }
        assert!(!culling.tires_of(1, Ticks(SETTLED_FOR.0 - 1)));
    }

    #[test]
    fn a_thirty_second_part_is_visited_each_second() {
        let mut culling = Culling::default();
        for (from, seconds, visited) in
            [(100, 0, 0..=0), (100, 1, 2800..=3450), (101, 2, 5700..=6800), (103, 40, 100_000..=100_000)]
        {
            culling.walk(Tick::default().plus(Ticks::from_secs(from)));
            culling.walk(Tick::default().plus(Ticks::from_secs(from + seconds)));
            let count = (0..100_000).filter(|_| culling.visits()).count();
            assert!(visited.contains(&count), "{count} in {seconds} s");
        }
    }
}
