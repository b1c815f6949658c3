//! How addresses are announced, with every knob of it, as seen at the switch.

use std::collections::BTreeSet;
use std::time::Duration;

use ringmaster::vrrp::spec::Version;
use ringmaster::vrrp::wire::{Advert, Authentication};

use crate::capture::Seen;
use crate::lab::{Lab, Program};
use crate::rejections::{Bystander, higher};
use crate::rows::{Form, V3_TENTH};
use crate::support::{eventually, shared};

/// What the kernel's and the switch's turn may add where nobody else wants the cores.
const SLACK: Duration = Duration::from_millis(400);

/// When announcements came after `begun`, in bursts: what is closer together than `pause` is one.
fn bursts(seen: &[Seen], begun: Duration, pause: Duration) -> Vec<(Duration, usize)> {
    let mut bursts: Vec<(Duration, usize)> = Vec::new();
    let mut last = None;
    for at in seen.iter().map(|seen| seen.at) {
        match bursts.last_mut() {
            Some((_, count)) if last.is_some_and(|last| at < last + pause) => *count += 1,
            _ => bursts.push((at.saturating_sub(begun), 1)),
        }
        last = Some(at);
    }
    bursts
}

#[test]
fn bursts_and_repetitions_are_as_many_and_as_late_as_configured() {
    let pattern = |program| {
        let mut lab = Lab::new()?;
        let knobs = "garp_master_repeat 2\n garp_master_delay 2\n garp_master_refresh 4\n garp_master_refresh_repeat 3";
        let form = Form { extra: knobs, ..V3_TENTH };
        lab.start(0, program, &form.config(0, 100));
        eventually("the first burst", || !lab.announcements(0, Duration::ZERO).is_empty());
        let begun = lab.announcements(0, Duration::ZERO)[0].at;
        eventually("nine seconds have passed", || lab.last(0).at > begun + Duration::from_secs(9));
        Some(bursts(&lab.announcements(0, Duration::ZERO), begun, Duration::from_millis(300)))
    };
    let Some(ours) = pattern(Program::Ringmaster) else { return };
    let counts = |bursts: &[(Duration, usize)]| bursts.iter().map(|(_, count)| *count).collect::<Vec<_>>();
    assert_eq!(counts(&ours), [2, 2, 3, 3], "{ours:?}");
    for ((at, _), due) in ours.iter().zip([0, 2, 4, 8]) {
        assert!(
            *at + Duration::from_millis(5) >= Duration::from_secs(due)
                && *at <= Duration::from_secs(due) + shared(SLACK),
            "{ours:?}"
        );
    }
    let theirs = pattern(Program::Keepalived).expect("there was a lab before");
    assert_eq!(counts(&theirs)[..3], counts(&ours)[..3], "{theirs:?}");
}

#[test]
fn the_answer_to_a_lower_master_has_its_own_knobs() {
    let Some(mut lab) = Lab::new() else { return };
    let knobs = "garp_master_repeat 1\n garp_master_delay 0\n garp_lower_prio_repeat 3\n garp_lower_prio_delay 1";
    let form = Form { extra: knobs, ..V3_TENTH };
    lab.start(0, Program::Ringmaster, &form.config(0, 100));
    let begun = lab.advert(0, 100, Duration::ZERO).at;
    eventually("the burst of taking over", || !lab.announcements(0, begun).is_empty());
    let heard = lab.advert(0, 100, lab.announcements(0, begun)[0].at).at;
    // One advert of a lower master: whether another director's is heard before that gives way is a matter of phase.
    let lower = Advert {
        version: Version::V3,
        priority: 90,
        interval: Duration::from_millis(100),
        authentication: Authentication::None,
        ..higher()
    };
    Bystander::new(&lab).send(&lower, 255, false);
    eventually("the burst, and the second one", || lab.announcements(0, heard).len() >= 6);
    eventually("two more seconds", || lab.last(0).at > heard + Duration::from_secs(4));
    let bursts = bursts(&lab.announcements(0, heard), heard, Duration::from_millis(300));
    assert_eq!(bursts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3, 3], "{bursts:?}");
}

/// Of a gratuitous ARP.
fn address(seen: &Seen) -> [u8; 4] {
    seen.frame[28..32].try_into().expect("it is that long")
}

/// 200 addresses, five rounds: in portions, and not late for it. With a distance configured, one after the other.
#[test]
fn many_addresses_are_no_storm() {
    let lines: String = (0..200).map(|n| format!("  10.9.{}.{}/32\n", n / 100, n % 100 + 1)).collect();
    for (global, rounds) in [("", 5), ("vrrp_garp_interval 0.002\n vrrp_garp_master_repeat 1", 1)] {
        let Some(mut lab) = Lab::new() else { return };
        let config = format!(
            "global_defs {{\n vrrp_garp_master_delay 0\n {global}\n}}\nvrrp_instance VI_1 {{\n interface eth0\n \
             virtual_router_id 51\n version 3\n advert_int 0.1\n virtual_ipaddress {{\n  192.168.146.100/24\n }}\n \
             virtual_ipaddress_excluded {{\n{lines} }}\n}}\n"
        );
        lab.start(0, Program::Ringmaster, &config);
        // A switch and a capture on a busy machine may lose some of a burst; that is what its rounds are for.
        let told = |lab: &Lab| lab.announcements(0, Duration::ZERO).iter().map(address).collect::<BTreeSet<_>>().len();
        eventually("all have been told of", || told(&lab) == 201);
        let begun = lab.advert(0, 100, Duration::ZERO).at;
        eventually("a second has passed", || lab.last(0).at > begun + Duration::from_secs(1));
        let times: Vec<_> = lab.announcements(0, Duration::ZERO).iter().map(|seen| seen.at).collect();
        assert!(times.len() <= 201 * rounds, "{}", times.len());
        let lasted = times[times.len() - 1] - times[0];
        // Portions of 100 a millisecond apart, or the distance.
        let least = if rounds == 5 { Duration::from_millis(5) } else { Duration::from_millis(2 * 200) };
        assert!(lasted >= least && lasted <= least + shared(Duration::from_secs(1)), "{lasted:?}");
    }
}
