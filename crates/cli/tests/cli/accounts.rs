//! `acl` and `migrate`, and the command line under the accounts that it prints.

use crate::run::{Ran, legwork};
use legwork::testing::server::TestServer;
use legwork::{Client, JobId};

const HASH: &str = "c775e7b757ede630cd0aa1113bd102661ab38829ca52a6422ab782862f268646"; // 1234567890

fn acl(url: &str, args: &[&str]) -> Ran {
    legwork(&[&["--url", url, "acl"], args].concat())
}

/// Sets the line that `acl` prints, and the URL of the account.
fn account(server: &TestServer, url: &str, roles: &[&str], user: &str) -> String {
    let ran = acl(url, &[roles, &["--user", user, "--password-hash", HASH]].concat());
    let line = ran.good().trim_end();
    let answer = server.command(&line.split(' ').collect::<Vec<_>>()).expect("answered");
    assert_eq!(answer, "+OK\r\n", "{line}");
    format!("{url}&user={user}&pass=1234567890")
}

#[test]
fn acl_prints_one_line_that_a_server_takes() {
    let ran = legwork(&["acl", "viewer"]);
    assert!(
        ran.good().starts_with("ACL SETUSER legwork-viewer reset on resetkeys ~{legwork:*}:* "),
        "{ran:?}"
    );
    assert!(ran.err.contains("nobody can log in"), "{ran:?}");
    let json = acl("redis://h?ns=shop", &["producer", "worker", "--password-hash", HASH, "--json"]).json();
    assert_eq!(
        (json["user"].as_str(), json["keys"][0].as_str()),
        (Some("legwork-producer-worker"), Some("~{shop:*}:*"))
    );
    assert_eq!(json["roles"], serde_json::json!(["producer", "worker"]));
    let added = acl("redis://h", &["worker", "--add"]);
    assert!(!added.good().contains("reset") && !added.good().contains("-@all"), "{added:?}");
    for (args, part) in [
        (&["boss"][..], "role: \"boss\" is none; use producer"),
        (&["worker", "--server-version", "6.0"], "server version: 6.0 is too old"),
        (&["worker", "--server-version", "new"], "server version"),
        (&["worker", "--user", "a b"], "user: "),
        (&["worker", "--password-hash", "hush"], "password hash: is not a SHA-256"),
    ] {
        let ran = acl("redis://h", args);
        assert!(ran.bad(2).contains(part) && !ran.err.contains("hush"), "{ran:?}");
    }
    acl("sqlite:x.db", &["worker"]).bad(2);
}

#[tokio::test]
async fn the_command_line_works_under_its_accounts() {
    for mode in ["eval", "functions"] {
        let Some(server) = TestServer::start() else { return };
        let url = format!("{}?ns=shop&scripts={mode}", server.url());
        let migrator = account(&server, &url, &["migrator"], "m");
        let done = legwork(&["--url", &migrator, "migrate", "--json"]).json();
        assert!(done["library"].as_str().is_some_and(|name| name.starts_with("legwork_")), "{done}");
        let jobs = Client::connect(&url).await.expect("connected");
        let ids: Vec<JobId> = vec![
            jobs.enqueue_raw("a.job", "1").tag("t").await.expect("enqueued").id,
            jobs.enqueue_raw("a.job", "2")
                .delay(std::time::Duration::from_secs(9))
                .await
                .expect("enqueued")
                .id,
        ];
        let (first, second) = (ids[0].to_string(), ids[1].to_string());
        let looks: [&[&str]; 9] = [
            &["queues"],
            &["jobs", "--tag", "t"],
            &["jobs", "--state", "scheduled"],
            &["job", &first],
            &["workers"],
            &["versions"],
            &["stats"],
            &["limits"],
            &["flows"],
        ];
        let steers: [&[&str]; 8] = [
            &["enqueue", "a.job", "3"],
            &["retry", &second],
            &["cancel", &first],
            &["pause", "default", "--for", "1m"],
            &["resume", "default"],
            &["limit", "set", "api", "--concurrency", "2"],
            &["queue", "set", "default", "--max-waiting", "99"],
            &["purge", "default", "--yes"],
        ];
        let viewer = account(&server, &url, &["viewer"], "v");
        let operator = account(&server, &url, &["operator"], "o");
        server.command(&["SCRIPT", "FLUSH"]).expect("answered");
        for args in looks {
            legwork(&[&["--url", &viewer], args].concat()).good();
        }
        for args in steers {
            let ran = legwork(&[&["--url", &viewer], args].concat());
            assert!(ran.code == 1 && ran.err.contains("no permission"), "{args:?} as viewer: {ran:?}");
        }
        for args in looks.iter().chain(&steers) {
            legwork(&[&["--url", &operator], *args].concat()).good();
        }
    }
}

#[tokio::test]
async fn functions_that_are_not_loaded_are_asked_for() {
    let Some(server) = TestServer::start() else { return };
    let url = format!("{}?ns=shop&scripts=functions", server.url());
    let ran = legwork(&["--url", &url, "queues"]);
    assert!(ran.bad(1).contains("run `legwork migrate`"), "{ran:?}");
    legwork(&["--url", &url, "migrate"]).good();
    legwork(&["--url", &url, "queues"]).good();
    server
        .command(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=legwork_00000000\nredis.register_function('legwork_old', function() end)",
        ])
        .expect("answered");
    assert!(
        legwork(&["--url", &url, "migrate"]).good().contains("legwork_00000000 of another version stays")
    );
    assert!(legwork(&["--url", &url, "migrate", "--tidy"]).good().contains("legwork_00000000 was removed"));
    legwork(&["--url", &url, "queues"]).good();
    legwork(&["--url", "sqlite:x.db", "migrate"]).bad(2);
}
