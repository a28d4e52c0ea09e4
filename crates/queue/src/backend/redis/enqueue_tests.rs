//! Records beside the script: nothing may stay of a call that was not carried out.

use super::tests::{jobs, open, put, settles, take};
use super::*;
use crate::State;
use crate::backend::{Enqueued, Outcome};
use crate::testing::server::TestServer;

const MANY: usize = 600;

/// Everything that the server holds, in one number; the order within a hash does not count.
fn contents(server: &TestServer) -> String {
    let script = "local keys, all = redis.call('KEYS', '*'), {} table.sort(keys)
        for _, key in ipairs(keys) do
            all[#all + 1] = key
            if redis.call('TYPE', key).ok == 'hash' then
                local ids = redis.call('HKEYS', key) table.sort(ids)
                for _, id in ipairs(ids) do all[#all + 1] = id .. redis.call('HGET', key, id) end
            else
                all[#all + 1] = redis.call('DUMP', key)
            end
        end
        return redis.sha1hex(table.concat(all)) .. #all";
    let answer = server.command(&["EVAL", script, "0"]).unwrap();
    assert!(answer.starts_with('$'), "{answer}");
    answer
}

/// A server of its own that has taken these jobs in, as the first call of the lane.
async fn taken_in(namespace: &str, all: Vec<crate::backend::NewJob>) -> Option<(TestServer, Redis)> {
    let server = TestServer::start()?;
    let redis = open(&server, namespace).await;
    put(&redis, 1, all).await.unwrap();
    Some((server, redis))
}

/// Whether these jobs wait, each once, and nothing else is wrong.
async fn all_wait(redis: &Redis, count: u64) {
    assert_eq!(redis.audit().await.unwrap(), Vec::<String>::new());
    assert_eq!(redis.queues().await.unwrap()[0].count(State::Available), count);
}

#[tokio::test]
async fn many_go_beside_the_script_even_when_it_was_forgotten() {
    let Some(server) = TestServer::start() else {
        return;
    };
    let redis = open(&server, "beside").await;
    for seq in 1..4 {
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        assert_eq!(put(&redis, seq, jobs(MANY)).await.unwrap(), [Enqueued::Created; MANY]);
    }
    all_wait(&redis, 3 * MANY as u64).await;
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    assert!(stats.contains("cmdstat_exec:calls=4,"), "the question, and each call: {stats}");
}

/// A call that was held up, and that its repeat or a later one has overtaken.
#[tokio::test]
async fn a_late_transaction_leaves_everything_as_it_is() {
    let all = jobs(MANY);
    let Some((server, redis)) = taken_in("late", all.clone()).await else {
        return;
    };
    // Of the first nothing is left, and the second is another by now.
    let gone = take(&redis, 1, true).await;
    let done = Outcome::Succeeded { result: None, keep_ms: 0 };
    redis.settle(&settles(&gone, &done)).await.unwrap();
    let mut other = cmd("HSET");
    other.arg(redis.keys.named("jobs")).arg(all[1].envelope.id.as_bytes().as_slice()).arg("other");
    redis.link.ask(&other).await.unwrap();
    let before = contents(&server);
    assert_eq!(put(&redis, 1, all.clone()).await.unwrap(), [Enqueued::Created; MANY], "as the first time");
    assert_eq!(contents(&server), before);
    put(&redis, 2, [jobs(MANY), jobs(1)].concat()).await.unwrap();
    let before = contents(&server);
    assert!(put(&redis, 1, all).await.unwrap_err().is_invalid(), "a later call has been answered");
    assert_eq!(contents(&server), before);
    assert_eq!(redis.queues().await.unwrap()[0].count(State::Available), 2 * MANY as u64);
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    assert!(stats.contains("cmdstat_exec:calls=5,"), "all were transactions: {stats}");
}

#[tokio::test]
async fn a_refused_call_leaves_no_record() {
    let Some((server, redis)) = taken_in("refused", jobs(MANY)).await else {
        return;
    };
    redis.put(Setting::Queue, "default", Some("{\"max_waiting\":700}")).await.unwrap();
    let before = contents(&server);
    assert!(put(&redis, 2, jobs(MANY)).await.unwrap_err().to_string().contains("full"));
    assert_eq!(contents(&server), before, "a rule of the queue");
    redis.put(Setting::Queue, "default", None).await.unwrap();
    server.command(&["SET", "{test-refused:0}:q:other:5", "no list"]).unwrap();
    let before = contents(&server);
    let mut wrong = jobs(MANY);
    wrong.iter_mut().for_each(|job| job.envelope.queue = "other".into());
    // The full script is due for some calls after one that it had to do.
    for _ in 0..5 {
        let error = put(&redis, 2, wrong.clone()).await.unwrap_err();
        assert!(error.to_string().contains("q:other:5 holds a string"), "{error}");
    }
    assert_eq!(contents(&server), before, "a key of another type");
    for _ in 0..130 {
        redis
            .briefs
            .enqueue
            .either(async { Ok(Value::Array(vec![Value::Okay])) }, async { Ok(Value::Nil) })
            .await
            .unwrap();
    }
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let error = put(&redis, 2, jobs(MANY)).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("memory"), "{error:?}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(contents(&server), before, "no memory");
    all_wait(&redis, MANY as u64).await;
}

#[tokio::test]
async fn where_there_are_no_transactions_the_script_does() {
    let Some(server) = TestServer::start() else {
        return;
    };
    server.command(&["ACL", "SETUSER", "default", "-multi"]).unwrap();
    let redis = open(&server, "alone").await;
    put(&redis, 1, jobs(MANY)).await.unwrap();
    assert_eq!(redis.beside.get(), Some(&false));
    all_wait(&redis, MANY as u64).await;
}
