//! The real binary, as a process in a namespace.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;
use super::netns::Namespace;

/// A running director. Dropped, it is asked to end; if the test failed, its log is printed.
pub struct Director {
    child: Child,
    /// The first process, or a supervisor that has taken its place.
    supervisor: Mutex<Pid>,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    socket: PathBuf,
}

/// The binary under test: the one built with the tests, or another (a release build, an installed one) by `RINGMASTER`.
pub fn program() -> PathBuf {
    std::env::var_os("RINGMASTER").unwrap_or(env!("CARGO_BIN_EXE_ringmaster").into()).into()
}

impl Director {
    /// Starts it and waits until it forwards. The control socket is put into `directory`.
    pub fn start(host: &Namespace, directory: &Path, config: &str) -> Self {
        Self::start_by("", host, directory, config)
    }

    /// Starts it and waits until it takes part in elections, as whatever it may.
    pub fn start_electing(host: &Namespace, directory: &Path, config: &str) -> Self {
        Self::start_ready("", host, directory, config)
    }

    fn start_ready(command: &str, host: &Namespace, directory: &Path, config: &str) -> Self {
        Self::start_with(command, host, directory, config, |_| {})
    }

    /// Starts it by another command as a process that is `prepared` further, and waits until it is ready.
    pub fn start_with(
        command: &str,
        host: &Namespace,
        directory: &Path,
        config: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let mut director = Self::launch(command, host, directory, config, prepare);
        eventually("the director is ready", || director.ended().is_some() || director.has_logged("ready:"));
        assert!(director.has_logged("ready:"), "the director ended before it was ready:\n{}", director.log());
        director
    }

    /// Like [`start`](Self::start), by another command that is put in front, such as `setpriv`.
    pub fn start_by(command: &str, host: &Namespace, directory: &Path, config: &str) -> Self {
        let director = Self::start_ready(command, host, directory, config);
        let instances = config.matches("vrrp_instance ").count();
        eventually("the director is master", || director.log().matches("addresses in place").count() >= instances);
        director
    }

