//! What became of every record of a capture, one by one and in sum.

use std::fmt;
use std::mem::discriminant;
use std::time::Duration;

use crate::control::view::Protocol;
use crate::forward::{Counters, Reason, Verdict};
use crate::io::pcap::{CaptureError, Refusal, Tally};
use crate::service::{Pair, Services, Side};
use crate::wire::Endpoint;

/// The end of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Its number in the capture, from 1.
    pub(super) number: u64,
    /// What became of it.
    pub(super) end: End,
    /// The service and server it belonged to.
    pub(super) pair: Option<Pair>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The director saw it and decided.
    Decided(Verdict),
    /// The director never saw it.
    Refused(Refusal),
}

impl fmt::Display for Outcome {
    /// `      12  transmitted  TCP 192.0.2.1:80  10.0.0.1:80`: the line of `--verdicts`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}  ", self.number)?;
        match self.end {
            End::Decided(Verdict::Transmit(_)) => f.write_str("transmitted")?,
            End::Decided(Verdict::Answer(_, reason)) => write!(f, "answered  {}", reason.name())?,
            End::Decided(Verdict::Pass) => f.write_str("passed")?,
            End::Decided(Verdict::Drop(reason)) => write!(f, "dropped  {}", reason.name())?,
            End::Decided(Verdict::Wait) => f.write_str("waiting")?,
            End::Decided(Verdict::Cut(..)) => f.write_str("cut")?,
            End::Decided(Verdict::Gather) => f.write_str("gathered")?,
            End::Refused(refusal) => write!(f, "refused  {refusal}")?,
        }
        match &self.pair {
            Some(pair) => write!(f, "  {}  {}", Name(pair.protocol, pair.end(Side::Virtual)), pair.end(Side::Real)),
            None => Ok(()),
        }
    }
}

/// A service's name: `TCP 192.0.2.1:80`.
#[derive(Clone, Copy, Debug)]
struct Name(u8, Endpoint);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(protocol, endpoint) = self;
        match Protocol::from_number(*protocol) {
            Some(protocol) => write!(f, "{} {endpoint}", protocol.name()),
            None => write!(f, "protocol {protocol} {endpoint}"),
        }
    }
}

/// How often each reason was given.
type Reasons = [u64; Reason::ALL.len()];

/// Everything in sum. Printed, it is what `ringmaster replay` says.
#[derive(Debug, Default)]
pub(super) struct Report {
    transmitted: u64,
    answered: Reasons,
    passed: u64,
    dropped: Reasons,
    waiting: u64,
    /// Pieces of datagrams that are not whole yet.
    gathered: u64,
    refused: Vec<Refused>,
    servers: Vec<Server>,
    /// What the port counted.
    pub(super) tally: Tally,
    /// From the first record to the last, as far as it was replayed.
    pub(super) span: Duration,
    /// What kept the capture from being read to its end.
    pub(super) damage: Option<CaptureError>,
}

/// Records refused for one reason.
#[derive(Debug)]
struct Refused {
    /// Number of the first.
    first: u64,
    /// What was said of it.
    refusal: Refusal,
    count: u64,
}

/// The traffic of a server.
#[derive(Debug)]
struct Server {
    service: String,
    real: String,
    connections: u64,
    in_packets: u64,
    out_packets: u64,
}

