//! Programs that the configuration names, made ready to run: where they are, whom they run as, and whether that is safe.
//!
//! The rules are keepalived's: a program is looked for in `PATH`; it runs as the user that it names, else as
//! `script_user`, else as `keepalived_script` if there is such a user, else as the director. With
//! `enable_script_security` nothing runs as root that anybody else could have written. Unlike there, what will not run is
//! told with its reason, also by `ringmaster check`.
//!
//! A director that has given up its rights has programs started by its [`helper`](super::helper).

use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::helper;
use crate::config::Config;
use crate::program::{Program, User};
use crate::sys::users;
use crate::track::Watch;
pub use running::{Attended, Running};

/// The user of programs that name none, if it exists (keepalived.conf(5), `script_user`).
const DEFAULT_USER: &str = "keepalived_script";
/// Where programs are looked for if the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELL: &str = "/bin/sh";

/// How programs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    user: Option<User>,
    secure: bool,
}

/// Why a program does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such user.
    NoUser(String),
    /// There is no such group.
    NoGroup(String),
    /// There is no such file, in `PATH` if it is a plain name.
    NotFound(String),
    /// The user may not execute it.
    NotExecutable(PathBuf),
    /// It would run as root, and others could have written this part of its path.
    Writable {
        /// The part.
        part: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoUser(name) => write!(f, "there is no user {name}"),
            Refusal::NoGroup(name) => write!(f, "there is no group {name}"),
            Refusal::NotFound(name) => write!(f, "there is no {name}"),
            Refusal::NotExecutable(path) => write!(f, "{} may not be executed", path.display()),
            Refusal::Writable { part, owner, mode } => write!(
                f,
                "{} has mode {mode:04o} and owner {owner}, so that others than root may change what runs as root \
                 (enable_script_security)",
                part.display()
            ),
        }
    }
}

/// A program and who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runnable {
    /// This process.
    Here(Ready),
    /// The helper, which judges by itself whether it runs.
    There(Program),
}

impl Runnable {
    /// Starts it with further arguments, in a process group of its own, without input and output. It outlives whoever
    /// waits for it.
    pub fn start(&self, added: &[String]) -> std::io::Result<Running> {
        match self {
            Self::Here(ready) => ready.start(added).map(Running::Child),
            Self::There(program) => {
                let helper = helper::get().ok_or_else(|| std::io::Error::other("the helper is gone"))?;
                Running::over(helper.start(program, added)?)
            }
        }
    }
}

/// A program that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    path: PathBuf,
    arguments: Vec<String>,
    /// Of user and group; `None`: the director's.
    ids: Option<(u32, u32)>,
    /// The line goes to a shell, further arguments at its end.
    shell: bool,
}

impl Programs {
    /// By the `global_defs` of a configuration.
    pub fn new(config: &Config) -> Self {
        Self { user: config.global.script_user.clone(), secure: config.global.script_security }
    }

    /// Makes a program ready for whoever runs it.
    pub fn runnable(&self, program: &Program) -> Result<Runnable, Refusal> {
        match helper::get() {
            Some(_) => Ok(Runnable::There(program.clone())),
            None => self.ready(program).map(Runnable::Here),
        }
    }

    /// Makes a program ready.
    pub fn ready(&self, program: &Program) -> Result<Ready, Refusal> {
        let ids = self.ids(program.user.as_ref())?;
        if program.needs_shell() {
            let arguments = vec!["-c".to_owned(), program.line.clone()];
            return Ok(Ready { path: SHELL.into(), arguments, ids, shell: true });
        }
        let path = find(program.name()).ok_or_else(|| Refusal::NotFound(program.name().to_owned()))?;
        let (uid, gid) = ids.unwrap_or_else(own_ids);
        if !executable(&path, uid, gid) {
            return Err(Refusal::NotExecutable(path));
        }
        if self.secure && uid == 0 {
            only_root_writes(&path)?;
        }
        Ok(Ready { path, arguments: program.words[1..].to_vec(), ids, shell: false })
    }

