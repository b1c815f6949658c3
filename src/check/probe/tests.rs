//! Probes against real servers on the loopback interface.

use super::*;
use crate::check::StatusCodes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Long enough for any machine; only the tests of silence wait for it, with one of their own.
const PATIENCE: Duration = Duration::from_secs(20);

fn spec(target: SocketAddr, probe: Probe) -> Spec {
    Spec {
        probe,
        target: target.into(),
        bind: None,
        timeout: PATIENCE,
        interval: PATIENCE,
        retries: 0,
        retry_delay: PATIENCE,
        warmup: Duration::ZERO,
        starts_down: false,
    }
}

fn url(path: &str) -> Url {
    Url { path: path.into(), status: StatusCodes::default(), virtual_host: None }
}

fn get(paths: &[&str]) -> HttpGet {
    HttpGet { urls: paths.iter().map(|path| url(path)).collect(), virtual_host: None }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Asks a server that gives each connection the next of `answers` and then closes it. Returns the verdict and the
/// requests as they were sent.
async fn ask(get: HttpGet, answers: &[&[u8]]) -> (Result<(), Failure>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = spec(listener.local_addr().unwrap(), Probe::Http(get));
    let requests = std::cell::RefCell::new(Vec::new());
    let serve = async {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let read = stream.read_buf(&mut request).await.unwrap();
                assert!(read > 0, "the probe hung up after {request:?}");
            }
            requests.borrow_mut().push(String::from_utf8(request).unwrap());
            // The probe may have seen enough before all is written.
            let _ = stream.write_all(answer).await;
        }
        std::future::pending::<Infallible>().await
    };
    let verdict = tokio::select! {
        verdict = probe(&spec) => verdict,
        never = serve => match never {},
    };
    (verdict, requests.into_inner())
}

fn verdict(get: HttpGet, answers: &[&[u8]]) -> Result<(), Failure> {
    block_on(ask(get, answers)).0
}

#[test]
fn tcp_passes_where_somebody_listens() {
    block_on(async {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A host without IPv6 has only the first.
            let Ok(listener) = TcpListener::bind(address).await else { continue };
            let target = listener.local_addr().unwrap();
            assert_eq!(probe(&spec(target, Probe::Tcp)).await, Ok(()));
            drop(listener);
            assert_eq!(probe(&spec(target, Probe::Tcp)).await, Err(Failure::Refused));
            assert_eq!(probe(&spec(target, Probe::Http(get(&["/"])))).await, Err(Failure::Refused));
        }
    });
}

#[test]
fn silence_times_out() {
    block_on(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let patient = spec(silent.local_addr().unwrap(), Probe::Http(get(&["/"])));
        let hasty = Spec { timeout: Duration::from_millis(50), ..patient };
        let verdict = tokio::time::timeout(PATIENCE, probe(&hasty)).await.expect("the probe minds its own timeout");
        assert_eq!(verdict, Err(Failure::TimedOut));
    });
}

#[test]
fn a_broken_connection_is_told_from_an_early_end() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = spec(listener.local_addr().unwrap(), Probe::Http(get(&["/"])));
        let break_off = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            // Closing with a linger time of zero sends RST.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        };
        assert_eq!(tokio::join!(probe(&spec), break_off).0, Err(Failure::Reset));
    });
}

#[test]
fn the_source_address_is_the_one_asked_for() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = spec(listener.local_addr().unwrap(), Probe::Tcp);
        let bound = Spec { bind: Some("127.0.0.9".parse().unwrap()), ..plain.clone() };
        assert_eq!(probe(&bound).await, Ok(()));
        assert_eq!(listener.accept().await.unwrap().1.ip(), bound.bind.unwrap());
        for foreign in ["192.0.2.1", "::1"] {
            let foreign: IpAddr = foreign.parse().unwrap();
            let spec = Spec { bind: Some(foreign), ..plain.clone() };
            assert_eq!(probe(&spec).await, Err(Failure::Bind(foreign)));
        }
    });
}

