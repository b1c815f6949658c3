//! A new program in the director's place: it prepares itself beside the old one, which makes way only then.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Supervisor;
use super::channel::Message;
use super::process::{Phase, Process, Program};
use crate::sys::clock;

/// How long a new program may take to read its configuration.
const TO_PREPARE: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Starts a new program beside the director.
    pub(super) fn upgrade(&mut self, path: &Path, now: Duration) {
        if self.successor.is_some() {
            return self.refuse_upgrade("another upgrade is under way");
        }
        let started = Program::at(path).and_then(|program| {
            let process = Process::start(&program, &self.arguments, None, now)?;
            Ok((process, program))
        });
        match started {
            Ok(successor) => {
                tracing::info!("upgrade: {} prepares itself as process {}", path.display(), successor.0.id());
                self.successor = Some(successor);
            }
            Err(error) => self.refuse_upgrade(&format!("cannot start {}: {error}", path.display())),
        }
    }

    fn refuse_upgrade(&self, why: &str) {
        tracing::error!("upgrade: {why}; the old program stays");
        // If it does not hear, it cannot tell anybody.
        let _ = self.director.channel.send(&Message::NotUpgraded(why.to_owned()), None);
    }

    pub(super) fn hear_successor(&mut self) -> io::Result<()> {
        let Some((successor, _)) = &mut self.successor else { return Ok(()) };
        let now = clock::now();
        if let Some((Message::Prepared, _)) = successor.hear() {
            successor.enter(Phase::Beginning, now);
            self.director.enter(Phase::GivingWay, now);
            // One that does not hear is killed when its time is up.
            let _ = self.director.channel.send(&Message::GiveWay, None);
        } else if let Some(status) = successor.ended()? {
            self.successor = None;
            self.refuse_upgrade(&format!("the new program ended before it had read its configuration ({status})"));
        } else if successor.phase == Phase::Preparing && now > successor.since + TO_PREPARE {
            self.successor.take().into_iter().for_each(|(successor, _)| successor.kill());
            self.refuse_upgrade("the new program did not read its configuration in time");
        }
        Ok(())
    }
}
