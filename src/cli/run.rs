//! `ringmaster run`: the director itself.

use std::cell::Cell;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::config::{self, LoadOptions, Reading, Style};
use crate::control::{self, DirectorError, Given, Written, helper};
use crate::supervisor::{self, Beginning, Channel};
use crate::sys::inherit::Inherited;
use crate::sys::signals;

/// Forwards traffic as the configuration says, until SIGTERM or SIGINT
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, a keepalived.conf
    #[arg(short = 'f', long = "use-file", value_name = "FILE", default_value = "/etc/keepalived/keepalived.conf")]
    pub file: PathBuf,
    /// Which `@ID` lines of the configuration hold
    #[arg(short = 'i', long = "config-id", value_name = "ID")]
    pub config_id: Option<String>,
    /// Forward without a supervisor: a director that dies is not followed by another
    #[arg(long)]
    pub foreground_single: bool,
    /// The descriptor of the supervisor's channel
    #[arg(long, hide = true, value_name = "DESCRIPTOR", conflicts_with = "foreground_single")]
    pub supervised: Option<i32>,
    /// The descriptor of the file in which this process has written down what it held as another program
    #[arg(long, hide = true, value_name = "DESCRIPTOR", conflicts_with = "foreground_single")]
    pub renewed: Option<i32>,
    /// The descriptor of the channel to a director that has lost its supervisor
    #[arg(long, hide = true, value_name = "DESCRIPTOR", conflicts_with = "foreground_single")]
    pub adopting: Option<i32>,
    /// The same, for a process that starts that supervisor and ends
    #[arg(long, hide = true, value_name = "DESCRIPTOR", conflicts_with = "foreground_single")]
    pub orphan: Option<i32>,
    /// Say whether this program could go on with what a supervisor holds, and end
    #[arg(long, hide = true, requires = "supervised")]
    pub renewal_trial: bool,
    /// The descriptor of the channel to the director whose helper this is
    #[arg(long, hide = true, value_name = "DESCRIPTOR", conflicts_with = "foreground_single")]
    pub helper: Option<i32>,
    /// The channel brings the configuration that the last director had read
    #[arg(long, hide = true, requires = "supervised")]
    pub kept_configuration: bool,
    /// Keep what there is to say of the configuration to oneself, for it has been said
    #[arg(long, hide = true, requires = "supervised")]
    pub spare: bool,
    /// Say goodbye for a director that died, and end
    #[arg(long, hide = true, requires = "supervised")]
    pub resign: bool,
}

/// Runs a director, or the supervisor of one, to its end. Exit code 1: it did not start, or could not go on.
pub fn run(args: &Args) -> ExitCode {
    log_to_stderr();
    be_what_is_wanted(args).unwrap_or_else(|error| {
        tracing::error!("what this process was started with cannot be had: {error}");
        ExitCode::FAILURE
    })
}

fn be_what_is_wanted(args: &Args) -> io::Result<ExitCode> {
    let mut inherited = Inherited::claim()?;
    if let Some(number) = args.helper {
        return help(args, inherited.take(number)?).map(|()| ExitCode::SUCCESS);
    }
    if let Some(number) = args.supervised {
        // The supervisor reads its signals elsewhere.
        signals::unblock_all()?;
        let supervisor = Channel::over(inherited.take(number)?);
        return Ok(if args.renewal_trial {
            supervisor::answer_trial(&supervisor)
        } else {
            direct(args, Some(supervisor))
        });
    }
    if let Some(number) = args.orphan {
        return Ok(supervisor::leave_orphan(&Channel::over(inherited.take(number)?)));
    }
    if args.foreground_single {
        return Ok(direct(args, None));
    }
    let beginning = match (args.renewed, args.adopting) {
        (Some(number), _) => {
            let legacy = inherited.take(number)?;
            Beginning::Renewed(inherited, legacy)
        }
        (None, Some(number)) => Beginning::Adopting(Channel::over(inherited.take(number)?)),
        (None, None) => Beginning::Anew(inherited),
    };
    Ok(supervisor::run(beginning))
}

fn direct(args: &Args, supervisor: Option<Channel>) -> ExitCode {
    let kept = supervisor.as_ref().filter(|_| args.kept_configuration).and_then(kept_configuration);
    let goes_on = kept.is_some();
    // Once, for what there is to remark was remarked when the last director read it.
    let silent = Cell::new(goes_on || args.spare || args.resign);
    let Some(written) = kept.or_else(|| load(args, !silent.take())) else { return ExitCode::FAILURE };
    abort_on_panic();
    let helped = !written.config.settings.keep_privileges && !args.resign;
    if helped && let Err(error) = helper::start(&arguments_of_helper(args), &written) {
        tracing::error!("the privileged helper cannot be started: {error}");
        return ExitCode::FAILURE;
    }
    let outcome = match supervisor {
        Some(supervisor) if args.resign => on_this_thread(control::resign(written.config, supervisor)),
        supervisor => {
            let again = || load_again(args, !silent.take());
            on_this_thread(control::run(Given { written, goes_on }, again, supervisor))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration, and shows its problems; `None` if it does not load. What is no error is shown if that is wanted.
fn load(args: &Args, remarks: bool) -> Option<Written> {
    let style = if std::io::stderr().is_terminal() { Style::Colour } else { Style::Plain };
    let show = |problems: &config::Problems| {
        problems.0.iter().for_each(|problem| eprint!("{}", config::render(problem, style)));
    };
    match Reading::load(&args.file, &LoadOptions { config_id: args.config_id.clone() }) {
        Ok((loaded, reading)) => {
            if remarks {
                show(&loaded.problems);
            }
            let written = Written::new(loaded.config, reading);
            written.inspect_err(|error| tracing::error!("the configuration cannot be written down: {error}")).ok()
        }
        Err(problems) => {
            show(&problems);
            eprint!("{}", config::summary(&problems));
            None
        }
    }
}

/// Reads the configuration once more, by whoever may.
fn load_again(args: &Args, remarks: bool) -> Option<Written> {
    match helper::get() {
        Some(helper) => helper.configuration(remarks).unwrap_or_else(|error| {
            tracing::error!("the configuration cannot be read: {error}");
            None
        }),
        None => load(args, remarks),
    }
}

/// `ringmaster run` with the same configuration.
fn arguments_of_helper(args: &Args) -> Vec<OsString> {
    let name = std::env::args_os().next().unwrap_or_default();
    let id = args.config_id.iter().flat_map(|id| ["-i".into(), id.into()]);
    [name, "run".into(), "-f".into(), args.file.clone().into()].into_iter().chain(id).collect()
}

/// Helps a director, until that ends.
fn help(args: &Args, channel: OwnedFd) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, helper::serve(channel, |remarks| load(args, remarks)))
}

/// What the last director had read; `None` if that cannot be had, or means nothing to this version.
fn kept_configuration(supervisor: &Channel) -> Option<Written> {
    let kept = control::kept_configuration(supervisor);
    kept.inspect_err(|error| {
        tracing::warn!("what the last director had read cannot be had, the files are read: {error}")
    })
    .ok()
}

/// The control thread: everything that is not a packet happens on this one.
fn on_this_thread(work: impl Future<Output = Result<(), DirectorError>>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    Ok(local.block_on(&runtime, work)?)
}

/// Log lines for transitions, on stderr; `RUST_LOG` chooses another level. The netlink library warns of answers that
/// nobody waits for any more, which is no news.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,netlink_proto=error"));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
}

/// A thread that panics takes the whole process with it, in every build: a director without one of its workers would
/// hold the addresses and drop their traffic.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// The sentence and what is behind it, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
