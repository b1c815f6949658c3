//! Reads a number from a file whenever that changes.
//!
//! The folder is watched, not the file: most programs write a new file and rename it. A look once a second catches what
//! inotify cannot see: folders that come later, and file systems of other hosts.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::time::sleep;

use super::{Number, Reports, report};
use crate::control::helper;
use crate::sys::readable::Readable;
use crate::track::Reading;
use crate::track::file::{LOOK, Spec, number};

/// How often it looks without being told.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long changes are collected.
const SETTLE: Duration = Duration::from_millis(10);

/// Watches a file for ever.
pub(super) async fn watch(spec: Spec, number: Number, reports: Reports) {
    let what = format!("file {}", spec.path.display());
    let initialised = match helper::get() {
        Some(helper) if spec.initial.is_some() => helper.initialise(&spec.path),
        _ => initialise(&spec),
    };
    if let Err(error) = initialised {
        tracing::error!("{what}: cannot write its first value: {error}");
    }
    let folder = spec.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let events = subscribe(folder).inspect_err(|error| {
        tracing::debug!("{what}: nothing is told of {}: {error}", folder.display());
    });
    let events = events.ok();
    let mut seen = Reading::Unknown;
    loop {
        report(&reports, number, &what, &mut seen, Reading::Number(read(&spec.path)));
        tokio::select! {
            () = changed(events.as_ref()) => {}
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

/// `init_file`.
pub(in crate::control) fn initialise(spec: &Spec) -> io::Result<()> {
    let Some(initial) = spec.initial else { return Ok(()) };
    let mut options = File::options();
    let options = options.write(true);
    let options = if initial.overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
    match options.open(&spec.path) {
        Ok(mut file) => writeln!(file, "{}", initial.value),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file that cannot be read says nothing.
fn read(path: &Path) -> i64 {
    let mut contents = Vec::with_capacity(LOOK);
    let file = File::open(path).or_else(|error| match helper::get() {
        Some(helper) if error.kind() == io::ErrorKind::PermissionDenied => helper.open(path),
        _ => Err(error),
    });
    let read = file.and_then(|file| file.take(LOOK as u64).read_to_end(&mut contents));
    if read.is_ok() { number(&contents) } else { 0 }
}

fn subscribe(folder: &Path) -> io::Result<Readable> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let of_interest = WatchFlags::CLOSE_WRITE
        | WatchFlags::MODIFY
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO;
    inotify::add_watch(&fd, folder, of_interest)?;
    Readable::new(fd)
}

/// Until something in the folder changed; never, if nobody tells.
async fn changed(events: Option<&Readable>) {
    let Some(events) = events else { return std::future::pending().await };
    // What happened does not matter: the file is looked at anew.
    let drain = |events: BorrowedFd<'_>| {
        let mut room = [0; 4096];
        while rustix::io::read(events, &mut room).is_ok_and(|length| length > 0) {}
    };
    match events.drained(drain).await {
        // A busy folder must not keep the control thread busy.
        Ok(()) => sleep(SETTLE).await,
        Err(_) => std::future::pending().await,
    }
}
