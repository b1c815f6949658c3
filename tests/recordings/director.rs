//! The real worker on ports in memory, driven through one recording.

use std::time::Duration;

use ringmaster::conn::HashSeed;
use ringmaster::forward::{Decision, Verdict};
use ringmaster::io::mem::MemIo;
use ringmaster::io::{Frame, PacketIo, PortId};
use ringmaster::service::Network;
use ringmaster::time::Tick;
use ringmaster::wire::Addr;
use ringmaster::worker::{Observer, Offline, OfflineConfig};

use crate::compare;
use crate::listings::{self, Outcome, Traffic};
use crate::marks;
use crate::network;
use crate::scenario::{self, Action, Command, Direction, FINAL, Scenario};
use crate::services::{Control, key};
use crate::stack::{self, Handed};

/// When the recording begins, on the director's clock.
const BEGIN: Duration = Duration::from_secs(1000);

/// Keeps the frames that the worker passed to the kernel.
#[derive(Default)]
struct Passed(Vec<Vec<u8>>);

impl Observer for Passed {
    fn decided<I: PacketIo>(&mut self, io: &mut I, frame: &Frame, decision: &Decision) {
        if decision.verdict() == Verdict::Pass {
            let (offset, len) = (frame.offset(), frame.len());
            self.0.push(io.slot_mut(frame)[offset..offset + len].to_vec());
        }
    }
}

/// What came of a recording.
#[derive(Default)]
pub struct Report {
    /// Empty: it passes.
    pub differences: Vec<String>,
    /// Kinds of listings that there are none of yet.
    pub not_compared: Vec<String>,
}

/// Replays a recording.
pub fn replay(scenario: &Scenario) -> Report {
    let mut report = Report::default();
    match Stage::set(scenario) {
        Ok(mut stage) => {
            if let Err(unmodelled) = stage.play(&mut report) {
                report.differences.push(format!("not modelled: {unmodelled}"));
            }
        }
        Err(unmodelled) => report.differences.push(format!("not modelled: {unmodelled}")),
    }
    report.not_compared.sort();
    report.not_compared.dedup();
    report
}

struct Stage<'a> {
    scenario: &'a Scenario,
    network: Network,
    own: Vec<Addr>,
    control: Control,
    worker: Offline<MemIo, Passed>,
    traffic: Traffic,
    now: Tick,
}

impl<'a> Stage<'a> {
    fn set(scenario: &'a Scenario) -> Result<Self, String> {
        let setup = &scenario.director;
        // What is marked comes to the director without being routed to it.
        let routes_marks =
            |command: &&String| command.starts_with("rule add fwmark ") || command.starts_with("route add local ");
        if let Some(command) = setup.ip.iter().find(|command| !routes_marks(command)) {
            return Err(format!("ip {command}"));
        }
        let network = network::network(setup)?;
        let mut control = Control::new(network.clone());
        for (name, &value) in &setup.sysctls {
            control.set(name, value)?;
        }
        control.mark(marks::rules(setup.nft.as_deref().unwrap_or_default())?);
        let names: Vec<&str> = setup.ports.iter().map(|port| port.name.as_str()).collect();
        let config = OfflineConfig { connections: 1024, pairs: 64, seed: HashSeed([1, 2, 3]) };
        let worker = Offline::new(MemIo::new(&names, 256, 4096, 64), Passed::default(), control.snapshot(), &config)
            .map_err(|error| error.to_string())?;
        let (own, now) = (network::own_addresses(setup)?, Tick::at(BEGIN));
        Ok(Self { scenario, network, own, control, worker, traffic: Traffic::default(), now })
    }

