//! What a successor makes of what it finds: a configuration that has been broken on disk, a program that does not live, files in
//! memory of another layout.

use std::fs::{File, read_dir, read_link};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::clients::visit;
use crate::support::director::program;
use crate::support::hosts::Family::{V4, V6};
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::netns;
use crate::support::{self, eventually};
use crate::{Scene, kill};

/// Whoever breaks the file hears of it when he asks for something, and not because a director has died.
#[test]
fn a_broken_configuration_keeps_nobody_from_being_followed() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::nat(), V4, 1);
    let file = scene.director.socket().with_file_name("keepalived.conf");
    let good = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, format!("{good}\nvirtual_server 192.0.2.1 80 {{\n    lb_algo none\n")).expect("as above");
    // The second one follows with what the first has handed on.
    for deaths in 1..=2 {
        scene.until_followed(kill);
        eventually("it says so", || scene.director.log().matches("does not load any more").count() == deaths);
    }
    scene.director.says("keepalived.conf:");
    let process = scene.director.process();
    let told = scene.director.upgrade(&program());
    assert!(told.contains("ended before it had read its configuration"), "{told}");
    kill_process(scene.director.pid(), Signal::HUP).expect("it is there");
    eventually("it is refused", || scene.director.has_logged("SIGHUP: the configuration does not load"));
    assert_eq!(scene.director.process(), process);

    std::fs::write(&file, good.replace("lb_algo rr", "lb_algo wlc")).expect("as above");
    scene.until_followed(kill);
    eventually("it says so", || scene.director.has_logged("has changed since it was read"));
    assert!(scene.director.list().contains(" rr"), "a death is no reload");
    kill_process(scene.director.pid(), Signal::HUP).expect("it is there");
    eventually("it is read again", || scene.director.has_logged("SIGHUP: reloaded"));
    scene.until_followed(kill);
    assert!(scene.director.list().contains(" wlc"), "what was reloaded is what is handed on");
    scene.end();
}

/// The program that a process runs, by whatever name it has now.
pub(crate) fn runs(process: Pid) -> PathBuf {
    read_link(format!("/proc/{}/exe", process.as_raw_nonzero())).expect("it is there")
}

/// Another file with the same program.
pub(crate) fn another(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    support::copy_program(&program(), &path);
    path
}

#[test]
fn a_program_that_dies_at_once_is_followed_by_the_one_before_it() {
    if !netns::available() {
        return;
    }
    let scene = Scene::new(Lab::dr(), V6, 2);
    let first = runs(scene.director.process());
    let upgrade = |name| {
        let path = another(scene.lab.directory(), name);
        scene.until_followed(|_| {
            let told = scene.director.upgrade(&path);
            assert!(told.contains("has taken over"), "{told}");
        });
        path
    };
    let mortal = upgrade("mortal");
    assert_eq!(runs(scene.director.process()), mortal);
    scene.until_followed(|_| scene.cast("abort"));
    assert_eq!(runs(scene.director.process()), first, "back to the one that is known to live");
    scene.director.says("the one before it takes over");
    // A program that has lived is not taken back for a death.
    let proven = upgrade("proven");
    std::thread::sleep(std::time::Duration::from_secs(4));
    scene.until_followed(|_| scene.cast("abort"));
    assert_eq!(runs(scene.director.process()), proven);
    scene.end();
}

/// Whether a client is served; until then it is refused or waits.
fn serves(scene: &Scene) -> bool {
    let (from, to) = (scene.lab.clients(V4)[1], (scene.lab.vip(V4), 80).into());
    scene.lab.client.enter(|| http::ask(from, to)).is_ok()
}

/// A file in memory that the supervisor holds.
fn held(supervisor: Pid, name: &str) -> File {
    let name = format!("/memfd:{name} (deleted)");
    let entries = read_dir(format!("/proc/{}/fd", supervisor.as_raw_nonzero())).expect("it is there");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let path = paths.into_iter().find(|path| read_link(path).is_ok_and(|target| target == Path::new(&name)));
    File::options().read(true).write(true).open(path.expect("it is held")).expect("root may")
}

/// Whatever is lost, the steering program stays where it is, so that the kernel gets nobody's packets and refuses nobody.
fn nobody_is_refused(scene: &Scene, fault: impl FnOnce()) {
    let (client, from, to) = (&scene.lab.client, scene.lab.clients(V4)[1], (scene.lab.vip(V4), 80).into());
    let stop = AtomicBool::new(false);
    let visits = std::thread::scope(|threads| {
        let visitor = threads.spawn(|| client.enter(|| visit(from, to, &stop)));
        fault();
        stop.store(true, Ordering::Relaxed);
        visitor.join().expect("it does not panic")
    });
    // Who had a connection already may be told that it is not known any more.
    let refused: Vec<_> = visits.failed.iter().filter(|why| why.contains("refused")).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(!scene.director.has_logged("the steering program is attached anew"));
}

/// As if a program with another layout of rings or table had run before.
#[test]
fn what_has_another_layout_is_made_anew() {
    if !netns::available() {
        return;
    }
    // Where the layout stands: behind a magic of eight bytes.
    for (name, told, keeps) in [
        ("ringmaster-frames", "rings are opened anew", true),
        ("ringmaster-connections", "connections are lost: the connection table has layout 99", false),
    ] {
        // A small table is soon made anew.
        let scene = Scene::with(Lab::nat(), V4, "workers 1\nconnections 20000", vec![]);
        held(scene.director.pid(), name).write_all_at(&99_u32.to_le_bytes(), 8).expect("it is not sealed");
        nobody_is_refused(&scene, || {
            scene.until_followed(|_| {
                let told = scene.director.upgrade(&program());
                assert!(told.contains("has taken over"), "{told}");
            });
        });
        scene.director.says(told);
        assert_eq!(scene.director.log().matches("connections are lost").count(), usize::from(!keeps), "{name}");
        assert!(!scene.director.has_logged("died ("), "{name}: the first one that tries copes with it");
        eventually("clients are served", || serves(&scene));
        // What the others have is not touched, and from now on nothing is lost any more.
        let begun = scene.director.log().matches(told).count();
        scene.until_followed(kill);
        assert_eq!(scene.director.log().matches(told).count(), begun, "{name}: the next one finds what it knows");
        let outcome = scene.stream.stop();
        assert_eq!(outcome.duplicated, 0, "{name}");
        assert!(!keeps || (outcome.moved, outcome.reordered) == (0, 0), "{name}: connections stay with their servers");
        println!("{name}: {outcome:?}");
    }
}

/// As if a program had written down what it knew in words that this one does not know.
#[test]
fn what_cannot_be_read_is_forgotten() {
    if !netns::available() {
        return;
    }
    let scene = Scene::with(Lab::dr(), V4, "workers 2\nconnections 20000", vec![]);
    nobody_is_refused(&scene, || {
        scene.until_followed(|process| {
            let mut state = held(scene.director.pid(), "ringmaster-state");
            let mut text = String::new();
            state.read_to_string(&mut text).expect("it is text");
            let at = text.find("\"layout\":").expect("it has one") + "\"layout\":".len();
            state.write_all_at(b"9", at as u64).expect("it is not sealed");
            kill(process);
        })
    });
    scene.director.says("connections are lost: what the last director knew: layout 9 instead of");
    eventually("clients are served", || serves(&scene));
    let outcome = scene.stream.stop();
    assert_eq!(outcome.duplicated, 0);
    println!("{outcome:?}");
}
