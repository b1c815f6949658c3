//! The director's end of its supervisor: what is to be held, what was held, what is wanted.
//!
//! A director without a supervisor does all the same; nobody holds anything for it then. One whose supervisor is gone has
//! another one started, which is given all that is to be held.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::helper;
use super::line::Line;
use crate::supervisor::{self, Channel, ENTRUSTED, Letter, Message, SPARE_END};
use crate::sys::clock;

/// How long the supervisor may take to let go of what it holds, and a dead director to go: less than the supervisor allows it.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a supervisor that came to nothing: the first pause, each is twice as long as the one before, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// One that lived for so long did not die of its beginning.
const LIFE: Duration = Duration::from_secs(1);

/// The things that were held for this director, by name.
#[derive(Debug, Default)]
pub(super) struct Estate(BTreeMap<String, OwnedFd>);

impl Estate {
    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a thing in, instead of what had its name.
    fn put(&mut self, name: String, thing: OwnedFd) {
        self.0.insert(name, thing);
    }

    /// Puts in, or throws away, what the supervisor wants kept for the next one; gives a letter about anything else back.
    fn entrust(&mut self, letter: Letter) -> Option<Letter> {
        match letter {
            Letter { message: Message::Hold(name), thing: Some(thing), .. } if name.starts_with(ENTRUSTED) => {
                self.put(name, thing);
            }
            Letter { message: Message::Release(name), .. } if name.starts_with(ENTRUSTED) => self.release(&name),
            letter => return Some(letter),
        }
        None
    }

    /// Throws away what has a name that begins so.
    pub(super) fn release(&mut self, beginning: &str) {
        self.0.retain(|name, _| !name.starts_with(beginning));
    }

    /// The same things, by descriptors of their own.
    pub(super) fn copy(&self) -> io::Result<Self> {
        let copy = |(name, thing): (&String, &OwnedFd)| Ok((name.clone(), thing.try_clone()?));
        self.0.iter().map(copy).collect::<io::Result<_>>().map(Self)
    }

    /// The thing of this name, which stays.
    pub(super) fn get(&self, name: &str) -> Option<&OwnedFd> {
        self.0.get(name)
    }

    /// The thing of this name.
    pub(super) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.0.remove(name)
    }

    /// All things whose names begin so, with the rest of their names.
    pub(super) fn take_all(&mut self, beginning: &str) -> BTreeMap<String, OwnedFd> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|(name, _)| name.starts_with(beginning));
        self.0 = left;
        let taken: BTreeMap<String, OwnedFd> = taken;
        taken.into_iter().map(|(name, thing)| (name[beginning.len()..].to_owned(), thing)).collect()
    }
}

/// What a director is given before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gift {
    /// A thing of this name, or all whose names begin so, became another or went.
    Changed(String),
    /// Another supervisor, in the place of one that is gone.
    Adopted,
    /// The word to begin.
    Begin,
}

/// What the supervisor wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Make way for the next director.
    GiveWay,
    /// Know that nothing came of the upgrade, and why.
    NotUpgraded(String),
}

/// The end of the channel; see the module documentation.
#[derive(Debug)]
pub(super) struct Keeper {
    line: Option<Line>,
    /// Whether there is to be a supervisor.
    supervised: bool,
    /// Its process, once it has said something.
    supervisor: Option<u32>,
    /// The director before this one is known to be gone.
    alone: bool,
    /// All that is to be held: descriptors of its own, for the next supervisor.
    held: Estate,
    /// The supervisor's end of the channel to the spare, for the next supervisor too. While it is here, the spare knows that
    /// it is not alone.
    spare: Option<OwnedFd>,
    /// What was heard while something else was waited for.
    wishes: VecDeque<Wish>,
    /// When the present supervisor began, or the next one may.
    since: Duration,
    pause: Duration,
}

impl Keeper {
    /// Over a channel, or without one.
    pub(super) fn new(channel: Option<Channel>) -> io::Result<Self> {
        Ok(Self {
            supervised: channel.is_some(),
            line: channel.map(Line::over).transpose()?,
            supervisor: None,
            alone: false,
            held: Estate::default(),
            spare: None,
            wishes: VecDeque::new(),
            since: Duration::ZERO,
            pause: Duration::ZERO,
        })
    }

    /// Whether anything is to be held.
    pub(super) fn holds(&self) -> bool {
        self.supervised
    }

    /// Whether there is a supervisor at this moment.
    pub(super) fn is_there(&self) -> bool {
        self.line.is_some()
    }

    /// The supervisor's process.
    pub(super) fn supervisor(&self) -> Option<u32> {
        self.supervisor.filter(|_| self.is_there())
    }

