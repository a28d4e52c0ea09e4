//! Wake-ups: a subscriber with its own connection and reconnect.

use super::node::Node;
use super::route::Route;
use futures_util::StreamExt;
use redis::aio::PubSub;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const QUIET: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);

/// Bumps `bell` at every message, and after each (re)connect because messages may have been
/// missed before it. Never ends by itself; its owner aborts it.
///
/// `PUBLISH`, which every node of a cluster passes on to every other, and a primary to its
/// replicas: so any server that lives will do to listen at, and the one that commands go to
/// is known to live.
pub(super) async fn listen(route: Arc<Route>, channel: String, bell: Arc<watch::Sender<u64>>) {
    let mut pause = Duration::from_millis(50);
    loop {
        if let Ok((mut pubsub, elsewhere)) = route.listen().await
            && matches!(timeout(ANSWER, pubsub.subscribe(&channel)).await, Ok(Ok(())))
        {
            pause = Duration::from_millis(50);
            ring(&bell);
            hear(pubsub, elsewhere, &bell).await;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Until the connection is dead, or commands go to another server.
async fn hear(pubsub: PubSub, mut elsewhere: watch::Receiver<Option<Node>>, bell: &watch::Sender<u64>) {
    let (mut sink, mut messages) = pubsub.split();
    loop {
        let heard = tokio::select! {
            heard = timeout(QUIET, messages.next()) => heard,
            _ = elsewhere.changed() => return,
        };
        match heard {
            Ok(Some(_)) => ring(bell),
            Ok(None) => return,
            // A socket can die without a word: silence is asked about.
            Err(_) => match timeout(ANSWER, sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

fn ring(bell: &watch::Sender<u64>) {
    bell.send_modify(|count| *count = count.wrapping_add(1));
}
