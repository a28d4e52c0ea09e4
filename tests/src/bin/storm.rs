//! The storm: `storm [full|short|tiny] [SEED]`. Exit code 0 when nothing that was promised is
//! broken, 1 when something is, 2 for a mistake on the command line.

use clap::{Parser, ValueEnum};
use legwork::testing::server::TestServer;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tests::storm::{On, Plan, Wrong, storm};
use tests::totalq::Report;

/// Kills workers and servers, stops workers, cuts connections, and says what became of every job.
#[derive(Parser)]
struct Options {
    /// How much
    #[arg(value_enum, default_value = "full")]
    size: Size,
    /// Where chance begins: the same seed injects the same faults in the same order
    #[arg(default_value_t = 1)]
    seed: u64,
    /// redis (one of its own) or sqlite
    #[arg(long, value_enum, default_value = "redis")]
    backend: Kind,
    #[arg(long)]
    jobs: Option<u64>,
    #[arg(long)]
    workers: Option<usize>,
    #[arg(long)]
    slots: Option<usize>,
    #[arg(long)]
    kills: Option<usize>,
    #[arg(long)]
    zombies: Option<usize>,
    #[arg(long)]
    server_kills: Option<usize>,
    /// For how many milliseconds at least a killed server is away
    #[arg(long)]
    away: Option<u64>,
    #[arg(long)]
    cuts: Option<usize>,
    #[arg(long)]
    flushes: Option<usize>,
    /// Jobs that kill their worker
    #[arg(long)]
    poison: Option<u64>,
    /// A lease, in milliseconds
    #[arg(long)]
    lease: Option<u64>,
    /// How long a job works, in milliseconds
    #[arg(long)]
    work: Option<u64>,
    /// Handlers block their thread
    #[arg(long)]
    block: bool,
    /// When Redis syncs its AOF: always or everysec
    #[arg(long)]
    fsync: Option<String>,
    /// How the queue is broken on purpose
    #[arg(long, value_enum)]
    wrong: Option<Wrong>,
    /// Leaves the ledger in this directory, for totalq
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Full,
    Short,
    Tiny,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Redis,
    Sqlite,
}

impl Options {
    fn plan(&self) -> Plan {
        let mut plan = match self.size {
            Size::Full => Plan::full(self.seed),
            Size::Short => Plan::short(self.seed),
            Size::Tiny => Plan::tiny(self.seed),
        };
        fn set<T: Copy>(field: &mut T, said: Option<T>) {
            *field = said.unwrap_or(*field);
        }
        plan.on = match self.backend {
            Kind::Redis => On::Redis,
            Kind::Sqlite => On::Sqlite,
        };
        set(&mut plan.jobs, self.jobs);
        set(&mut plan.workers, self.workers);
        set(&mut plan.slots, self.slots);
        set(&mut plan.kills, self.kills);
        set(&mut plan.zombies, self.zombies);
        set(&mut plan.server_kills, self.server_kills);
        set(&mut plan.cuts, self.cuts);
        set(&mut plan.flushes, self.flushes);
        set(&mut plan.poison, self.poison);
        set(&mut plan.away, self.away.map(Duration::from_millis));
        set(&mut plan.lease, self.lease.map(Duration::from_millis));
        set(&mut plan.work, self.work.map(Duration::from_millis));
        (plan.block, plan.wrong) = (self.block, self.wrong);
        plan.fsync = self.fsync.clone().unwrap_or(plan.fsync);
        plan
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,legwork=off".into()))
        .with_writer(std::io::stderr)
        .init();
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, orders] = &args[..]
        && word == "worker"
    {
        tests::storm::work(orders).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse();
    let plan = options.plan();
    if plan.on == On::Redis && TestServer::start().is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = tempfile::tempdir()?;
    let dir = options.ledger.clone().unwrap_or_else(|| kept.path().to_path_buf());
    std::fs::create_dir_all(&dir)?;
    let report = storm(&plan, &std::env::current_exe()?, &dir).await?;
    if options.json {
        println!("{}", report.json());
    } else {
        println!("{}\n{}\n{:#?}", Report::head(), report.row(), report);
    }
    for name in report.broken() {
        eprintln!("broken: {name}; seed {}", plan.seed);
    }
    Ok(ExitCode::from(u8::from(!report.broken().is_empty())))
}
