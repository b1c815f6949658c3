//! A pipe that events are written to, line by line (`notify_fifo`, `vrrp_notify_fifo`).
//!
//! It is open for reading too, so that it can be written to before anybody reads it; up to 64 KiB then wait in it. When it
//! is full, lines are lost, and told of, but never waited for.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, chown};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, mknodat};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::control::helper;
use crate::control::programs::{Programs, Running, ids_of};
use crate::notify;

/// How long a reader may take for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A pipe, and perhaps the program that reads it.
#[derive(Debug)]
pub(super) struct Pipe {
    spec: notify::Pipe,
    file: File,
    /// We made it, and take it away.
    ours: bool,
    reader: Option<Running>,
    /// Lines that were lost since the last one that was not.
    lost: u64,
}

impl Pipe {
    /// Opens a pipe, which is made if it is not there; nothing but a word in the log if that fails.
    pub(super) fn open(spec: &notify::Pipe, programs: &Programs) -> Option<Self> {
        let path = &spec.path;
        let opened = match helper::get() {
            Some(helper) => helper.pipe(path),
            None => make(spec),
        };
        let (file, ours) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!("notification: no pipe {}: {error}", path.display());
                return None;
            }
        };
        let reader = spec.reader.as_ref().and_then(|program| {
            let started = programs.runnable(program).map_err(|refusal| refusal.to_string()).and_then(|ready| {
                ready.start(&[path.to_string_lossy().into_owned()]).map_err(|error| error.to_string())
            });
            started.inspect_err(|why| tracing::error!("notification: `{program}` does not read its pipe: {why}")).ok()
        });
        Some(Self { spec: spec.clone(), file, ours, reader, lost: 0 })
    }

    /// What it was opened for.
    pub(super) fn spec(&self) -> &notify::Pipe {
        &self.spec
    }

    /// Writes a line, unless the pipe is full.
    pub(super) fn write(&mut self, line: &str) {
        // At most PIPE_BUF (4096) bytes are written whole or not at all (pipe(7)).
        match self.file.write_all(format!("{line}\n").as_bytes()) {
            Ok(()) if self.lost > 0 => {
                tracing::warn!("notification: {} lines for {} were lost", self.lost, self.spec.path.display());
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    tracing::warn!("notification: {} takes no more lines: {error}", self.spec.path.display());
                }
                self.lost += 1;
            }
        }
    }

    /// Lets the reader see the end, and ends it if that does not.
    pub(super) async fn close(mut self) {
        self.take_away();
        let Self { file, reader, .. } = self;
        drop(file);
        if let Some(mut reader) = reader
            && timeout(LAST_LINES, reader.wait()).await.is_err()
        {
            reader.signal(Signal::TERM);
        }
    }
}

impl Pipe {
    /// Removes it from its folder, if we have put it there.
    pub(super) fn take_away(&mut self) {
        if std::mem::take(&mut self.ours) {
            // It may be gone already.
            let _ = match helper::get() {
                Some(helper) => helper.remove_pipe(&self.spec.path),
                None => std::fs::remove_file(&self.spec.path),
            };
        }
    }
}

/// Opens a pipe, and says whether it had to be made.
pub(in crate::control) fn make(spec: &notify::Pipe) -> io::Result<(File, bool)> {
    let path = &spec.path;
    let mode = Mode::RUSR | Mode::WUSR;
    let made = mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0);
    let ours = match made {
        Ok(()) => true,
        Err(rustix::io::Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    if let (true, Some(owner)) = (ours, &spec.owner) {
        let (uid, gid) = ids_of(owner).map_err(|refusal| io::Error::other(refusal.to_string()))?;
        chown(path, Some(uid), Some(gid))?;
    }
    let file = File::from(rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, mode)?);
    if !file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("there is a file of that name which is no pipe"));
    }
    Ok((file, ours))
}
