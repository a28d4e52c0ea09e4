//! Everything in one process: web front, worker, scheduler and, without credentials, the
//! simulated Strava.

use crate::{Front, Simulator, simulator};
use legwork::shutdown_signal;
use runnerly::app::{Places, listen};
use runnerly_scheduler::{Times, scheduler};
use runnerly_web::WebOptions;
use runnerly_worker::{Concurrency, Recorder};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

pub(crate) async fn serve(
    mut places: Places,
    simulator: Simulator,
    front: Front,
    at: SocketAddr,
) -> anyhow::Result<()> {
    let Front { public_url, metrics_token } = front;
    let options = WebOptions { public_url, metrics_token, ..WebOptions::default() };
    options.check(at)?;
    // The port first: whoever starts a second one by mistake learns it before anything runs.
    let listener = listen(at).await?;
    let at = listener.local_addr()?;
    let recorder = Recorder::install()?;
    simulator.check(&places)?;
    let stores = places.open_stores().await?;
    let sim = simulator::stand_in(&mut places, &simulator).await?;
    let app = places.with(stores)?;

    let stop = CancellationToken::new();
    let running = runnerly_worker::start(app.clone(), Concurrency::default()).await?;
    let scheduling =
        scheduler(app.jobs.clone(), &Times::default())?.run_until(stop.clone().cancelled_owned());
    let scheduling = tokio::spawn(scheduling);
    // The installation's own keys: browsers stay signed in over a restart.
    let options = WebOptions { metrics: Some(recorder.handle()), ..options.with_keys_of(&places)? };
    let mut serving = tokio::spawn(runnerly_web::serve(listener, app.clone(), options, stop.clone()));

    println!("Runnerly is ready: open http://{at} in a browser");
    if let Some(sim) = &sim {
        println!(
            "No Strava credentials were given, so a simulated Strava with invented data runs at {}",
            sim.base
        );
    }
    println!("Data is kept in {}; Ctrl-C ends", places.data_dir.display());

    // A front that fails ends the program: it would look alive and serve nothing.
    let served = tokio::select! {
        () = shutdown_signal() => None,
        served = &mut serving => Some(served),
    };
    tracing::info!("stopping");
    stop.cancel();
    match served {
        Some(served) => served??,
        None => serving.await??,
    }
    scheduling.await??;
    running.stop().await;
    if let Some(sim) = sim {
        sim.stop().await;
    }
    Ok(())
}
