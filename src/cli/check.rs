//! `ringmaster check`: says everything that is wrong with a configuration, without root and without touching anything.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, Level, LoadOptions, Problem, Problems, Style};
use crate::control::programs::Programs;

/// Checks a configuration: exit code 0 if it loads, 1 if not.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The configuration
    #[arg(default_value = "/etc/keepalived/keepalived.conf")]
    pub file: PathBuf,
    /// Which `@ID` lines hold
    #[arg(short = 'i', long, value_name = "ID")]
    pub config_id: Option<String>,
    /// Exit with 1 on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Print the table of all keywords and check nothing
    #[arg(long)]
    pub keywords: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    if args.keywords {
        return print(&config::reference(), ExitCode::SUCCESS);
    }
    let options = LoadOptions { config_id: args.config_id.clone() };
    let problems = match config::load(&args.file, &options) {
        Ok(mut loaded) => {
            loaded.problems.0.extend(Programs::review(&loaded.config).into_iter().map(about_program));
            loaded.problems
        }
        Err(problems) => problems,
    };
    let style =
        if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() { Style::Colour } else { Style::Plain };
    let text: String = problems.0.iter().map(|problem| config::render(problem, style)).collect();
    let code = if passes(&problems, args.strict) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    print(&(text + &config::summary(&problems)), code)
}

/// What is wrong with a program on this host, which may not be the one that the file is for.
fn about_program(message: String) -> Problem {
    Problem { level: Level::Warning, place: None, message, hint: None }
}

/// Whether the file is good enough.
fn passes(problems: &Problems, strict: bool) -> bool {
    problems.worst() < Some(if strict { Level::Warning } else { Level::Error })
}

/// A reader that went away (`| head`) changes nothing about the answer.
fn print(text: &str, code: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_fail_only_a_strict_check() {
        for (text, plain, strict) in [
            ("global_defs {\n}\n", true, true),
            ("global_defs {\nvrrp_strict\n}\n", true, true),
            ("global_defs {\nrouter_idd x\n}\n", true, false),
            ("global_defs {\n", false, false),
        ] {
            let problems = match config::parse_str("x.conf", text) {
                Ok(loaded) => loaded.problems,
                Err(problems) => problems,
            };
            assert_eq!((passes(&problems, false), passes(&problems, true)), (plain, strict), "{text}");
        }
    }
}
