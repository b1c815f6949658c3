//! What may happen.
//!
//! A step names its subjects by numbers that are taken modulo what there is, so that every sequence makes sense, and still
//! does with steps left out.

/// Which profile of options a sequence begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Kernel,
    Ringmaster,
}

impl Profile {
    pub fn of(seed: u64) -> Self {
        if seed.is_multiple_of(2) { Profile::Kernel } else { Profile::Ringmaster }
    }
}

/// What a packet is, whichever protocol it turns out to have.
#[derive(Clone, Copy, Debug)]
pub struct What {
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Type of the first chunk.
    pub chunk: u8,
    /// Bytes of TCP or UDP payload.
    pub payload: u16,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// A client sends to a destination.
    Client {
        client: usize,
        port: usize,
        to: usize,
        what: What,
    },
    /// The client of a connection goes on.
    Request {
        which: usize,
        what: What,
    },
    /// The server of a connection sends to its client, by way of the director whatever the method.
    Reply {
        which: usize,
        what: What,
    },
    /// The same from the virtual address, as servers behind DR and TUN answer.
    Direct {
        which: usize,
        what: What,
    },
    /// A server sends to a client without a connection.
    Stray {
        service: usize,
        server: usize,
        client: usize,
        port: usize,
        what: What,
    },
    /// Time passes, and the sweep comes by whenever something may have ended.
    Wait {
        ticks: u32,
    },
    /// Time passes without a sweep.
    Nap {
        ticks: u32,
    },
    /// A sweep.
    Sweep,
    /// Removed servers without connections are forgotten.
    Forget,
    Change(Change),
}

/// A service's settings.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub scheduler: &'static str,
    pub fallback: bool,
    pub port: bool,
    /// Timeout in seconds, and which of the granularities.
    pub persistence: Option<(u32, usize)>,
    pub one_packet: bool,
}

/// A server's settings.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub method: Method,
    pub weight: u32,
    pub upper: u32,
    pub lower: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Nat,
    Dr,
    Tun,
}

/// A service of a file, with its servers.
pub type FileService = (usize, Shape, Vec<(usize, Part)>);

#[derive(Clone, Debug)]
pub enum Change {
    AddService {
        service: usize,
        shape: Shape,
    },
    EditService {
        service: usize,
        shape: Shape,
    },
    DeleteService {
        service: usize,
    },
    Clear,
    AddServer {
        service: usize,
        server: usize,
        part: Part,
    },
    EditServer {
        service: usize,
        server: usize,
        part: Part,
    },
    Weight {
        service: usize,
        server: usize,
        weight: u32,
    },
    DeleteServer {
        service: usize,
        server: usize,
    },
    Zero {
        service: Option<usize>,
    },
    Timeouts {
        tcp: u32,
        tcp_fin: u32,
        udp: u32,
    },
    Set {
        option: &'static str,
        value: u32,
    },
    /// The whole configuration at once: for some services and servers, whether they are in it and with which weight.
    Reload {
        services: Vec<FileService>,
    },
}
