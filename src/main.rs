//! The `ringmaster` command. Everything it does is in the library.

fn main() -> std::process::ExitCode {
    ringmaster::cli::main()
}
