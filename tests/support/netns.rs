//! Network namespaces for tests: uniquely named, removed when dropped, also by a panic.
//!
//! A namespace takes its veth ends with it, so nothing else needs to be cleaned. Everything is done by `ip`, so that a
//! failing test prints a command that a person can repeat.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace of its own, with loopback up and IPv6 autoconfiguration silent.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// Whether namespaces can be made here. If not, says so in one line: the caller should then return.
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new(); // tests run side by side, and the probe has one name
    let available = *AVAILABLE.get_or_init(|| {
        let probe = format!("rm{}-probe", std::process::id());
        let made = ip(&["netns", "add", &probe]).is_ok_and(|output| output.status.success());
        if made {
            let _ = ip(&["netns", "del", &probe]);
        }
        made
    });
    if !available {
        println!("skipped: network namespaces need root");
    }
    available
}

impl Namespace {
    /// Makes a namespace whose name begins with this process's id and ends with `label`.
    pub fn new(label: &str) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("rm{}-{serial}-{label}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.exec("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0");
        namespace.exec("sysctl -qw net.ipv6.conf.default.router_solicitations=0");
        namespace.exec("ip link set lo up");
        namespace
    }

    /// Its name, as `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside; words are split at spaces.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(line.split_whitespace());
        command
    }

    /// Runs a command inside and returns what it printed; panics with its errors if it fails.
    pub fn exec(&self, line: &str) -> String {
        let output = self.try_exec(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}` in {}: {errors}", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command inside that may fail.
    pub fn try_exec(&self, line: &str) -> Output {
        self.command(line).output().expect("`ip` is installed")
    }

    /// Runs `work` in a thread inside the namespace and returns what it returns. Sockets opened there stay inside.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let handle = File::open(format!("/var/run/netns/{}", self.name)).expect("the namespace exists");
        let inside = || {
            move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter");
            work()
        };
        let result = std::thread::scope(|scope| scope.spawn(inside).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Joins two namespaces by a veth pair: `(namespace, interface, address with prefix)` for each end, and as many receive
/// and transmit queues on both.
pub fn veth(one: (&Namespace, &str, &str), other: (&Namespace, &str, &str), queues: usize) {
    let pair = format!(
        "link add {} netns {} numrxqueues {queues} numtxqueues {queues} type veth \
         peer name {} netns {} numrxqueues {queues} numtxqueues {queues}",
        one.1, one.0.name, other.1, other.0.name
    );
    run("ip", &pair.split_whitespace().collect::<Vec<_>>());
    for (namespace, interface, address) in [one, other] {
        namespace.exec(&format!("ip address add {address} dev {interface}"));
    }
    for (namespace, interface, _) in [one, other] {
        namespace.exec(&format!("ip link set {interface} up"));
    }
}

fn ip(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("ip").args(arguments).output()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {}`: {errors}", arguments.join(" "));
}
