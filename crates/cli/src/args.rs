//! The grammar of the command line.

use crate::parse;
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use legwork::backend::redis::Role;
use legwork::{JobId, LimitKey, State};
use std::path::PathBuf;
use std::time::Duration;

const CLOSING: &str = "\
Exit codes: 0 done, 1 not found, refused or in conflict, 2 wrong usage, 3 backend unreachable.
Errors are one line on stderr; with --json one object there: {\"error\":{\"code\":…,\"message\":…}}.
Times are relative for people and milliseconds since the epoch in JSON.

Example: legwork --url redis://localhost queues";

/// Inspects and steers any Legwork queue.
#[derive(Debug, Parser)]
#[command(name = "legwork", version, after_help = CLOSING, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Where the queue is: redis://host[:port][/db][?ns=name], redis+unix:///path.sock or
    /// sqlite:path.db
    #[arg(
        long,
        global = true,
        env = "LEGWORK_URL",
        hide_env_values = true,
        value_name = "URL",
        display_order = 100
    )]
    pub(crate) url: Option<String>,

    /// Prints JSON, one value on one line
    #[arg(long, global = true, display_order = 101)]
    pub(crate) json: bool,

    /// Opens sealed payloads and results, and seals what is enqueued: a file with a key a line,
    /// the newest first, each a name and 32 bytes in base64
    #[arg(
        long,
        global = true,
        env = "LEGWORK_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        display_order = 102
    )]
    pub(crate) key_file: Option<PathBuf>,

    /// Signs what is enqueued: a file as --key-file
    #[arg(
        long,
        global = true,
        env = "LEGWORK_SIGN_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        display_order = 103
    )]
    pub(crate) sign_key_file: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the queues, and says why one stands still
    #[command(after_help = "Example: legwork queues")]
    Queues,

    /// The rules of a queue: how many may wait, and what is kept
    #[command(subcommand)]
    Queue(crate::commands::Rules),

    /// Lists limits: what is in use, what waits, what is left
    #[command(after_help = "Example: legwork limits")]
    Limits,

    /// Sets what may run at once, and be spent in a span of time
    #[command(subcommand)]
    Limit(crate::commands::Limits),

    /// Lists jobs, the newest first
    #[command(after_help = "\
Ids, tags, metadata and errors have an index; by name, queue or time alone jobs are looked through.
Example: legwork jobs --state discarded --queue mail --since 2h --limit 10")]
    Jobs(Jobs),

    /// Lists the errors that most jobs have for their newest
    #[command(after_help = "Example: legwork errors; then legwork retry --error FINGERPRINT --dry-run")]
    Errors {
        /// At most this many, 1 to 1000
        #[arg(long, value_name = "N", default_value = "20", value_parser = parse::limit, allow_hyphen_values = true)]
        limit: usize,
    },

    /// Tells the whole story of a job
    #[command(after_help = "Example: legwork job 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00")]
    Job {
        /// The job's id
        #[arg(value_parser = parse::id)]
        id: JobId,
    },

    /// Enqueues a job by its name
    #[command(after_help = "\
Queue, priority and payload version are what workers have published for the name, unless said.
Example: legwork enqueue runs.fetch '{\"runner\":7}' --delay 10m --unique 'runner 7'")]
    Enqueue(Enqueue),

    /// Runs jobs now: waiting ones at once, finished ones once more
    #[command(
        visible_alias = "redrive",
        after_help = "Example: legwork retry 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00"
    )]
    Retry(Ids),

    /// Calls jobs off; of one that runs, its worker is asked to
    #[command(after_help = "Example: legwork cancel 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00 --wait")]
    Cancel(Cancel),

    /// Moves waiting jobs to the discarded ones, kept for inspection
    #[command(after_help = "Example: legwork discard 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00")]
    Discard(Ids),

    /// Pauses a queue: what runs goes on, nothing new starts
    #[command(after_help = "\
