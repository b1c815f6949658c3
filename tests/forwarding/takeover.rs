//! Two directors in front of the same servers: downloads go on when the master goes, however it goes, and when it comes
//! back.
//!
//! By NAT, where every packet of both directions passes the master: the addresses that clients use and the servers'
//! gateway move together.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::director::Director;
use crate::support::eventually;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::netns::{self, Namespace};

/// More than all buffers between server and client hold: most of it must come through the second director.
const FILE: u32 = 24 << 20;

#[test]
fn downloads_outlive_an_orderly_end_and_a_return() {
    let Some(mut pair) = Pair::new() else { return };
    let downloads = pair.begin_downloads(&pair.second);
    let mut first = pair.first.take().expect("it runs");
    assert!(first.end_by(Signal::TERM).success());
    eventually("the second is master", || pair.second.log().matches("addresses in place").count() == 4);
    let (gone, taken) = (last(&first, "the director ends"), last(&pair.second, "addresses in place"));
    assert!(taken < gone, "the first gave its addresses up at {gone}, the second had them at {taken}");
    let downloads = downloads.map(Download::half_of_the_rest);
    pair.start_first();
    eventually("the first is master again", || pair.first().has_logged("addresses in place"));
    eventually("the second gives way", || pair.second.log().matches("leads with priority 150").count() == 2);
    pair.finish(downloads);
}

/// Of clients that only listen: who speaks before the takeover is reset by the kernel that was left with the address.
#[test]
fn downloads_outlive_a_kill() {
    let Some(mut pair) = Pair::new() else { return };
    let downloads = pair.begin_downloads(&pair.second);
    pair.first.take().expect("it runs").end_by(Signal::KILL);
    eventually("the second is master", || pair.second.log().matches("addresses in place").count() == 4);
    pair.finish(downloads);
}

#[test]
fn downloads_outlive_a_pulled_cable() {
    let Some(pair) = Pair::new() else { return };
    let downloads = pair.begin_downloads(&pair.second);
    pair.lab.cable(&pair.lab.director, false);
    eventually("the second is master", || pair.second.log().matches("addresses in place").count() == 4);
    let downloads = downloads.map(Download::half_of_the_rest);
    // It is still told by its other cable.
    let later = pair.begin_downloads(pair.first());
    pair.lab.cable(&pair.lab.director, true);
    eventually("the first is master again", || pair.first().log().matches("addresses in place").count() == 4);
    pair.finish(downloads);
    pair.finish(later);
}

/// Two directors, the first of which is master, with connection synchronisation under a key.
struct Pair {
    first: Option<Director>,
    second: Director,
    lab: Lab,
    _host: Namespace,
}

/// A client that has read the first bytes of the file.
struct Download {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Pair {
    /// `None` if namespaces cannot be had here; says so.
    fn new() -> Option<Self> {
        if !netns::available() {
            return None;
        }
        let (lab, host) = Lab::nat_with_second_director();
        lab.offer_file(FILE);
        let second = start(&lab, &host, "second", 100);
        let mut pair = Self { first: None, second, lab, _host: host };
        pair.start_first();
        eventually("the first is master", || pair.first().has_logged("addresses in place"));
        Some(pair)
    }

    fn start_first(&mut self) {
        self.first = Some(start(&self.lab, &self.lab.director, "first", 150));
    }

    fn first(&self) -> &Director {
        self.first.as_ref().expect("it runs")
    }

    /// One of each family from each of three clients, of which `backup` has been told.
    fn begin_downloads(&self, backup: &Director) -> [Download; 6] {
        let begin = |number: usize| {
            let family = if number.is_multiple_of(2) { V4 } else { V6 };
            let (from, to) = (self.lab.clients(family)[number / 2], (self.lab.vip(family), 80).into());
            let stream = self.lab.client.enter(|| http::connect(from, to)).expect("the director forwards");
            Download::begin(stream)
        };
        let downloads: [Download; 6] = std::array::from_fn(begin);
        assert_known(backup, &downloads);
        downloads
    }

    fn finish(&self, downloads: [Download; 6]) {
        let offer = self.lab.offer();
        for download in downloads {
            assert!(download.finish() == offer, "the file has changed on its way");
        }
    }
}

impl Download {
    fn begin(mut stream: TcpStream) -> Self {
        stream.write_all(b"GET /files/offered HTTP/1.0\r\nHost: test\r\n\r\n").expect("the connection is open");
        Self { stream, body: Vec::new() }.and_read(64 << 10)
    }

    fn half_of_the_rest(self) -> Self {
        self.and_read((FILE / 2) as usize)
    }

    fn and_read(mut self, bytes: usize) -> Self {
        let begin = self.body.len();
        self.body.resize(begin + bytes, 0);
        self.stream.read_exact(&mut self.body[begin..]).expect("the connection goes on");
        self
    }

    /// Everything but the head of the answer.
    fn finish(mut self) -> Vec<u8> {
        self.stream.read_to_end(&mut self.body).expect("the connection goes on");
        let head = self.body.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        self.body.split_off(head + 4)
    }
}

/// When a director logged this for the last time; later times are greater.
fn last(director: &Director, text: &str) -> String {
    let log = director.log();
    let line = log.lines().rfind(|line| line.contains(text)).expect("it was logged");
    line.split(' ').next().expect("lines begin with their time").to_owned()
}

fn assert_known(backup: &Director, downloads: &[Download]) {
    for download in downloads {
        let port = format!(":{} ", download.stream.local_addr().expect("it is connected").port());
        let known = |line: &str| line.contains("ESTABLISHED") && line.contains(&port);
        eventually("the backup knows of the connection", || backup.connections().lines().any(known));
    }
}

/// One instance a family: VIP outside, gateway inside. Both go together.
fn start(lab: &Lab, host: &Namespace, name: &str, priority: u8) -> Director {
    let directory = lab.directory().join(name);
    std::fs::create_dir_all(&directory).expect("the lab's directory is writable");
    let instance = |family: Family| {
        let (vip, gateway, number) = (lab.vip(family), lab.gateway(family), 51 + family as u8);
        // Addresses of IPv6 instances begin with a link-local one.
        let first = if family == V6 { "fe80::100\n" } else { "" };
        format!(
            "vrrp_instance VI_{number} {{\n version 3\n advert_int 0.1\n interface eth0\n virtual_router_id {number}\n \
             priority {priority}\n virtual_ipaddress {{\n {first} {vip}\n {gateway} dev eth1\n }}\n}}\n"
        )
    };
    let config = format!(
        "global_defs {{\n lvs_sync_daemon eth1 VI_51 id 7\n}}\nvrrp_sync_group G {{\n group {{\n VI_51\n VI_52\n }}\n}}\n\
         {}{}{}{}ringmaster {{\n sync_key a-secret-of-sixteen-letters\n}}\n",
        instance(V4),
        instance(V6),
        lab.service(V4),
        lab.service(V6)
    );
    Director::start_electing(host, &directory, &config)
}
