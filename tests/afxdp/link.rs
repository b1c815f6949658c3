//! A raw socket on an interface: sends and sees whole Ethernet frames, as a station on the wire would.

#![expect(unsafe_code, reason = "packet sockets have no safe binding to an interface")]

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const ETH_P_ALL: u16 = 3;

pub(crate) struct Link(Socket);

impl Link {
    /// Opens the interface of this index in the calling thread's namespace.
    pub(crate) fn open(index: u32) -> Self {
        let every = i32::from(ETH_P_ALL.to_be());
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(every))).unwrap();
        // SAFETY: the storage is large enough for any address, and is filled in as the family asks for.
        let (_, address) = unsafe {
            SockAddr::try_init(|storage, length| {
                let link = storage.cast::<libc::sockaddr_ll>();
                (*link).sll_family = libc::AF_PACKET as u16;
                (*link).sll_protocol = ETH_P_ALL.to_be();
                (*link).sll_ifindex = index as i32;
                *length = size_of::<libc::sockaddr_ll>() as u32;
                Ok(())
            })
        }
        .unwrap();
        socket.bind(&address).unwrap();
        socket.set_recv_buffer_size(16 << 20).unwrap();
        Self(socket)
    }

    /// Sends a frame; the kernel chooses the transmit queue by flow.
    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(self.0.send(frame).unwrap(), frame.len());
    }

    /// The next frame that passes `wanted`, of those that arrive before it has been quiet for `patience`.
    pub(crate) fn next(&self, patience: Duration, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        for _ in 0..100_000 {
            let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
            match self.0.recv(&mut buffer) {
                Ok(length) => {
                    // SAFETY: the kernel has filled in this many bytes.
                    let frame = buffer[..length].iter().map(|byte| unsafe { byte.assume_init() }).collect::<Vec<_>>();
                    if wanted(&frame) {
                        return Some(frame);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
        None
    }
}
