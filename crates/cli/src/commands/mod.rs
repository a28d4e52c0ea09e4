//! One command, one function; one concern, one file.

mod control;
mod enqueue;
mod job;
mod jobs;
mod queues;
mod schedules;
mod stats;
mod workers;

use crate::args::{Args, Command};
use crate::out::{Color, Out};
use crate::problem::{Exit, Problem};
use clap::CommandFactory;
use legwork::{Client, ClientOptions, State};
use std::time::Duration;

/// How long to wait for a backend before it counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

type Done = Result<(), Problem>;

/// Checks what can be checked without a queue, connects, and does what was asked.
pub(crate) async fn run(mut args: Args, out: &mut Out) -> Done {
    if let Command::Completions { shell } = args.command {
        return completions(shell, out);
    }
    let url = args.url.as_deref().filter(|url| !url.trim().is_empty()).ok_or_else(|| {
        Problem::new(
            Exit::Usage,
            "usage",
            "which queue? Give --url or set LEGWORK_URL, as redis://localhost or sqlite:path.db",
        )
    })?;
    match &mut args.command {
        Command::Enqueue(what) => enqueue::check(what)?,
        Command::Pause(_) => {}
        _ => must_exist(url)?,
    }
    act(&connect(url).await?, args.command, out).await
}

async fn act(client: &Client, command: Command, out: &mut Out) -> Done {
    match command {
        Command::Queues => queues::list(client, out).await,
        Command::Jobs(which) => jobs::list(client, which, out).await,
        Command::Job { id } => job::tell(client, id, out).await,
        Command::Enqueue(what) => enqueue::enqueue(client, what, out).await,
        Command::Retry(ids) => control::retry(client, &ids.ids, out).await,
        Command::Cancel(ids) => control::cancel(client, &ids.ids, out).await,
        Command::Discard(ids) => control::discard(client, &ids.ids, out).await,
        Command::Pause(pause) => queues::pause(client, pause, out).await,
        Command::Resume(queue) => queues::resume(client, &queue.name, out).await,
        Command::Purge { queue, yes } => queues::purge(client, &queue.name, yes, out).await,
        Command::Workers => workers::list(client, out).await,
        Command::Schedules => schedules::list(client, out).await,
        Command::Stats => stats::tell(client, out).await,
        Command::Completions { shell } => completions(shell, out),
    }
}

async fn connect(url: &str) -> Result<Client, Problem> {
    let options = ClientOptions {
        patience: PATIENCE,
        ..ClientOptions::default()
    };
    match tokio::time::timeout(PATIENCE, Client::connect_with(url, options)).await {
        Ok(client) => Ok(client?),
        Err(_) => Err(Problem::unreachable(format!(
            "no answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// Refuses the URL of an SQLite file that is not there: connecting would make it, and a
/// mistyped path would look like an empty queue.
fn must_exist(url: &str) -> Done {
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Ok(());
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or_default();
    let folder = std::path::Path::new(path)
        .parent()
        .filter(|p| !p.as_os_str().is_empty());
    // A missing directory is refused by the library, whatever the command.
    let nowhere = folder.is_some_and(|folder| !folder.is_dir());
    if path.is_empty() || path == ":memory:" || nowhere || std::fs::exists(path).unwrap_or(true) {
        return Ok(());
    }
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    Err(Problem::unreachable(format!(
        "url: there is no file {}",
        whole.display()
    )))
}

fn completions(shell: clap_complete::Shell, out: &mut Out) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "legwork", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// How a state looks on a terminal.
fn colour(state: State) -> Option<Color> {
    match state {
        State::Leased => Some(Color::Cyan),
        State::Succeeded => Some(Color::Green),
        State::Retryable | State::Blocked => Some(Color::Yellow),
        State::Discarded => Some(Color::Red),
        State::Cancelled => Some(Color::DarkGrey),
        State::Scheduled | State::Available => None,
    }
}
