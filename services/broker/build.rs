//! Builds the Go half of the broker into a static archive, only when the feature `embedded` is on.

use std::{env, path::PathBuf, process::Command};

const GO_MINIMUM: (u32, u32) = (1, 26); // go/go.mod names the same
const ARCHIVE: &str = "storefront_broker_go";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_none() {
        return;
    }
    if let Err(problem) = build() {
        // Cargo fails the build for these lines by itself; a failing exit would bury them in a dump.
        for line in problem.lines().chain([
            "the embedded broker needs Go 1.26 or later (https://go.dev/dl) and a C compiler.",
            "Without Go: build with --no-default-features and give `storefront dev` a broker with \
             --kafka BROKERS.",
        ]) {
            println!("cargo::error={line}");
        }
    }
}

fn build() -> Result<(), String> {
    for file in ["main.go", "log.go", "go.mod", "go.sum"] {
        println!("cargo::rerun-if-changed=go/{file}");
    }
    for name in ["CC", "CGO_CFLAGS", "GOFLAGS"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let (system, machine) = (goos()?, goarch()?);
    check_version()?;
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    let output = go(["build", "-buildmode=c-archive", "-trimpath", "-ldflags=-s -w"])
        // Without these tags Go would resolve names and users through libc, for which nothing here asks.
        .arg("-tags=netgo,osusergo")
        .arg("-o")
        .arg(folder.join(format!("lib{ARCHIVE}.a")))
        .arg(".")
        .envs([("CGO_ENABLED", "1"), ("GOOS", system), ("GOARCH", machine)])
        .output()
        .map_err(|error| format!("could not run go: {error}"))?;
    if !output.status.success() {
        return Err(format!("go build failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static={ARCHIVE}");
    if system == "darwin" {
        println!("cargo::rustc-link-lib=framework=CoreFoundation");
        println!("cargo::rustc-link-lib=framework=Security");
    }
    Ok(())
}

/// Asked inside the module, so that a Go which fetches newer toolchains by itself may do so.
fn check_version() -> Result<(), String> {
    let output = go(["env", "GOVERSION"]).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "`go` was not found in PATH.".to_owned(),
        _ => format!("could not run go: {error}"),
    })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let mut numbers = found.trim_start_matches("go").split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or(0)
    });
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < GO_MINIMUM {
        return Err(format!("the `go` in PATH is {found}, which is too old."));
    }
    Ok(())
}

fn go<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new("go");
    command.current_dir("go").args(arguments);
    command
}

fn goos() -> Result<&'static str, String> {
    match target("OS").as_str() {
        "linux" => Ok("linux"),
        "macos" => Ok("darwin"),
        other => Err(format!("the embedded broker does not run on {other}.")),
    }
}

fn goarch() -> Result<&'static str, String> {
    match target("ARCH").as_str() {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => Err(format!("the embedded broker does not run on {other} processors.")),
    }
}

fn target(what: &str) -> String {
    env::var_os(format!("CARGO_CFG_TARGET_{what}"))
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
