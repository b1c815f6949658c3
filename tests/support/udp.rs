//! A UDP service: every datagram is answered with the server's name and what was sent.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::netns::Namespace;
use super::shared;

/// The longest datagram.
const LONGEST: usize = 65536;

/// An echo that runs until it is dropped.
pub struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Listens on `address` in `host`.
    pub fn start(host: &Namespace, name: &str, address: SocketAddr) -> Self {
        let socket = host.enter(|| UdpSocket::bind(address)).expect("the address is free");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("it is not zero");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; LONGEST];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    let _ = socket.send_to(format!("{name} {text}").as_bytes(), from);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Sends `text` from a new socket and gives the answer, which must come from the address that was asked. Must run
/// inside the client's namespace.
pub fn ask(from: SocketAddr, to: SocketAddr, text: &str) -> std::io::Result<String> {
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(shared(Duration::from_secs(3))))?;
    socket.connect(to)?; // the kernel then refuses answers from elsewhere
    socket.send(text.as_bytes())?;
    let mut buffer = vec![0; LONGEST];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
