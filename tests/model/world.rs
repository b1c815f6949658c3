//! The director and the reference side by side.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ringmaster::config::model::Mark;
use ringmaster::forward::{Decision, Verdict};
use ringmaster::io::mem::MemIo;
use ringmaster::io::{Frame, PacketIo, PortId};
use ringmaster::service::{MarkRule, Options, Snapshot};
use ringmaster::time::{Tick, Ticks};
use ringmaster::wire::{Block, Pattern};
use ringmaster::worker::{Observer, Offline, OfflineConfig};

use crate::changes;
use crate::control::Control;
use crate::frames::{self, Outcome, Sent};
use crate::listing;
use crate::offline::{self, CLIENTS, GATEWAY, SERVERS};
use crate::places::{self, Key};
use crate::reference::Reference;
use crate::seen::Seen;
use crate::steps::{Change, Method, Part, Profile, Step, What};

/// When a sequence begins, in ticks.
const BEGIN: u32 = 64_000;
/// More than this a sequence does not last: caches of destinations forget nothing meanwhile.
const MOST_TICKS: u32 = 20 * 3600 * 64;

/// Where director and reference part.
pub struct Fault {
    pub step: usize,
    pub difference: String,
}

/// Plays a sequence on both.
pub fn play(profile: Profile, steps: &[Step], seen: &mut Seen) -> Result<(), Fault> {
    let mut world = World::new(profile);
    for (at, step) in steps.iter().enumerate() {
        if world.now.since(Tick(BEGIN)).0 > MOST_TICKS {
            break;
        }
        seen.steps += 1;
        let difference = world.step(step, seen).and_then(|()| world.compare(seen));
        difference.map_err(|difference| Fault { step: at, difference })?;
    }
    Ok(())
}

/// Remembers what was decided last.
#[derive(Default)]
struct Last(Option<Verdict>);

impl Observer for Last {
    fn decided<I: PacketIo>(&mut self, _: &mut I, _: &Frame, decision: &Decision) {
        self.0 = Some(decision.verdict());
    }
}

struct World {
    reference: Reference,
    control: Control,
    worker: Offline<MemIo, Last>,
    /// Servers by MAC address.
    neighbours: BTreeMap<[u8; 6], IpAddr>,
    now: Tick,
}

impl World {
    fn new(profile: Profile) -> Self {
        let mut network = offline::network();
        let mut neighbours = BTreeMap::new();
        for (service, server) in (0..places::services().len()).flat_map(|at| (0..places::SERVERS).map(move |n| (at, n)))
        {
            for method in [Method::Nat, Method::Tun] {
                let (address, _) = places::server(service, server, &Part { method, weight: 1, upper: 0, lower: 0 });
                let hop = offline::add_server(&mut network, address.into());
                neighbours.insert(offline::server_mac(hop.0).0, address);
            }
        }
        let io = MemIo::new(&["client0", "server0"], 64, 4096, 32);
        let config = OfflineConfig { connections: 2048, pairs: 256, seed: ringmaster::conn::HashSeed([3, 5, 7]) };
        let worker = Offline::new(io, Last::default(), Snapshot::default(), &config).unwrap();
        let mut control = Control::new(network, Arc::clone(&worker.counters));
        if profile == Profile::Ringmaster {
            let options = &mut control.config.settings.options;
            let Options { icmp_ratelimit, icmp_msgs_per_sec, .. } = *options;
            *options = Options { icmp_ratelimit, icmp_msgs_per_sec, ..Options::RINGMASTER };
        }
        control.mark(places::marks().into_iter().map(mark).collect());
        let reference = Reference::new(profile, u64::from(BEGIN));
        let mut world = Self { reference, control, worker, neighbours, now: Tick(BEGIN) };
        world.publish();
        world
    }

    fn publish(&mut self) {
        self.worker.publish(self.control.snapshot());
        self.worker.drain(self.now);
    }

