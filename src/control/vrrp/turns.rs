//! The loop: wait, take in everything, let time pass, carry out.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc::UnboundedSender;

use super::interfaces::Interfaces;
use super::succession::Succession;
use super::wire::Wire;
use super::{Board, Command, Plan, Record, Report};
use crate::control::view::RoleView;
use crate::sys::{clock, scheduling};
use crate::vrrp::accept::Rejection;
use crate::vrrp::announce::{Announcer, Site};
use crate::vrrp::routers::Member;
use crate::vrrp::{Order, Role, Routers, Spec};
use crate::wire::Addr;

/// How often listings are brought up to date at most.
const POST: Duration = Duration::from_millis(50);

/// All that the thread holds.
pub(super) struct Turns {
    routers: Routers,
    announcer: Announcer,
    /// What each instance announces.
    sites: Vec<Vec<Site>>,
    /// All virtual addresses.
    virtual_: BTreeSet<Addr>,
    interfaces: Interfaces,
    wire: Wire,
    commands: Receiver<Command>,
    wake: Arc<OwnedFd>,
    reports: UnboundedSender<Report>,
    record: Record,
    board: Arc<Mutex<Board>>,
    posted: Duration,
    /// The last send that failed was told of.
    mute: bool,
}

impl Turns {
    /// Without instances so far.
    pub(super) fn new(
        interfaces: Interfaces,
        (commands, wake): (Receiver<Command>, Arc<OwnedFd>),
        reports: UnboundedSender<Report>,
        board: Arc<Mutex<Board>>,
        record: Record,
    ) -> io::Result<Self> {
        Ok(Self {
            routers: Routers::default(),
            announcer: Announcer::default(),
            sites: Vec::new(),
            virtual_: BTreeSet::new(),
            interfaces,
            wire: Wire::open()?,
            commands,
            wake,
            reports,
            record,
            board,
            posted: Duration::ZERO,
            mute: false,
        })
    }

    /// Turns until told to stop.
    pub(super) fn run(&mut self) {
        if let Err(error) = scheduling::go_first() {
            tracing::debug!(%error, "elections run without real-time priority");
        }
        loop {
            let now = clock::now();
            self.routers.set_clock(clock::wall(), now);
            self.routers.woke(now);
            if self.obey(now) {
                return self.hand_over(now);
            }
            self.follow(now);
            let Self { wire, routers, .. } = self;
            wire.drain(|interface, packet| routers.received(interface, packet, now));
            self.routers.fire(now);
            self.carry_out(now);
            self.note();
            self.announce(now);
            self.post(now);
            self.wait();
        }
    }

    /// Says goodbye, and listens until whoever comes next leads: so long the addresses stay here, and are served.
    fn hand_over(&mut self, now: Duration) {
        let mut succession = Succession::new(self.routers.members(), now);
        self.routers.stop(now);
        self.carry_out(now);
        loop {
            let now = clock::now();
            self.follow(now);
            let Self { wire, routers, .. } = self;
            wire.drain(|interface, packet| routers.received(interface, packet, now));
            self.carry_out(now);
            let Some(deadline) = succession.waits_until(self.routers.members(), now) else { return };
            self.wait_for(Some(deadline));
        }
    }

    /// Until a deadline, a packet, a change of interfaces or a command.
    fn wait(&self) {
        self.wait_for([self.routers.deadline(), self.announcer.deadline()].into_iter().flatten().min());
    }

