//! `decapsulate NAME`: takes IP out of IP by the TUN device NAME until it is killed. For the real servers of the demo.

#![allow(unreachable_pub, reason = "the module is shared with tests")]

#[path = "decapsulate.rs"]
mod decapsulate;

use std::process::ExitCode;

use decapsulate::Decapsulator;

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        eprintln!("usage: decapsulate NAME");
        return ExitCode::from(2);
    };
    match Decapsulator::start(&name) {
        Ok(_running) => loop {
            std::thread::park();
        },
        Err(error) => {
            eprintln!("decapsulate: {error}");
            ExitCode::FAILURE
        }
    }
}
