use std::os::unix::fs::PermissionsExt;

use super::super::admin::{Change, Refusal};
use super::super::protocol::{Command, Request};
use super::super::view::{ConnectionPage, ConnectionView, Protocol, ServiceView, Status};
use super::*;

/// A director with nothing but a long connection table.
struct Director {
    connections: u64,
}

impl Source for Director {
    fn services(&mut self) -> Vec<ServiceView> {
        Vec::new()
    }

    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>> {
        vec![None; changes.len()]
    }

    fn connections(&self, cursor: u64, at_most: usize) -> ConnectionPage {
        let end = self.connections.min(cursor + at_most as u64);
        let address = "[2001:db8::1]:443".parse().expect("an address");
        let entry = ConnectionView {
            protocol: Some(Protocol::Tcp),
            expires: 899,
            state: "ESTABLISHED".into(),
            source: address,
            virtual_: address,
            destination: address,
            local: None,
            call_id: None,
        };
        let entries = (cursor..end).map(|_| entry.clone()).collect();
        ConnectionPage { entries, next: (end < self.connections).then_some(end) }
    }

    fn status(&mut self) -> Status {
        Status { workers: 7, ..Status::default() }
    }
}

/// Serves at a temporary path while `client` runs.
async fn served(connections: u64, client: impl AsyncFnOnce(&Path)) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run/control.sock");
    let mut socket = ControlSocket::bind(&path).expect("the place is free");
    let mut director = Director { connections };
    tokio::select! {
        () = async { loop { socket.next().await.answer(&mut director) } } => unreachable!("it serves for ever"),
        () = client(&path) => {}
    }
    drop(socket);
    assert!(!path.exists(), "the socket file is removed at the end");
}

async fn connect(path: &Path) -> BufReader<UnixStream> {
    BufReader::new(UnixStream::connect(path).await.expect("somebody listens"))
}

async fn ask(stream: &mut BufReader<UnixStream>, line: &str) -> String {
    stream.write_all(format!("{line}\n").as_bytes()).await.expect("requests are read");
    let mut response = String::new();
    stream.read_line(&mut response).await.expect("an answer comes");
    response
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn every_request_gets_its_response() {
    runtime().block_on(served(0, async |path| {
        let mode = std::fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut stream = connect(path).await;
        for (request, response) in [
            (r#"{"version":1,"command":"services"}"#, r#"{"version":1,"services":[]}"#),
            (r#"{"command":"connections"}"#, r#"{"version":1,"connections":{"entries":[],"next":null}}"#),
            (r#"{"command":"change","changes":["clear",{"zero":null}]}"#, r#"{"version":1,"changed":[null,null]}"#),
            (
                r#"{"version":2,"command":"services"}"#,
                r#"{"version":1,"error":"version 2 is not spoken here, only 1"}"#,
            ),
        ] {
            assert_eq!(ask(&mut stream, request).await.trim_end(), response);
        }
        assert!(ask(&mut stream, r#"{"command":"status"}"#).await.contains(r#""workers":7"#));
        for nonsense in ["", "{", "[]", "null", "\u{0}\u{fffd}", r#"{"command":7}"#, r#"{"command":"juggle"}"#] {
            let response = ask(&mut stream, nonsense).await;
            assert!(response.starts_with(r#"{"version":1,"error":""#), "{nonsense:?}: {response}");
        }
        assert!(ask(&mut stream, r#"{"command":"juggle"}"#).await.contains("unknown variant `juggle`"));
    }));
}

#[test]
fn a_long_table_comes_in_parts() {
    runtime().block_on(served(10_000, async |path| {
        let mut stream = connect(path).await;
        let (mut cursor, mut parts, mut all) = (0, 0, 0);
        loop {
            let request = Request::new(Command::Connections { cursor });
            let response = ask(&mut stream, &serde_json::to_string(&request).expect("it is plain data")).await;
            let Ok(Response { body: Body::Connections(page), .. }) = serde_json::from_str(&response) else {
                panic!("not a part: {response}")
            };
            (parts, all) = (parts + 1, all + page.entries.len());
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!((parts, all), (3, 10_000));
    }));
}

#[test]
fn an_endless_request_ends_the_client_but_no_other() {
    runtime().block_on(served(0, async |path| {
        let mut patient = connect(path).await;
        let mut endless = connect(path).await;
        let response = ask(&mut endless, &"x".repeat(REQUEST as usize + 1)).await;
        assert!(response.contains("at most 8388608 bytes"), "{response}");
        let mut rest = Vec::new();
        // The rest of the request was not read, so the end may come as a reset.
        let _ = endless.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        assert!(ask(&mut patient, r#"{"command":"services"}"#).await.contains("services"));
    }));
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    runtime().block_on(served(1 << 20, async |path| {
        let mut lazy = connect(path).await;
        for _ in 0..16 {
            lazy.write_all(b"{\"command\":\"connections\"}\n").await.expect("requests fit into the buffer");
        }
        let mut quick = connect(path).await;
        let request = ask(&mut quick, r#"{"command":"services"}"#);
        // Sooner than the other one is given up.
        let response = timeout(SLOWNESS / 2, request).await.expect("an answer comes");
        assert!(response.contains("services"));
    }));
}

#[test]
fn more_clients_than_are_served_at_once_wait_their_turn() {
    runtime().block_on(served(0, async |path| {
        let mut crowd = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = connect(path).await;
            ask(&mut stream, r#"{"command":"services"}"#).await;
            crowd.push(stream);
        }
        let mut late = connect(path).await;
        let early = timeout(Duration::from_millis(50), ask(&mut late, r#"{"command":"services"}"#)).await;
        assert!(early.is_err(), "all places are taken");
        crowd.pop();
        let mut response = String::new();
        late.read_line(&mut response).await.expect("an answer comes");
        assert!(response.contains("services"));
    }));
}

#[test]
fn the_place_is_taken_only_from_the_dead() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("control.sock");
        let alive = ControlSocket::bind(&path).expect("the place is free");
        let refused = ControlSocket::bind(&path).err().expect("another one listens");
        assert!(matches!(refused, SocketError::Taken(_)), "{refused}");
        let successor = ControlSocket::take_over(&path).expect("it is known to be dead");
        drop(alive);
        assert!(path.exists(), "the dead take nothing away");
        drop(successor);

        drop(std::os::unix::net::UnixListener::bind(&path).expect("a leftover"));
        assert!(path.exists());
        let second = ControlSocket::bind(&path).expect("a leftover is replaced");
        std::fs::remove_file(&path).expect("it is there");
        std::fs::write(&path, "something else").expect("a file");
        drop(second);
        assert!(path.exists(), "what is not ours is not removed");
        assert!(ControlSocket::take_over(&path).is_err());
        let refused = ControlSocket::bind(&path).err().expect("a file is in the way");
        assert!(matches!(refused, SocketError::NotASocket(_)), "{refused}");
    });
}
