//! Drives a worker through a capture, on the capture's own time.

use std::io;

use super::report::{End, Outcome, Report};
use super::scene::{PORT, PORT_NAME, Scene};
use crate::config::Config;
use crate::conn::HashSeed;
use crate::conn::table::TableError;
use crate::control::{Ids, plan};
use crate::forward::Decision;
use crate::io::pcap::{Due, PcapIo, Reader, Sent};
use crate::io::{BATCH, Frame, PacketIo};
use crate::service::Snapshot;
use crate::time::{Tick, Ticks};
use crate::worker::{Observer, Offline, OfflineConfig};

/// Buffers under way at once: those of one batch, sent and not yet collected, the one that is due, and as many to spare.
const BUFFERS: usize = 2 * (BATCH + 1);
/// How often the table is swept, in virtual time: the kernel's timers for connections count seconds too.
const SWEEP_EVERY: Ticks = Ticks::from_secs(1);
/// Sweeps within one gap of the capture at most. They get further apart in a gap of more than an hour.
const MOST_SWEEPS: u32 = 4096;
/// Connections that the table has room for, however short the capture.
const LEAST_CONNECTIONS: u64 = 1024;

/// What comes out of a replay.
pub(super) trait Sink {
    /// A frame that was sent.
    fn sent(&mut self, sent: Sent<'_>) -> io::Result<()>;
    /// A record with its end, in the order of the capture.
    fn outcome(&mut self, outcome: &Outcome) -> io::Result<()>;
}

/// Why a replay could not be carried through. A damaged capture is no such reason: see [`Report::damage`].
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    /// No memory for the connections.
    #[error("cannot make the connection table: {0}")]
    Table(#[from] TableError),
    /// The output is in the way.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Replays a capture. `config` says what the director does, `scene` where it stands; all servers count as healthy.
/// The same arguments give the same calls of `sink` and the same report.
pub(super) fn replay(
    config: &Config,
    scene: Scene,
    reader: Reader,
    seed: u64,
    sink: &mut impl Sink,
) -> Result<Report, ReplayError> {
    let services = plan(config, |_| true, &mut Ids::default(), &scene.network, None);
    let offline_config = OfflineConfig {
        connections: connections(config, scene.records),
        pairs: services.pairs.len(),
        seed: hash_seed(seed),
    };
    let snapshot = Snapshot {
        generation: 1,
        services: services.into(),
        network: scene.network.into(),
        options: config.settings.options,
        forwarding: true,
    };
    let io = PcapIo::new(reader, &[PORT_NAME], PORT, BATCH, BUFFERS);
    let mut director = Offline::new(io, Trace::default(), snapshot, &offline_config)?;
    let mut report = Report::default();
    let mut swept = Tick::default();
    loop {
        match director.worker.io().due() {
            Ok(Some(Due::Frame { at, .. })) => {
                let now = Tick::at(at);
                swept = sweep_until(&mut director, swept, now);
                director.worker.turn(now);
                report.span = at;
                collect(&mut director, &mut report, sink)?;
            }
            Ok(Some(Due::Refused { number, refusal })) => {
                let outcome = Outcome { number, end: End::Refused(refusal), pair: None };
                report.add(&outcome);
                sink.outcome(&outcome)?;
            }
            Ok(None) => break,
            Err(error) => {
                report.damage = Some(error);
                break;
            }
        }
    }
    let tally = director.worker.io().tally();
    report.finish(tally, &director.snapshot().services, &director.counters);
    Ok(report)
}

/// Sweeps as often as a running director would have until `now`, and returns when it did so last.
fn sweep_until(director: &mut Offline<PcapIo, Trace>, last: Tick, now: Tick) -> Tick {
    let gap = now.since(last);
    let step = SWEEP_EVERY.max(Ticks(gap.0.div_ceil(MOST_SWEEPS)));
    let mut last = last;
    while now.since(last) >= step {
        last = last.plus(step);
        if director.shared.table.is_empty() {
            return now;
        }
        director.sweep(last);
    }
    last
}

/// Takes out what the last turn decided and sent.
fn collect(
    director: &mut Offline<PcapIo, Trace>,
    report: &mut Report,
    sink: &mut impl Sink,
) -> Result<(), ReplayError> {
    let decisions = std::mem::take(&mut director.worker.observer().decisions);
    for (buffer, decision) in &decisions {
        // A buffer keeps its number until the next record is read, which is not before the next turn.
        let Some(number) = director.worker.io().number(*buffer) else { continue };
        let pair = decision.pair().and_then(|id| director.snapshot().services.pair(id)).copied();
        let outcome = Outcome { number, end: End::Decided(decision.verdict()), pair };
        report.add(&outcome);
        sink.outcome(&outcome)?;
    }
    for (pieces, decision) in director.worker.observer().assembled.drain(..) {
        report.settle(pieces as u64, decision.verdict());
    }
    director.worker.observer().decisions = decisions;
    director.worker.observer().decisions.clear();
    let mut written = Ok(());
    director.worker.io().drain_sent(|sent| {
        if written.is_ok() {
            written = sink.sent(sent);
        }
    });
    Ok(written?)
}

/// Each record opens at most one connection and one template for it, so more room than that is never needed. A small
/// table is swept quickly.
fn connections(config: &Config, records: u64) -> u32 {
    let most = u32::try_from(config.settings.connections).unwrap_or(u32::MAX);
    let needed = records.saturating_mul(2).max(LEAST_CONNECTIONS);
    u32::try_from(needed).map_or(most, |needed| needed.min(most))
}

/// Three words out of one, by the finaliser of SplitMix64.
fn hash_seed(seed: u64) -> HashSeed {
    let word = |n: u64| {
        let z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    HashSeed([word(1), word(2), word(3)])
}

/// Remembers what was decided about the buffers of a turn.
#[derive(Debug, Default)]
pub(super) struct Trace {
    decisions: Vec<(u32, Decision)>,
    /// Datagrams that came in pieces: how many, and what was decided.
    assembled: Vec<(usize, Decision)>,
}

impl Observer for Trace {
    fn decided<I: PacketIo>(&mut self, _io: &mut I, frame: &Frame, decision: &Decision) {
        self.decisions.push((frame.index, *decision));
    }

    fn assembled(&mut self, pieces: usize, decision: &Decision) {
        self.assembled.push((pieces, *decision));
    }
}