    /// Says that all is prepared for what is held to come. An error if the supervisor is gone already: this director takes
    /// nobody's place then.
    pub(super) fn prepared(&self) -> io::Result<()> {
        self.line.as_ref().map_or(Ok(()), |line| line.channel.send(&Message::Prepared, None))
    }

    /// For a thread that waits for the director at work to die, and will say so.
    pub(super) fn herald(&self) -> Option<Channel> {
        self.line.as_ref().and_then(|line| line.channel.try_clone().ok())
    }

    /// Takes in what the supervisor hands over or takes back, and says what that was. May be dropped while waiting; nothing is
    /// lost. Without a supervisor it is time to begin at once.
    pub(super) async fn receive(&mut self, estate: &mut Estate) -> io::Result<Gift> {
        loop {
            let Some(line) = &self.line else { return Ok(Gift::Begin) };
            let letter = line.next().await?;
            let Some(Letter { message, thing, sender }) = self.held.entrust(letter) else { continue };
            match (message, thing) {
                (Message::Hold(name), Some(thing)) => {
                    estate.put(name.clone(), thing);
                    return Ok(Gift::Changed(name));
                }
                (Message::Release(beginning), _) => {
                    estate.release(&beginning);
                    return Ok(Gift::Changed(beginning));
                }
                (Message::Begin, _) => {
                    self.supervisor = sender.map(|id| id.as_raw_nonzero().get().cast_unsigned());
                    return Ok(Gift::Begin);
                }
                (Message::Adopt, Some(channel)) => {
                    self.line = Some(Line::over(Channel::over(channel))?);
                    self.prepared()?;
                    return Ok(Gift::Adopted);
                }
                _ => {}
            }
        }
    }

    /// The supervisor and the director at work are both gone: begins without the one, who will be replaced.
    pub(super) fn is_left(&mut self) {
        self.is_gone(&io::ErrorKind::UnexpectedEof.into());
    }

    /// Waits until the director before this one is gone, within reason: its sockets are free then.
    pub(super) async fn alone(&mut self) {
        let gone = async {
            while !self.alone {
                let Some(line) = &self.line else { return };
                let Ok(letter) = line.next().await else { return };
                let wish = self.heed(letter);
                self.wishes.extend(wish);
            }
        };
        // If it does not go, what it still has is missed one by one.
        let _ = timeout(PATIENCE, gone).await;
    }

    /// Has something held under a name, instead of what was held under it.
    pub(super) fn hold(&mut self, name: &str, thing: impl AsFd) {
        if !self.supervised {
            return;
        }
        match thing.as_fd().try_clone_to_owned() {
            Ok(thing) => self.held.put(name.to_owned(), thing),
            Err(error) => tracing::error!("{name} cannot be kept for another supervisor: {error}"),
        }
        self.say(&Message::Hold(name.to_owned()), Some(thing.as_fd()));
    }

    /// Has everything let go of whose name begins so; when this returns, it is.
    pub(super) fn release(&mut self, beginning: &str) {
        self.held.release(beginning);
        if beginning.is_empty() {
            // Nothing is left to wait for.
            self.spare = None;
        }
        self.say(&Message::Release(beginning.to_owned()), None);
        while let Some(Ok(Some(letter))) = self.line.as_ref().map(|line| line.channel.wait(PATIENCE)) {
            if letter.message == Message::Released {
                return;
            }
            // Not now, but it is heard.
            let wish = self.heed(letter);
            self.wishes.extend(wish);
        }
    }

    /// Packets are forwarded.
    pub(super) fn ready(&mut self) {
        self.say(&Message::Ready, None);
    }

    /// A spare that has read the configuration before is out of date.
    pub(super) fn reloaded(&mut self) {
        self.say(&Message::Reloaded, None);
    }

    /// Wants this program in the director's place.
    pub(super) fn upgrade(&mut self, program: &Path) {
        self.say(&Message::Upgrade(program.to_owned()), None);
    }

    /// What the supervisor wants next; never, if there is none. One that is gone is replaced meanwhile. May be dropped while
    /// waiting; nothing is lost.
    pub(super) async fn next(&mut self) -> Wish {
        loop {
            if let Some(wish) = self.wishes.pop_front() {
                return wish;
            }
            let Some(line) = &self.line else {
                if !self.supervised {
                    return std::future::pending().await;
                }
                sleep(self.since.saturating_sub(clock::now())).await;
                self.replace();
                continue;
            };
            match line.next().await {
                Ok(letter) => {
                    let wish = self.heed(letter);
                    self.wishes.extend(wish);
                }
                Err(error) => self.is_gone(&error),
            }
        }
    }

