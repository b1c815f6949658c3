//! The helper itself: it waits for a question, sees whether the configuration allows it, and does it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::ask::{Answer, Ask};
use super::{OPTION, black_box_beside, unpack};
use crate::config::Config;
use crate::control::configuration::Written;
use crate::control::kernel::record;
use crate::control::line::Line;
use crate::control::notify::pipe;
use crate::control::programs::{Attended, Programs};
use crate::control::socket;
use crate::control::track::files;
use crate::notify::Pipe;
use crate::program::Program;
use crate::supervisor::{self, Channel, Letter};
use crate::track::{Watch, file};

/// How long what a director has said last takes to reach its programs.
const AFTERMATH: Duration = Duration::from_millis(200);

/// What may be asked for: all that was ever named by a configuration that loaded, since a director may go on with an older
/// one.
#[derive(Debug, Default)]
struct Allowed {
    /// With the rules that they run by; the latest first.
    programs: Vec<(Program, Programs)>,
    files: BTreeMap<PathBuf, file::Spec>,
    pipes: BTreeMap<PathBuf, Pipe>,
    /// The control socket, as it was at the start: it cannot change later.
    socket: Option<PathBuf>,
    /// The number of its file, once it is listened on.
    listens: Cell<Option<u64>>,
}

/// Answers a director's questions until that ends. `load` reads the configuration, and tells its problems,
/// remarks among them only if it is asked to. Must
/// be called inside a `LocalSet`.
pub async fn serve(channel: OwnedFd, mut load: impl FnMut(bool) -> Option<Written>) -> io::Result<()> {
    // They are for the director, whoever else gets them: it needs its helper until its own end.
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let _caught = kinds.map(signal);
    let mut allowed = Allowed::default();
    let questions: Line<(u64, Ask)> = Line::over(Channel::over(channel))?;
    let answers = Channel::<(u64, Result<Answer, String>)>::over(questions.channel.as_fd().try_clone_to_owned()?);
    while let Ok(Letter { message: (number, ask), thing, .. }) = questions.next().await {
        let outcome = match ask {
            Ask::Begin if number == 1 => allowed.begin(thing),
            Ask::Configuration { remarks } => allowed.read(load(remarks)),
            ask => allowed.answer(ask, thing),
        };
        let (answer, thing) = match outcome {
            Ok((answer, thing)) => (Ok(answer), thing),
            Err(error) => (Err(error.to_string()), None),
        };
        if answers.send(&(number, answer), thing.as_ref().map(AsFd::as_fd)).is_err() {
            break;
        }
    }
    sleep(AFTERMATH).await;
    Ok(())
}

/// An answer, and what comes along.
type Outcome = io::Result<(Answer, Option<OwnedFd>)>;

impl Allowed {
    fn add(&mut self, config: &Config) {
        for complaint in Programs::review(config) {
            tracing::error!("{complaint}");
        }
        let rules = Programs::new(config);
        for (_, program) in Programs::named(config) {
            self.programs.retain(|(known, _)| known != program);
            self.programs.insert(0, (program.clone(), rules.clone()));
        }
        let tracked = config.tracking.trackers.iter().filter_map(|tracker| match &tracker.watch {
            Watch::File(spec) => Some((spec.path.clone(), spec.clone())),
            _ => None,
        });
        self.files.extend(tracked);
        self.pipes.extend(config.global.pipes.iter().map(|pipe| (pipe.path.clone(), pipe.clone())));
        self.socket.get_or_insert_with(|| config.settings.socket.clone());
    }

    fn begin(&mut self, words: Option<OwnedFd>) -> Outcome {
        self.add(&Written::read(words.ok_or(io::ErrorKind::InvalidInput)?)?.config);
        Ok((Answer::Done, None))
    }

    fn read(&mut self, loaded: Option<Written>) -> Outcome {
        let Some(Written { config, file, .. }) = loaded else { return Ok((Answer::Broken, None)) };
        self.add(&config);
        Ok((Answer::Done, Some(file)))
    }