#[test]
fn answers_are_judged() {
    let refused = |status| Failure::Status { path: "/".into(), status, accepted: StatusCodes::default() };
    let path = || "/".to_string();
    let rows: [(&[u8], Result<(), Failure>); 13] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(())),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Ok(())),
        (b"HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n", Ok(())),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", Ok(())),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Ok(())),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Err(refused(503))),
        (b"HTTP/1.1 301 Moved\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n", Err(refused(301))),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Err(Failure::NotHttp(path()))),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Err(Failure::NotHttp(path()))),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Err(Failure::Incomplete(path()))),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", Err(Failure::Incomplete(path()))),
        (b"HTTP/1.1 200 OK\r\nX-Half", Err(Failure::Incomplete(path()))),
        (b"", Err(Failure::Incomplete(path()))),
    ];
    for (answer, expected) in rows {
        let text = String::from_utf8_lossy(answer);
        assert_eq!(verdict(get(&["/"]), &[answer]), expected, "{text:?}");
    }
}

#[test]
fn a_long_answer_is_read_up_to_the_limit() {
    let claim = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1u64 << 40);
    let enough = [claim.as_bytes(), &[b'x'; BODY_LIMIT + 1]].concat();
    assert_eq!(verdict(get(&["/"]), &[&enough]), Ok(()));
    let too_little = [claim.as_bytes(), &[b'x'; BODY_LIMIT / 2]].concat();
    assert_eq!(verdict(get(&["/"]), &[&too_little]), Err(Failure::Incomplete("/".into())));
}

#[test]
fn every_url_must_pass_in_turn() {
    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const BAD: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    block_on(async {
        let paths = |requests: Vec<String>| {
            requests.iter().map(|r| r[..r.find(" HTTP").unwrap()].into()).collect::<Vec<String>>()
        };
        let (verdict, requests) = ask(get(&["/a", "/b?c=d", "/e"]), &[GOOD; 3]).await;
        assert_eq!((verdict, paths(requests)), (Ok(()), ["GET /a", "GET /b?c=d", "GET /e"].map(String::from).to_vec()));
        let (verdict, requests) = ask(get(&["/a", "/b", "/e"]), &[GOOD, BAD, GOOD]).await;
        assert_eq!(verdict.unwrap_err().to_string(), "/b: status 404 is not in 200-299");
        assert_eq!(paths(requests), ["GET /a", "GET /b"]);

        let mut lenient = get(&["/"]);
        lenient.urls[0].status = StatusCodes(vec![(404, 404)]);
        assert_eq!(ask(lenient, &[BAD]).await.0, Ok(()));
    });
}

#[test]
fn the_request_names_the_virtual_host_or_the_server() {
    let sent = |urls: Vec<Url>, host: Option<&str>, target: &str| {
        let get = HttpGet { urls, virtual_host: host.map(String::from) };
        let request = request(&get.urls[0], &get, target.parse().unwrap()).unwrap();
        request.headers()[header::HOST].to_str().unwrap().to_string()
    };
    let own = Url { virtual_host: Some("own.example".into()), ..url("/") };
    assert_eq!(sent(vec![own], Some("all.example"), "192.0.2.1:80"), "own.example");
    assert_eq!(sent(vec![url("/")], Some("all.example"), "192.0.2.1:80"), "all.example");
    assert_eq!(sent(vec![url("/")], None, "192.0.2.1:80"), "192.0.2.1");
    assert_eq!(sent(vec![url("/")], None, "192.0.2.1:8080"), "192.0.2.1:8080");
    assert_eq!(sent(vec![url("/")], None, "[2001:db8::1]:80"), "[2001:db8::1]");
    assert_eq!(sent(vec![url("/")], None, "[2001:db8::1]:8080"), "[2001:db8::1]:8080");
}

#[test]
fn the_request_is_complete_and_asks_to_close() {
    let (verdict, requests) = block_on(ask(get(&["/"]), &[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]));
    assert_eq!(verdict, Ok(()));
    let lines: Vec<&str> = requests[0].lines().collect();
    assert_eq!(lines[0], "GET / HTTP/1.1");
    assert!(lines.iter().any(|line| line.starts_with("host: 127.0.0.1:")), "{lines:?}");
    assert!(lines.contains(&"connection: close"), "{lines:?}");
}

#[test]
fn what_cannot_be_asked_is_a_failure_too() {
    for path in ["index.html", "", "/a b", "/\r\nX: y"] {
        assert_eq!(verdict(get(&[path]), &[b""]), Err(Failure::BadRequest(path.into())), "{path:?}");
    }
    let mut bad_host = get(&["/"]);
    bad_host.virtual_host = Some("a\r\nb".into());
    assert_eq!(verdict(bad_host, &[b""]), Err(Failure::BadRequest("/".into())));
}
