//! One command, one function; one concern, one file.

mod accounts;
mod bulk;
mod cancel;
mod control;
mod doctor;
mod enqueue;
mod errors;
mod events;
mod flows;
mod job;
mod jobs;
mod keys;
mod limits;
mod outbox;
mod queues;
mod rules;
mod schedules;
mod stats;
mod unique;
mod versions;
mod worker;
mod workers;

use crate::args::{Args, Cancel, Command};
use crate::out::{Color, Out};
use crate::problem::{Exit, Problem};
use crate::words::shown;
use clap::CommandFactory;
use legwork::backend::Action;
use legwork::{Client, ClientOptions, Durability, Snapshot, State};
use serde::Deserialize;
use std::time::Duration;

/// How long to wait for a backend before it counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) use limits::Limits;
pub(crate) use rules::Rules;
pub(crate) use unique::Uniqueness;

type Done = Result<(), Problem>;

/// Checks what can be checked without a queue, connects, and does what was asked.
pub(crate) async fn run(mut args: Args, out: &mut Out) -> Done {
    match &args.command {
        Command::Completions { shell } => return completions(*shell, out),
        Command::Acl(account) => return accounts::print(args.url.as_deref(), account, out),
        _ => {}
    }
    let url = args.url.as_deref().filter(|url| !url.trim().is_empty()).ok_or_else(|| {
        Problem::new(
            Exit::Usage,
            "usage",
            "which queue? Give --url or set LEGWORK_URL, as redis://localhost or sqlite:path.db",
        )
    })?;
    match &mut args.command {
        Command::Migrate { tidy } => return accounts::migrate(url, *tidy, out).await,
        Command::Enqueue(what) => enqueue::check(what)?,
        Command::Retry(which) | Command::Cancel(Cancel { ids: which, .. }) | Command::Discard(which) => {
            bulk::check(which)?;
            must_exist("url", url)?;
        }
        Command::Pause(_) | Command::Queue(Rules::Set(_)) | Command::Subscribe(_) => {}
        Command::Publish { .. } => {}
        Command::Limit(limits) if limits.sets() => {}
        _ => must_exist("url", url)?,
    }
    if let Command::Doctor(what) = &args.command {
        return doctor::act(url, what, out).await;
    }
    let keys = keys::Keys::read(args.key_file.as_deref(), args.sign_key_file.as_deref())?;
    let client = keys.given_to(&connect(url).await?, &args.command);
    act(&client, args.command, out).await
}

async fn act(client: &Client, command: Command, out: &mut Out) -> Done {
    match command {
        Command::Queues => queues::list(client, out).await,
        Command::Queue(what) => rules::act(client, what, out).await,
        Command::Limits => limits::list(client, out).await,
        Command::Limit(what) => limits::act(client, what, out).await,
        Command::Jobs(which) => jobs::list(client, which, out).await,
        Command::Job { id } => job::tell(client, id, out).await,
        Command::Enqueue(what) => enqueue::enqueue(client, what, out).await,
        Command::Errors { limit } => errors::list(client, limit, out).await,
        Command::Retry(which) => bulk::act(client, which, Action::Retry, out).await,
        Command::Cancel(Cancel { ids, wait: Some(most) }) => {
            cancel::and_wait(client, &ids.ids, most, out).await
        }
        Command::Cancel(which) => bulk::act(client, which.ids, Action::Cancel, out).await,
        Command::Discard(which) => bulk::act(client, which, Action::Discard, out).await,
        Command::Pause(pause) => queues::pause(client, pause, out).await,
        Command::Resume(queue) => queues::resume(client, &queue.name, out).await,
        Command::Purge { queue, yes, dry_run } => queues::purge(client, &queue.name, yes, dry_run, out).await,
        Command::Workers => workers::list(client, out).await,
        Command::Worker(order) => worker::order(client, order, out).await,
        Command::Versions => versions::list(client, out).await,
        Command::Schedules => schedules::list(client, out).await,
        Command::Flows { limit } => flows::list(client, limit, out).await,
        Command::Flow { act, id } => flows::flow(client, act, id, out).await,
        Command::Subscribers => events::list(client, out).await,
        Command::Subscribe(what) => events::subscribe(client, what, out).await,
        Command::Unsubscribe(what) => events::unsubscribe(client, what, out).await,
        Command::Publish { topic, payload } => events::publish(client, &topic, &payload, out).await,
        Command::Outbox { database, hand_over } => outbox::tell(client, &database, hand_over, out).await,
        Command::Stats => stats::tell(client, out).await,
        Command::Completions { shell } => completions(shell, out),
        // They connect to no queue, or in their own way.
        Command::Acl(_) | Command::Migrate { .. } | Command::Doctor(_) => Ok(()),
    }
}

async fn connect(url: &str) -> Result<Client, Problem> {
    connect_with(url, None).await
}

async fn connect_with(url: &str, durability: Option<Durability>) -> Result<Client, Problem> {
    if url.starts_with("redis") && has_encoded_control(url) {
        return Err(Problem::invalid("url: holds an encoded control character, as %0d"));
    }
    let options = ClientOptions { patience: PATIENCE, durability, ..ClientOptions::default() };
    match tokio::time::timeout(PATIENCE, Client::connect_with(url, options)).await {
        Ok(client) => Ok(client?),
        Err(_) => Err(Problem::unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Whether a percent escape stands for a control character: no user, password or socket
/// has one, and what follows a line break could be taken for a command.
fn has_encoded_control(url: &str) -> bool {
    url.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        code.is_some_and(|code| code.is_ascii_control())
    })
}

/// Refuses the URL of an SQLite file that is not there: connecting would make it, and a
/// mistyped path would look like an empty queue.
fn must_exist(field: &str, url: &str) -> Done {
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Ok(());
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or_default();
    let folder = std::path::Path::new(path).parent().filter(|p| !p.as_os_str().is_empty());
    // A missing directory is refused by the library, whatever the command.
    let nowhere = folder.is_some_and(|folder| !folder.is_dir());
    if path.is_empty() || path == ":memory:" || nowhere || std::fs::exists(path).unwrap_or(true) {
        return Ok(());
    }
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    Err(Problem::unreachable(format!("{field}: there is no file {}", whole.display())))
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

/// Where a worker runs, as `host:pid`, or that it is not heard of any more.
fn place(worker: &str, seen: &Snapshot) -> String {
    match seen.workers.iter().find(|w| w.id == worker) {
        Some(w) => format!("{}:{}", shown(&w.host), w.pid),
        None => format!("lost worker {}", shown(worker)),
    }
}

/// Share and note as a handler gives them; any other JSON as it is.
fn progress(text: &str) -> String {
    #[derive(Deserialize)]
    struct Progress {
        share: f64,
        note: String,
    }
    match serde_json::from_str::<Progress>(text) {
        Ok(p) => format!("{:.0} % {}", p.share * 100.0, shown(&p.note)),
        Err(_) => shown(&keys::result(text)),
    }
}
