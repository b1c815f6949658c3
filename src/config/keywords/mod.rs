//! Every keyword there is: where it stands, what it takes, what it defaults to and what it does here.
//!
//! The parser, the value checks, the "did you mean" hints and the printed reference all read this one table.

mod checks;
mod global;
mod lvs;
mod settings;
mod vrrp;

use std::time::Duration;

/// A kind of block: what a keyword means depends on where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Block {
    /// Outside all blocks.
    Root,
    /// Free lines: addresses, names, routes.
    Lines,
    /// A block of an unknown keyword: its contents are not looked at.
    Unknown,
    /// `global_defs`.
    GlobalDefs,
    /// `vrrp_instance`.
    VrrpInstance,
    /// `authentication`.
    Authentication,
    /// `auth_hmac`.
    AuthHmac,
    /// `vrrp_sync_group`.
    VrrpSyncGroup,
    /// `vrrp_script`.
    VrrpScript,
    /// `vrrp_track_process`.
    TrackProcess,
    /// `track_file`, `vrrp_track_file`.
    TrackFile,
    /// `bfd_instance`.
    BfdInstance,
    /// `garp_group`.
    GarpGroup,
    /// `SSL`.
    Ssl,
    /// `virtual_server`.
    VirtualServer,
    /// `real_server`.
    RealServer,
    /// `TCP_CHECK`.
    TcpCheck,
    /// `HTTP_GET`.
    HttpGet,
    /// `SSL_GET`.
    SslGet,
    /// `url`.
    Url,
    /// `SMTP_CHECK`.
    SmtpCheck,
    /// `host` in `SMTP_CHECK`.
    SmtpHost,
    /// `DNS_CHECK`.
    DnsCheck,
    /// `UDP_CHECK`.
    UdpCheck,
    /// `PING_CHECK`.
    PingCheck,
    /// `MISC_CHECK`.
    MiscCheck,
    /// `FILE_CHECK`.
    FileCheck,
    /// `BFD_CHECK`.
    BfdCheck,
    /// `ringmaster`.
    Ringmaster,
    /// `mark`.
    Mark,
}

/// What a keyword takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// Anything; not looked at here.
    Any,
    /// Nothing.
    None,
    /// Nothing, or one of yes, no, on, off, true, false.
    Flag,
    /// yes or no.
    YesNo,
    /// One word.
    Text,
    /// One word or more.
    Words,
    /// A whole number, both ends included.
    Number(u64, u64),
    /// A time in seconds with up to six decimals; the shortest and the longest.
    Seconds(Duration, Duration),
    /// A time in milliseconds with up to three decimals; the shortest and the longest.
    Millis(Duration, Duration),
    /// An IPv4 or IPv6 address.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A block, and perhaps words before it.
    Block(Block),
}

