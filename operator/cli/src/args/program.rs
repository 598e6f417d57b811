//! What this command is called. `kubectl` runs a program on the `PATH` named `kubectl-storefront` as
//! `kubectl storefront`, and then every page of help must say so.

use std::{ffi::OsStr, path::Path};

use clap::{Command, CommandFactory as _};

use super::Arguments;

const OWN: &str = "storefront";
const PLUGIN: &str = "kubectl-storefront";
const AS_PLUGIN: &str = "kubectl storefront";

/// The command line of the program that was started by this name.
pub fn command(started_as: Option<&OsStr>) -> Command {
    let name = started_as.and_then(|path| Path::new(path).file_stem());
    let command = Arguments::command();
    if name == Some(OsStr::new(PLUGIN)) { renamed(command).bin_name(AS_PLUGIN) } else { command }
}

/// Examples with the other name, in every command below, too.
fn renamed(command: Command) -> Command {
    let texts = [command.get_after_help(), command.get_after_long_help()];
    let [short, long] = texts.map(|text| text.map(|text| of_plugin(&text.to_string())));
    let mut command = command;
    if let Some(text) = short {
        command = command.after_help(text);
    }
    if let Some(text) = long {
        command = command.after_long_help(text);
    }
    command.mut_subcommands(renamed)
}

/// Only where it is typed: not in the middle of a path or of a sentence.
fn of_plugin(text: &str) -> String {
    let typed = |text: &str, before: &str| {
        text.replace(&format!("{before}{OWN} "), &format!("{before}{AS_PLUGIN} "))
    };
    ["  ", "`", "| "].iter().fold(text.to_owned(), |text, before| typed(&text, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(started_as: &str, words: &[&str]) -> String {
        let words = [&[started_as], words, &["--help"]].concat();
        let found = command(Some(OsStr::new(started_as))).try_get_matches_from(words);
        found.unwrap_err().to_string()
    }

    #[test]
    fn a_plugin_of_kubectl_is_called_by_kubectl() {
        let text = help("/usr/local/bin/kubectl-storefront", &["status"]);
        assert!(text.contains("Usage: kubectl storefront status [OPTIONS] [NAME]"), "{text}");
        assert!(text.contains("    kubectl storefront status demo --watch"), "{text}");
        assert!(!text.contains("  storefront "), "{text}");
        let all = help("kubectl-storefront", &[]);
        assert!(all.contains("Usage: kubectl storefront <COMMAND>"), "{all}");
        assert!(all.contains("`kubectl storefront COMMAND --help`"), "{all}");
        let own = help("target/debug/storefront", &["status"]);
        assert!(
            own.contains("Usage: storefront status")
                && !own.contains("kubectl storefront status [O")
        );
    }

    #[test]
    fn every_command_of_the_plugin_is_well_formed() {
        command(Some(OsStr::new(PLUGIN))).debug_assert();
    }
}
