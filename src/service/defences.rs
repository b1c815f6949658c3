//! Which defences against floods there are, and when they are up (`net.ipv4.vs.drop_entry` and its like).

/// When one defence is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Defend {
    /// Never (0).
    #[default]
    Off,
    /// While the table has little room (1 and 2, which in the kernel are each other's idle and active form).
    Auto,
    /// Always (3).
    Always,
}

impl Defend {
    /// From the number that LVS has for it; `None` above 3.
    pub const fn from_number(number: u8) -> Option<Defend> {
        match number {
            0 => Some(Defend::Off),
            1 | 2 => Some(Defend::Auto),
            3 => Some(Defend::Always),
            _ => None,
        }
    }

    /// Whether it is up, while room is short or not.
    pub const fn is_up(self, short: bool) -> bool {
        match self {
            Defend::Off => false,
            Defend::Auto => short,
            Defend::Always => true,
        }
    }
}

/// The defences of `ip_vs_ctl.c: update_defense_level`. What the kernel judges by free memory is judged by free places in
/// the connection table, which is all the memory that connections can take here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defences {
    /// Half-open connections and others of little worth are ended at random (`drop_entry`).
    pub drop_entry: Defend,
    /// Some packets that would open a connection are dropped (`drop_packet`).
    pub drop_packet: Defend,
    /// TCP connections count as established only once the server has said so (`secure_tcp`).
    pub secure_tcp: Defend,
    /// Room is short with fewer free places than this (`amemthresh`); `None`: with less than an eighth.
    pub amemthresh: Option<u32>,
    /// With [`Defend::Always`], `drop_packet` drops one new connection in so many (`am_droprate`); at least 1.
    pub am_droprate: u32,
}

impl Defences {
    /// None is up.
    pub const OFF: Defences = Defences {
        drop_entry: Defend::Off,
        drop_packet: Defend::Off,
        secure_tcp: Defend::Off,
        amemthresh: None,
        am_droprate: 10,
    };

    /// Fewer free places than this are few, in a table with so much room.
    pub fn threshold(&self, room: u32) -> u32 {
        self.amemthresh.unwrap_or(room / 8)
    }

    /// One new connection in how many `drop_packet` drops; 0 for none.
    pub fn drop_rate(&self, free: u32, room: u32) -> u32 {
        let threshold = self.threshold(room);
        match self.drop_packet {
            Defend::Auto if free < threshold => threshold / (threshold - free),
            Defend::Off | Defend::Auto => 0,
            Defend::Always => self.am_droprate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_the_table_the_more_is_dropped() {
        let auto = Defences { drop_packet: Defend::Auto, ..Defences::OFF };
        for (free, rate) in [(800, 0), (100, 0), (99, 100), (75, 4), (50, 2), (49, 1), (0, 1)] {
            assert_eq!(auto.drop_rate(free, 800), rate, "{free} of 800 free");
        }
        let own = Defences { amemthresh: Some(10), ..auto };
        assert_eq!((own.drop_rate(10, 800), own.drop_rate(9, 800)), (0, 10));
        let always = Defences { drop_packet: Defend::Always, am_droprate: 3, ..auto };
        assert_eq!((always.drop_rate(800, 800), always.drop_rate(0, 800)), (3, 3));
        assert_eq!(Defences::OFF.drop_rate(0, 800), 0);
    }

    #[test]
    fn modes_are_numbered_as_in_lvs() {
        for (number, calm, short) in [(0, false, false), (1, false, true), (2, false, true), (3, true, true)] {
            let mode = Defend::from_number(number).unwrap();
            assert_eq!((mode.is_up(false), mode.is_up(true)), (calm, short), "{number}");
        }
        assert_eq!(Defend::from_number(4), None);
    }
}
