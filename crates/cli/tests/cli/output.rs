//! Where output goes: pipes that close, full disks, shells.

use crate::run::{Ran, command, finish, legwork, wait};
use crate::world::World;
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

/// Runs with a stdout that nobody reads.
fn unread(mut command: Command) -> (i32, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let code = wait(&mut child);
    let mut err = String::new();
    child.stderr.take().expect("stderr is piped").read_to_string(&mut err).expect("UTF-8");
    (code, err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_left_is_no_error() {
    let world = World::new().await;
    for n in 0..50 {
        world.put("a.job", &n.to_string()).await;
    }
    let url = world.url.as_str();
    let all: [&[&str]; 6] = [
        &["--url", url, "jobs", "--limit", "51"],
        &["--url", url, "jobs", "--json"],
        &["--url", url, "queues"],
        &["completions", "zsh"],
        &["--help"],
        &["--version"],
    ];
    for args in all {
        assert_eq!(unread(command(args)), (0, String::new()), "{args:?}");
    }
    // What failed still fails.
    let id = legwork::JobId::new().to_string();
    let (code, err) = unread(command(&["--url", url, "cancel", &id]));
    assert_eq!((code, err.as_str()), (1, "legwork: 1 of 1 job not cancelled\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let world = World::new().await;
    let mut child = command(&["--url", &world.url, "queues"]);
    let mut child = child.stdout(full).stderr(Stdio::piped()).spawn().expect("the binary starts");
    assert_eq!(wait(&mut child), 1);
    let mut err = String::new();
    child.stderr.take().expect("stderr is piped").read_to_string(&mut err).expect("UTF-8");
    assert!(err.starts_with("legwork: stdout: "), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_plain_text() {
    let world = World::new().await;
    world.client.pause("default").await.expect("paused");
    let id = world.put("a.job", &format!("\"{}\"", "long ".repeat(100))).await.to_string();
    for args in [&["queues"][..], &["jobs"], &["job", &id], &["stats"], &["discard", &id]] {
        let ran = world.cli(args);
        assert!(!ran.good().contains('\u{1b}'), "{ran:?}");
        assert!(ran.out.lines().all(|l| l.trim_end() == l), "{ran:?}");
    }
    assert!(world.cli(&["job", &id]).out.contains(&"long ".repeat(100)), "a payload is wrapped in a pipe");
}

/// Runs on a terminal of its own, through util-linux' `script`.
fn on_a_terminal(line: &str, url: &str, env: &[(&str, &str)]) -> Option<Ran> {
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no script(1)");
        return None;
    }
    let mut script = Command::new("script");
    let line = format!("stty cols 80; exec {} {line}", env!("CARGO_BIN_EXE_legwork"));
    script
        .args(["-qec", &line, "/dev/null"])
        .env("LEGWORK_URL", url)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    script.envs(env.iter().copied()).stdin(Stdio::null());
    Some(finish(script))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_colours_and_its_own_width() {
    let world = World::new().await;
    world.client.pause("default").await.expect("paused");
    let id =
        world.client.enqueue_raw("a.job", &format!("\"{}\"", "long ".repeat(60))).await.expect("enqueued").id;
    let Some(ran) = on_a_terminal("queues", &world.url, &[]) else {
        return;
    };
    assert!(ran.good().contains("\u{1b}["), "{ran:?}");
    for env in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        for line in ["queues", "jobs", "stats", &format!("job {id}")] {
            let ran = on_a_terminal(line, &world.url, &[env]).expect("script(1) was there");
            assert!(!ran.good().contains('\u{1b}'), "{ran:?}");
            assert!(ran.out.lines().all(|l| l.chars().count() <= 80), "{ran:?}");
        }
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = legwork(&["completions", shell]);
        assert!(ran.good().contains("enqueue") && ran.good().contains("max-attempts"), "{shell}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let help = legwork(&["--help"]);
    let commands = [
        "queues",
        "jobs",
        "job",
        "enqueue",
        "retry",
        "cancel",
        "discard",
        "pause",
        "resume",
        "purge",
        "workers",
        "schedules",
        "stats",
        "completions",
    ];
    for command in commands {
        assert!(help.good().contains(&format!("\n  {command} ")), "{command}");
        let ran = legwork(&[command, "--help"]);
        assert!(ran.good().contains(&format!("Example: legwork {command}")), "{ran:?}");
    }
    assert!(help.out.contains("Exit codes: 0 done, 1 "));
}
