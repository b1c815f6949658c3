//! A restart by the service manager: the director makes way for one that its next supervisor will start, and everything is left
//! to the service manager meanwhile. Packets wait in their rings.

use std::io;
use std::process::ExitCode;

use super::channel::Message;
use super::process::{Phase, Process};
use super::{BEFORE, CONFIGURATION, ENTRUSTED, Supervisor};
use crate::sys::clock;

/// The exit code that says: start another, even if nobody has asked for it (EX_TEMPFAIL of sysexits.h).
const RESTART: u8 = 75;

impl Supervisor {
    /// Begins to leave. Without anybody to leave things to, that would be the end of them.
    pub(super) fn leave(&mut self) {
        if !self.held.has_store() {
            return tracing::warn!(
                "SIGUSR2: there is no service manager that would keep what is held; nothing is done"
            );
        }
        tracing::info!("SIGUSR2: everything is left to the service manager, for a restart");
        self.leaving = true;
        self.spare.dismiss();
        self.successor.take().into_iter().for_each(|(successor, _)| successor.kill());
        self.director.enter(Phase::GivingWay, clock::now());
        // One that does not hear is killed when its time is up.
        let _ = self.director.channel.send(&Message::GiveWay, None);
    }

    /// The director has made way, and said what it knew last. If nobody takes it, this process stays.
    pub(super) fn depart(&mut self) -> io::Result<Option<ExitCode>> {
        // A restart reads the files, unlike a death.
        if let Some(configuration) = self.held.take(CONFIGURATION) {
            self.held.put(BEFORE.to_owned(), configuration);
        }
        // It is no death, either.
        self.held.retain(|name| !name.starts_with(ENTRUSTED));
        let Err(error) = self.held.store_all() else { return Ok(Some(ExitCode::from(RESTART))) };
        tracing::error!("the service manager does not say that it keeps what is held: {error}");
        self.leaving = false;
        self.begin_as_before()?;
        Ok(None)
    }

    /// A director goes on by the configuration that ran before. Says whether there is one.
    pub(super) fn begin_as_before(&mut self) -> io::Result<bool> {
        let Some(configuration) = self.held.take(BEFORE) else { return Ok(false) };
        tracing::error!("the restart is refused: what ran before goes on, by the configuration that it had read");
        self.held.put(CONFIGURATION.to_owned(), configuration);
        let kept = self.held.get(CONFIGURATION);
        self.director = Process::start(&self.program, &self.arguments, kept, clock::now())?;
        Ok(true)
    }
}
