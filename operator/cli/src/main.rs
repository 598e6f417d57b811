//! The `storefront` command.

fn main() -> std::process::ExitCode {
    storefront::main()
}