    /// All that will not run of a configuration, in words.
    pub fn review(config: &Config) -> Vec<String> {
        let programs = Self::new(config);
        let named = Self::named(config).into_iter();
        named.filter_map(|(what, program)| Some(format!("{what}: {}", programs.ready(program).err()?))).collect()
    }

    /// All programs of a configuration, and what to say of one that does not run.
    pub fn named(config: &Config) -> Vec<(String, &Program)> {
        let scripts = config.tracking.trackers.iter().filter_map(|tracker| match &tracker.watch {
            Watch::Script(spec) => Some((format!("vrrp_script `{}` fails", tracker.name), &spec.program)),
            Watch::Process(_) | Watch::File(_) | Watch::Interface | Watch::Bfd => None,
        });
        let instances = config.instances.iter().map(|instance| (&instance.election.name, &instance.hooks));
        let hooks = instances.chain(config.groups.iter().map(|group| (&group.name, &group.hooks)));
        let hooks = hooks.flat_map(|(name, hooks)| hooks.programs().map(move |program| (name, program)));
        let hooks = hooks.map(|(name, program)| (format!("`{program}` of `{name}` will not run"), program));
        let readers = config.global.pipes.iter().filter_map(|pipe| pipe.reader.as_ref());
        let readers = readers.map(|program| (format!("`{program}` will not run"), program));
        scripts.chain(hooks).chain(readers).collect()
    }

    fn ids(&self, own: Option<&User>) -> Result<Option<(u32, u32)>, Refusal> {
        match own.or(self.user.as_ref()) {
            Some(user) => ids_of(user).map(Some),
            None => Ok(users::user(DEFAULT_USER).ok().flatten()),
        }
    }
}

/// The ids of a user and its group.
pub fn ids_of(user: &User) -> Result<(u32, u32), Refusal> {
    let no_user = || Refusal::NoUser(user.name.clone());
    let (uid, gid) = users::user(&user.name).ok().flatten().ok_or_else(no_user)?;
    let Some(group) = &user.group else { return Ok((uid, gid)) };
    let gid = users::group(group).ok().flatten().ok_or_else(|| Refusal::NoGroup(group.clone()))?;
    Ok((uid, gid))
}

impl Ready {
    /// Starts it with further arguments, in a process group of its own, without input and output. It outlives whoever
    /// waits for it.
    pub fn start(&self, added: &[String]) -> std::io::Result<Child> {
        let mut command = Command::new(&self.path);
        if self.shell {
            let words = added.iter().map(|word| format!(" '{}'", word.replace('\'', r"'\''")));
            let line: String = std::iter::once(self.arguments[1].clone()).chain(words).collect();
            command.args([&self.arguments[0], &line]);
        } else {
            command.args(&self.arguments).args(added);
        }
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
    }
}

/// Sends a signal to a program and to all that it started.
fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // It may just have ended.
        let _ = kill_process_group(pid, signal);
    }
}

fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).is_file().then(|| name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn executable(path: &Path, uid: u32, gid: u32) -> bool {
    let Ok(facts) = path.metadata() else { return false };
    let mode = facts.permissions().mode();
    let bits = match () {
        () if uid == 0 => 0o111,
        () if facts.uid() == uid => 0o100,
        () if facts.gid() == gid => 0o010,
        () => 0o001,
    };
    mode & bits != 0
}

/// Whether nobody but root can have written a file, or put another in its place: the file itself, and every folder on
/// the way to it.
fn only_root_writes(path: &Path) -> Result<(), Refusal> {
    let real = path.canonicalize().map_err(|_| Refusal::NotFound(path.display().to_string()))?;
    for part in real.ancestors() {
        let facts = part.metadata().map_err(|_| Refusal::NotFound(part.display().to_string()))?;
        let mode = facts.mode() & 0o7777;
        if facts.uid() != 0 || mode & 0o002 != 0 || (facts.gid() != 0 && mode & 0o020 != 0) {
            return Err(Refusal::Writable { part: part.to_owned(), owner: facts.uid(), mode });
        }
    }
    Ok(())
}

mod running;

#[cfg(test)]
mod tests;
