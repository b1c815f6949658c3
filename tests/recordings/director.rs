//! The real worker on ports in memory, driven through one recording.

use std::sync::Arc;
use std::time::Duration;

use ringmaster::conn::HashSeed;
use ringmaster::io::PortId;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Network, Snapshot};
use ringmaster::time::Tick;
use ringmaster::wire::Addr;
use ringmaster::worker::{Offline, OfflineConfig};

use crate::compare;
use crate::control::Control;
use crate::front::{Desk, Output};
use crate::marks;
use crate::network;
use crate::scenario::{self, Action, Direction, FINAL, Scenario};
use crate::stack::{self, Handed};

/// When the recording begins, on the director's clock.
const BEGIN: Duration = Duration::from_secs(1000);

/// What came of a recording.
#[derive(Default)]
pub struct Report {
    /// Empty: it passes.
    pub differences: Vec<String>,
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
    report
}

struct Stage<'a> {
    scenario: &'a Scenario,
    network: Network,
    own: Vec<Addr>,
    control: Control,
    worker: Offline<MemIo>,
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
        let names: Vec<&str> = setup.ports.iter().map(|port| port.name.as_str()).collect();
        let config = OfflineConfig { connections: 1024, pairs: 64, seed: HashSeed([1, 2, 3]) };
        let mut worker = Offline::new(MemIo::new(&names, 256, 4096, 64), (), Snapshot::default(), &config)
            .map_err(|error| error.to_string())?;
        let mut control = Control::new(network.clone(), Arc::clone(&worker.counters));
        for (name, &value) in &setup.sysctls {
            control.set(name, value)?;
        }
        control.mark(marks::rules(setup.nft.as_deref().unwrap_or_default())?);
        worker.publish(control.snapshot());
        let (own, now) = (network::own_addresses(setup)?, Tick::at(BEGIN));
        Ok(Self { scenario, network, own, control, worker, now })
    }

    fn play(&mut self, report: &mut Report) -> Result<(), String> {
        for (number, step) in self.scenario.steps.iter().enumerate() {
            self.advance(BEGIN + step.t);
            match &step.action {
                Action::Ipvsadm { args, exit, stdout, stderr } => {
                    let output = self.command(args)?;
                    let answer = |text: &str, exit: u8| format!("{text}exit code {exit}\n");
                    let (recorded, present) = (answer(stderr, *exit), answer(&output.stderr, output.exit));
                    let same = compare::text(&recorded, &present);
                    if let Err(text) = same.and_then(|()| compare::listing(args, stdout, &output.stdout)) {
                        report.differences.push(format!("step {number}, {args}:\n{text}"));
                    }
                }
                Action::Wait => {}
                Action::Frame { frame } => self.inject(*frame)?,
                Action::List { file } => self.list(number, file, report)?,
                Action::Sysctl { name, value } => {
                    self.control.set(name, *value)?;
                    self.worker.publish(self.control.snapshot());
                }
                Action::Ip => return Err("ip commands between frames".to_owned()),
                Action::Nft => return Err("other marks between frames".to_owned()),
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

    /// Carries out a command line. `Err`: the director says itself that it cannot yet.
    fn command(&mut self, line: &str) -> Result<Output, String> {
        let output = self.desk().run(line);
        if let Some(what) = output.stderr.strip_prefix("Not supported yet: ") {
            return Err(what.trim_end().to_owned());
        }
        self.worker.publish(self.control.snapshot());
        self.worker.drain(self.now);
        Ok(output)
    }

    fn desk(&mut self) -> Desk<'_> {
        Desk { control: &mut self.control, shared: &self.worker.shared, now: self.now }
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
        let passed = self.worker.worker.io().take_passed();
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
        for listing in self.scenario.listings(file).map_err(|error| format!("{file}: {error}"))? {
            let present = self.desk().run(&listing.args).stdout;
            if let Err(text) = compare::listing(&listing.args, &listing.text, &present) {
                report.differences.push(format!("step {step}, {}:\n{text}", listing.args));
            }
        }
        Ok(())
    }
}
