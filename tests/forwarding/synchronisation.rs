//! Two directors on one segment: what one forwards, the other can go on with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::support::config::Service;
use crate::support::director::{Director, program};
use crate::support::eventually;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::netns::{self, Namespace};

#[test]
fn an_established_connection_survives_the_move_of_its_address() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new();
    for family in [V4, V6] {
        let first = scene.start_first(family, "");
        let second = scene.start_second(family, "");
        scene.give_address(family, &scene.lab.director);
        // Three, to be sure that not one of them meets the server that the second director would choose next.
        let connections = [0, 1, 2].map(|_| scene.connect(family));
        for connection in &connections {
            eventually("the other director knows of the connection", || knows(&second, connection));
        }
        scene.move_address(family);
        connections.into_iter().for_each(Connection::finish);
        eventually("the first director hears of the end", || !first.connections().contains("ESTABLISHED"));
        scene.take_address(family);
    }
}

#[test]
fn who_joins_late_is_told_everything_under_the_common_key() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new();
    let key = "sync_key a-secret-of-sixteen-letters";
    let _first = scene.start_first(V4, key);
    scene.give_address(V4, &scene.lab.director);
    let connection = scene.connect(V4);
    let second = scene.start_second(V4, key);
    eventually("everything has been told", || {
        knows(&second, &connection) && status(&second).contains("\"in_sync\":true")
    });
    assert!(!status(&second).contains("\"unproven\":true"));
    scene.move_address(V4);
    connection.finish();
}

/// It would reset connections that it does not know.
#[test]
fn who_returns_with_a_higher_priority_learns_all_before_it_preempts() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new();
    let key = "sync_key a-secret-of-sixteen-letters";
    let lower = scene.start_elected(&scene.second, "second", 100, key);
    eventually("the lower one leads", || lower.log().contains("addresses in place"));
    let connections = [0, 1, 2].map(|_| scene.connect(V4));
    let first = scene.start_elected(&scene.lab.director, "first", 150, key);
    eventually("the higher one preempts", || first.log().contains("instance VI_1: MASTER"));
    assert!(connections.iter().all(|connection| knows(&first, connection)), "{}", first.log());
    let status = status(&first);
    assert!(status.contains("\"in_sync\":true") && status.contains("\"lag\":"), "the lag is shown: {status}");
    connections.into_iter().for_each(Connection::finish);
}

/// Its server goes here alone: the other director would keep the connection for a quarter of an hour, and tell of it again.
#[test]
fn what_ends_before_its_time_ends_everywhere_and_does_not_come_back() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new();
    let key = "sync_key a-secret-of-sixteen-letters";
    let (first, second) = (scene.start_first(V4, key), scene.start_second(V4, key));
    let is_in_sync = |director: &Director| status(director).contains("\"in_sync\":true");
    eventually("they know each other", || is_in_sync(&first) && is_in_sync(&second));
    scene.give_address(V4, &scene.lab.director);
    let (mut gone, kept) = (scene.connect(V4), scene.connect(V4));
    eventually("the other director knows of both", || knows(&second, &gone) && knows(&second, &kept));

    scene.remove_server_of(&first, &gone);
    gone.stream.write_all(b"Host: ").expect("the connection was open");
    eventually("it has ended here", || !knows(&first, &gone));
    eventually("it has ended there", || !knows(&second, &gone));
    assert!(knows(&second, &kept) && status(&second).contains("\"sync-deleted\":1,"), "{}", second.connections());
    drop(second);
    let second = scene.start_second(V4, key);
    eventually("who joins anew is told everything", || is_in_sync(&second) && knows(&second, &kept));
    assert!(!knows(&second, &gone), "{}", second.connections());

    kept.finish();
    eventually("an orderly end is told, too", || !second.connections().contains("ESTABLISHED"));
    assert!(!first.connections().contains("ESTABLISHED"));
}

#[test]
fn who_has_another_key_is_told_nothing_and_says_so() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new();
    let _first = scene.start_first(V4, "sync_key a-secret-of-sixteen-letters");
    let second = scene.start_second(V4, "sync_key another-one-of-the-same-length");
    scene.give_address(V4, &scene.lab.director);
    let connection = scene.connect(V4);
    eventually("strange messages are counted", || !status(&second).contains("\"sync-forged\":0"));
    assert!(!knows(&second, &connection));
    assert_eq!(second.log().matches("has another `sync_key`").count(), 1, "{}", second.log());
}

#[test]
fn a_connection_survives_when_its_director_stops_and_the_other_is_elected() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new();
    let mut first = scene.start_elected(&scene.lab.director, "first", 150, "");
    eventually("the first is master", || first.log().contains("addresses in place"));
    let second = scene.start_elected(&scene.second, "second", 100, "");
    let connection = scene.connect(V4);
    eventually("the backup knows of the connection", || knows(&second, &connection));
    let status = status(&second);
    assert!(status.contains("\"daemons\":[{\"master\":false"), "a backup listens and does not tell: {status}");
    assert!(first.end_by(Signal::TERM).success());
    eventually("the second is master", || second.log().contains("addresses in place"));
    connection.finish();
    eventually("it tells now", || second.log().contains("connection synchronisation on ens33: master"));
}

