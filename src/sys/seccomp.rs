//! Filters for system calls (seccomp(2)): what a thread may ask the kernel for, from then on and with all that it starts.
//!
//! What is not allowed fails with EPERM: a call that somebody's library makes for reasons of its own must not end a director.
//!
//! | filter | what it lets through |
//! | --- | --- |
//! | [`Filter::for_workers`] | the few calls by which rings are driven, a thread waits and ends, and a panic is told |
//! | [`Filter::for_directors`] | everything but the ways to more rights: no programs, tracing, mounts, modules, new BPF programs, namespaces |

#![expect(unsafe_code, reason = "seccomp(2) has no wrapper that leaves speculation as it is")]

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule};

/// What a call is compared with: nothing, or conditions of which one list must hold as a whole.
type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// `bpf(2)`: the commands that read and change maps, and no others.
const MAP_COMMANDS: [u64; 9] = [
    1,  // BPF_MAP_LOOKUP_ELEM
    2,  // BPF_MAP_UPDATE_ELEM
    3,  // BPF_MAP_DELETE_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    15, // BPF_OBJ_GET_INFO_BY_FD
    24, // BPF_MAP_LOOKUP_BATCH
    25, // BPF_MAP_LOOKUP_AND_DELETE_BATCH
    26, // BPF_MAP_UPDATE_BATCH
    27, // BPF_MAP_DELETE_BATCH
];

/// Flags of `clone(2)` that make namespaces, in which everybody is root.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Without conditions; the same numbers on all machines but for the calls in [`OLD_WAYS`].
const WAYS_UP: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
];

/// What only one kind of machine has.
#[cfg(target_arch = "x86_64")]
const OLD_WAYS: &[libc::c_long] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const OLD_WAYS: &[libc::c_long] = &[];

/// What a worker needs, whatever it says with it.
const OF_A_WORKER: &[libc::c_long] = &[
    // The rings: to wait for packets.
    libc::SYS_ppoll,
    // Threads and memory: to wait, to give memory back, to end.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // Signals, and the end of a worker that panics.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
];

#[cfg(target_arch = "x86_64")]
const POLL: &[libc::c_long] = &[libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const POLL: &[libc::c_long] = &[];

/// A filter that can be put on threads.
#[derive(Clone, Debug)]
pub struct Filter(Vec<BpfProgram>);

impl Filter {
    /// For workers; see the module documentation. A call that sends or receives may carry no bytes: it only makes the kernel
    /// look at a ring.
    pub fn for_workers() -> io::Result<Self> {
        const LENGTH: u8 = 2;
        const PROTECTION: u8 = 2;
        let executable = libc::PROT_EXEC as u64;
        let not_executable = || vec![argument(PROTECTION, MaskedEq(executable), 0)];
        let mut rules: Rules = always(&[OF_A_WORKER, POLL]);
        rules.insert(libc::SYS_sendto, vec![when(vec![long_argument(LENGTH, Eq, 0)])?]);
        rules.insert(libc::SYS_recvfrom, vec![when(vec![long_argument(LENGTH, Eq, 0)])?]);
        rules.insert(libc::SYS_write, vec![when(vec![argument(0, Eq, 2)])?]);
        rules.insert(libc::SYS_mmap, vec![when(not_executable())?]);
        rules.insert(libc::SYS_mprotect, vec![when(not_executable())?]);
        rules.insert(libc::SYS_tgkill, vec![when(vec![argument(0, Eq, std::process::id().into())])?]);
        let filter = compile(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
        Ok(Self(vec![filter]))
    }

    /// For all other threads of a director; see the module documentation.
    pub fn for_directors() -> io::Result<Self> {
        let mut rules: Rules = always(&[WAYS_UP, OLD_WAYS]);
        let no_map = MAP_COMMANDS.iter().map(|&command| argument(0, Ne, command)).collect();
        rules.insert(libc::SYS_bpf, vec![when(no_map)?]);
        let namespace = |flag: &libc::c_int| when(vec![argument(0, MaskedEq(*flag as u64), *flag as u64)]);
        rules.insert(libc::SYS_clone, NAMESPACES.iter().map(namespace).collect::<io::Result<_>>()?);
        let refused = compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
        // Its flags are out of a filter's sight; who is told that there is no such call uses `clone`.
        let unseen = always(&[&[libc::SYS_clone3]]);
        let unknown = compile(unseen, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
        Ok(Self(vec![refused, unknown]))
    }

    /// Puts it on the calling thread, which must have given up the right to new privileges
    /// ([`shed`](super::privileges::shed)), and on those that it starts.
    pub fn put_on(&self) -> io::Result<()> {
        self.0.iter().try_for_each(install)
    }
}

fn always(lists: &[&[libc::c_long]]) -> Rules {
    lists.iter().copied().flatten().map(|&call| (call, Vec::new())).collect()
}

fn when(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// The lower 32 bits of an argument.
fn argument(place: u8, compare: seccompiler::SeccompCmpOp, with: u64) -> SeccompCondition {
    SeccompCondition::new(place, Dword, compare, with).expect("a call has six arguments")
}

fn long_argument(place: u8, compare: seccompiler::SeccompCmpOp, with: u64) -> SeccompCondition {
    SeccompCondition::new(place, Qword, compare, with).expect("a call has six arguments")
}

fn compile(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> io::Result<BpfProgram> {
    let machine = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, otherwise, matching, machine).map_err(io::Error::other)?;
    filter.try_into().map_err(|error: seccompiler::BackendError| io::Error::other(error))
}

/// Without the brakes on speculation that kernels before 5.16 put on with a filter: they are for threads that run code of
/// strangers, and a worker would pay for them with each packet.
fn install(program: &BpfProgram) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the program lives through the call, has the length that is given, and is only read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &raw const program,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::privileges::shed;
    use rustix::thread::CapabilitySet;

    /// What comes of `attempt` in a thread under a filter.
    fn under<T: Send + 'static>(filter: &Filter, attempt: impl FnOnce() -> T + Send + 'static) -> T {
        let filter = filter.clone();
        let confined = move || {
            shed(None, CapabilitySet::all()).unwrap();
            filter.put_on().unwrap();
            attempt()
        };
        std::thread::spawn(confined).join().unwrap()
    }

    #[test]
    fn a_director_starts_threads_and_no_programs() {
        let filter = Filter::for_directors().unwrap();
        let thread = || std::thread::spawn(|| std::fs::read("/proc/self/stat").is_ok()).join().unwrap();
        assert!(under(&filter, thread), "files and threads are its daily work");
        let program = || std::process::Command::new("/bin/true").status().map_err(|error| error.kind());
        assert_eq!(under(&filter, program).unwrap_err(), io::ErrorKind::PermissionDenied);
        let call = |call: fn() -> libc::c_long| under(&filter, move || (call() == -1).then(io::Error::last_os_error));
        // SAFETY: the calls touch no memory; if they were made, they would fail for other reasons or change this thread only.
        let (load, look, unshare) = unsafe {
            (
                call(|| libc::syscall(libc::SYS_bpf, 5, 0, 0)),
                call(|| libc::syscall(libc::SYS_bpf, 1, 0, 0)),
                call(|| libc::syscall(libc::SYS_unshare, libc::CLONE_FS)),
            )
        };
        assert_eq!(load.and_then(|error| error.raw_os_error()), Some(libc::EPERM));
        assert_ne!(look.and_then(|error| error.raw_os_error()), Some(libc::EPERM), "maps are read and changed");
        assert_eq!(unshare.and_then(|error| error.raw_os_error()), Some(libc::EPERM));
    }
}
