use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;

use clap::Parser;

use super::*;
use crate::cli::{connections, list};
use crate::control::admin::{Change, Refusal};
use crate::control::socket::ControlSocket;
use crate::control::view::{ConnectionPage, ConnectionView, Protocol, ServiceView, Source, Status};

#[derive(Parser)]
struct Line<T: clap::Args> {
    #[command(flatten)]
    args: T,
}

fn args<T: clap::Args>(socket: &Path, json: bool) -> T {
    let mut words = vec!["test", "--socket", socket.to_str().expect("a plain path")];
    words.extend(json.then_some("--json"));
    Line::parse_from(words).args
}

/// One service, and a table that is told one connection at a time.
struct Director;

impl Source for Director {
    fn services(&mut self) -> Vec<ServiceView> {
        let service = serde_json::json!({
            "protocol": "tcp", "address": "192.0.2.10:80", "scheduler": "rr",
            "servers": [{"address": "10.1.0.11:8080", "method": "nat", "weight": 1, "active": 2, "inactive": 3}],
        });
        vec![serde_json::from_value(service).expect("a service")]
    }

    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>> {
        vec![None; changes.len()]
    }

    fn connections(&self, cursor: u64, _at_most: usize) -> ConnectionPage {
        let address = |text: &str| text.parse().expect("an address");
        let entry = ConnectionView {
            protocol: Some(Protocol::Tcp),
            expires: 60 + u32::try_from(cursor).expect("a short table"),
            state: "FIN_WAIT".into(),
            source: address("198.51.100.7:40000"),
            virtual_: address("192.0.2.10:80"),
            destination: address("10.1.0.11:8080"),
            local: None,
            call_id: None,
        };
        ConnectionPage { entries: vec![entry], next: (cursor < 2).then_some(cursor + 1) }
    }

    fn status(&mut self) -> Status {
        Status { table_size: 1 << 20, counters: BTreeMap::new(), ..Status::default() }
    }
}

/// Runs `client` against a director at a temporary path.
fn served<R>(client: impl FnOnce(&Path) -> R) -> R {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.sock");
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut socket = ControlSocket::bind(&path).expect("the place is free");
                ready.send(()).expect("somebody waits");
                tokio::select! {
                    () = async { loop { socket.next().await.answer(&mut Director) } } => {}
                    _ = ended => {}
                }
            });
        });
        is_ready.recv().expect("the socket is there");
        let result = client(&path);
        drop(end);
        result
    })
}

fn text(list: impl FnOnce(&mut Vec<u8>) -> Result<(), ClientError>) -> String {
    let mut out = Vec::new();
    list(&mut out).expect("the director answers");
    String::from_utf8(out).expect("text")
}

#[test]
fn list_prints_what_the_director_says() {
    let (plain, json) = served(|path| [false, true].map(|json| text(|out| list::list(&args(path, json), out))).into());
    let expected = concat!(
        "IP Virtual Server version 1.2.1 (size=1048576)\n",
        "Prot LocalAddress:Port Scheduler Flags\n",
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
        "TCP  192.0.2.10:80 rr\n",
        "  -> 10.1.0.11:8080               Masq    1      2          3         \n",
    );
    assert_eq!(plain, expected);
    assert_eq!(serde_json::from_str::<ServiceView>(&json).expect("one object a line"), Director.services()[0]);
}

#[test]
fn connections_prints_all_parts() {
    let (plain, json): (String, String) =
        served(|path| [false, true].map(|json| text(|out| connections::list(&args(path, json), out))).into());
    let row = |expire| format!("TCP {expire}  FIN_WAIT    198.51.100.7:40000 192.0.2.10:80      10.1.0.11:8080");
    assert_eq!(plain.lines().skip(2).collect::<Vec<_>>(), [row("01:00"), row("01:01"), row("01:02")]);
    let views: Vec<ConnectionView> = json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(views.iter().map(|view| view.expires).collect::<Vec<_>>(), [60, 61, 62]);
}

#[test]
fn a_refusal_is_an_error() {
    let refusal = served(|path| {
        let mut client = Client::connect(path).expect("somebody listens");
        let request = Request { version: 99, command: Command::Status };
        client.exchange(&request).expect("an answer comes")
    });
    assert!(matches!(refusal.body, Body::Error(_)), "{refusal:?}");
}

#[test]
fn each_way_to_fail_has_its_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.sock");
    let failure = |path: &Path| list::list(&args(path, false), &mut Vec::new()).expect_err("no director").to_string();
    assert!(failure(&path).starts_with("no director listens on "), "{}", failure(&path));

    let leftover = UnixListener::bind(&path).expect("a socket");
    drop(leftover);
    assert!(failure(&path).starts_with("no director listens on "), "{}", failure(&path));

    std::fs::remove_file(&path).expect("it is there");
    let mute = UnixListener::bind(&path).expect("a socket");
    std::thread::scope(|scope| {
        scope.spawn(|| drop(mute.accept()));
        assert!(failure(&path).contains("does not answer"), "it hangs up");
    });
}
