//! A restart by a service manager that keeps descriptors, asked for or after everybody was killed.

use std::collections::BTreeSet;
use std::process::Command;

use rustix::process::Signal;

use crate::Scene;
use crate::manager::Manager;
use crate::support::director::{Director, program};
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::lab::Lab;
use crate::support::{eventually, netns};

/// A director as the service of a manager.
struct Service {
    scene: Scene,
    manager: Manager,
    config: String,
}

impl Service {
    fn new(lab: Lab, family: Family, workers: usize) -> Self {
        let services = lab.config(&Scene::services(&lab, family, Vec::new()));
        let config = format!("{services}ringmaster {{\nworkers {workers}\n}}\n");
        let manager = Manager::new(lab.directory());
        let director = start(&lab, &manager, &config);
        eventually("it is master", || director.log().matches("addresses in place").count() == 2);
        let service = Self { scene: Scene::around(lab, family, director), manager, config };
        service.until_told(1);
        service
    }

    /// Waits until the manager knows that it was ready so often, and has each thing once.
    fn until_told(&self, starts: usize) {
        eventually("the manager is told", || {
            let said = self.manager.said();
            let names = said.names();
            let each: BTreeSet<_> = names.iter().collect();
            let all = ["configuration", "elections", "pulses", "rings.0.ledger", "rings.0.slots", "state", "table"];
            said.ready == starts && each.len() == names.len() && all.iter().all(|name| each.contains(name))
        });
    }

    fn start_again(&mut self, config: &str) {
        self.scene.director = start(&self.scene.lab, &self.manager, config);
        self.scene.flow();
    }
}

fn start(lab: &Lab, manager: &Manager, config: &str) -> Director {
    let prepare = |command: &mut _| manager.prepare(command);
    Director::start_with(manager.starter(), &lab.director, lab.directory(), config, prepare)
}

#[test]
fn a_restart_loses_nothing() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::nat(), V4, 2), (Lab::dr(), V6, 1)] {
        let mut service = Service::new(lab, family, workers);
        service.scene.director.kill_supervisor();
        let supervisor = service.scene.director.pid();
        eventually("the manager knows its main process", || service.manager.said().main == Some(supervisor));
        for (start, scheduler) in [(2, "rr"), (3, "wlc")] {
            let status = service.scene.director.end_by(Signal::USR2);
            // Of one that it is not the parent of nobody is told how it ended.
            assert_eq!(status.code(), Some(if start == 2 { 0 } else { 75 }));
            let config = service.config.replace("lb_algo rr", &format!("lb_algo {scheduler}"));
            service.start_again(&config);
            service.scene.director.says("goes on where the last director stopped");
            assert!(service.scene.director.list().contains(&format!(" {scheduler}")), "the files are read");
            service.until_told(start);
        }
        // Files that do not load leave things as they are.
        service.scene.director.end_by(Signal::USR2);
        let broken = format!("{}virtual_server 192.0.2.1 80 {{\nlb_algo none\n", service.config);
        service.start_again(&broken);
        service.scene.director.says("the restart is refused");
        assert!(service.scene.director.list().contains(" wlc"), "what ran goes on");
        assert!(service.manager.said().alive > 0, "there were signs of life");
        assert_eq!(service.scene.end().lost, 0);
    }
}

#[test]
fn everybody_s_death_loses_what_was_in_hand() {
    if !netns::available() {
        return;
    }
    for (lab, family, workers) in [(Lab::dr(), V4, 2), (Lab::nat(), V6, 1)] {
        let mut service = Service::new(lab, family, workers);
        service.scene.director.end_by(Signal::KILL);
        service.start_again(&service.config.clone());
        service.scene.director.says("goes on where the last director stopped");
        service.scene.end();
    }
}

#[test]
fn systemd_understands_the_unit() {
    let folder = tempfile::tempdir().expect("there is room");
    let (unit, copy) = ("configs/ringmaster.service", folder.path().join("ringmaster.service"));
    let text = std::fs::read_to_string(unit).expect("it is in the repository");
    let text = text.replace("/usr/local/bin/ringmaster", &program().display().to_string());
    std::fs::write(&copy, text).expect("it is ours");
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&copy).output() else {
        return println!("skipped: there is no systemd-analyze");
    };
    assert_eq!(String::from_utf8_lossy(&verified.stderr), "");
    assert!(verified.status.success());
}
