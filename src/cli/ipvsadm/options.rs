//! The options of ipvsadm, and how they are taken off a command line.
//!
//! The reading is that of ipvsadm's library, in what operators can notice: short options can stand together (`-Ln`), a
//! value can follow in the same word (`-w3`, `-w=3`, `--weight=3`) or in the next, `--` ends the options, and what is no
//! option may stand anywhere. A value that may be left out (`-p`) is not taken from a word that begins with `-`.

use std::fmt;

/// An option, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opt {
    AddService,
    EditService,
    DeleteService,
    Clear,
    List,
    Zero,
    AddServer,
    EditServer,
    DeleteServer,
    Set,
    Help,
    Version,
    Restore,
    Save,
    StartDaemon,
    StopDaemon,
    TcpService,
    UdpService,
    SctpService,
    MarkService,
    Scheduler,
    Persistent,
    Netmask,
    Server,
    Masquerading,
    Ipip,
    Gatewaying,
    Weight,
    Upper,
    Lower,
    Numeric,
    Connection,
    McastInterface,
    SyncId,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    NoSort,
    Sort,
    Exact,
    Ipv6,
    OnePacket,
    Engine,
    SchedFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    TunInfo,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    MaybeValue,
}

use Takes::{MaybeValue, Nothing, Value};

/// Long name, short name, value, meaning.
const OPTIONS: &[(&str, Option<char>, Takes, Opt)] = &[
    ("add-service", Some('A'), Nothing, Opt::AddService),
    ("edit-service", Some('E'), Nothing, Opt::EditService),
    ("delete-service", Some('D'), Nothing, Opt::DeleteService),
    ("clear", Some('C'), Nothing, Opt::Clear),
    ("list", Some('L'), Nothing, Opt::List),
    ("list", Some('l'), Nothing, Opt::List),
    ("zero", Some('Z'), Nothing, Opt::Zero),
    ("add-server", Some('a'), Nothing, Opt::AddServer),
    ("edit-server", Some('e'), Nothing, Opt::EditServer),
    ("delete-server", Some('d'), Nothing, Opt::DeleteServer),
    ("set", None, Nothing, Opt::Set),
    ("help", Some('h'), Nothing, Opt::Help),
    ("version", Some('v'), Nothing, Opt::Version),
    ("restore", Some('R'), Nothing, Opt::Restore),
    ("save", Some('S'), Nothing, Opt::Save),
    ("start-daemon", None, Value, Opt::StartDaemon),
    ("stop-daemon", None, Value, Opt::StopDaemon),
    ("tcp-service", Some('t'), Value, Opt::TcpService),
    ("udp-service", Some('u'), Value, Opt::UdpService),
    ("sctp-service", None, Value, Opt::SctpService),
    ("fwmark-service", Some('f'), Value, Opt::MarkService),
    ("scheduler", Some('s'), Value, Opt::Scheduler),
    ("persistent", Some('p'), MaybeValue, Opt::Persistent),
    ("netmask", Some('M'), Value, Opt::Netmask),
    ("real-server", Some('r'), Value, Opt::Server),
    ("masquerading", Some('m'), Nothing, Opt::Masquerading),
    ("ipip", Some('i'), Nothing, Opt::Ipip),
    ("gatewaying", Some('g'), Nothing, Opt::Gatewaying),
    ("weight", Some('w'), Value, Opt::Weight),
    ("u-threshold", Some('x'), Value, Opt::Upper),
    ("l-threshold", Some('y'), Value, Opt::Lower),
    ("numeric", Some('n'), Nothing, Opt::Numeric),
    ("connection", Some('c'), Nothing, Opt::Connection),
    ("mcast-interface", None, Value, Opt::McastInterface),
    ("syncid", None, Value, Opt::SyncId),
    ("timeout", None, Nothing, Opt::Timeout),
    ("daemon", None, Nothing, Opt::Daemon),
    ("stats", None, Nothing, Opt::Stats),
    ("rate", None, Nothing, Opt::Rate),
    ("thresholds", None, Nothing, Opt::Thresholds),
    ("persistent-conn", None, Nothing, Opt::PersistentConn),
    ("nosort", None, Nothing, Opt::NoSort),
    ("sort", None, Nothing, Opt::Sort),
    ("exact", Some('X'), Nothing, Opt::Exact),
    ("ipv6", Some('6'), Nothing, Opt::Ipv6),
    ("ops", Some('o'), Nothing, Opt::OnePacket),
    ("pe", None, Value, Opt::Engine),
    ("sched-flags", Some('b'), Value, Opt::SchedFlags),
    ("mcast-group", None, Value, Opt::McastGroup),
    ("mcast-port", None, Value, Opt::McastPort),
    ("mcast-ttl", None, Value, Opt::McastTtl),
    ("sync-maxlen", None, Value, Opt::SyncMaxlen),
    ("tun-info", None, Nothing, Opt::TunInfo),
    ("tun-type", None, Value, Opt::TunType),
    ("tun-port", None, Value, Opt::TunPort),
    ("tun-nocsum", None, Nothing, Opt::TunNocsum),
    ("tun-csum", None, Nothing, Opt::TunCsum),
    ("tun-remcsum", None, Nothing, Opt::TunRemcsum),
];

