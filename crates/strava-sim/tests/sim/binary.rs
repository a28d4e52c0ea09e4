use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{client, text};

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(dir: &Path) -> Self {
        let mut child =
            command(&["--listen", "127.0.0.1:0"], dir).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("strava-sim listens on ").expect("its address");
        Self { child, url: url.to_owned() }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let app = [("client_id", "12345"), ("client_secret", "simulated-secret")];
        let form: Vec<_> = app.iter().chain(form).collect();
        let request = client().post(format!("{}{path}", self.url)).form(&form);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn refresh(&self, token: &str) -> (u16, Value) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post("/oauth/token", &form).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strava-sim"));
    command.args(args).arg("--data-dir").arg(dir);
    command
}

fn fails(args: &[&str], dir: &Path) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(args, dir).output().expect("it ends");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

#[tokio::test]
async fn rotated_tokens_survive_a_kill_and_a_term_ends_it_well() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut process = Process::start(dir.path());
    let order = client().post(format!("{}/sim/authorize", process.url)).json(&json!({}));
    let code: Value = order.send().await.expect("an answer").json().await.expect("JSON");
    let form = [("grant_type", "authorization_code"), ("code", &text(&code, "code"))];
    let mut token = text(&process.post("/oauth/token", &form).await.1, "refresh_token");
    for _ in 0..4 {
        let (status, next) = process.refresh(&token).await;
        assert_eq!(status, 200);
        drop(process);
        process = Process::start(dir.path());
        assert_eq!(process.refresh(&token).await.0, 400, "the old one stays dead");
        token = text(&next, "refresh_token");
    }
    let ended = Command::new("kill").arg(process.child.id().to_string()).status();
    assert!(ended.expect("a signal").success());
    assert_eq!(process.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn bad_values_get_one_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cases = [
        (["--speed", "fast"], "'--speed <SPEED>': must be 0.001 to 100000"),
        (["--listen", "0.0.0.0:1"], "must be a loopback address, such as 127.0.0.1:8090"),
        (["--limits", "none"], "'--limits <LIMITS>' [possible values: real, demo]"),
    ];
    for (args, end) in cases {
        let (code, line) = fails(&args, dir.path());
        assert_eq!(code, Some(2), "{args:?}");
        assert!(line.trim_end().ends_with(end) && line.lines().count() == 1, "{line}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, line) = fails(&["--listen", &address], dir.path());
    assert_eq!(code, Some(1));
    assert!(line.starts_with(&format!("error: listen {address}: ")), "{line}");
    assert_eq!(line.lines().count(), 1);
}
