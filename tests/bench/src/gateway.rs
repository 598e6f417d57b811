//! The gateway beside nginx and beside Express: the same upstream, the same requests.

use std::fs;

use anyhow::Result;
use storefront_testkit::{free_ports, measure::machine};
use tempfile::TempDir;

use crate::{
    Options,
    load::{Busy, Measured, load, warm_up},
    node,
    process::{Core, Process},
    programs::{self, Service},
    report::{median, table, thousands},
};

/// Where distributions put it, which is in the path of root only.
const PROGRAM: &str = "/usr/sbin/nginx";
const CONNECTIONS: u32 = 32;
/// Each connection waits 0 to 4 ms after an answer: about as many requests for a fast side and one less fast, so
/// that their times can be compared. At its limit each is as slow as whoever asks makes it.
const THINKING: &str = "delay = function() return math.random(0, 4) end";
const PATH: &str = "/payment/verify?session_id=cs_test_a1b2c3d4e5f6";
const SIDES: [&str; 3] = ["gateway", "nginx", "Express"];

struct Round {
    /// As much as it bears.
    busy: Busy,
    thinking: Measured,
}

pub fn measure(options: &Options) -> Result<String> {
    let upstream = Nginx::start(Core::Other, include_str!("../load/upstream.conf"), "")?;
    let address = format!("127.0.0.1:{}", upstream.port);
    let mut rounds: [Vec<Round>; 3] = Default::default();
    for _ in 0..options.rounds {
        let mut service = gateway(&address)?;
        service.process.listening(service.http_port)?;
        rounds[0].push(round(&service.process, service.http_port, options)?);
        drop(service);
        let nginx = Nginx::start(Core::Measured, include_str!("../load/proxy.conf"), &address)?;
        rounds[1].push(round(&nginx.process, nginx.port, options)?);
        drop(nginx);
        let [port] = free_ports()?;
        let payment = ("PAYMENT_URL", format!("http://{address}/payment"));
        let mut express = node::start("gateway", &[("GATEWAY_PORT", port.to_string()), payment])?;
        express.listening(port)?;
        rounds[2].push(round(&express, port, options)?);
    }
    Ok(section(&rounds, options))
}

fn section(rounds: &[Vec<Round>; 3], options: &Options) -> String {
    let of = |side: usize, value: fn(&Round) -> f64| median(rounds[side].iter().map(value));
    let per_cpu_second = |side| of(side, |round| round.busy.per_cpu_second());
    let rows = SIDES.iter().enumerate().map(|(side, name)| {
        vec![
            (*name).to_owned(),
            thousands(per_cpu_second(side)),
            format!("{:.2}", per_cpu_second(0) / per_cpu_second(side)),
            thousands(of(side, |round| round.busy.per_second())),
            format!("{:.2} ms", of(side, |round| round.busy.load.p50_ms)),
            format!("{:.2} ms", of(side, |round| round.busy.load.p99_ms)),
            thousands(of(side, |round| round.thinking.per_second())),
            format!("{:.2} ms", of(side, |round| round.thinking.p50_ms)),
            format!("{:.2} ms", of(side, |round| round.thinking.p99_ms)),
            format!("{:.1} MB", of(side, |round| round.busy.end.peak_mb)),
        ]
    });
    let head = [
        "",
        "requests per CPU-second",
        "gateway's ratio",
        "requests a second",
        "p50",
        "p99",
        "with pauses, a second",
        "p50",
        "p99",
        "memory, peak",
    ];
    format!(
        "## The gateway\n\n`make bench-pipeline ONLY=gateway`: {PATH} on {CONNECTIONS} connections kept open, {} rounds of {} s, \
         medians; each side on one core of its own, one worker, the same nginx as upstream on another core with wrk, on {}. \
         First as fast as each answers; then with pauses of 0 to 4 ms on each connection, which gives all but Express about as \
         many.\n\n{}",
        options.rounds,
        options.seconds,
        machine(),
        table(&head, &rows.collect::<Vec<_>>())
    )
}

fn gateway(upstream: &str) -> Result<Service> {
    let routes = ("ROUTES", format!("/payment=payment@http://{upstream}"));
    programs::start("gateway", &[routes, ("PAGES", "false".into())])
}

fn round(process: &Process, port: u16, options: &Options) -> Result<Round> {
    let url = format!("http://127.0.0.1:{port}{PATH}");
    warm_up(&url, "", CONNECTIONS)?;
    let busy = Busy::measure(process, &url, "", CONNECTIONS, options.seconds)?;
    Ok(Round { busy, thinking: load(&url, THINKING, CONNECTIONS, options.seconds)? })
}

/// An nginx with one worker.
struct Nginx {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Nginx {
    fn start(core: Core, server: &str, upstream: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [port] = free_ports()?;
        let server = server.replace("{port}", &port.to_string()).replace("{upstream}", upstream);
        let path = folder.path().to_string_lossy();
        let text = include_str!("../load/nginx.conf")
            .replace("{server}", &server)
            .replace("{folder}", &path);
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text)?;
        let mut process = Process::start(core, &[PROGRAM, "-c", &file.to_string_lossy()], &[])?;
        process.listening(port)?;
        Ok(Self { process, port, _folder: folder })
    }
}
