//! Who is called with what: ours against keepalived, step by step.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::process::Signal;

use crate::lab::{Lab, Program, toggle};
use crate::support::director::Director;
use crate::support::{eventually, keepalived};

/// What happens, and what is written into the pipe until the next step.
struct Step {
    act: fn(&Lab),
    lines: &'static [&'static str],
}

/// A configuration and its story. `DIR` stands for the folder of the test.
struct Story {
    config: &'static str,
    steps: &'static [Step],
    /// What is written when the program ends.
    last: &'static [&'static str],
}

const GROUP: Story = Story {
    config: r#"
global_defs {
    script_user root
    enable_script_security
    vrrp_notify_fifo DIR/pipe
}
vrrp_script works {
    script "/usr/bin/test ! -e DIR/bad"
    interval 1
    timeout 60
}
vrrp_sync_group G1 {
    group {
        VI_1
    }
    notify_master "DIR/call group_master"
    notify_backup "DIR/call group_backup"
    notify_fault "DIR/call group_fault"
    notify_stop "DIR/call group_stop"
    notify "DIR/call group"
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    version 3
    advert_int 0.1
    virtual_ipaddress {
        192.0.2.100/24
    }
    track_script {
        works
    }
    notify_master "DIR/call master 'of two words' \"and more\""
    notify_backup "DIR/call backup" nobody
    notify_fault "DIR/call fault" nobody daemon
    notify_stop "DIR/call stop"
    notify "DIR/call any extra"
}
"#,
    steps: &[
        Step {
            act: |_| (),
            lines: &[
                "INSTANCE \"VI_1\" BACKUP 100",
                "GROUP \"G1\" BACKUP 0",
                "INSTANCE \"VI_1\" MASTER 100",
                "GROUP \"G1\" MASTER 0",
            ],
        },
        Step {
            act: |lab| toggle(&lab.file("bad"), true),
            lines: &["INSTANCE \"VI_1\" FAULT 100", "GROUP \"G1\" FAULT 0"],
        },
        Step {
            act: |lab| toggle(&lab.file("bad"), false),
            lines: &[
                "INSTANCE \"VI_1\" BACKUP 100",
                "GROUP \"G1\" BACKUP 0",
                "INSTANCE \"VI_1\" MASTER 100",
                "GROUP \"G1\" MASTER 0",
            ],
        },
    ],
    last: &["INSTANCE \"VI_1\" STOP 100", "GROUP \"G1\" STOP 0"],
};

