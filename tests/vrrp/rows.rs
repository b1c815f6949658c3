//! The rows of the lab: every form of VRRP, with us as master and as backup.
//!
//! Each row goes through an election, an orderly end, a return and a crash. Host 0 has priority 100, host 1 has 90; one
//! of them is ours.

use std::time::Duration;

use ringmaster::vrrp::spec::Version;
use ringmaster::vrrp::timers::{master_down, skew};
use rustix::process::Signal;

use crate::lab::{Lab, Program};
use crate::support::{eventually, shared};

/// A form of VRRP.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) version: u8,
    /// `advert_int`.
    pub(crate) interval: &'static str,
    /// Lines of the instance: authentication.
    pub(crate) extra: &'static str,
    pub(crate) unicast: bool,
    /// Lines of `virtual_ipaddress`; the first address is looked for on the holder.
    pub(crate) addresses: [&'static str; 2],
}

pub(crate) const V2_PASS: Form = Form {
    version: 2,
    interval: "1",
    extra: "authentication {\n auth_type PASS\n auth_pass 1111\n }",
    unicast: false,
    addresses: ["192.168.146.100/24 dev eth0 label eth0:2", ""],
};
pub(crate) const V2: Form = Form { extra: "", ..V2_PASS };
pub(crate) const V2_AH: Form = Form { extra: "authentication {\n auth_type AH\n auth_pass 1111\n }", ..V2_PASS };
pub(crate) const UNICAST_AH: Form = Form { unicast: true, ..V2_AH };
pub(crate) const V3: Form = Form { version: 3, ..V2 };
pub(crate) const V3_TENTH: Form = Form { interval: "0.1", ..V3 };
pub(crate) const UNICAST_V2: Form = Form { unicast: true, ..V2_PASS };
pub(crate) const UNICAST_V3: Form = Form { unicast: true, ..V3_TENTH };
pub(crate) const UNICAST_V3_OLD: Form = Form { extra: "old_unicast_checksum", ..UNICAST_V3 };
pub(crate) const V6: Form = Form { addresses: ["fe80::146:100/64", "fd00:146::100/64"], ..V3_TENTH };

impl Form {
    /// The configuration of a host.
    pub(crate) fn config(&self, host: usize, priority: u8) -> String {
        let Form { version, interval, extra, addresses: [first, second], .. } = self;
        let (own, peer) = (11 + host, 12 - host);
        let unicast = if self.unicast {
            format!("unicast_src_ip 192.168.146.{own}\n unicast_peer {{\n 192.168.146.{peer}\n }}")
        } else {
            String::new()
        };
        format!(
            "global_defs {{\n router_id HOST_{host}\n}}\nvrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n \
             virtual_router_id 51\n priority {priority}\n advert_int {interval}\n version {version}\n {extra}\n {unicast}\n \
             virtual_ipaddress {{\n {first}\n {second}\n }}\n}}\n"
        )
    }

    fn vip(&self) -> &'static str {
        self.addresses[0].split('/').next().expect("there is a first part")
    }

    fn times(&self, priority: u8) -> (Duration, Duration) {
        let version = if self.version == 2 { Version::V2 } else { Version::V3 };
        let interval = Duration::from_secs_f64(self.interval.parse().expect("it is a number"));
        (master_down(version, interval, priority, 3), skew(version, interval, priority))
    }
}

/// How much later than by theory something may be seen where nobody else wants the cores; never earlier by more than the clock's
/// grain.
const SLACK: Duration = Duration::from_millis(400);
const GRAIN: Duration = Duration::from_millis(5);

pub(crate) fn assert_about(what: &str, measured: Duration, theory: Duration) {
    assert!(
        measured + GRAIN >= theory && measured <= theory + shared(SLACK),
        "{what}: {measured:?} where {theory:?} is due"
    );
}

