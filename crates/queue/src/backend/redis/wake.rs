//! Wake-ups: a subscriber with its own connection and reconnect.

use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const QUIET: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);

/// Bumps `bell` at every message, and after each (re)connect because messages may have been
/// missed before it. Never ends by itself; its owner aborts it.
pub(super) async fn listen(client: redis::Client, channel: String, bell: Arc<watch::Sender<u64>>) {
    let mut pause = Duration::from_millis(50);
    loop {
        if let Ok(mut pubsub) = client.get_async_pubsub().await
            && pubsub.subscribe(&channel).await.is_ok()
        {
            pause = Duration::from_millis(50);
            ring(&bell);
            let (mut sink, mut messages) = pubsub.split();
            loop {
                match timeout(QUIET, messages.next()).await {
                    Ok(Some(_)) => ring(&bell),
                    Ok(None) => break,
                    // A socket can die without a word: silence is asked about.
                    Err(_) => match timeout(ANSWER, sink.ping::<redis::Value>()).await {
                        Ok(Ok(_)) => {}
                        _ => break,
                    },
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn ring(bell: &watch::Sender<u64>) {
    bell.send_modify(|count| *count = count.wrapping_add(1));
}
