//! The `ipvsadm` front end before a director without a process: command lines go through the very parser, protocol and
//! listings of the program.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ringmaster::cli::client::{Ask, ClientError};
use ringmaster::cli::ipvsadm::World;
use ringmaster::cli::names::Names;
use ringmaster::control::admin::{Change, Refusal};
use ringmaster::control::protocol::{self, Body, Command, Request, Response};
use ringmaster::control::view::{self, ConnectionPage, Protocol, ServiceView, Source, Status};
use ringmaster::forward::Shared;
use ringmaster::time::Tick;

use crate::control::Control;

/// The size of the recorded kernel's table.
const TABLE_SIZE: u64 = 4096;

/// What the control socket would answer from.
pub struct Desk<'a> {
    pub control: &'a mut Control,
    pub shared: &'a Shared,
    pub now: Tick,
}

/// What a command line came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    pub exit: u8,
    pub stdout: String,
    pub stderr: String,
}

impl Desk<'_> {
    /// Carries out a command line, as typed behind `ipvsadm`.
    pub fn run(&mut self, line: &str) -> Output {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let mut world = World {
            program: "ipvsadm",
            director: self,
            names: &Nobody,
            input: &mut std::io::empty(),
            out: &mut out,
            errors: &mut errors,
        };
        let exit = world.run(&words);
        let text = |bytes| String::from_utf8(bytes).expect("listings and messages are text");
        Output { exit, stdout: text(out), stderr: text(errors) }
    }
}

impl Ask for Desk<'_> {
    fn ask(&mut self, command: Command) -> Result<Body, ClientError> {
        let request = serde_json::to_vec(&Request::new(command)).expect("requests are plain data");
        let response = serde_json::to_vec(&protocol::answer(&request, self)).expect("responses are plain data");
        let Response { body, .. } = serde_json::from_slice(&response).expect("what is written can be read");
        match body {
            Body::Error(reason) => Err(ClientError::Refused(reason)),
            body => Ok(body),
        }
    }
}

impl Source for Desk<'_> {
    fn services(&mut self) -> Vec<ServiceView> {
        self.control.tally();
        view::services(&self.control.services, &self.shared.loads, &self.control.ledger)
    }

    fn connections(&self, _: u64, _: usize) -> ConnectionPage {
        let entries = self.shared.table.entries();
        let view = |listed| view::connection(self.shared, &self.control.services, &listed, self.now);
        ConnectionPage { entries: entries.filter_map(view).collect(), next: None }
    }

    fn status(&mut self) -> Status {
        let options = &self.control.config.settings.options;
        Status {
            table_size: TABLE_SIZE,
            timeouts: options.timeouts.into(),
            listing: options.into(),
            ..Status::default()
        }
    }

    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>> {
        let each = |change| {
            let before = Arc::clone(&self.control.services);
            let outcome = self.control.change(change);
            self.shared.loads.follow(&before, &self.control.services);
            outcome.err()
        };
        changes.iter().map(each).collect()
    }
}

/// Knows no names, like the recorded machine.
struct Nobody;

impl Names for Nobody {
    fn address(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }

    fn host(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn port(&self, _: &str, _: Option<Protocol>) -> Option<u16> {
        None
    }

    fn service(&self, _: u16, _: Option<Protocol>) -> Option<String> {
        None
    }
}