fn row(form: Form, ours: usize) {
    let Some(mut lab) = Lab::new() else { return };
    let program = |host| if host == ours { Program::Ringmaster } else { Program::Keepalived };
    let vip = form.vip();

    // The lower one first: it takes the addresses, and gives way when the higher one comes.
    lab.start(1, program(1), &form.config(1, 90));
    let low = lab.advert(1, 90, Duration::ZERO);
    eventually("the lower one holds the address", || lab.holds(1, vip));
    lab.start(0, program(0), &form.config(0, 100));
    let high = lab.advert(0, 100, low.at);
    eventually("the address has moved", || lab.holds(0, vip) && !lab.holds(1, vip));
    assert_spacing(&lab, form);

    // Advert, then announcements: a burst of five rounds.
    let rounds = 5 * form.addresses.iter().filter(|line| !line.is_empty()).count();
    // The next burst is due after five seconds, which a busy machine may have spent already.
    let first_burst = |since| {
        let all = lab.announcements(0, since).into_iter();
        all.filter(|seen| seen.at < high.at + Duration::from_millis(4500)).collect::<Vec<_>>()
    };
    eventually("the first burst is out", || first_burst(high.at).len() >= rounds);
    let burst = first_burst(high.at);
    assert_eq!(burst.len(), rounds, "nothing more for five seconds");
    assert_eq!(first_burst(Duration::ZERO).len(), rounds, "nothing before the first advert");
    assert!(burst[0].at - high.at < shared(SLACK), "{:?} from advert to announcement", burst[0].at - high.at);

    // An orderly end: the backup waits its skew only.
    lab.end(0, Signal::TERM);
    let goodbye = lab.advert(0, 0, high.at);
    let next = lab.advert(1, 90, goodbye.at);
    let (down, skew) = form.times(90);
    assert_about("goodbye to takeover", next.at - goodbye.at, skew);
    eventually("the address has moved", || lab.holds(1, vip) && !lab.holds(0, vip));

    // A crash: the backup waits its master-down time.
    lab.start(0, program(0), &form.config(0, 100));
    let back = lab.advert(0, 100, next.at);
    eventually("the address has moved back", || lab.holds(0, vip) && !lab.holds(1, vip));
    lab.end(0, Signal::KILL);
    let last = lab.last(0);
    let taken = lab.advert(1, 90, last.at.max(back.at));
    assert_about("last advert to takeover", taken.at - lab.last(0).at, down);
    eventually("the address is held", || lab.holds(1, vip));
    if ours == 0 {
        assert!(lab.holds(0, vip), "a killed director leaves the address");
        lab.cable(0, false);
        lab.start(0, Program::Ringmaster, &form.config(0, 100));
        assert!(!lab.holds(0, vip), "and the next one removes it at its start");
    }
}

/// Adverts of a master are an interval apart.
fn assert_spacing(lab: &Lab, form: Form) {
    let interval = Duration::from_secs_f64(form.interval.parse().expect("it is a number"));
    let since = lab.last(0).at;
    eventually("three more adverts", || lab.last(0).at > since + interval * 5 / 2);
    let adverts: Vec<_> = lab.seen().into_iter().filter(|seen| seen.host == 0 && seen.at >= since).collect();
    let adverts: Vec<_> = adverts.iter().filter(|seen| seen.priority() == Some(100)).collect();
    assert_steady(&adverts.iter().map(|seen| seen.at).collect::<Vec<_>>(), interval);
}

/// No advert is missing, and they keep the interval on average: one after a late one may be early.
pub(crate) fn assert_steady(times: &[Duration], interval: Duration) {
    let (first, last) = (times.first().expect("there are some"), times.last().expect("there are some"));
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] <= interval + shared(SLACK), "{:?} between adverts", pair[1] - pair[0]);
    }
    assert_about("advert to advert", (*last - *first) / (times.len() as u32 - 1), interval);
}

macro_rules! rows {
    ($($name:ident: $form:expr;)*) => {
        $(#[test]
        fn $name() {
            std::thread::scope(|scope| {
                let both = [0, 1].map(|ours| scope.spawn(move || row($form, ours)));
                for one in both {
                    one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                }
            });
        })*
    };
}

rows! {
    v2_with_a_password: V2_PASS;
    v2_without_a_password: V2;
    v2_with_an_authentication_header: V2_AH;
    unicast_v2_with_an_authentication_header: UNICAST_AH;
    v3: V3;
    v3_every_tenth_of_a_second: V3_TENTH;
    unicast_v2: UNICAST_V2;
    unicast_v3: UNICAST_V3;
    unicast_v3_with_the_old_checksum: UNICAST_V3_OLD;
    ipv6: V6;
}
