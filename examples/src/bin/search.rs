//! Finding jobs by tag, metadata and error, and acting on all of them:
//! `cargo run -p examples --bin search`
use anyhow::ensure;
use legwork::backend::{Action, Filter};
use legwork::{Client, Context, Failure, Job, Policy, State, Worker};
use std::time::Duration;

#[derive(serde::Serialize, serde::Deserialize)]
struct Sync {
    athlete: u64,
}

impl Job for Sync {
    const NAME: &'static str = "example.sync";
    type Output = ();
    fn policy() -> Policy {
        Policy::default().queue("example-search").max_attempts(1)
    }
    fn meta(&self) -> Vec<(String, String)> {
        vec![("athlete".into(), self.athlete.to_string())]
    }
}

async fn sync(job: Sync, _cx: Context) -> Result<(), Failure> {
    match job.athlete % 3 {
        0 => Err(format!("athlete {} has revoked the token", job.athlete).into()),
        _ => Ok(()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let run = format!("run-{}", legwork::JobId::new()); // a tag of this run's own
    for athlete in 0..30 {
        jobs.enqueue(Sync { athlete }).tag(&run).await?;
    }
    let all = Filter { tag: Some(run), ..Filter::default() };
    let seventh = Filter { meta: Some(("athlete".into(), Some("7".into()))), ..all.clone() };
    ensure!(jobs.search(&seventh).await?.jobs.len() == 1, "one job is of athlete 7");

    let worker = Worker::new(jobs.clone(), ()).handle(sync).queue("example-search", 8).start().await?;
    let failed = Filter { state: Some(State::Discarded), ..all.clone() };
    let done = Filter { state: Some(State::Succeeded), ..all.clone() };
    let ended = async {
        while jobs.count(&failed).await? + jobs.count(&done).await? < 30 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await??;
    worker.stop().await;

    // Ten athletes, one error: numbers do not tell errors apart.
    let print = legwork::fingerprint("athlete 7 has revoked the token");
    let group = jobs.errors(50).await?.into_iter().find(|group| group.fingerprint == print);
    let group = group.ok_or_else(|| anyhow::anyhow!("the error is among the most frequent ones"))?;
    println!("{} jobs say: {}", group.count, group.error);

    let mut page = Filter { error: Some(print), limit: 4, ..failed };
    let (dry, mut seen, mut pages) = (jobs.count(&page).await?, 0, 0);
    loop {
        let (acted, cursor) = jobs.act_page(&page, Action::Retry).await?;
        (seen, pages) = (seen + acted.done, pages + 1);
        page.cursor = cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    println!("{dry} were counted, {seen} put back on {pages} pages");
    ensure!((dry, seen) == (10, 10), "each is put back once");
    ensure!(jobs.act(&all, Action::Cancel).await?.done == 10, "those that wait are called off");
    Ok(())
}
