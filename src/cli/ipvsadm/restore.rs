//! Many command lines at once: `-R`, and the programs `ipvsadm-save` and `ipvsadm-restore`.

use std::io::BufRead;

use super::World;
use super::fault::Fault;
use super::parse::{Job, parse};
use super::run::{change_all, finish, one, run};
use crate::control::admin::Change;

/// Changes that `-R` asks for at once. Each is a plan of its own to the director if it comes alone.
const TOGETHER: usize = 256;

/// `-R`: one command after the other. What the director refuses is told and passed over, a line that makes no sense ends
/// it. The exit code is that of the last command.
pub(super) fn lines(world: &mut World<'_>) -> Result<u8, Fault> {
    let (mut waiting, mut exit) = (Vec::new(), 0);
    while let Some(words) = next_line(world.input)? {
        let job = parse(world.program, &words, world.names);
        if let Ok(Job::Change(change)) = job {
            waiting.push(change);
            if waiting.len() == TOGETHER {
                exit = flush(world, &mut waiting, exit)?;
            }
            continue;
        }
        // What stands before it comes first, whatever it is.
        flush(world, &mut waiting, exit)?;
        let job = job?;
        if matches!(job, Job::Help | Job::Version) {
            return one(world, job).map(|()| 0);
        }
        exit = match one(world, job) {
            Err(fault) if fault.exit == 255 => {
                tell(world, &fault);
                fault.exit
            }
            outcome => outcome.map(|()| 0)?,
        };
    }
    flush(world, &mut waiting, exit)
}

/// Has the changes carried out that wait, and gives the exit code of the last; without any, that of before.
fn flush(world: &mut World<'_>, waiting: &mut Vec<Change>, before: u8) -> Result<u8, Fault> {
    if waiting.is_empty() {
        return Ok(before);
    }
    let outcome = change_all(world, std::mem::take(waiting))?;
    outcome.iter().flatten().for_each(|refusal| tell(world, refusal));
    Ok(outcome.last().and_then(Option::as_ref).map_or(0, |refusal| refusal.exit))
}

/// Who does not read messages needs none.
fn tell(world: &mut World<'_>, fault: &Fault) {
    let _ = writeln!(world.errors, "{fault}");
}

/// `ipvsadm-save [-n]`.
pub(super) fn save_program(world: &mut World<'_>, words: &[String]) -> u8 {
    if words.iter().any(|word| word.starts_with('-') && word != "-n") {
        let help = "ipvsadm-save: saves the table of virtual services to stdout; with -n in numbers";
        return finish(world, Err(Fault::nothing(help)));
    }
    let numeric = words.iter().any(|word| word == "-n").then(|| "-n".to_owned());
    let words: Vec<String> = std::iter::once("-S".to_owned()).chain(numeric).collect();
    run(world, &words)
}

/// `ipvsadm-restore`: in place of all services those of the input. Every line is read before anything is changed, and
/// then all is changed at once: a server that is there before and after keeps its connections meanwhile.
pub(super) fn restore_program(world: &mut World<'_>) -> u8 {
    let outcome = all_at_once(world);
    finish(world, outcome)
}

fn all_at_once(world: &mut World<'_>) -> Result<u8, Fault> {
    let mut changes = vec![Change::Clear];
    while let Some(words) = next_line(world.input)? {
        match parse(world.program, &words, world.names)? {
            Job::Change(change) => changes.push(change),
            _ => return Err(Fault::usage(format!("`{}' changes nothing and cannot be restored", words.join(" ")))),
        }
    }
    let outcome = change_all(world, changes)?;
    outcome.iter().flatten().for_each(|refusal| tell(world, refusal));
    Ok(if outcome.iter().all(Option::is_none) { 0 } else { 255 })
}

/// The words of the next line that has any; a line can be a comment, and may begin with the name of the program.
fn next_line(input: &mut dyn BufRead) -> Result<Option<Vec<String>>, Fault> {
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line).map_err(Fault::nothing)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        if line.starts_with('#') {
            continue;
        }
        let words = line.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty() && *word != "ipvsadm");
        let words: Vec<String> = words.map(str::to_owned).collect();
        if !words.is_empty() {
            return Ok(Some(words));
        }
    }
}
