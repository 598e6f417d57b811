//! Free ports for servers that cannot report which one they took.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// Below the range from which Linux takes ports for outgoing connections (32768 and up), so that a
/// server which is killed finds its port free when it comes back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 100;

/// `N` different ports on which nobody listens now.
pub fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    for _ in 0..ATTEMPTS * N {
        if held.len() == N {
            break;
        }
        let port = fastrand::u16(RANGE);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|held| (port, held)));
    }
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    ports.try_into().ok().context("no free port found")
}
