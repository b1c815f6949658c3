//! What whoever takes over a worker may try. The very rules of a director's threads are put on threads of a process that this
//! test starts for it, and the calls are made there.

use std::ffi::{CStr, c_long};
use std::io;
use std::process::Command;
use std::sync::LazyLock;

use ringmaster::config::model::Settings;
use ringmaster::control::Confinement;

/// In the environment of the process that tries.
const INSIDE: &str = "RINGMASTER_ATTEMPTS";

/// A system call: what it is to do, its number, its arguments. Those that are addresses are of strings in the program.
type Attempt = (&'static str, c_long, fn() -> Vec<usize>);

/// What must fail in every thread of a director.
const OF_ANYBODY: &[Attempt] = &[
    ("read /etc/shadow", libc::SYS_openat, || file(c"/etc/shadow", libc::O_RDONLY)),
    ("write into /etc", libc::SYS_openat, || file(c"/etc/ringmaster-was-here", libc::O_CREAT | libc::O_WRONLY)),
    ("execute a program", libc::SYS_execve, || vec![at(c"/bin/true"), 0, 0]),
    ("trace another process", libc::SYS_ptrace, || vec![libc::PTRACE_SEIZE as usize, parent(), 0, 0]),
    ("signal another user's process", libc::SYS_kill, || vec![parent(), 0]),
    ("become root", libc::SYS_setresuid, || vec![0, 0, 0]),
    ("become root's group", libc::SYS_setresgid, || vec![0, 0, 0]),
    ("load a BPF program", libc::SYS_bpf, || vec![5, 0, 0]),
    ("load a module", libc::SYS_init_module, || vec![0, 0, 0]),
    ("load a kernel", libc::SYS_kexec_load, || vec![0, 0, 0, 0]),
    ("mount", libc::SYS_mount, || vec![at(c"none"), at(c"/mnt"), at(c"tmpfs"), 0, 0]),
    ("make a user namespace", libc::SYS_unshare, || vec![libc::CLONE_NEWUSER as usize]),
    ("change the root", libc::SYS_chroot, || vec![at(c"/tmp")]),
    ("set the clock", libc::SYS_clock_settime, || vec![libc::CLOCK_REALTIME as usize, 0]),
];

/// What a worker cannot do either.
const OF_A_WORKER: &[Attempt] = &[
    ("open any file", libc::SYS_openat, || file(c"/dev/null", libc::O_RDONLY)),
    ("make a packet socket", libc::SYS_socket, || vec![libc::AF_PACKET as usize, libc::SOCK_RAW as usize, 0]),
    ("make a UDP socket", libc::SYS_socket, || vec![libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0]),
    ("connect", libc::SYS_connect, || vec![0, 0, 0]),
    ("send bytes by a socket that is open", libc::SYS_sendto, || vec![3, at(c"bytes"), 5, 0, 0, 0]),
    ("start a thread", libc::SYS_clone, || vec![libc::CLONE_VM as usize, 0, 0, 0, 0]),
    ("fork", libc::SYS_clone, || vec![libc::SIGCHLD as usize, 0, 0, 0, 0]),
    ("read a map", libc::SYS_bpf, || vec![1, 0, 0]),
    ("make code of its own", libc::SYS_mmap, || {
        let (protection, flags) = (libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        vec![0, 4096, protection as usize, flags as usize, usize::MAX, 0]
    }),
    ("write to another file than the log", libc::SYS_write, || vec![1, at(c"x"), 1]),
    ("signal another process", libc::SYS_tgkill, || vec![parent(), parent(), 0]),
    ("get hold of another process", libc::SYS_pidfd_open, || vec![parent(), 0]),
];

fn at(text: &'static CStr) -> usize {
    text.as_ptr().addr()
}

fn file(path: &'static CStr, flags: i32) -> Vec<usize> {
    vec![libc::AT_FDCWD as usize, at(path), flags as usize, 0o600]
}

/// The process that started this one. Asked for once, by a thread that may.
fn parent() -> usize {
    static PARENT: LazyLock<usize> =
        LazyLock::new(|| rustix::process::getppid().map_or(1, |parent| parent.as_raw_nonzero().get() as usize));
    *PARENT
}

/// Why it is refused; `None` if it is not.
fn refusal((_, number, arguments): &Attempt) -> Option<i32> {
    let mut arguments = arguments();
    arguments.resize(6, 0);
    let [a, b, c, d, e, f] = arguments.try_into().expect("at most six");
    // SAFETY: what is an address is that of a string in the program, or null. A call that succeeds against expectation fails
    // the test, and this process ends.
    let result = unsafe { libc::syscall(*number, a, b, c, d, e, f) };
    (result == -1).then(io::Error::last_os_error).and_then(|error| error.raw_os_error())
}

#[test]
fn what_a_worker_that_was_taken_over_cannot_do() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: needs root, since nobody else has anything to give up");
    }
    if std::env::var_os(INSIDE).is_some() {
        return try_all();
    }
    let own = std::env::current_exe().expect("it runs");
    let name = concat!(module_path!(), "::what_a_worker_that_was_taken_over_cannot_do");
    let name = name.split_once("::").expect("it is in a module").1;
    let output = Command::new(own).args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let refused = said.lines().filter(|line| line.ends_with("refused")).count();
    assert_eq!(refused, 2 * OF_ANYBODY.len() + OF_A_WORKER.len(), "{said}");
}

/// In a process of its own: whatever succeeds against expectation ends with it.
fn try_all() {
    let director = || {
        let confinement = Confinement::of(&Settings::default()).expect("there is a user").expect("rights are given up");
        confinement.enter().expect("rights can be given up");
        try_each("director", OF_ANYBODY.iter());
        assert!(std::fs::File::open("/dev/null").is_ok(), "files that everybody may read are its daily work");
        let worker = move || {
            confinement.enter_as_worker();
            let results: Vec<_> = OF_ANYBODY.iter().chain(OF_A_WORKER).map(refusal).collect();
            // A worker's own calls.
            std::thread::sleep(std::time::Duration::from_millis(1));
            results
        };
        std::thread::spawn(worker).join().expect("a worker may do all that a worker needs")
    };
    let of_worker = std::thread::spawn(director).join().expect("each attempt is refused");
    for ((what, ..), errno) in OF_ANYBODY.iter().chain(OF_A_WORKER).zip(of_worker) {
        assert_eq!(errno, Some(libc::EPERM), "worker: {what}");
        println!("worker: {what}: refused");
    }
}

fn try_each<'a>(who: &str, attempts: impl Iterator<Item = &'a Attempt>) {
    for attempt in attempts {
        let (what, errno) = (attempt.0, refusal(attempt));
        assert!(matches!(errno, Some(libc::EPERM | libc::EACCES)), "{who}: {what}: {errno:?}");
        println!("{who}: {what}: refused");
    }
}
