//! Counts processes.
//!
//! The kernel would tell of every process that begins or ends (the process connector), but to nobody in a network
//! namespace or a container, and whoever is told must still look: so it looks, off the control thread.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use super::{Number, Reports, report};
use crate::sys::clock;
use crate::track::Reading;
use crate::track::process::{Pattern, Quorum, Spec};

/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Watches all these for ever: their numbers, and which processes count.
pub(super) async fn watch(specs: Vec<(Number, Spec)>, reports: Reports) {
    let patterns: Vec<Pattern> = specs.iter().map(|(_, spec)| spec.pattern.clone()).collect();
    let mut quorums: Vec<Option<(Quorum, Reading)>> = specs.iter().map(|_| None).collect();
    loop {
        let wanted = patterns.clone();
        // A thread that panicked has ended the process.
        let Ok(counts) = tokio::task::spawn_blocking(move || count(&wanted)).await else { return };
        let now = clock::now();
        for ((count, (number, spec)), quorum) in counts.into_iter().zip(&specs).zip(&mut quorums) {
            let (quorum, seen) = quorum.get_or_insert_with(|| (Quorum::new(spec.clone(), count), Reading::Unknown));
            quorum.counted(count, now);
            let reading = if quorum.is_met() { Reading::Up } else { Reading::Down };
            report(&reports, *number, &format!("process {}", name(&spec.pattern)), seen, reading);
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn name(pattern: &Pattern) -> &str {
    match pattern {
        Pattern::Name(name) => name,
        Pattern::CommandLine { words, .. } => words.first().map_or("", String::as_str),
    }
}

/// How many processes each pattern counts. One that ends while it is looked at does not count; nor do zombies.
fn count(patterns: &[Pattern]) -> Vec<u32> {
    let mut counts = vec![0; patterns.len()];
    let lines = patterns.iter().any(Pattern::needs_command_line);
    let Ok(all) = fs::read_dir("/proc") else { return counts };
    for entry in all.flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process {
            continue;
        }
        let file = |name: &str| fs::read(entry.path().join(name));
        let Ok(mut name) = file("comm") else { continue };
        name.truncate(name.trim_ascii_end().len());
        let line = if lines { file("cmdline").unwrap_or_default() } else { Vec::new() };
        for (pattern, count) in patterns.iter().zip(&mut counts) {
            if pattern.matches(&name, &line) && !file("stat").is_ok_and(|stat| is_zombie(&stat)) {
                *count += 1;
            }
        }
    }
    counts
}

/// proc_pid_stat(5): the state follows the name, which may hold anything but ends at the last parenthesis.
fn is_zombie(stat: &[u8]) -> bool {
    let after = stat.iter().rposition(|&byte| byte == b')').map_or(0, |at| at + 2);
    matches!(stat.get(after), Some(b'Z' | b'X'))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::track::process::Matching;

    #[test]
    fn the_dead_do_not_count() {
        for (stat, zombie) in
            [("7 (a) S 1 1", false), ("7 (a) Z 1 1", true), ("7 (Z) Z) R 1", false), ("7 (a) ) X 1", true), ("", false)]
        {
            assert_eq!(is_zombie(stat.as_bytes()), zombie, "{stat}");
        }
    }

    #[test]
    fn processes_are_counted() {
        let words = ["sleep", "61.25"].map(str::to_owned).to_vec();
        let pattern = [Pattern::CommandLine { words, matching: Matching::Exact }];
        assert_eq!(count(&pattern), [0]);
        let mut child = Command::new("sleep").arg("61.25").spawn().unwrap();
        // Until the child is another program than we are.
        while fs::read(format!("/proc/{}/comm", child.id())).is_ok_and(|name| name != b"sleep\n") {
            std::thread::yield_now();
        }
        assert_eq!(count(&pattern), [1]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(count(&pattern), [0]);
    }
}