    fn answer(&self, ask: Ask, thing: Option<OwnedFd>) -> Outcome {
        let done = |()| (Answer::Done, None);
        match ask {
            Ask::Start { program, added } => self.start(&program, &added),
            Ask::Open(path) => {
                self.tracked(&path)?;
                Ok((Answer::Done, Some(File::open(path)?.into())))
            }
            Ask::Initialise(path) => files::initialise(self.tracked(&path)?).map(done),
            Ask::Pipe(path) => {
                let (file, made) = pipe::make(self.pipe(&path)?)?;
                Ok((if made { Answer::Made } else { Answer::Done }, Some(file.into())))
            }
            Ask::RemovePipe(path) => {
                self.pipe(&path)?;
                std::fs::remove_file(path).map(done)
            }
            Ask::Record(file) => {
                if !record::is_beside(&file, self.socket()?) {
                    return Err(io::Error::other("the configuration keeps no such record"));
                }
                let text = unpack(thing.ok_or(io::ErrorKind::InvalidInput)?)?;
                record::replace(&file, &text).map(done)
            }
            Ask::BlackBox => {
                let capture = unpack(thing.ok_or(io::ErrorKind::InvalidInput)?)?;
                std::fs::write(black_box_beside(self.socket()?), capture).map(done)
            }
            Ask::Listen { known_dead } => {
                let listening =
                    socket::open(self.socket()?, known_dead).map_err(|refusal| io::Error::other(with_cause(&refusal)));
                let (listener, inode) = listening?;
                self.listens.set(Some(inode));
                Ok((Answer::Done, Some(listener.into())))
            }
            Ask::RemoveSocket => match self.listens.take() {
                Some(inode) => socket::remove(self.socket()?, inode).map(done),
                None => Ok((Answer::Done, None)),
            },
            Ask::Supervisor => {
                let is_ours = |word: &OsString| word.as_encoded_bytes().starts_with(OPTION.as_bytes());
                let arguments: Vec<_> = supervisor::arguments().into_iter().filter(|word| !is_ours(word)).collect();
                Ok((Answer::Done, Some(supervisor::start_another(&arguments)?)))
            }
            Ask::Begin | Ask::Configuration { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn start(&self, program: &Program, added: &[String]) -> Outcome {
        let known = self.programs.iter().find(|(known, _)| known == program);
        let (program, rules) = known.ok_or_else(|| io::Error::other("the configuration names no such program"))?;
        let ready = rules.ready(program).map_err(|refusal| io::Error::other(refusal.to_string()))?;
        let (ours, theirs) = Channel::<()>::pair()?;
        spawn_local(Attended::new(ready.start(added)?, ours.into())?.attend());
        Ok((Answer::Done, Some(theirs.into())))
    }

    fn tracked(&self, path: &Path) -> io::Result<&file::Spec> {
        self.files.get(path).ok_or_else(|| io::Error::other("the configuration tracks no such file"))
    }

    fn pipe(&self, path: &Path) -> io::Result<&Pipe> {
        self.pipes.get(path).ok_or_else(|| io::Error::other("the configuration names no such pipe"))
    }

    fn socket(&self) -> io::Result<&Path> {
        self.socket.as_deref().ok_or_else(|| io::Error::other("the configuration did not load"))
    }
}

/// The sentence, and what is behind it: only text travels.
fn with_cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::super::parcel;
    use super::*;

    const NOT_NAMED: &str = "the configuration ";

    #[tokio::test(flavor = "current_thread")]
    async fn only_what_the_configuration_names_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("number"), "7").unwrap();
        let text = format!(
            "vrrp_script yes {{\nscript \"/bin/sh -c 'exit 3'\"\nuser root\n}}\n\
             track_file there {{\nfile {0}/number\n}}\n\
             global_defs {{\nvrrp_notify_fifo {0}/pipe\n}}\n\
             vrrp_instance V {{\ninterface eth0\nvirtual_router_id 7\ntrack_file {{\nthere\n}}\ntrack_script {{\nyes\n}}\n}}\nringmaster {{\nsocket {0}/sock\n}}\n",
            folder.path().display()
        );
        let mut allowed = Allowed::default();
        allowed.add(&crate::config::parse_str("keepalived.conf", &text).expect("it loads").config);
        let refusal = |ask: Ask| allowed.answer(ask, None).map(drop).map_err(|error| error.to_string());
        let program = |line: &str| Ask::Start { program: Program::parse(line).unwrap(), added: Vec::new() };
        for ask in [
            program("/bin/sh -c 'exit 4'"),
            Ask::Open("/etc/shadow".into()),
            Ask::Initialise("/etc/shadow".into()),
            Ask::Pipe(path("number")),
            Ask::RemovePipe(path("number")),
        ] {
            let why = refusal(ask.clone()).expect_err("it is not named");
            assert!(why.starts_with(NOT_NAMED), "{ask:?}: {why}");
        }
        assert_eq!(refusal(Ask::Open(path("number"))), Ok(()));
        assert_eq!(allowed.answer(Ask::Pipe(path("pipe")), None).unwrap().0, Answer::Made);
        assert_eq!(allowed.answer(Ask::Pipe(path("pipe")), None).unwrap().0, Answer::Done);
        assert_eq!(refusal(Ask::RemovePipe(path("pipe"))), Ok(()));
        let record = |name| allowed.answer(Ask::Record(path(name)), Some(parcel(b"[]").unwrap()));
        assert!(record("sock.passwd").is_err() && record("sock.addresses").is_ok());
        assert!(path("sock.addresses").exists());
        let (known, _) = allowed.programs[0].clone();
        let local = tokio::task::LocalSet::new();
        let started = local.run_until(async { allowed.start(&known, &[]) }).await;
        assert!(started.is_ok_and(|(_, socket)| socket.is_some()));
    }
}