/// A word that cannot be read as an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misread {
    word: String,
    why: &'static str,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word, self.why)
    }
}

/// Takes options off a command line, one after the other.
pub(super) struct Reader<'a> {
    words: &'a [String],
    next: usize,
    /// What is left of a word of short options.
    rest: &'a str,
    only_arguments: bool,
    /// What was no option, in order.
    pub(super) arguments: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a [String]) -> Self {
        Self { words, next: 0, rest: "", only_arguments: false, arguments: Vec::new() }
    }

    /// The word that the last option stood in.
    pub(super) fn word(&self) -> &'a str {
        self.next.checked_sub(1).and_then(|at| self.words.get(at)).map_or("", String::as_str)
    }

    /// The next option with its value, if it has one; `None` after the last.
    pub(super) fn option(&mut self) -> Option<Result<(Opt, Option<&'a str>), Misread>> {
        let mut attached = None;
        let mut long = None;
        while self.rest.is_empty() {
            let word = self.words.get(self.next)?.as_str();
            self.next += 1;
            let is_argument = self.only_arguments || word == "-" || !word.starts_with('-');
            match word.strip_prefix("--") {
                _ if is_argument => self.arguments.push(word),
                Some("") => self.only_arguments = true,
                Some(text) => {
                    let (name, value) = match text.split_once('=') {
                        Some((name, value)) => (name, Some(value)),
                        None => (text, None),
                    };
                    attached = value;
                    long = Some(OPTIONS.iter().find(|(its, ..)| *its == name));
                    break;
                }
                None => self.rest = &word[1..],
            }
        }
        let found = match long {
            Some(found) => found,
            None => {
                let letter = self.rest.chars().next()?;
                self.rest = &self.rest[letter.len_utf8()..];
                self.rest = self.rest.strip_prefix('=').unwrap_or(self.rest);
                OPTIONS.iter().find(|(_, short, ..)| *short == Some(letter))
            }
        };
        let Some(&(_, _, takes, option)) = found else { return Some(Err(self.misread("unknown option"))) };
        Some(self.value(takes, attached).map(|value| (option, value)))
    }

    fn value(&mut self, takes: Takes, attached: Option<&'a str>) -> Result<Option<&'a str>, Misread> {
        if takes == Nothing {
            return match attached.is_some() || self.rest.starts_with('=') {
                true => Err(self.misread("option does not take an argument")),
                false => Ok(None),
            };
        }
        if attached.is_some() {
            return Ok(attached);
        }
        if !self.rest.is_empty() {
            let value = std::mem::take(&mut self.rest);
            return Ok(Some(value.strip_prefix('=').unwrap_or(value)));
        }
        match self.words.get(self.next) {
            Some(word) if takes == Value || !word.starts_with('-') => {
                self.next += 1;
                Ok(Some(word))
            }
            None if takes == Value => Err(self.misread("missing argument")),
            _ => Ok(None),
        }
    }

    fn misread(&self, why: &'static str) -> Misread {
        Misread { word: self.word().to_owned(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options with values, arguments in brackets, and how it ended.
    fn read(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut reader = Reader::new(&words);
        let mut all = Vec::new();
        while let Some(option) = reader.option() {
            match option {
                Ok((option, value)) => {
                    all.push(format!("{option:?}{}", value.map_or_else(String::new, |value| format!("({value})"))));
                }
                Err(misread) => {
                    all.push(misread.to_string());
                    break;
                }
            }
        }
        all.extend(reader.arguments.iter().map(|word| format!("[{word}]")));
        all.join(" ")
    }

    #[test]
    fn words_become_options() {
        for (line, expected) in [
            ("-Ln", "List Numeric"),
            ("-lnX --stats", "List Numeric Exact Stats"),
            ("-A -t 192.0.2.1:80 -p -s rr", "AddService TcpService(192.0.2.1:80) Persistent Scheduler(rr)"),
            ("-At192.0.2.1:80 -p50", "AddService TcpService(192.0.2.1:80) Persistent(50)"),
            ("-p 50 -p", "Persistent(50) Persistent"),
            ("-p=50 -w=3 --weight=3 --weight 3", "Persistent(50) Weight(3) Weight(3) Weight(3)"),
            ("--persistent 7 --persistent -n", "Persistent(7) Persistent Numeric"),
            ("-w -1", "Weight(-1)"),
            ("-w== -w==3 --pe=", "Weight() Weight(3) Engine()"),
            ("--set 1 2 3", "Set [1] [2] [3]"),
            ("a -L - b -- -n --sort", "List [a] [-] [b] [-n] [--sort]"),
            ("-Q", "-Q: unknown option"),
            ("-LnQ", "List Numeric -LnQ: unknown option"),
            ("--wei 3", "--wei: unknown option"),
            ("-list", "List Ipip Scheduler(t)"),
            ("-n=5", "Numeric -n=5: unknown option"),
            ("-n==", "-n==: option does not take an argument"),
            ("--numeric=1", "--numeric=1: option does not take an argument"),
            ("-A -t", "AddService -t: missing argument"),
            ("-Zt", "Zero -Zt: missing argument"),
            ("--scheduler", "--scheduler: missing argument"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