    fn launch(
        command: &str,
        host: &Namespace,
        directory: &Path,
        config: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let (file, socket) = write_config(directory, config);
        let mut command = host.command(&format!("{command} {} run -f {}", program().display(), file.display()));
        // Packets may ask it for faults (src/worker/faults.rs).
        command.env("RINGMASTER_FAULTS", "on demand");
        prepare(&mut command);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("`ip` is installed");
        let lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writer.lock().expect("no holder panics").push(line);
            }
        });
        let supervisor = Mutex::new(Pid::from_child(&child));
        Self { child, supervisor, log, reader: Some(reader), socket }
    }

    /// Runs it in the expectation that it ends by itself.
    pub fn run_to_end(host: &Namespace, directory: &Path, config: &str) -> (ExitStatus, String) {
        let mut director = Self::launch("", host, directory, config, |_| {});
        let status = director.wait();
        (status, director.log())
    }

    /// Puts another configuration into the place of the one it was started with, and has it read again.
    pub fn reload(&self, config: &str) {
        let directory = self.socket.parent().expect("it lies in the lab's directory");
        write_config(directory, config);
        let before = self.log().matches("SIGHUP").count();
        kill_process(self.pid(), Signal::HUP).expect("it is running");
        eventually("the director speaks of it", || self.log().matches("SIGHUP").count() > before);
    }

    /// What `ringmaster list` prints.
    pub fn list(&self) -> String {
        self.ask("list")
    }

    /// What `ringmaster connections` prints.
    pub fn connections(&self) -> String {
        self.ask("connections")
    }

    /// What `ringmaster vrrp --json` prints.
    pub fn vrrp(&self) -> String {
        self.ask("vrrp --json")
    }

    /// What `ringmaster status --json` prints.
    pub fn status(&self) -> String {
        self.ask("status --json")
    }

    /// Puts another program in its place, and gives what `ringmaster upgrade` prints, errors included.
    pub fn upgrade(&self, to: &Path) -> String {
        let output = Command::new(program()).arg("upgrade").arg("--socket").arg(&self.socket).arg(to).output();
        let Output { stdout, stderr, .. } = output.expect("the binary is built");
        String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
    }

    /// Its process id; that of its supervisor, if it has one.
    pub fn pid(&self) -> Pid {
        *self.supervisor.lock().expect("no holder panics")
    }

    /// Kills the supervisor, and waits until another has taken its place.
    pub fn kill_supervisor(&self) {
        let before = self.pid();
        kill_process(before, Signal::KILL).expect("it is there");
        self.find_supervisor(before);
    }

    /// Waits until there is another supervisor than this one, and goes by that.
    pub fn find_supervisor(&self, before: Pid) {
        eventually("there is another supervisor", || {
            let found = self.try_ask("status --json").and_then(|status| status_id(&status, "supervisor"));
            let found = found.filter(|&found| found != before);
            found.is_some_and(|found| {
                *self.supervisor.lock().expect("no holder panics") = found;
                true
            })
        });
    }

    /// Whether the process that was started first is the supervisor no more.
    fn was_adopted(&self) -> bool {
        self.pid() != Pid::from_child(&self.child)
    }

    /// The director and its spare: those that the supervisor has started, and one that it has adopted.
    fn supervised(&self) -> Vec<Pid> {
        let id = self.pid().as_raw_nonzero();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?));
        let adopted = self.was_adopted().then(|| self.try_ask("status --json")).flatten();
        children.chain(adopted.and_then(|status| status_id(&status, "process"))).collect()
    }

    /// The director itself, as it says: beside it there may be a spare, and one that is not quite dead.
    pub fn process(&self) -> Pid {
        status_id(&self.status(), "process").expect("it has an id")
    }

    /// Sends a signal and waits for the end. Killed are supervisor, director and spare, so that nobody follows.
    pub fn end_by(&mut self, signal: Signal) -> ExitStatus {
        if signal == Signal::KILL {
            let supervised = self.supervised();
            kill_process(self.pid(), signal).expect("it was not waited for");
            supervised.into_iter().for_each(|process| _ = kill_process(process, signal));
            return self.wait();
        }
        kill_process(self.pid(), signal).expect("it was not waited for");
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the director ends", || self.ended().is_some());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.ended().expect("it has ended")
    }

    /// All that it has written to standard error.
    pub fn log(&self) -> String {
        self.log.lock().expect("no holder panics").join("\n")
    }

    /// Waits until it has written this to standard error: its words come by a pipe, and may come late.
    pub fn says(&self, text: &str) {
        eventually(&format!("the director says `{text}`"), || self.has_logged(text));
    }

    /// Waits until it has written this so many times, and panics if it was more often.
    pub fn says_times(&self, text: &str, times: usize) {
        let count = || self.log().matches(text).count();
        eventually(&format!("the director says `{text}`, {times} times"), || count() >= times);
        assert_eq!(count(), times, "the director says `{text}`");
    }

    /// Where its control socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it has written this to standard error.
    pub fn has_logged(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    /// How it ended, if it has. Of one that is no child of ours only that it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("it is our child")?;
        if !self.was_adopted() {
            return Some(status);
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).unwrap_or_default();
        let lives = stat.rsplit(") ").next().is_some_and(|state| !state.starts_with(['Z', 'X']) && !state.is_empty());
        (!lives).then(ExitStatus::default)
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let output = Command::new(program()).args(command.split(' ')).arg("--socket").arg(&self.socket).output();
        let Output { status, stdout, .. } = output.expect("the binary is built");
        status.success().then(|| String::from_utf8_lossy(&stdout).into_owned())
    }

    /// What a subcommand prints that asks this director.
    pub fn ask(&self, command: &str) -> String {
        let output = Command::new(program()).args(command.split(' ')).arg("--socket").arg(&self.socket).output();
        let Output { status, stdout, stderr } = output.expect("the binary is built");
        assert!(status.success(), "`ringmaster {command}`: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).into_owned()
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process(self.pid(), Signal::TERM);
            // A director that does not end when asked fails the tests of its exit; here it must only not stay.
            for _ in 0..100 {
                if self.ended().is_some() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            let supervised = self.supervised();
            let _ = kill_process(self.pid(), Signal::KILL);
            supervised.into_iter().for_each(|process| _ = kill_process(process, Signal::KILL));
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            println!("the director's log:\n{}", self.log());
        }
    }
}

/// A process that `ringmaster status --json` names.
fn status_id(status: &str, name: &str) -> Option<Pid> {
    let status: serde_json::Value = serde_json::from_str(status).expect("it is JSON");
    let id = status[name].as_i64().and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw)
}

/// Writes the configuration with what each test's director has of its own, and gives the paths of file and control socket.
fn write_config(directory: &Path, config: &str) -> (PathBuf, PathBuf) {
    let file = directory.join("keepalived.conf");
    std::fs::write(&file, format!("{config}\n{}", own_settings(directory, config)))
        .expect("the lab's directory is writable");
    (file, directory.join("ringmaster.sock"))
}

/// A control socket (namespaces share the file system), and a small connection table unless the configuration asks for another:
/// without optimisation the usual one takes most of a start to make.
pub fn own_settings(directory: &Path, config: &str) -> String {
    let room = if config.contains("connections ") { "" } else { "    connections 50000\n" };
    format!("ringmaster {{\n    socket {}\n{room}}}\n", directory.join("ringmaster.sock").display())
}
