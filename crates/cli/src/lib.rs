//! The command line that inspects and steers any Legwork queue by its URL. It knows no
//! application: what it says of a job it read from the queue.
//!
//! `args` is the grammar, `commands` one file a concern, `out` what reaches a terminal or
//! a pipe, `problem` what an error looks like and how the process then ends.

mod args;
mod commands;
mod json;
mod out;
mod parse;
mod problem;
mod words;

use args::Args;
use clap::Parser;
use out::Out;
use problem::{Exit, Problem};
use std::ffi::OsString;
use std::process::ExitCode;

/// What the program does with its arguments.
///
/// ```no_run
/// let exit: std::process::ExitCode = legwork_cli::main();
/// # let _ = exit;
/// ```
pub fn main() -> ExitCode {
    let given: Vec<OsString> = std::env::args_os().collect();
    let json = given.iter().take_while(|a| *a != "--").any(|a| a == "--json");
    let exit = match Args::try_parse_from(given) {
        Ok(args) => act(args),
        Err(e) => problem::usage(&e, json),
    };
    exit.into()
}

/// Reads the words behind the program's name and does nothing of what they say: how they are
/// understood, for who looks at a test, or the line of their refusal.
///
/// ```
/// let line = legwork_cli::understood(&["pause", "mail", "--for", "soon"]).unwrap_err();
/// assert!(line.starts_with("for: \"soon\" is not a duration"), "{line}");
/// assert!(legwork_cli::understood(&["pause", "mail", "--for", "10m"]).is_ok());
/// ```
///
/// # Errors
/// One line that names the field, what was wrong and what is allowed.
pub fn understood(words: &[&str]) -> Result<String, String> {
    let given = std::iter::once("legwork").chain(words.iter().copied());
    Args::try_parse_from(given).map(|args| format!("{args:?}")).map_err(|e| problem::one_line(&e))
}

/// Runs one command and writes what it has to say, also when it failed midway.
fn act(args: Args) -> Exit {
    let json = args.json;
    let mut out = Out::new(json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(args, &mut out)),
        Err(e) => Err(Problem::failed(format!("no runtime: {e}"))),
    };
    let written = out.write();
    match done.and(written) {
        Ok(()) => Exit::Good,
        Err(problem) => problem.tell(json),
    }
}
