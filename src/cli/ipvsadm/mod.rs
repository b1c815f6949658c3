//! `ringmaster ipvsadm`, and the program when it is called `ipvsadm`: the command lines that operators and scripts know,
//! with the messages and exit codes of ipvsadm 1.31.
//!
//! Words become options (`options`), options a `parse::Job` (with `line`, `legality`, `whole`), and the job is
//! done over the control socket. Nothing here knows the director but through [`Ask`], so that tests stand in for it.

mod daemons;
mod fault;
mod help;
mod legality;
mod line;
mod options;
mod parse;
mod restore;
mod run;
#[cfg(test)]
mod tests;
mod values;
mod whole;

use std::ffi::OsString;
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::client::{Ask, Later, default_socket};
use super::names::{Names, System};

/// Administer virtual services with the command lines of ipvsadm
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// What ipvsadm would be given; `--socket PATH` in front of it names another director
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    words: Vec<OsString>,
}

/// What a command line works on.
pub struct World<'a> {
    /// What the program is called in messages.
    pub program: &'a str,
    /// The director.
    pub director: &'a mut dyn Ask,
    /// Who knows names of hosts and ports.
    pub names: &'a dyn Names,
    /// What is restored.
    pub input: &'a mut dyn BufRead,
    /// Listings.
    pub out: &'a mut dyn Write,
    /// Messages.
    pub errors: &'a mut dyn Write,
}

impl World<'_> {
    /// Carries out one command line, given without the name of the program, and returns the exit code.
    pub fn run(&mut self, words: &[String]) -> u8 {
        run::run(self, words)
    }
}

/// The three programs of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `ipvsadm`.
    Ipvsadm,
    /// `ipvsadm-save`: `ipvsadm -S`.
    Save,
    /// `ipvsadm-restore`: clears, and restores.
    Restore,
}

impl Program {
    /// By the path that a program was started with.
    pub fn called(path: &Path) -> Option<Self> {
        match path.file_name()?.to_str()? {
            "ipvsadm" => Some(Program::Ipvsadm),
            "ipvsadm-save" => Some(Program::Save),
            "ipvsadm-restore" => Some(Program::Restore),
            _ => None,
        }
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    be(Program::Ipvsadm, "ringmaster ipvsadm", &args.words)
}

/// Runs as one of the programs, with the words that follow its name.
pub fn be(program: Program, name: &str, words: &[OsString]) -> ExitCode {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (socket, words) = socket(&words);
    let mut world = World {
        program: name,
        director: &mut Later::at(socket),
        names: &System::load(),
        input: &mut std::io::stdin().lock(),
        out: &mut BufWriter::new(std::io::stdout().lock()),
        errors: &mut std::io::stderr().lock(),
    };
    let exit = match program {
        Program::Ipvsadm => world.run(words),
        Program::Save => restore::save_program(&mut world, words),
        Program::Restore => restore::restore_program(&mut world),
    };
    ExitCode::from(exit)
}

/// The control socket, which an option in front of all others may name.
fn socket(words: &[String]) -> (PathBuf, &[String]) {
    match words {
        [option, path, rest @ ..] if option == "--socket" => (path.into(), rest),
        [option, rest @ ..] if option.starts_with("--socket=") => (option["--socket=".len()..].into(), rest),
        _ => (default_socket(), words),
    }
}