    /// Takes in what the supervisor says while the director is at work, and gives what it wants.
    fn heed(&mut self, letter: Letter) -> Option<Wish> {
        let Letter { message, thing, sender } = self.held.entrust(letter)?;
        match (message, thing) {
            (Message::GiveWay, _) => return Some(Wish::GiveWay),
            (Message::NotUpgraded(why), _) => return Some(Wish::NotUpgraded(why)),
            (Message::Hold(name), Some(end)) if name == SPARE_END => self.spare = Some(end),
            (Message::Adopt, _) => self.supervisor = sender.map(|id| id.as_raw_nonzero().get().cast_unsigned()),
            (Message::Gone, _) => self.alone = true,
            _ => {}
        }
        None
    }

    /// Has another supervisor started, and gives it what is to be held.
    fn replace(&mut self) {
        let started = match helper::get() {
            Some(helper) => helper.supervisor(),
            None => supervisor::start_another(&supervisor::arguments()),
        };
        let line = started.and_then(|channel| Line::over(Channel::over(channel)));
        self.since = clock::now();
        match line {
            Ok(line) => {
                self.line = Some(line);
                let (held, spare) = (std::mem::take(&mut self.held), self.spare.take());
                for (name, thing) in &held.0 {
                    self.say(&Message::Hold(name.clone()), Some(thing.as_fd()));
                }
                if let Some(spare) = &spare {
                    self.say(&Message::Hold(SPARE_END.to_owned()), Some(spare.as_fd()));
                }
                (self.held, self.spare) = (held, spare);
                self.ready();
            }
            Err(error) => self.is_gone(&error),
        }
    }

    fn say(&mut self, message: &Message, thing: Option<BorrowedFd<'_>>) {
        let Some(Line { channel, .. }) = &self.line else { return };
        if let Err(error) = channel.send(message, thing) {
            self.is_gone(&error);
        }
    }

    fn is_gone(&mut self, why: &io::Error) {
        let now = clock::now();
        self.pause = if now > self.since + LIFE { Duration::ZERO } else { (self.pause * 2).clamp(PAUSE, LONGEST) };
        self.since = now + self.pause;
        self.line = None;
        match self.pause.as_secs() {
            0 => tracing::error!("the supervisor is gone ({why}): another one is started"),
            pause => tracing::error!("the supervisor is gone ({why}): another one is started in {pause} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_prepared_after_its_supervisor_has_died_does_not_begin() {
        let (ours, theirs) = Channel::pair().unwrap();
        drop(theirs);
        let keeper = Keeper::new(Some(ours)).unwrap();
        assert!(keeper.prepared().is_err());
        assert!(Keeper::new(None).unwrap().prepared().is_ok(), "one that never had any begins");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_was_held_comes_back_by_name() {
        let (ours, theirs) = Channel::pair().unwrap();
        let mut keeper = Keeper::new(Some(ours)).unwrap();
        let file = tempfile::tempfile().unwrap();
        for name in ["rings.0.slots", "rings.0.ledger", "table"] {
            theirs.send(&Message::Hold(name.to_owned()), Some(file.as_fd())).unwrap();
        }
        theirs.send(&Message::Begin, None).unwrap();
        keeper.prepared().unwrap();
        let mut estate = Estate::default();
        while keeper.receive(&mut estate).await.unwrap() != Gift::Begin {}
        assert!(matches!(theirs.receive().unwrap(), Some(Letter { message: Message::Prepared, .. })));
        let rings: Vec<_> = estate.take_all("rings.").into_keys().collect();
        assert_eq!(rings, ["0.ledger", "0.slots"]);
        assert!(estate.take("table").is_some() && estate.take("table").is_none() && estate.is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn wishes_are_heard_and_an_end_is_noticed() {
        let (ours, theirs) = Channel::pair().unwrap();
        let mut keeper = Keeper::new(Some(ours)).unwrap();
        theirs.send(&Message::NotUpgraded("no".to_owned()), None).unwrap();
        theirs.send(&Message::GiveWay, None).unwrap();
        assert_eq!(keeper.next().await, Wish::NotUpgraded("no".to_owned()));
        assert_eq!(keeper.next().await, Wish::GiveWay);
        drop(theirs);
        keeper.ready();
        assert!(!keeper.is_there());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_said_while_something_is_let_go_of_is_heard() {
        let (ours, theirs) = Channel::pair().unwrap();
        let mut keeper = Keeper::new(Some(ours)).unwrap();
        let end = tempfile::tempfile().unwrap();
        theirs.send(&Message::Hold(SPARE_END.to_owned()), Some(end.as_fd())).unwrap();
        theirs.send(&Message::GiveWay, None).unwrap();
        theirs.send(&Message::Released, None).unwrap();
        keeper.release("rings.");
        assert!(keeper.spare.is_some());
        assert_eq!(keeper.next().await, Wish::GiveWay);
    }
}