    fn step(&mut self, step: &Step, seen: &mut Seen) -> Result<(), String> {
        match step {
            Step::Wait { ticks } => self.wait(*ticks, seen),
            Step::Nap { ticks } => {
                self.pass_time(*ticks);
                Ok(())
            }
            Step::Sweep => {
                self.sweep(seen);
                Ok(())
            }
            Step::Forget => {
                self.control.vacate(&self.worker.shared.table);
                self.publish();
                self.reference.forget();
                Ok(())
            }
            Step::Change(change) => {
                seen.changes += 1;
                self.change(change, seen)
            }
            _ => match self.packet(step) {
                Some((sent, port)) => self.send(&sent, port, seen),
                None => Ok(()),
            },
        }
    }

    /// The packet that a step sends, and where it comes in.
    fn packet(&self, step: &Step) -> Option<(Sent, PortId)> {
        let known = |which: usize| {
            let all = &self.reference.connections;
            all.iter().nth(which % all.len().max(1))
        };
        Some(match *step {
            Step::Client { client, port, to, what } => {
                let (protocol, vip, vport) = places::destinations()[to];
                let from = (places::client(client, vip.is_ipv6()), places::client_port(port, to));
                (Sent { protocol, from, to: (vip, vport), what }, CLIENTS)
            }
            Step::Request { which, what } => {
                let (&(protocol, from, to), _) = known(which)?;
                (Sent { protocol, from, to, what }, CLIENTS)
            }
            Step::Reply { which, what } => {
                let (&(protocol, to, _), connection) = known(which)?;
                let answers = !connection.is_past_all() && connection.real.0.is_ipv6() == to.0.is_ipv6();
                answers.then_some(())?;
                (Sent { protocol, from: connection.real, to, what }, SERVERS)
            }
            Step::Direct { which, what } => {
                let (&(protocol, to, from), _) = known(which)?;
                (Sent { protocol, from, to, what }, SERVERS)
            }
            Step::Stray { service, server, client, port, what } => {
                (stray(service, server, client, port, what), SERVERS)
            }
            _ => return None,
        })
    }

    fn send(&mut self, sent: &Sent, port: PortId, seen: &mut Seen) -> Result<(), String> {
        let frame = sent.bytes();
        let length = frame.len() as u64 - 14;
        let expected = match port {
            CLIENTS => self.reference.request(sent, length),
            _ => self.reference.reply(sent, length),
        };
        assert!(self.worker.worker.io().inject(port, &frame), "no room for a frame");
        self.worker.drain(self.now);
        let present = self.outcome(sent);
        seen.outcome(&expected);
        match present {
            Ok(present) if present == expected => Ok(()),
            present => Err(format!("{sent:?}\n  is to be {expected:?}\n  but is   {present:?}")),
        }
    }

    /// What became of the packet. `Err`: something that no packet should become.
    fn outcome(&mut self, sent: &Sent) -> Result<Outcome, String> {
        let verdict = self.worker.worker.observer().0.take();
        let mut left = Vec::new();
        for port in [CLIENTS, SERVERS] {
            left.extend(self.worker.worker.io().take_sent(port).into_iter().map(|frame| (port, frame)));
        }
        match (verdict, &left[..]) {
            (Some(Verdict::Pass), []) => Ok(Outcome::Untouched),
            (Some(Verdict::Drop(_)), []) => Ok(Outcome::Dropped),
            (Some(Verdict::Transmit(by) | Verdict::Answer(by, _)), [(port, frame)]) if by == *port => {
                let mac: [u8; 6] = frame[..6].try_into().unwrap();
                let server = self.neighbours.get(&mac).copied();
                let right_way = *port == SERVERS || mac == GATEWAY.0;
                let read = frames::outcome(sent, *port == SERVERS, server, frame).filter(|_| right_way);
                read.ok_or_else(|| format!("{verdict:?} of {frame:02x?}"))
            }
            other => Err(format!("{other:02x?}")),
        }
    }