    fn wait_for(&self, deadline: Option<Duration>) {
        let now = clock::now();
        scheduling::rest(now);
        let left = deadline.map(|deadline| deadline.saturating_sub(now));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![
            PollFd::new(&*self.wake, PollFlags::IN),
            PollFd::from_borrowed_fd(self.interfaces.socket(), PollFlags::IN),
        ];
        fds.extend(self.wire.sockets().map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        // A signal only makes the turn an early one.
        let _ = poll(&mut fds, left.as_ref());
    }

    /// Carries out commands; gives whether one of them was to stop.
    fn obey(&mut self, now: Duration) -> bool {
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Adopt(plan) => self.adopt(*plan, now),
                Command::Placed(instance) => self.placed(instance, now),
                Command::Weigh { instance, tracker, weight } => self.routers.weigh(instance, &tracker, weight, now),
                Command::Require { instance, tracker, met } => self.routers.require(instance, &tracker, met, now),
                Command::Lost(neighbour) => self.routers.lost(neighbour, now),
                Command::Respect(respectful) => self.routers.respect(respectful, now),
                Command::Stop => return true,
            }
        }
        false
    }

    /// Goes over to another configuration: goodbye for what it has no more, by the old numbers; then all else goes on under
    /// the new ones.
    fn adopt(&mut self, plan: Plan, now: Duration) {
        let Plan { mut entries, groups, sites, wire, not_before } = plan;
        // Their timers come before those of the next configuration.
        self.follow(now);
        let kept = |spec: &Spec| entries.iter().any(|entry| entry.spec.is_same_router(spec));
        self.routers.retire(kept, now);
        self.carry_out(now);
        let before: Vec<Spec> = specs(&self.routers).cloned().collect();
        if before.is_empty() {
            self.routers.wait_until(not_before);
        }
        self.virtual_ = sites.iter().flatten().map(|site| site.address).collect();
        self.sites = sites;
        for entry in &mut entries {
            entry.own = self.interfaces.source(&entry.spec, |address| self.virtual_.contains(&address));
        }
        let Self { announcer, sites, .. } = self;
        announcer.renumber(
            |number| {
                let now_is = entries.iter().position(|entry| entry.spec.is_same_router(&before[number]))?;
                Some((now_is, sites[now_is].clone(), entries[now_is].spec.announcing))
            },
            now,
        );
        self.routers.adopt(entries, &groups, now);
        self.wire.adopt(wire);
        self.wire.keep(specs(&self.routers));
        if let Err(error) = self.record.renumber(specs(&self.routers)) {
            tracing::error!("the next director cannot be told how elections stand: {error}");
        }
        self.interfaces_changed(now);
        // Whoever asks from now on is answered by what has been adopted.
        let board = Arc::clone(&self.board);
        self.list(&mut board.lock().expect("no holder panics"), now);
        self.report(Report::Renumbered);
    }

    fn placed(&mut self, instance: usize, now: Duration) {
        let member = &self.routers.members()[instance];
        // It may have lost the role in the meantime.
        if member.role() == Role::Master {
            self.announcer.taken(instance, self.sites[instance].clone(), member.spec().announcing, now);
        }
    }

    fn follow(&mut self, now: Duration) {
        match self.interfaces.follow() {
            Ok(true) => self.interfaces_changed(now),
            Ok(false) => {}
            Err(error) => tracing::error!("elections cannot follow interfaces: {error}"),
        }
    }

    fn interfaces_changed(&mut self, now: Duration) {
        if let Err(error) = self.wire.follow(specs(&self.routers), self.interfaces.facts()) {
            tracing::error!("no sockets for elections on an interface that came: {error}");
        }
        for instance in 0..self.routers.members().len() {
            let member = &self.routers.members()[instance];
            let own = self.interfaces.source(member.spec(), |address| self.virtual_.contains(&address));
            if own != member.own() {
                self.routers.interface(instance, own, now);
            }
        }
    }

    fn carry_out(&mut self, now: Duration) {
        for order in self.routers.take_orders() {
            match order {
                Order::Send(instance, priority) => self.send(instance, priority),
                Order::Take(instance) => self.report(Report::Take(instance)),
                Order::Leave(instance) => {
                    self.announcer.left(instance);
                    self.report(Report::Leave(instance));
                }
                Order::Reassert(instance) => self.announcer.contested(instance, now),
            }
        }
        for event in self.routers.take_events() {
            self.posted = Duration::ZERO;
            self.report(Report::Happened(event));
        }
    }

    /// Keeps how instances stand for the next director.
    fn note(&mut self) {
        for (instance, member) in self.routers.members().iter().enumerate() {
            if let Err(error) = self.record.note(instance, member.standing()) {
                tracing::debug!(instance, %error, "the next director does not know how an election stands");
            }
        }
    }

    fn send(&mut self, instance: usize, priority: u8) {
        let datagrams = self.routers.datagrams(instance, priority, clock::now());
        let spec = self.routers.members()[instance].spec();
        for (to, bytes) in datagrams {
            let sent = self.wire.send(spec, to, &bytes);
            if let (Err(error), false) = (&sent, self.mute) {
                tracing::warn!("an advert to {to} by {} was not sent: {error}", spec.interface);
            }
            self.mute = sent.is_err();
        }
    }

    fn announce(&mut self, now: Duration) {
        let Self { announcer, wire, interfaces, .. } = self;
        announcer.due(now, |_, site| {
            let router = forwards_ipv6(&site.device);
            let sent = wire.announce(site, interfaces.facts(), router);
            if let Err(error) = &sent {
                tracing::debug!(address = %site.address, %error, "an announcement was not sent");
            }
            sent.err().is_none_or(|error| !is_for_want_of_room(&error))
        });
    }

    fn report(&self, report: Report) {
        // The director listens for as long as it lives.
        let _ = self.reports.send(report);
    }

    /// Brings listings up to date, unless someone is just reading them.
    fn post(&mut self, now: Duration) {
        if now < self.posted + POST {
            return;
        }
        let board = Arc::clone(&self.board);
        if let Ok(mut board) = board.try_lock() {
            self.list(&mut board, now);
        }
    }

    fn list(&mut self, board: &mut Board, now: Duration) {
        board.0 = self.routers.members().iter().map(|member| (view(member), member.since())).collect();
        self.posted = now;
    }
}

fn specs(routers: &Routers) -> impl Iterator<Item = &Spec> {
    routers.members().iter().map(Member::spec)
}

/// Whether the socket's buffer or the device's queue was full (packet(7)).
fn is_for_want_of_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// What neighbours are told about us (RFC 4861 4.4): a host that forwards is a router.
fn forwards_ipv6(device: &str) -> bool {
    let setting = std::fs::read(format!("/proc/sys/net/ipv6/conf/{device}/forwarding"));
    setting.is_ok_and(|value| value.first().is_some_and(|&value| value != b'0'))
}

fn view(member: &Member) -> RoleView {
    let (spec, counters) = (member.spec(), member.counters());
    let plain = [
        ("adverts-sent", counters.sent),
        ("adverts-received", counters.received),
        ("releases-sent", counters.released),
        ("releases-received", counters.goodbyes),
        ("became-master", counters.became_master),
        ("left-master", counters.left_master),
        ("other-addresses", counters.mismatched),
        ("split-brains", counters.split_brains),
        ("latest-microseconds", u64::try_from(counters.latest.as_micros()).unwrap_or(u64::MAX)),
    ];
    let rejected = Rejection::ALL.iter().map(|&why| (why.name(), counters.rejected[why as usize]));
    RoleView {
        name: spec.name.clone(),
        interface: spec.interface.clone(),
        router: spec.router,
        version: spec.version.number(),
        state: member.role().name().to_owned(),
        seconds: 0,
        priority: member.priority(),
        base_priority: spec.priority,
        master: member.master().map(Into::into),
        split_brain: member.is_split(),
        counters: plain.into_iter().chain(rejected).map(|(name, count)| (name.to_owned(), count)).collect(),
    }
}
