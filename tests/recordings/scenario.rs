//! A recording as it lies on disk: `scenario.json`, `frames.jsonl` and the listings beside them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// One recording.
#[derive(Deserialize)]
pub struct Scenario {
    pub id: String,
    pub title: String,
    pub director: Setup,
    pub steps: Vec<Step>,
    #[serde(skip)]
    pub frames: Vec<Frame>,
    #[serde(skip)]
    folder: PathBuf,
}

/// The director's network and its sysctls when the recording began.
#[derive(Deserialize)]
pub struct Setup {
    pub ports: Vec<Port>,
    /// Addresses on `lo`: the virtual ones.
    pub local: Vec<String>,
    pub routes: Vec<String>,
    /// More `ip` commands.
    pub ip: Vec<String>,
    pub sysctls: BTreeMap<String, u32>,
    /// A ruleset that marks packets.
    pub nft: Option<String>,
}

#[derive(Deserialize)]
pub struct Port {
    pub name: String,
    pub mac: String,
    pub mtu: u16,
    pub addresses: Vec<String>,
    pub neighbours: BTreeMap<IpAddr, String>,
}

#[derive(Deserialize)]
pub struct Step {
    /// Since the first step.
    #[serde(deserialize_with = "seconds")]
    pub t: Duration,
    #[serde(flatten)]
    pub action: Action,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Action {
    /// A command line and what it came to.
    Ipvsadm {
        args: String,
        exit: u8,
        #[serde(default)]
        stdout: String,
        #[serde(default)]
        stderr: String,
    },
    /// A frame comes in: its line number in `frames.jsonl`.
    Frame {
        frame: usize,
    },
    /// The next step's time says how long.
    Wait,
    /// Listings were taken into this file.
    List {
        file: String,
    },
    Sysctl {
        name: String,
        value: u32,
    },
    Ip,
    Nft,
}

/// A line of `frames.jsonl`.
#[derive(Deserialize)]
pub struct Frame {
    pub dir: Direction,
    pub step: usize,
    pub port: String,
    #[serde(rename = "hex", deserialize_with = "hexadecimal")]
    pub bytes: Vec<u8>,
    /// Offset and length of what nobody can predict.
    #[serde(default)]
    pub mask: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

/// The output of one `ipvsadm` command.
pub struct Listing {
    /// As typed, without `ipvsadm`.
    pub args: String,
    pub text: String,
}

/// Taken some seconds after the last step.
pub const FINAL: &str = "ipvsadm-final.txt";

impl Scenario {
    pub fn load(folder: &Path) -> io::Result<Self> {
        let mut scenario: Scenario = serde_json::from_slice(&fs::read(folder.join("scenario.json"))?)?;
        let frames = fs::read_to_string(folder.join("frames.jsonl"))?;
        scenario.frames = frames.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        scenario.folder = folder.to_owned();
        Ok(scenario)
    }

    /// The listings in a file, in order.
    pub fn listings(&self, file: &str) -> io::Result<Vec<Listing>> {
        let text = fs::read_to_string(self.folder.join(file))?;
        let mut listings: Vec<Listing> = Vec::new();
        for line in text.split_inclusive('\n') {
            match (line.strip_prefix("$ ipvsadm"), listings.last_mut()) {
                (Some(args), _) => listings.push(Listing { args: args.trim().to_owned(), text: String::new() }),
                (None, Some(listing)) => listing.text.push_str(line),
                (None, None) => return Err(io::Error::other(format!("{file} does not begin with a command"))),
            }
        }
        Ok(listings)
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| serde::de::Error::custom("not hexadecimal"))
}