impl Report {
    /// Counts one record.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        match outcome.end {
            End::Decided(Verdict::Transmit(_)) => self.transmitted += 1,
            End::Decided(Verdict::Answer(_, reason)) => self.answered[reason as usize] += 1,
            End::Decided(Verdict::Pass) => self.passed += 1,
            End::Decided(Verdict::Drop(reason)) => self.dropped[reason as usize] += 1,
            End::Decided(Verdict::Wait) => self.waiting += 1,
            End::Decided(Verdict::Cut(..)) => self.transmitted += 1,
            End::Decided(Verdict::Gather) => self.gathered += 1,
            End::Refused(refusal) => self.add_refused(outcome.number, refusal),
        }
    }

    /// A datagram of so many pieces was decided about. The last is a record of its own; the others end as it does, but an
    /// answer is given once.
    pub(super) fn settle(&mut self, pieces: u64, verdict: Verdict) {
        let others = pieces.saturating_sub(1).min(self.gathered);
        let end = match verdict {
            Verdict::Transmit(_) | Verdict::Cut(..) => &mut self.transmitted,
            Verdict::Pass => &mut self.passed,
            Verdict::Drop(reason) | Verdict::Answer(_, reason) => &mut self.dropped[reason as usize],
            Verdict::Wait | Verdict::Gather => return,
        };
        *end += others;
        self.gathered -= others;
    }

    fn add_refused(&mut self, number: u64, refusal: Refusal) {
        let alike = |refused: &&mut Refused| discriminant(&refused.refusal) == discriminant(&refusal);
        match self.refused.iter_mut().find(alike) {
            Some(refused) => refused.count += 1,
            None => self.refused.push(Refused { first: number, refusal, count: 1 }),
        }
    }

    /// Takes over what the director counted by itself.
    pub(super) fn finish(&mut self, tally: Tally, services: &Services, counters: &Counters) {
        self.tally = tally;
        // What never became whole would have been given up in time.
        self.dropped[Reason::FragmentTimeout as usize] += std::mem::take(&mut self.gathered);
        for service in &services.list {
            for server in &service.servers {
                let Some(traffic) = counters.pair(server.pair) else { continue };
                self.servers.push(Server {
                    service: Name(service.key.protocol, service.key.virtual_).to_string(),
                    real: server.real.to_string(),
                    connections: traffic.connections.get(),
                    in_packets: traffic.packets[0].get(),
                    out_packets: traffic.packets[1].get(),
                });
            }
        }
    }

    /// Records whose end is known. All of them, or the program is wrong.
    pub(super) fn accounted(&self) -> u64 {
        let refused: u64 = self.refused.iter().map(|refused| refused.count).sum();
        let others = [self.transmitted, self.gathered, self.passed, self.waiting, refused];
        sum(&self.answered) + sum(&self.dropped) + others.iter().sum::<u64>()
    }

    /// Whether the capture holds records, but not one that the director could be shown.
    pub(super) fn is_all_refused(&self) -> bool {
        self.tally.records > 0 && self.tally.refused == self.tally.records
    }

    fn write_servers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Server) -> &str| self.servers.iter().map(|server| text(server).len()).max().unwrap_or(0);
        let [service, real] = [width(|server| &server.service).max(7), width(|server| &server.real).max(6)];
        if !self.servers.is_empty() {
            writeln!(f, "\n{:<service$}  {:<real$}  connections  packets in  packets out", "service", "server")?;
        }
        for server in &self.servers {
            let Server { connections, in_packets, out_packets, .. } = server;
            let (name, address) = (&server.service, &server.real);
            writeln!(f, "{name:<service$}  {address:<real$}  {connections:>11}  {in_packets:>10}  {out_packets:>11}")?;
        }
        Ok(())
    }
}

fn sum(reasons: &Reasons) -> u64 {
    reasons.iter().sum()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { records, cut, reframed, shortened, .. } = self.tally;
        line(f, "transmitted", self.transmitted)?;
        write_reasons(f, "answered", &self.answered)?;
        line(f, "passed", self.passed)?;
        write_reasons(f, "dropped", &self.dropped)?;
        unless_none(f, "waiting", self.waiting)?;
        line(f, "refused", self.tally.refused)?;
        for Refused { first, refusal, count } in &self.refused {
            let more = if *count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
            writeln!(f, "  packet {first}: {refusal}{more}")?;
        }
        unless_none(f, "cut by the snap length", cut)?;
        unless_none(f, "re-framed as Ethernet", reframed)?;
        unless_none(f, "silences shortened", shortened)?;
        let (accounted, seconds) = (self.accounted(), self.span.as_secs_f64());
        writeln!(f, "{:<22}{accounted:>12} of {records} records, over {seconds:.6} s", "accounted for")?;
        self.write_servers(f)
    }
}

fn line(f: &mut fmt::Formatter<'_>, title: &str, count: u64) -> fmt::Result {
    writeln!(f, "{title:<22}{count:>12}")
}

fn unless_none(f: &mut fmt::Formatter<'_>, title: &str, count: u64) -> fmt::Result {
    if count == 0 { Ok(()) } else { line(f, title, count) }
}

/// A line for the sum, and under it one for each reason that was given.
fn write_reasons(f: &mut fmt::Formatter<'_>, title: &str, reasons: &Reasons) -> fmt::Result {
    line(f, title, sum(reasons))?;
    for (reason, &count) in Reason::ALL.iter().zip(reasons) {
        unless_none(f, &format!("  {}", reason.name()), count)?;
    }
    Ok(())
}