const WEIGHTS: Story = Story {
    config: r#"
global_defs {
    script_user root
    enable_script_security
    vrrp_notify_fifo DIR/pipe
    vrrp_notify_priority_changes true
}
vrrp_script works {
    script "/usr/bin/test ! -e DIR/bad"
    interval 1
    timeout 60
    weight -20
}
vrrp_script extra {
    script "/usr/bin/test -e DIR/extra"
    interval 1
    timeout 60
    weight 30
    rise 2
    fall 2
}
vrrp_script turned {
    script "/usr/bin/test -e DIR/turned"
    interval 1
    timeout 60
    weight 7 reverse
}
vrrp_track_file switch {
    file DIR/switch
    weight 2
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    version 3
    advert_int 0.5
    virtual_ipaddress {
        192.0.2.100/24
    }
    track_script {
        works
        extra
        turned
    }
    track_file {
        switch
    }
    track_interface {
        eth1 weight -11
    }
    notify_fault "DIR/call fault"
    notify "DIR/call any"
}
"#,
    steps: &[
        Step { act: |_| (), lines: &["INSTANCE \"VI_1\" BACKUP 100", "INSTANCE \"VI_1\" MASTER 100"] },
        Step { act: |lab| toggle(&lab.file("bad"), true), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 80"] },
        Step { act: |lab| toggle(&lab.file("bad"), false), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 100"] },
        Step { act: |lab| toggle(&lab.file("extra"), true), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 130"] },
        Step { act: |lab| toggle(&lab.file("turned"), true), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 123"] },
        Step { act: |lab| write(lab, "-5"), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 113"] },
        Step { act: |lab| write(lab, "200"), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 254"] },
        Step { act: |lab| write(lab, "0"), lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 123"] },
        Step { act: |lab| write(lab, "-127"), lines: &["INSTANCE \"VI_1\" FAULT 123"] },
        Step { act: |lab| write(lab, "0"), lines: &["INSTANCE \"VI_1\" BACKUP 123", "INSTANCE \"VI_1\" MASTER 123"] },
        Step {
            act: |lab| _ = lab.hosts[0].exec("ip link set eth1 down"),
            lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 112"],
        },
        Step {
            act: |lab| _ = lab.hosts[0].exec("ip link set eth1 up"),
            lines: &["INSTANCE \"VI_1\" MASTER_PRIORITY 123"],
        },
    ],
    last: &["INSTANCE \"VI_1\" STOP 123"],
};

fn write(lab: &Lab, number: &str) {
    fs::write(lab.file("switch"), number).expect("the directory is writable");
}

/// What came of a story: lines of the pipe, and calls of the script.
#[derive(Debug, PartialEq, Eq)]
struct Tale {
    lines: Vec<String>,
    calls: Vec<String>,
}

fn tell(story: &Story, ours: bool) -> Option<Tale> {
    let lab = Lab::new()?;
    lab.hosts[0].exec("ip link add eth1 type veth peer name far");
    lab.hosts[0].exec("ip link set far up");
    lab.hosts[0].exec("ip link set eth1 up");
    let calls = lab.file("calls");
    // One write a line: calls of keepalived overlap.
    lab.script(
        "call",
        &format!(
            "line=\"$(id -un):$(id -gn)\"\nfor word; do line=\"$line|$word\"; done\necho \"$line\" >>{}",
            calls.display()
        ),
    );
    fs::write(&calls, "").expect("the directory is writable");
    std::os::unix::fs::chown(&calls, Some(65534), Some(65534)).expect("root may");
    fs::write(lab.file("switch"), "0").expect("the directory is writable");
    lab.hosts[0].exec(&format!("mkfifo {}", lab.file("pipe").display()));
    let pipe = collect(&lab.file("pipe"));
    let config = story.config.replace("DIR", lab.file("").display().to_string().trim_end_matches('/'));
    let mut program =
        if ours { Program::Ours(lab.ours(0, &config)) } else { Program::Keepalived(lab.keepalived(0, &config)) };
    let mut expected = Vec::new();
    for step in story.steps {
        (step.act)(&lab);
        expected.extend(step.lines.iter().map(|&line| line.to_owned()));
        eventually(&format!("{:?}, after {:?}", step.lines, pipe()), || pipe().len() >= expected.len());
        assert_eq!(pipe(), expected, "ours: {ours}");
    }
    end(&mut program);
    expected.extend(story.last.iter().map(|&line| line.to_owned()));
    eventually("the last lines", || pipe().len() >= expected.len());
    assert_eq!(pipe(), expected, "ours: {ours}");
    let read = || lab.read("calls").lines().map(str::to_owned).collect::<Vec<_>>();
    let mut before = 0;
    // keepalived does not wait for what it called.
    eventually("all calls are over", || read().len() == std::mem::replace(&mut before, read().len()));
    Some(Tale { lines: pipe(), calls: read() })
}

fn end(program: &mut Program) {
    match program {
        Program::Ours(director) => _ = Director::end_by(director, Signal::TERM),
        Program::Keepalived(keepalived) => keepalived.end(),
    }
}

/// The lines of a pipe so far.
fn collect(path: &Path) -> impl Fn() -> Vec<String> + use<> {
    use std::io::Read;
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblock).open(path).expect("it is a pipe");
    let text = std::cell::RefCell::new(String::new());
    move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = (&file).read(&mut buffer) {
            text.borrow_mut().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        text.borrow().lines().map(str::to_owned).collect()
    }
}

/// keepalived starts its scripts side by side: they are compared in disorder, ours also in order.
fn compare(story: &Story, order: &[&str]) {
    if !keepalived::available() {
        return;
    }
    let (Some(theirs), Some(ours)) = (tell(story, false), tell(story, true)) else { return };
    assert_eq!(ours.lines, theirs.lines);
    assert_eq!(ours.calls, order);
    let sorted = |mut calls: Vec<String>| {
        calls.sort();
        calls
    };
    assert_eq!(sorted(ours.calls), sorted(theirs.calls));
}

#[test]
fn scripts_of_instances_and_groups_are_called_like_keepalived_does_and_in_order() {
    let backup = [
        "nobody:nogroup|backup",
        "root:root|any|extra|INSTANCE|VI_1|BACKUP|100",
        "root:root|group_backup",
        "root:root|group|GROUP|G1|BACKUP|0",
    ];
    let master = [
        "root:root|master|of two words|and more",
        "root:root|any|extra|INSTANCE|VI_1|MASTER|100",
        "root:root|group_master",
        "root:root|group|GROUP|G1|MASTER|0",
    ];
    let fault = [
        "nobody:daemon|fault",
        "root:root|any|extra|INSTANCE|VI_1|FAULT|100",
        "root:root|group_fault",
        "root:root|group|GROUP|G1|FAULT|0",
    ];
    let stop = [
        "root:root|stop",
        "root:root|any|extra|INSTANCE|VI_1|STOP|100",
        "root:root|group_stop",
        "root:root|group|GROUP|G1|STOP|0",
    ];
    compare(&GROUP, &[backup, master, fault, backup, master, stop].concat());
}

#[test]
fn weights_move_the_priority_like_keepalived_does() {
    let any = |state: &str, priority: u8| format!("root:root|any|INSTANCE|VI_1|{state}|{priority}");
    let calls = [
        any("BACKUP", 100),
        any("MASTER", 100),
        "root:root|fault".to_owned(),
        any("FAULT", 123),
        any("BACKUP", 123),
        any("MASTER", 123),
        any("STOP", 123),
    ];
    compare(&WEIGHTS, &calls.each_ref().map(String::as_str));
}
