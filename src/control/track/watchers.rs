//! The tasks that watch: started when a configuration asks for them, left alone as long as the next one asks for the same,
//! and ended when it does not.

use tokio::task::JoinSet;

use super::{Reports, files, links, processes, scripts};
use crate::config::Config;
use crate::control::programs::Programs;
use crate::track::{Watch, file, process, script};

/// What a watched thing is called for as long as it is watched, in whatever place of whatever configuration.
pub(super) type Number = u64;

/// All tasks.
#[derive(Debug)]
pub(super) struct Watchers {
    reports: Reports,
    running: Vec<Watcher>,
    /// The number of each tracker, by its place in the configuration; sessions of BFD have none.
    numbers: Vec<Option<Number>>,
    last: Number,
}

/// A task, and what it was started for.
#[derive(Debug)]
struct Watcher {
    job: Job,
    numbers: Vec<Number>,
    /// Ends with this.
    #[expect(dead_code, reason = "its end ends the task")]
    task: JoinSet<()>,
}

/// What a task is for, in all that matters to it.
#[derive(Debug, PartialEq)]
enum Job {
    Script(String, script::Spec, Programs),
    File(file::Spec),
    /// All processes: they are looked for together.
    Processes(Vec<process::Spec>),
    /// All interfaces: one socket follows them.
    Links(Vec<String>, crate::track::Spec),
}

impl Watchers {
    pub(super) fn new(reports: Reports) -> Self {
        Self { reports, running: Vec::new(), numbers: Vec::new(), last: 0 }
    }

    /// The place of what is watched under a number; `None` if it is watched no more.
    pub(super) fn place(&self, number: Number) -> Option<usize> {
        self.numbers.iter().position(|other| *other == Some(number))
    }

    /// Watches what this configuration asks for, and nothing else.
    pub(super) fn follow(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.running);
        self.numbers = vec![None; config.tracking.trackers.len()];
        for (job, places) in jobs(config) {
            let watcher = match before.iter().position(|watcher| watcher.job == job) {
                Some(same) => before.swap_remove(same),
                None => self.start(job, places.len()),
            };
            for (&place, &number) in places.iter().zip(&watcher.numbers) {
                self.numbers[place] = Some(number);
            }
            self.running.push(watcher);
        }
    }

    fn start(&mut self, job: Job, count: usize) -> Watcher {
        let numbers: Vec<Number> = (self.last + 1..).take(count).collect();
        self.last += count as Number;
        let (mut task, reports, first) = (JoinSet::new(), self.reports.clone(), numbers[0]);
        match &job {
            Job::Script(name, spec, programs) => {
                task.spawn_local(scripts::watch(name.clone(), spec.clone(), programs.clone(), first, reports))
            }
            Job::File(spec) => task.spawn_local(files::watch(spec.clone(), first, reports)),
            Job::Processes(specs) => {
                let specs = numbers.iter().copied().zip(specs.iter().cloned()).collect();
                task.spawn_local(processes::watch(specs, reports))
            }
            Job::Links(names, spec) => {
                let names = numbers.iter().copied().zip(names.iter().cloned()).collect();
                task.spawn_local(links::watch(names, spec.clone(), reports))
            }
        };
        Watcher { job, numbers, task }
    }
}

/// What is to be watched, and the places of the trackers that it is for.
fn jobs(config: &Config) -> Vec<(Job, Vec<usize>)> {
    let programs = Programs::new(config);
    let (mut jobs, mut specs, mut names) = (Vec::new(), (Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for (place, tracker) in config.tracking.trackers.iter().enumerate() {
        match &tracker.watch {
            Watch::Script(spec) => {
                let job = Job::Script(tracker.name.clone(), spec.clone(), programs.clone());
                jobs.push((job, vec![place]));
            }
            Watch::File(spec) => jobs.push((Job::File(spec.clone()), vec![place])),
            Watch::Process(spec) => {
                specs.0.push(spec.clone());
                specs.1.push(place);
            }
            Watch::Interface => {
                names.0.push(tracker.name.clone());
                names.1.push(place);
            }
            Watch::Bfd => {}
        }
    }
    if !specs.0.is_empty() {
        jobs.push((Job::Processes(specs.0), specs.1));
    }
    if !names.0.is_empty() {
        let times = crate::track::Spec {
            delays: config.tracking.delays.clone(),
            polled: config.tracking.polled.clone(),
            ..Default::default()
        };
        jobs.push((Job::Links(names.0, times), names.1));
    }
    jobs
}