/// The lab of direct routing with a second director, which is set up like the first. Neither holds the VIP by itself.
struct Scene {
    lab: Lab,
    second: Namespace,
}

/// A connection on which half of a request has been said.
struct Connection {
    stream: TcpStream,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        let (lab, second) = Lab::dr_with_second_director();
        Self { lab, second }
    }

    fn start_first(&self, family: Family, settings: &str) -> Director {
        self.start(&self.lab.director, "first", family, settings)
    }

    fn start_second(&self, family: Family, settings: &str) -> Director {
        self.start(&self.second, "second", family, settings)
    }

    /// A director that takes part in the election of the VIP's master.
    fn start_elected(&self, host: &Namespace, name: &str, priority: u8, settings: &str) -> Director {
        let instance = format!(
            "vrrp_instance VI_1 {{\n    interface ens33\n    virtual_router_id 51\n    version 3\n    advert_int 0.1\n    priority {priority}\n    \
             virtual_ipaddress {{\n        {}\n    }}\n}}\n",
            self.lab.vip(V4)
        );
        self.launch(host, name, V4, &format!("lvs_sync_daemon ens33 VI_1 id 7\n}}\n{instance}"), settings)
    }

    fn start(&self, host: &Namespace, name: &str, family: Family, settings: &str) -> Director {
        self.launch(host, name, family, "lvs_sync_daemon ens33 id 7\n}\n", settings)
    }

    /// `global` closes the block that it stands in.
    fn launch(&self, host: &Namespace, name: &str, family: Family, global: &str, settings: &str) -> Director {
        let directory = self.lab.directory().join(name);
        std::fs::create_dir_all(&directory).expect("the lab's directory is writable");
        let service: Service = self.lab.service(family);
        let config =
            format!("global_defs {{\n    {global}{service}ringmaster {{\n    interfaces ens33\n    {settings}\n}}\n");
        Director::start_electing(host, &directory, &config)
    }

    fn connect(&self, family: Family) -> Connection {
        let (from, to) = (self.lab.clients(family)[0], (self.lab.vip(family), 80).into());
        let mut stream = self.lab.client.enter(|| http::connect(from, to)).expect("the director forwards");
        stream.write_all(b"GET / HTTP/1.0\r\n").expect("the connection is open");
        let port = stream.local_addr().expect("it is connected").port();
        Connection { stream, port }
    }

    /// Removes the server that the connection leads to from one director's service.
    fn remove_server_of(&self, director: &Director, connection: &Connection) {
        let port = format!(":{} ", connection.port);
        let listed = director.connections();
        let line = listed.lines().find(|line| line.contains(&port)).expect("the connection is there");
        let server = line.split_whitespace().last().expect("the server comes last");
        let mut command = std::process::Command::new(program());
        command.args(["ipvsadm", "-d", "-t", &format!("{}:80", self.lab.vip(V4)), "-r", server]);
        let status = command.env("RINGMASTER_SOCKET", director.socket()).status();
        assert!(status.is_ok_and(|status| status.success()), "{command:?}");
    }

    fn give_address(&self, family: Family, host: &Namespace) {
        host.exec(&format!(
            "ip address add {} dev ens33 {}",
            self.lab.vip(family),
            without_detection(self.lab.vip(family))
        ));
    }

    /// By hand: from the first director to the second, and the client forgets where it was.
    fn move_address(&self, family: Family) {
        self.lab.director.exec(&format!("ip address del {} dev ens33", self.lab.vip(family)));
        self.give_address(family, &self.second);
        self.lab.client.exec("ip neighbour flush all");
    }

    fn take_address(&self, family: Family) {
        self.second.exec(&format!("ip address del {} dev ens33", self.lab.vip(family)));
    }
}

impl Connection {
    /// Says the second half of the request. A server that did not hear the first would reset the connection.
    fn finish(mut self) {
        self.stream.write_all(b"Host: test\r\n\r\n").expect("the connection is open");
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).expect("the connection goes on");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

fn knows(director: &Director, connection: &Connection) -> bool {
    let port = format!(":{} ", connection.port);
    director.connections().lines().any(|line| line.contains("ESTABLISHED") && line.contains(&port))
}

/// The director's status as it comes from the control socket.
fn status(director: &Director) -> String {
    let mut stream = UnixStream::connect(director.socket()).expect("the director listens");
    stream.write_all(b"{\"command\":\"status\"}\n").expect("it reads");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("it answers");
    answer
}

fn without_detection(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "nodad" } else { "" }
}