    fn pass_time(&mut self, ticks: u32) {
        self.now = self.now.plus(Ticks(ticks));
        self.reference.now = u64::from(self.now.0);
        self.worker.drain(self.now);
    }

    /// Sweeps before and after each moment at which something ends, and compares both times.
    fn wait(&mut self, ticks: u32, seen: &mut Seen) -> Result<(), String> {
        let end = self.reference.now + u64::from(ticks);
        self.sweep(seen);
        self.compare(seen)?;
        while let Some(next) = self.reference.next_end().filter(|&next| next < end) {
            for moment in [next, next + 1] {
                self.pass_time((moment - self.reference.now) as u32);
                self.sweep(seen);
                self.compare(seen)?;
            }
        }
        self.pass_time((end - self.reference.now) as u32);
        self.sweep(seen);
        Ok(())
    }

    /// Twice, since a template outlives the walk in which the last of its connections ends, if it was met before.
    fn sweep(&mut self, seen: &mut Seen) {
        seen.sweeps += 1;
        self.worker.sweep(self.now);
        self.worker.drain(self.now);
        self.worker.sweep(self.now);
        self.worker.drain(self.now);
        let left = listing::templates(&self.control.services, &self.worker.shared, self.now);
        self.reference.sweep(|ends| left.contains(&ends));
    }

    fn change(&mut self, change: &Change, seen: &mut Seen) -> Result<(), String> {
        let before = Arc::clone(&self.control.services);
        let present = changes::carry_out(&mut self.control, change, &self.reference);
        self.worker.shared.loads.follow(&before, &self.control.services);
        let expected = self.reference.change(change);
        self.publish();
        match change {
            // The first packet of a tick picks up what was set since, and no others.
            Change::Timeouts { .. } => self.pass_time(1),
            // Defences are looked at once a second, while the sweep comes by.
            Change::Set { option: "secure_tcp", .. } => {
                self.pass_time(64);
                self.sweep(seen);
            }
            _ => {}
        }
        if present == expected { Ok(()) } else { Err(format!("carried out: {present} instead of {expected}")) }
    }

    /// Everything that can be seen.
    fn compare(&mut self, seen: &mut Seen) -> Result<(), String> {
        let connections = listing::entries(&self.control.services, &self.worker.shared, self.now);
        let wanted = listing::wanted_entries(&self.reference);
        wanted.iter().for_each(|entry| seen.state(&entry.state));
        differ(&wanted, &connections)?;
        self.control.tally();
        let services = listing::services(&self.control, &self.worker.shared.loads);
        differ(&listing::wanted_services(&self.reference), &services)
    }
}

fn mark((address, mark): (IpAddr, u32)) -> Mark {
    let destination = Block::new(address.into(), 128);
    let pattern = Pattern { family: Some(ringmaster::wire::Addr::from(address).family()), destination, ..Pattern::ANY };
    Mark { rule: MarkRule { pattern, ..MarkRule::all(mark) }, interface: None }
}

fn stray(service: usize, server: usize, client: usize, port: usize, what: What) -> Sent {
    let key = places::services()[service];
    let part = Part { method: Method::Nat, weight: 1, upper: 0, lower: 0 };
    let (address, own) = places::server(service, server, &part);
    let protocol = match key {
        Key::Address(protocol, ..) => protocol,
        Key::Mark(..) => places::TCP,
    };
    let from = (address, if own == 0 { 80 } else { own });
    let to = (places::client(client, key.is_v6()), places::client_port(port, 0));
    Sent { protocol, from, to, what }
}

/// What is only in one of the two.
fn differ<T: PartialEq + fmt::Debug>(expected: &[T], present: &[T]) -> Result<(), String> {
    if expected == present {
        return Ok(());
    }
    let only = |these: &[T], those: &[T]| -> String {
        these.iter().filter(|one| !those.contains(one)).map(|one| format!("\n    {one:?}")).collect()
    };
    Err(format!("  reference:{}\n  director:{}", only(expected, present), only(present, expected)))
}
