//! What benches share: where they run, what a process has used, and the document that they write.

use std::{fs, path::Path, thread};

use anyhow::Context;

/// Of the kernel's clock for processes, a second (`sysconf(_SC_CLK_TCK)` on every Linux that runs Rust).
const TICKS: f64 = 100.0;

/// What a process, or several together, have used until now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of a core.
    pub cpu_s: f64,
    /// Resident, now.
    pub memory_mb: f64,
    /// Resident, the largest so far.
    pub peak_mb: f64,
}

impl Usage {
    /// Of the processes with these ids. One that has ended counts nothing: its time is its parent's now.
    pub fn of(processes: impl IntoIterator<Item = u32>) -> anyhow::Result<Self> {
        let mut sum = Self::default();
        for id in processes {
            let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
            let Ok(status) = fs::read_to_string(format!("/proc/{id}/status")) else { continue };
            // proc(5): after the name in parentheses, utime and stime are the 12th and 13th.
            let fields: Vec<_> =
                stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
            let (user, system) = ticks(11).zip(ticks(12)).context("no times in /proc/PID/stat")?;
            sum.cpu_s += (user + system) / TICKS;
            sum.memory_mb += megabytes(&status, "VmRSS:");
            sum.peak_mb += megabytes(&status, "VmHWM:");
        }
        Ok(sum)
    }
}

fn megabytes(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// How many cores the machine has, those too that this process may not use.
pub fn cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let all = text.lines().filter(|line| line.starts_with("processor")).count();
    all.max(thread::available_parallelism().map_or(1, usize::from))
}

/// For the head of a table.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{} cores of {}", cores(), model.map_or("some CPU", |model| model.1))
}

/// Puts a section, which begins with its heading, in the place of the document's own of that heading, or at its end.
pub fn write_section(document: &Path, section: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(document).unwrap_or_else(|_| "# Benchmarks\n".into());
    fs::write(document, with_section(&text, section))?;
    Ok(())
}

fn with_section(document: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let (before, rest) = document.split_once(&format!("{heading}\n")).unwrap_or((document, ""));
    let after = rest.find("\n## ").map_or("", |at| &rest[at..]);
    format!("{}\n\n{}\n{after}", before.trim_end(), section.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_with_its_heading() {
        let document = "# Benchmarks\n\n## A\n\nold\n\n## B\n\nstays\n";
        let expected = "# Benchmarks\n\n## A\n\nnew\n\n## B\n\nstays\n";
        assert_eq!(with_section(document, "## A\n\nnew\n"), expected);
        assert_eq!(with_section(expected, "## A\n\nnew\n"), expected);
        assert_eq!(with_section("# Benchmarks\n", "## C\n\nx"), "# Benchmarks\n\n## C\n\nx\n");
    }

    #[test]
    fn a_process_uses_memory() {
        let usage = Usage::of([std::process::id()]).unwrap();
        assert!(usage.memory_mb > 1.0 && usage.peak_mb >= usage.memory_mb, "{usage:?}");
        assert!(Usage::of([u32::MAX]).unwrap().memory_mb < 1.0);
    }
}
