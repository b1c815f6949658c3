//! Runs a script over and over, and reports what its exits make of it.

use rustix::process::Signal;

use super::{Number, Reports, report, until};
use crate::control::programs::{Programs, Running};
use crate::sys::clock;
use crate::track::Reading;
use crate::track::script::{Action, Input, Machine, Spec};

/// Watches the script `name` for ever.
pub(super) async fn watch(name: String, spec: Spec, programs: Programs, number: Number, reports: Reports) {
    let what = format!("script {name}");
    let mut seen = Reading::Unknown;
    let mut machine = Machine::new(spec.clone(), clock::now());
    let mut child: Option<Running> = None;
    let mut refused = String::new();
    loop {
        report(&reports, number, &what, &mut seen, machine.reading());
        let input = tokio::select! {
            well = ended(&mut child) => Input::Ended(well),
            () = until(machine.deadline()) => Input::Deadline,
        };
        if matches!(input, Input::Ended(_)) {
            child = None;
        }
        match (machine.handle(input, clock::now()), &child) {
            (Some(Action::Start), _) => match start(&programs, &spec) {
                Ok(started) => child = Some(started),
                Err(why) => {
                    if why != refused {
                        tracing::error!("{what} fails: {why}");
                        refused = why;
                    }
                    machine.handle(Input::Ended(false), clock::now());
                }
            },
            (Some(Action::Terminate), Some(child)) => {
                tracing::warn!("{what} takes longer than {:?}; it counts as failed", spec.timeout);
                child.signal(Signal::TERM);
            }
            (Some(Action::Kill), Some(child)) => child.signal(Signal::KILL),
            (Some(Action::Terminate | Action::Kill), None) | (None, _) => {}
        }
    }
}

fn start(programs: &Programs, spec: &Spec) -> Result<Running, String> {
    let ready = programs.runnable(&spec.program).map_err(|refusal| refusal.to_string())?;
    ready.start(&[]).map_err(|error| error.to_string())
}

/// Whether the child ended well; never, if there is none. May be dropped while waiting.
async fn ended(child: &mut Option<Running>) -> bool {
    match child {
        Some(child) => child.wait().await.is_ok_and(|status| status.success()),
        None => std::future::pending().await,
    }
}
