//! The services as they ship: built for release, told everything by their settings.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use storefront_testkit::free_ports;

use crate::process::{Core, Process};

/// A service on the measured core.
pub struct Service {
    pub process: Process,
    pub http_port: u16,
    pub admin_port: u16,
}

/// Starts a service and waits for nothing.
pub fn start(name: &str, environment: &[(&str, String)]) -> Result<Service> {
    let [http_port, admin_port] = free_ports()?;
    let mut all = vec![
        ("SHOP", "default/bench".to_owned()),
        ("HTTP_LISTEN", format!("127.0.0.1:{http_port}")),
        ("ADMIN_LISTEN", format!("127.0.0.1:{admin_port}")),
        ("DRAIN_MS", "0".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
    ];
    all.extend_from_slice(environment);
    let program = program(&format!("storefront-{name}"))?;
    let process = Process::start(Core::Measured, &[&program], &all)?;
    Ok(Service { process, http_port, admin_port })
}

/// A program that was built beside this one.
pub fn program(name: &str) -> Result<String> {
    let here = std::env::current_exe()?;
    let path: PathBuf = here.parent().context("no folder")?.join(name);
    anyhow::ensure!(
        fs::exists(&path)?,
        "{} is not built: `make bench-pipeline` does it",
        path.display()
    );
    Ok(path.to_string_lossy().into_owned())
}
