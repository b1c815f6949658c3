//! Which processes count, and how many there must be (`vrrp_track_process`).

use std::time::Duration;

use super::debounce::Debounce;

/// Processes that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Which count.
    pub pattern: Pattern,
    /// `quorum`: how many there must be.
    pub least: u32,
    /// `quorum_max`: how many there may be.
    pub most: u32,
    /// `fork_delay`: how long a new one must last.
    pub fork_delay: Duration,
    /// `terminate_delay`: how long the lack of one must last.
    pub terminate_delay: Duration,
}

/// Which processes count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Those of this name (`/proc/PID/comm`).
    Name(String),
    /// Those with this command line (`/proc/PID/cmdline`).
    CommandLine {
        /// Command and arguments.
        words: Vec<String>,
        /// How they must match.
        matching: Matching,
    },
}

/// How the arguments of a process must match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// All alike, and no more of them.
    #[default]
    Exact,
    /// `partial`: the first ones alike; more may follow.
    Partial,
    /// `initial`: the first ones alike, and the last of them may go on.
    Initial,
}

/// Bytes of a name that the kernel keeps (`TASK_COMM_LEN` without the final zero).
const NAME: usize = 15;

impl Pattern {
    /// Whether the command line must be read, which costs more than the name.
    pub fn needs_command_line(&self) -> bool {
        matches!(self, Pattern::CommandLine { .. })
    }

    /// Whether a process counts. `name` is without the final newline; `command_line` has a zero after each word, and is
    /// empty for kernel threads.
    pub fn matches(&self, name: &[u8], command_line: &[u8]) -> bool {
        match self {
            Pattern::Name(wanted) => wanted.as_bytes()[..wanted.len().min(NAME)] == *name,
            Pattern::CommandLine { words, matching } => {
                let wanted: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
                match matching {
                    Matching::Exact => wanted == command_line,
                    Matching::Partial => command_line.starts_with(&wanted),
                    Matching::Initial => command_line.starts_with(&wanted[..wanted.len().saturating_sub(1)]),
                }
            }
        }
    }
}

/// Whether there are enough processes, and not too many.
#[derive(Clone, Debug)]
pub struct Quorum {
    spec: Spec,
    count: u32,
    lasting: Debounce,
}

impl Quorum {
    /// With the number that is there at the start, which needs no time to last.
    pub fn new(spec: Spec, count: u32) -> Self {
        let lasting = Debounce::new(spec.is_met(count));
        Self { spec, count, lasting }
    }

    /// Which processes count.
    pub fn pattern(&self) -> &Pattern {
        &self.spec.pattern
    }

    /// How many there are.
    pub fn counted(&mut self, count: u32, now: Duration) {
        let grew = count > std::mem::replace(&mut self.count, count);
        let delay = if grew { self.spec.fork_delay } else { self.spec.terminate_delay };
        self.lasting.see(self.spec.is_met(count), delay, now);
    }

    /// Whether all is well.
    pub fn is_met(&self) -> bool {
        self.lasting.is_up()
    }

    /// When [`fire`](Self::fire) is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.lasting.deadline()
    }

    /// Time has passed.
    pub fn fire(&mut self, now: Duration) {
        self.lasting.fire(now);
    }
}

impl Spec {
    fn is_met(&self, count: u32) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str], matching: Matching) -> Pattern {
        Pattern::CommandLine { words: words.iter().map(|&word| word.to_owned()).collect(), matching }
    }

    #[test]
    fn which_processes_count() {
        use Matching::{Exact, Initial, Partial};
        let name = |name: &str| Pattern::Name(name.to_owned());
        let table: [(Pattern, &str, &str, bool); 17] = [
            (name("sshd"), "sshd", "/usr/sbin/sshd\0-D\0", true),
            (name("ssh"), "sshd", "", false),
            (name("sshd"), "ssh", "", false),
            (name("a_name_that_is_too_long"), "a_name_that_is_", "", true),
            (name("a_name_that_is_too_long"), "a_name_that_is_too", "", false),
            (line(&["/bin/a"], Exact), "a", "/bin/a\0", true),
            (line(&["/bin/a"], Exact), "a", "/bin/a\0-x\0", false),
            (line(&["/bin/a"], Exact), "a", "/bin/ab\0", false),
            (line(&["/bin/a", "-x"], Exact), "a", "/bin/a\0-x\0", true),
            (line(&["/bin/a", "-x"], Exact), "a", "/bin/a\0-x\0-y\0", false),
            (line(&["/bin/a", "-x"], Partial), "a", "/bin/a\0-x\0-y\0", true),
            (line(&["/bin/a", "-x"], Partial), "a", "/bin/a\0-xy\0", false),
            (line(&["/bin/a", "-x"], Initial), "a", "/bin/a\0-xy\0", true),
            (line(&["/bin/a", "-x"], Initial), "a", "/bin/a\0-x\0", true),
            (line(&["/bin/a", "-x"], Initial), "a", "/bin/a\0-y\0", false),
            (line(&["/bin/a", "-x"], Exact), "a", "", false),
            (line(&["/bin/a", "b c"], Exact), "a", "/bin/a\0b\0c\0", false),
        ];
        for (pattern, name, command_line, counts) in table {
            assert_eq!(
                pattern.matches(name.as_bytes(), command_line.as_bytes()),
                counts,
                "{pattern:?} {command_line:?}"
            );
        }
    }

    #[test]
    fn how_many_there_must_be_and_for_how_long() {
        let at = Duration::from_secs;
        let spec = Spec {
            pattern: Pattern::Name("a".to_owned()),
            least: 2,
            most: 3,
            fork_delay: at(1),
            terminate_delay: at(5),
        };
        let mut quorum = Quorum::new(spec.clone(), 2);
        assert!(quorum.is_met());
        // When, how many, and whether that is well.
        let table = [
            (10, 1, true),
            (12, 2, true),
            (20, 1, true),
            (25, 1, false),
            (30, 2, false),
            (31, 2, true),
            (40, 4, true),
            (41, 4, false),
            (50, 3, false),
            (54, 3, false),
            (55, 3, true),
        ];
        for (now, count, met) in table {
            quorum.counted(count, at(now));
            assert_eq!(quorum.is_met(), met, "at {now}");
        }
        assert!(!Quorum::new(spec.clone(), 4).is_met());
        let none = Spec { least: 0, most: 0, ..spec };
        assert!(Quorum::new(none.clone(), 0).is_met());
        assert!(!Quorum::new(none, 1).is_met(), "it must not run at all");
    }
}
