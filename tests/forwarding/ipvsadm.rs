//! `ipvsadm` before the real director: services made, changed, listed, saved and removed at run time, under traffic.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use crate::support::config::Service;
use crate::support::director::{Director, program};
use crate::support::eventually;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{alike, shares};

/// The programs of the package, as an operator finds them.
struct Tools {
    folder: tempfile::TempDir,
    socket: PathBuf,
}

impl Tools {
    fn of(director: &Director) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        for name in ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"] {
            symlink(program(), folder.path().join(name)).expect("the directory is empty");
        }
        Self { folder, socket: director.socket().to_owned() }
    }

    /// Exit code, stdout and stderr of a command line.
    fn run(&self, line: &str, input: &str) -> (i32, String, String) {
        let mut words = line.split_whitespace();
        let mut command = Command::new(self.folder.path().join(words.next().expect("a program")));
        command.args(words).env("RINGMASTER_SOCKET", &self.socket);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary is built");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it is read");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code().expect("it was not killed"), text(output.stdout), text(output.stderr))
    }

    /// What a command line that works prints.
    fn ok(&self, line: &str) -> String {
        let (code, out, errors) = self.run(line, "");
        assert_eq!((code, errors.as_str()), (0, ""), "{line}");
        out
    }

    /// The columns of a server in a listing.
    fn row(&self, line: &str, server: &str) -> Vec<String> {
        let listing = self.ok(line);
        let row = listing.lines().find(|line| line.contains(&format!("-> {server} ")));
        row.unwrap_or_else(|| panic!("no {server}:\n{listing}")).split_whitespace().skip(2).map(str::to_owned).collect()
    }
}

#[test]
fn a_director_without_a_configuration_is_run_by_ipvsadm_alone() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    lab.director.exec("ip addr add 10.0.0.100/32 dev eth1");
    let director = Director::start(&lab.director, lab.directory(), "");
    let tools = Tools::of(&director);
    let head = tools.ok("ipvsadm");
    assert_eq!(head.lines().count(), 3, "{head}");

    tools.ok("ipvsadm -A -t 10.0.0.100:80 -s rr");
    for server in &lab.servers {
        tools.ok(&format!("ipvsadm -a -t 10.0.0.100:80 -r {} -m", server.address(V4)));
    }
    assert_eq!(shares(&lab.ask(V4, 80, 0, 9)), alike(3));
    let first = format!("{}:80", lab.servers[0].address(V4));
    let counts = tools.row("ipvsadm -Ln --stats --exact", &first);
    assert_eq!(counts[0], "3", "connections: {counts:?}");
    assert!(counts.iter().all(|count| count != "0"), "packets and bytes both ways: {counts:?}");
    // Three connections are less than half a one in a second, as the kernel reckons; their bytes are more.
    eventually("there is a rate", || tools.row("ipvsadm -Ln --rate", &first)[3] != "0");

    tools.ok("ipvsadm -Z -t 10.0.0.100:80");
    assert_eq!(tools.row("ipvsadm -Ln --stats", &first), ["0"; 5]);

    tools.ok(&format!("ipvsadm -e -t 10.0.0.100:80 -r {first} -m -w 0"));
    let answers = lab.ask(V4, 80, 0, 4);
    assert_eq!(shares(&answers).get("server-1"), None, "it takes no new connections");
    tools.ok(&format!("ipvsadm -d -t 10.0.0.100:80 -r {first}"));
    assert!(!tools.ok("ipvsadm -Ln").contains(&first));
    let (code, _, errors) = tools.run(&format!("ipvsadm -d -t 10.0.0.100:80 -r {first}"), "");
    assert_eq!((code, errors.as_str()), (255, "No such destination\n"));

    tools.ok("ipvsadm -C");
    assert_eq!(tools.ok("ipvsadm -Sn"), "");
    assert_eq!(tools.ok("ipvsadm"), head);
}

#[test]
fn what_was_saved_is_restored_without_a_break() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[lab.service(V4)]);
    let tools = Tools::of(&director);
    let saved = tools.ok("ipvsadm-save -n");
    assert_eq!(saved.lines().count(), 4, "{saved}");
    lab.offer_file(4 << 20);
    std::thread::scope(|scope| {
        let download = scope.spawn(|| (0..4).for_each(|_| lab.download(V4)));
        while !download.is_finished() {
            assert_eq!(tools.run("ipvsadm-restore", &saved), (0, String::new(), String::new()));
        }
        download.join().expect("connections to servers that stay are not touched");
    });
    assert_eq!(tools.ok("ipvsadm-save -n"), saved);
    let broken = format!("{saved}-a -t 10.0.0.100:80\n");
    assert_eq!(tools.run("ipvsadm-restore", &broken).0, 2);
    assert_eq!(tools.ok("ipvsadm-save -n"), saved, "nothing was changed");
}

#[test]
fn what_was_changed_outlives_the_director() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&[lab.service(V4), lab.service(V6)]);
    let tools = Tools::of(&director);
    let [one, two] = [0, 1].map(|server| lab.servers[server].address(V4));
    tools.ok(&format!("ipvsadm -d -t 10.0.0.100:80 -r {one}"));
    tools.ok("ipvsadm -C");
    tools.ok("ipvsadm -A -t 10.0.0.100:80 -s wrr");
    tools.ok(&format!("ipvsadm -a -t 10.0.0.100:80 -r {two} -m -w 7"));
    // Of this service the file says something new, and of that one nothing.
    let pair = Service { servers: lab.service(V4).servers[..2].to_vec(), ..lab.service(V4) };
    director.reload(&lab.config(&[pair, lab.service(V6)]));
    director.says("reloaded");
    tools.ok(&format!("ipvsadm -e -t 10.0.0.100:80 -r {two} -m -w 9"));
    tools.ok("ipvsadm -A -u 10.0.0.100:53 -s sh -b sh-port -p 77");
    let before = tools.ok("ipvsadm -Sn");
    assert_eq!(before.lines().count(), 4, "{before}");
    kill_process(director.process(), Signal::KILL).expect("it is there");
    eventually("the next director forwards", || director.log().matches("ready:").count() == 2);
    assert_eq!(tools.ok("ipvsadm -Sn"), before);
}

#[test]
fn without_a_director_it_says_so() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let run = |command: &mut Command| {
        let output = command.output().expect("the binary is built");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let socket = nowhere.path().join("none.sock");
    let (code, errors) = run(Command::new(program()).arg("ipvsadm").arg("--socket").arg(&socket).arg("-Ln"));
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.starts_with("Can't initialize ipvs: no director listens on "), "{errors}");
    let (code, errors) = run(Command::new(program()).args(["ipvsadm", "-A"]));
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.starts_with("You need to supply"), "nonsense needs no director: {errors}");
}