A pause that lasts longer stays as it is.
Example: legwork pause strava --for 15m")]
    Pause(Pause),

    /// Resumes a paused queue
    #[command(after_help = "Example: legwork resume strava")]
    Resume(Queue),

    /// Removes everything that waits in a queue, for good
    #[command(after_help = "Example: legwork purge mail --yes")]
    Purge {
        #[command(flatten)]
        queue: Queue,
        /// Does it; without, fails and says how many jobs would go
        #[arg(long)]
        yes: bool,
        /// Says how many jobs would go, and removes none
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
    },

    /// Lists the workers that run
    #[command(after_help = "Example: legwork workers")]
    Workers,

    /// Tells workers to take no more jobs, to go on, to stop, or to resize a group
    #[command(
        subcommand,
        after_help = "\
An order is kept until the worker has followed it, within about two seconds.
Example: legwork worker resize mail 8 --all --wait"
    )]
    Worker(WorkerOrder),

    /// Lists which versions of which payloads are queued, and who could run them
    #[command(after_help = "\
Parked jobs wait for a worker that knows their name and version, or has the key to them.
Example: legwork versions --json")]
    Versions,

    /// Lists the schedules, each with its next five instants
    #[command(after_help = "Example: legwork schedules")]
    Schedules,

    /// Lists the newest flows
    #[command(after_help = "Example: legwork flows --limit 5")]
    Flows {
        /// At most this many, 1 to 1000
        #[arg(long, value_name = "N", default_value = "50", value_parser = parse::limit, allow_hyphen_values = true)]
        limit: usize,
    },

    /// Shows a flow as a tree, cancels, mends or replays it
    #[command(
        args_conflicts_with_subcommands = true,
        arg_required_else_help = true,
        after_help = "Example: legwork flow 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00"
    )]
    Flow {
        #[command(subcommand)]
        act: Option<FlowAct>,
        /// The flow's id
        #[arg(value_parser = parse::id)]
        id: Option<JobId>,
    },

    /// Lists who is told of events
    #[command(after_help = "Example: legwork subscribers")]
    Subscribers,

    /// Lets a job be enqueued for every event whose topic fits
    #[command(after_help = "\
Topics are words with dots between; * stands for any one word, # at the end for any rest.
Example: legwork subscribe 'race.*' notify mail")]
    Subscribe(Subscription),

    /// Ends a subscription
    #[command(after_help = "Example: legwork unsubscribe 'race.*' notify mail")]
    Unsubscribe(Subscription),

    /// Publishes an event to all whose pattern fits
    #[command(after_help = "Example: legwork publish race.42 '{\"run\":7}'")]
    Publish {
        /// The topic
        topic: String,
        /// The payload, JSON
        #[arg(value_name = "JSON", allow_negative_numbers = true)]
        payload: String,
    },

    /// Tells what waits in an outbox, a table of the application's database, and hands it over
    #[command(after_help = "\
Rows that the queue cannot take say why in their column refused.
Example: legwork outbox sqlite:app.db")]
    Outbox {
        /// Where the outbox is: sqlite:app.db or postgres://host/db
        #[arg(env = "LEGWORK_OUTBOX", hide_env_values = true, value_name = "DATABASE")]
        database: String,
        /// Hands over all that waits now, whoever's turn it is
        #[arg(long)]
        hand_over: bool,
    },

    /// Totals by state, by queue, and of workers
    #[command(after_help = "Example: legwork stats --json")]
    Stats,

    /// Checks up the server, the workers, the queues and what must hold of all jobs
    #[command(after_help = "\
Exit codes: 0 healthy (there may be notes), 1 findings, 3 backend unreachable.
Without --fix nothing is changed: it says what would be mended.
Example: legwork doctor --accept CVE-2024-46981; then legwork doctor --fix")]
    Doctor(Doctor),

    /// Prints the ACL lines of a Redis account for one role or several
    #[command(after_help = "\
