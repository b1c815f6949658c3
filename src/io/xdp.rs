//! xdp: to be written.