/// What becomes of a keyword here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is done.
    Acts,
    /// It is done; a wrong value is a warning, and the default holds.
    Tunes,
    /// Accepted without effect for now; a note says so once.
    Later,
    /// Accepted without effect, which may matter: a warning says what happens instead.
    Otherwise(&'static str),
    /// A check that is accepted but not made: the server may count as up where keepalived would take it out.
    Unchecked,
    /// It would change where packets go, and that cannot be done yet: an error, with the reason.
    Refused(&'static str),
    /// keepalived does not know it any more (or never did): a warning, with what to do.
    Removed(&'static str),
    /// An old name that still works: a warning, with the new one.
    Deprecated(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keyword {
    /// The word itself.
    pub name: &'static str,
    /// What follows it.
    pub takes: Takes,
    /// What becomes of it.
    pub support: Support,
    /// What holds where it is absent; empty if there is nothing to say.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Keyword {
    /// The block that the keyword opens.
    pub(super) const fn opens(&self) -> Option<Block> {
        match self.takes {
            Takes::Block(block) => Some(block),
            _ => None,
        }
    }

    /// The same, with a block.
    const fn with_block(self, block: Block) -> Keyword {
        Keyword { takes: Takes::Block(block), ..self }
    }
}

/// A keyword that is acted on.
const fn acts(name: &'static str, takes: Takes, default: &'static str, doc: &'static str) -> Keyword {
    Keyword { name, takes, support: Support::Acts, default, doc }
}

/// A keyword that is acted on, and whose default will do where the value is wrong.
const fn tunes(name: &'static str, takes: Takes, default: &'static str, doc: &'static str) -> Keyword {
    Keyword { name, takes, support: Support::Tunes, default, doc }
}

/// A keyword that is not simply acted on.
const fn other(name: &'static str, takes: Takes, support: Support, doc: &'static str) -> Keyword {
    Keyword { name, takes, support, default: "", doc }
}

/// A keyword without effect for now.
const fn later(name: &'static str, doc: &'static str) -> Keyword {
    other(name, Takes::Any, Support::Later, doc)
}

/// Seconds from `from` microseconds to `to` seconds.
const fn seconds(from: u64, to: u64) -> Takes {
    Takes::Seconds(Duration::from_micros(from), Duration::from_secs(to))
}

/// Milliseconds from `from` microseconds to `to` milliseconds.
const fn millis(from: u64, to: u64) -> Takes {
    Takes::Millis(Duration::from_micros(from), Duration::from_millis(to))
}

/// The longest timeout of LVS: 31 days (keepalived's `LVS_MAX_TIMEOUT`).
pub(super) const LONGEST_TIMEOUT: u64 = 31 * 86400;

/// The largest number that keepalived takes where it states no other limit.
const MANY: u64 = u32::MAX as u64;

impl Block {
    /// Every block that has keywords, in the order of the reference: what matters most comes first.
    pub const ALL: [Block; 28] = [
        Block::Root,
        Block::GlobalDefs,
        Block::VirtualServer,
        Block::RealServer,
        Block::TcpCheck,
        Block::HttpGet,
        Block::Url,
        Block::VrrpInstance,
        Block::Authentication,
        Block::AuthHmac,
        Block::Ringmaster,
        Block::Mark,
        Block::VrrpSyncGroup,
        Block::VrrpScript,
        Block::TrackProcess,
        Block::TrackFile,
        Block::BfdInstance,
        Block::GarpGroup,
        Block::Ssl,
        Block::SslGet,
        Block::SmtpCheck,
        Block::SmtpHost,
        Block::DnsCheck,
        Block::UdpCheck,
        Block::PingCheck,
        Block::MiscCheck,
        Block::FileCheck,
        Block::BfdCheck,
    ];

    /// The keyword that opens it.
    pub const fn name(self) -> &'static str {
        match self {
            Block::Root => "top level",
            Block::Lines | Block::Unknown => "",
            Block::GlobalDefs => "global_defs",
            Block::VrrpInstance => "vrrp_instance",
            Block::Authentication => "authentication",
            Block::AuthHmac => "auth_hmac",
            Block::VrrpSyncGroup => "vrrp_sync_group",
            Block::VrrpScript => "vrrp_script",
            Block::TrackProcess => "vrrp_track_process",
            Block::TrackFile => "track_file",
            Block::BfdInstance => "bfd_instance",
            Block::GarpGroup => "garp_group",
            Block::Ssl => "SSL",
            Block::VirtualServer => "virtual_server",
            Block::RealServer => "real_server",
            Block::TcpCheck => "TCP_CHECK",
            Block::HttpGet => "HTTP_GET",
            Block::SslGet => "SSL_GET",
            Block::Url => "url",
            Block::SmtpCheck => "SMTP_CHECK",
            Block::SmtpHost => "host",
            Block::DnsCheck => "DNS_CHECK",
            Block::UdpCheck => "UDP_CHECK",
            Block::PingCheck => "PING_CHECK",
            Block::MiscCheck => "MISC_CHECK",
            Block::FileCheck => "FILE_CHECK",
            Block::BfdCheck => "BFD_CHECK",
            Block::Ringmaster => "ringmaster",
            Block::Mark => "mark",
        }
    }

    /// The keywords that may stand in it. Where two parts name the same keyword the first one holds.
    pub fn keywords(self) -> impl Iterator<Item = &'static Keyword> {
        let parts: [&'static [Keyword]; 3] = match self {
            Block::Lines | Block::Unknown => [&[], &[], &[]],
            Block::Root => [global::ROOT, global::PROCESS, &[]],
            Block::GlobalDefs => [global::GLOBAL_DEFS, global::PROCESS, &[]],
            Block::Ssl => [global::SSL, &[], &[]],
            Block::VrrpInstance => [vrrp::INSTANCE, vrrp::TRACKING, vrrp::NOTIFY],
            Block::Authentication => [vrrp::AUTHENTICATION, &[], &[]],
            Block::AuthHmac => [vrrp::AUTH_HMAC, &[], &[]],
            Block::VrrpSyncGroup => [vrrp::SYNC_GROUP, vrrp::TRACKING, vrrp::NOTIFY],
            Block::VrrpScript => [vrrp::SCRIPT, &[], &[]],
            Block::TrackProcess => [vrrp::TRACK_PROCESS, &[], &[]],
            Block::TrackFile => [vrrp::TRACK_FILE, &[], &[]],
            Block::BfdInstance => [vrrp::BFD_INSTANCE, &[], &[]],
            Block::GarpGroup => [vrrp::GARP_GROUP, &[], &[]],
            Block::VirtualServer => [lvs::VIRTUAL_SERVER, lvs::SERVER, checks::TIMING],
            Block::RealServer => [lvs::REAL_SERVER, lvs::SERVER, checks::TIMING],
            Block::TcpCheck => [checks::TCP_CHECK, checks::TIMING, checks::CONNECTION],
            Block::HttpGet => [checks::HTTP_GET, checks::TIMING, checks::CONNECTION],
            Block::SslGet => [checks::SSL_GET, checks::TIMING, checks::CONNECTION],
            Block::Url => [checks::URL, &[], &[]],
            Block::SmtpCheck => [checks::SMTP_CHECK, checks::TIMING, checks::CONNECTION],
            Block::SmtpHost => [checks::CONNECTION, checks::TIMING, &[]],
            Block::DnsCheck => [checks::DNS_CHECK, checks::TIMING, checks::CONNECTION],
            Block::UdpCheck => [checks::UDP_CHECK, checks::TIMING, checks::CONNECTION],
            Block::PingCheck => [checks::TIMING, checks::CONNECTION, &[]],
            Block::MiscCheck => [checks::MISC_CHECK, checks::TIMING, &[]],
            Block::FileCheck => [checks::FILE_CHECK, &[], &[]],
            Block::BfdCheck => [checks::BFD_CHECK, checks::TIMING, &[]],
            Block::Ringmaster => [settings::RINGMASTER, &[], &[]],
            Block::Mark => [settings::MARK, &[], &[]],
        };
        parts.into_iter().flatten()
    }
}

/// The row of a keyword in a block.
pub fn find(block: Block, name: &str) -> Option<&'static Keyword> {
    block.keywords().find(|keyword| keyword.name == name)
}

/// What may have been meant by a word that `block` does not know.
pub fn suggest(block: Block, word: &str) -> Option<String> {
    const LONGEST: usize = 40;
    if word.len() > LONGEST {
        return None;
    }
    if word.starts_with('$') {
        return Some("the variable is not defined".to_owned());
    }
    if word.contains(|c: char| !c.is_ascii()) {
        return Some("the word holds characters that look like blanks or ASCII letters but are not".to_owned());
    }
    let near = |keyword: &&Keyword| {
        let distance = distance(&keyword.name.to_lowercase(), &word.to_lowercase());
        distance <= (word.len() / 3).min(3)
    };
    let by_distance = |keyword: &&'static Keyword| distance(keyword.name, word);
    if let Some(close) = block.keywords().filter(near).min_by_key(by_distance) {
        return Some(format!("did you mean `{}`?", close.name));
    }
    let home = Block::ALL.into_iter().find(|&block| find(block, word).is_some())?;
    Some(match home {
        Block::Root => "it belongs outside all blocks".to_owned(),
        _ => format!("it belongs in `{}`", home.name()),
    })
}

/// How many letters must be changed, added, left out or swapped with their neighbour to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests;