Roles: producer, worker, scheduler, viewer, operator, migrator. Nothing is connected to: the URL says
the namespace, and what else the account needs (?scripts=functions, ?durability=…, sentinels, a cluster).
The scripts of this version are named one by one: set the lines of a new version, with --add while
the old one still runs, before its programs start.
Example: legwork --url 'redis://h?ns=shop' acl worker --password-hash $(printf %s \"$PW\" | sha256sum | cut -c1-64)")]
    Acl(Acl),

    /// Prepares a namespace in Redis: its version, and the functions of ?scripts=functions
    #[command(after_help = "Example: legwork --url redis://migrator@localhost migrate")]
    Migrate {
        /// Removes the functions of other versions; when no program uses them any more
        #[arg(long)]
        tidy: bool,
    },

    /// Prints a completion script for a shell
    #[command(
        after_help = "Example: legwork completions bash > ~/.local/share/bash-completion/completions/legwork"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Mends what can be mended
    #[arg(long)]
    pub(crate) fix: bool,
    /// Looks at all jobs also where there are more than 50,000: it holds up Redis meanwhile
    #[arg(long)]
    pub(crate) deep: bool,
    /// Takes this hole of the server for mended: distributions mend one without a new version
    /// number. Several with commas, or given several times
    #[arg(long, value_name = "CVE", value_parser = parse::cve, value_delimiter = ',')]
    pub(crate) accept: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Acl {
    /// What the account is for
    #[arg(value_name = "ROLE", required = true, value_parser = parse::role)]
    pub(crate) roles: Vec<Role>,
    /// The server's version
    #[arg(long, value_name = "X.Y", default_value = "7.0", value_parser = parse::version)]
    pub(crate) server_version: (u32, u32),
    /// The account's name, else legwork-ROLE
    #[arg(long, value_name = "NAME", value_parser = parse::user)]
    pub(crate) user: Option<String>,
    /// The SHA-256 of its password, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = parse::sha256)]
    pub(crate) password_hash: Option<String>,
    /// Adds to what the account may do already, for as long as two versions run
    #[arg(long)]
    pub(crate) add: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerOrder {
    /// Takes no more jobs and finishes what it holds
    Quiet(Who),
    /// Takes jobs again
    Resume(Who),
    /// Takes no more, drains, and ends
    Stop(Who),
    /// Gives a group of queues another number of permits
    Resize {
        /// The group: its own name, or that of a queue served alone
        #[arg(value_name = "GROUP", value_parser = parse::queue)]
        group: String,
        /// How many of its jobs may run at a time, 1 to 10000
        #[arg(value_name = "PERMITS", value_parser = parse::permits, allow_hyphen_values = true)]
        permits: usize,
        #[command(flatten)]
        who: Who,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowAct {
    /// Cancels what waits; of what runs, its worker is asked to
    #[command(after_help = "Example: legwork flow cancel 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00")]
    Cancel {
        /// The flow's id
        #[arg(value_parser = parse::id)]
        id: JobId,
    },
    /// Derives again what its nodes wait for, so that one that is stuck goes on
    #[command(after_help = "Example: legwork flow mend 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00")]
    Mend {
        /// The flow's id
        #[arg(value_parser = parse::id)]
        id: JobId,
    },
    /// Starts a new flow of a node and all that stand behind it
    #[command(after_help = "\
Example: legwork flow replay 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e01")]
    Replay {
        /// The flow's id
        #[arg(value_parser = parse::id)]
        id: JobId,
        /// The node's id
        #[arg(value_parser = parse::id)]
        node: JobId,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// The workers' ids
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// All workers that run; of a resize, all that have the group
    #[arg(long)]
    pub(crate) all: bool,
    /// Waits until they have followed, for at most this long (60s unless said)
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "60s", require_equals = true, value_parser = parse::delay)]
    pub(crate) wait: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Subscription {
    /// The topics
    pub(crate) pattern: String,
    /// The job's name
    #[arg(value_parser = parse::name)]
    pub(crate) job: String,
    /// Its queue
    #[arg(value_parser = parse::queue, default_value = "default")]
    pub(crate) queue: String,
}

/// Which jobs: those that fit everything said.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Only jobs in this state: scheduled, available, leased, retryable, blocked,
    /// succeeded, discarded or cancelled
    #[arg(long, value_name = "STATE", value_parser = parse::state)]
    pub(crate) state: Option<State>,
    /// Only jobs of this queue
    #[arg(long, value_name = "QUEUE", value_parser = parse::queue)]
    pub(crate) queue: Option<String>,
    /// Only jobs of this name
    #[arg(long, value_name = "NAME", value_parser = parse::name)]
    pub(crate) name: Option<String>,
    /// Only jobs with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Only jobs with this key in their metadata, and this value where one is said
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = parse::meta)]
    pub(crate) meta: Option<(String, Option<String>)>,
    /// Only jobs made since: an instant (RFC 3339), or how long ago (2h)
    #[arg(long, value_name = "TIME", value_parser = parse::since, allow_hyphen_values = true)]
    pub(crate) since: Option<DateTime<Utc>>,
    /// Only jobs made before: an instant (RFC 3339), or how long ago (2h)
    #[arg(long, value_name = "TIME", value_parser = parse::before, allow_hyphen_values = true)]
    pub(crate) until: Option<DateTime<Utc>>,
    /// Only jobs whose newest error has this fingerprint (see legwork errors)
    #[arg(long, value_name = "FINGERPRINT", value_parser = parse::fingerprint)]
    pub(crate) error: Option<String>,
    /// Go on behind a page: the cursor that it gave; start for the first page
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Jobs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// At most this many, 1 to 1000
    #[arg(long, value_name = "N", default_value = "50", value_parser = parse::limit, allow_hyphen_values = true)]
    pub(crate) limit: usize,
    /// All of them, page by page; with --json one job a line
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Enqueue {
    /// The job's name
    #[arg(value_parser = parse::name)]
    pub(crate) name: String,
    /// The payload, JSON; - reads it from stdin
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) payload: String,
    /// Another queue than the name's own
    #[arg(long, value_name = "QUEUE", value_parser = parse::queue)]
    pub(crate) queue: Option<String>,
    /// Due after this wait: 500ms, 5s, 10m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse::delay, allow_hyphen_values = true)]
    pub(crate) delay: Option<Duration>,
    /// Due at this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", conflicts_with = "delay", value_parser = parse::at)]
    pub(crate) at: Option<DateTime<Utc>>,
    /// 0 (first) to 9 (last)
    #[arg(long, value_name = "N", value_parser = parse::priority, allow_hyphen_values = true)]
    pub(crate) priority: Option<u8>,
    /// An id of your own choosing (a UUID): enqueuing it twice makes one job
    #[arg(long, value_name = "ID", value_parser = parse::id)]
    pub(crate) id: Option<JobId>,
    #[command(flatten)]
    pub(crate) unique: crate::commands::Uniqueness,
    /// Not to be started later than this from now: 30s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse::time, allow_hyphen_values = true)]
    pub(crate) expires_in: Option<Duration>,
    /// At most one job with this key runs at a time
    #[arg(long, value_name = "KEY")]
    pub(crate) serial: Option<String>,
    /// Runs under this limit with this key, which has a rule or takes turns: strava.athlete/7
    #[arg(long, value_name = "NAME/KEY", value_parser = parse::limit_key, conflicts_with = "serial")]
    pub(crate) limit: Option<LimitKey>,
    /// What it spends of the rates of its limits, 1 to 1000000
    #[arg(long, value_name = "N", value_parser = parse::cost, allow_hyphen_values = true)]
    pub(crate) cost: Option<u32>,
    /// A tag to find it by; may be said several times
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Metadata to find it by; may be said several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::label)]
    pub(crate) meta: Vec<(String, String)>,
    /// Another number of attempts than the name's own
    #[arg(long, value_name = "N", value_parser = parse::attempts, allow_hyphen_values = true)]
    pub(crate) max_attempts: Option<u32>,
    /// Also a name that no worker knows
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ids {
    /// The jobs' ids; or say which by the options
    #[arg(value_name = "ID", value_parser = parse::id)]
    pub(crate) ids: Vec<JobId>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Does it to all jobs that fit the options; without, says how many there are
    #[arg(long)]
    pub(crate) yes: bool,
    /// Says how many jobs fit the options, and does nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) ids: Ids,
    /// Waits until what runs has ended: 30 s, or so long; only with <ID>s
    #[arg(
        long,
        value_name = "TIME",
        value_parser = parse::delay,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s",
        requires = "ids",
        conflicts_with_all = ["state", "queue", "name", "tag", "meta", "since", "until", "error", "cursor", "dry_run"]
    )]
    pub(crate) wait: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Queue {
    /// The queue
    #[arg(value_name = "QUEUE", value_parser = parse::queue)]
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) queue: Queue,
    /// For this long: 90s, 15m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = parse::pause, allow_hyphen_values = true)]
    pub(crate) span: Option<Duration>,
    /// Until this instant, RFC 3339
    #[arg(long, value_name = "INSTANT", conflicts_with = "span", value_parser = parse::until)]
    pub(crate) until: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_grammar_is_sound() {
        <super::Args as clap::CommandFactory>::command().debug_assert();
    }
}
