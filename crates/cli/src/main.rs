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

fn main() -> ExitCode {
    let given: Vec<OsString> = std::env::args_os().collect();
    let json = given.iter().take_while(|a| *a != "--").any(|a| a == "--json");
    let exit = match Args::try_parse_from(given) {
        Ok(args) => act(args),
        Err(e) => problem::usage(&e, json),
    };
    exit.into()
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
