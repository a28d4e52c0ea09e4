//! Counts the instructions of the pure steps under valgrind's callgrind and compares them with
//! the numbers in `instructions.txt`: more than 5 % more is a failure, and a gain of as much is
//! told, to be written down by `legwork-hot --write`.
//!
//! Instructions, unlike time, are the same on a machine that is busy. They are those of one
//! compiler: another version of Rust may want new numbers.

#[path = "../steps.rs"]
mod steps;

use std::process::{Command, ExitCode};
use steps::STEPS;

const NUMBERS: &str = include_str!("../../instructions.txt");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const TURNS: usize = 2_000;
/// By how much a count may differ.
const SLACK: f64 = 0.05;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--write"] => write(),
        ["--step", number, turns] => step(number, turns),
        _ => {
            eprintln!("legwork-hot: nothing, or --write, is allowed");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("legwork-hot: {line}");
            ExitCode::from(1)
        }
    }
}

/// What runs under callgrind.
fn step(number: &str, turns: &str) -> Result<(), String> {
    let number: usize = number.parse().map_err(|_| "no number of a step")?;
    let (_, work) = STEPS.get(number).ok_or("no such step")?;
    work(turns.parse().map_err(|_| "no number of turns")?);
    Ok(())
}

/// The instructions of one turn of a step. What the process does besides falls out of the
/// difference of two runs.
fn count(number: usize) -> Result<f64, String> {
    let whole = |turns: usize| {
        let me = std::env::current_exe().map_err(|e| e.to_string())?;
        let run = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(me)
            .args(["--step", &number.to_string(), &turns.to_string()])
            .output()
            .map_err(|e| format!("valgrind cannot be started: {e}"))?;
        let text = String::from_utf8_lossy(&run.stderr).into_owned();
        let found = text.lines().find_map(|line| line.split_once("Collected : "));
        let found = found.and_then(|(_, n)| n.trim().parse::<f64>().ok());
        found.ok_or_else(|| format!("callgrind has counted nothing: {text}"))
    };
    Ok((whole(TURNS + 1)? - whole(1)?) / TURNS as f64)
}

/// Why nothing can be counted here.
fn hindrance() -> Option<&'static str> {
    if cfg!(debug_assertions) {
        return Some("only what is built with --release is counted");
    }
    let found = Command::new("valgrind").arg("--version").output().is_ok();
    (!found).then_some("valgrind is not installed")
}

fn compare() -> Result<(), String> {
    if let Some(why) = hindrance() {
        println!("skipped: {why}");
        return Ok(());
    }
    let mut wrong = Vec::new();
    for (number, (name, _)) in STEPS.iter().enumerate() {
        let known = NUMBERS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let known: f64 = known
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| format!("{PATH} has no number of {name:?}; write it with --write"))?;
        let found = count(number)?;
        let change = (found / known - 1.0) * 100.0;
        println!("{name}: {found:.0} instructions, {change:+.1} % of {known:.0}");
        if change > SLACK * 100.0 {
            wrong.push(format!("{name} {change:+.1} %"));
        } else if change < -SLACK * 100.0 {
            println!("{name}: a gain; write it down with --write");
        }
    }
    match wrong.len() {
        0 => Ok(()),
        _ => Err(format!(
            "{}: more than 5 % above {PATH} (of {}); if that is wanted: --write",
            wrong.join(", "),
            NUMBERS.lines().next().unwrap_or_default().trim_start_matches("# ")
        )),
    }
}

fn write() -> Result<(), String> {
    if let Some(why) = hindrance() {
        return Err(why.into());
    }
    let compiler = Command::new("rustc").arg("-V").output().map_err(|e| format!("rustc: {e}"))?;
    let mut text = format!("# {}\n", String::from_utf8_lossy(&compiler.stdout).trim());
    for (number, (name, _)) in STEPS.iter().enumerate() {
        text += &format!("{name}: {:.0}\n", count(number)?);
    }
    print!("{text}");
    std::fs::write(PATH, text).map_err(|e| format!("{PATH}: {e}"))
}