    fn play(&mut self, report: &mut Report) -> Result<(), String> {
        for (number, step) in self.scenario.steps.iter().enumerate() {
            self.advance(BEGIN + step.t);
            match &step.action {
                Action::Ipvsadm { exit: 0, means: Some(means), .. } => self.command(means)?,
                Action::Ipvsadm { .. } | Action::Wait => {}
                Action::Frame { frame } => self.inject(*frame)?,
                Action::List { file } => self.list(number, file, report)?,
                Action::Sysctl { name, value } => {
                    self.control.set(name, *value)?;
                    self.worker.publish(self.control.snapshot());
                }
                Action::Ip => return Err("ip commands between frames".to_owned()),
                Action::Nft => return Err("packet marks".to_owned()),
            }
            self.compare(number, report);
        }
        self.list(self.scenario.steps.len(), FINAL, report)
    }

    /// Lets time pass, as the control thread does: with a walk through the table every tick.
    fn advance(&mut self, to: Duration) {
        let to = Tick::at(to);
        while self.now != to {
            self.now = Tick(self.now.0 + 1);
            self.worker.drain(self.now);
            self.worker.sweep(self.now);
        }
    }

    fn command(&mut self, means: &serde_json::Value) -> Result<(), String> {
        let command: Command = serde_json::from_value(means.clone()).map_err(|error| error.to_string())?;
        self.read_counters();
        self.control.apply(&command)?;
        let services = self.control.services();
        match &command {
            Command::AddService { service } => self.traffic.begin(services, key(service)?),
            Command::Zero { service } => self.traffic.zero(services, service.as_ref().map(key).transpose()?),
            _ => {}
        }
        self.worker.publish(self.control.snapshot());
        self.worker.drain(self.now);
        Ok(())
    }

    fn inject(&mut self, line: usize) -> Result<(), String> {
        let frame = self.scenario.frames.get(line).ok_or_else(|| format!("there is no frame {line}"))?;
        let port = self.port(&frame.port)?;
        if !self.worker.worker.io().inject(port, &frame.bytes) {
            return Err(format!("frames of {} bytes", frame.bytes.len()));
        }
        self.worker.drain(self.now);
        Ok(())
    }

    fn port(&self, name: &str) -> Result<PortId, String> {
        let at = self.network.ports.iter().position(|port| port.name == name);
        at.and_then(|at| u8::try_from(at).ok()).map(PortId).ok_or_else(|| format!("there is no port {name}"))
    }

    /// Compares what left each port with what was recorded.
    fn compare(&mut self, step: usize, report: &mut Report) {
        let passed = std::mem::take(&mut self.worker.worker.observer().0);
        let handed: Vec<Handed> = passed.iter().map(|frame| stack::hand(&self.network, &self.own, frame)).collect();
        for (id, port) in (0..).map(PortId).zip(&self.network.ports) {
            let mut present = self.worker.worker.io().take_sent(id);
            present.extend(handed.iter().filter_map(|handed| handed.leaves_by(id)));
            let left = |frame: &&scenario::Frame| {
                (frame.dir, frame.step, &frame.port) == (Direction::Out, step, &port.name)
                    && !handed.iter().any(|handed| handed.is_answered_by(&frame.bytes))
            };
            let recorded: Vec<_> = self.scenario.frames.iter().filter(left).collect();
            if let Err(text) = compare::frames(&recorded, &present) {
                report.differences.push(format!("step {step}, port {}:\n{text}", port.name));
            }
        }
    }

    fn list(&mut self, step: usize, file: &str, report: &mut Report) -> Result<(), String> {
        self.read_counters();
        for listing in self.scenario.listings(file).map_err(|error| format!("{file}: {error}"))? {
            let services = self.control.services();
            match listings::compare(&listing, services, &self.worker.shared, &self.traffic, self.now) {
                Outcome::Same => {}
                Outcome::Different(text) => report.differences.push(format!("step {step}, {}:\n{text}", listing.args)),
                Outcome::NotCompared => report.not_compared.push(listing.args),
            }
        }
        Ok(())
    }

    fn read_counters(&mut self) {
        let counters = &self.worker.counters;
        self.traffic.read(self.control.services(), |id| counters.pair(id));
    }
}
