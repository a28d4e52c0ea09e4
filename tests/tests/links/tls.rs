//! TLS with a private authority: right and wrong ones, wrong hosts, plain ports, clients that
//! must show a certificate. Real servers; the certificates are made here.

use crate::load::Load;
use legwork::Client;
use legwork::testing::server::TestServer;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Program, free_port, skip, until};

/// An authority, and what it has signed, as files.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let dir = tempfile::tempdir().expect("a directory");
        // Two authorities of one name would be told apart by their signatures only.
        params.distinguished_name.push(DnType::CommonName, text(dir.path()));
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("signed");
        std::fs::write(dir.path().join("ca.pem"), cert.pem()).expect("written");
        Authority { dir, issuer: Issuer::new(params, key) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for `host` in `NAME.pem` and its key in `NAME.key`.
    fn sign(&self, name: &str, host: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.signed_by(&key, &self.issuer).expect("signed");
        let (pem, secret) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        std::fs::write(&pem, cert.pem()).expect("written");
        std::fs::write(&secret, key.serialize_pem()).expect("written");
        (text(&pem), text(&secret))
    }

    /// A server for `localhost` with a port for TLS.
    fn server(&self, more: &[&str]) -> Option<(TestServer, u16)> {
        let (cert, key) = self.sign("server", "localhost");
        let (ca, port) = (text(&self.file("ca.pem")), free_port());
        let shown = port.to_string();
        let args = [
            "--tls-port",
            &shown,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
        ];
        let bind = ["--bind", "127.0.0.1"];
        Some((TestServer::start_with(&[&args[..], &bind, more].concat())?, port))
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn refused(url: &str, why: &str) {
    let error = Client::connect(url).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains(why), "{url}: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_and_no_other() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let Some((mut server, port)) = ours.server(&["--tls-auth-clients", "no"]) else {
        return skip("redis-server is not installed");
    };
    let (ca, wrong) = (text(&ours.file("ca.pem")), text(&theirs.file("ca.pem")));
    let url = format!("rediss://localhost:{port}/0?ns=test-tls&ca={ca}");
    let load = Load::start(&url).await;
    load.goes_on(50, Duration::from_secs(20)).await;
    // Both of its connections, commands and wake-ups, come back by themselves.
    server.restart();
    load.goes_on(50, Duration::from_secs(20)).await;

    refused(&format!("rediss://localhost:{port}?ca={wrong}"), "signed by nobody who is trusted here").await;
    refused(&format!("rediss://localhost:{port}"), "ca=FILE").await;
    refused(&format!("rediss://127.0.0.1:{port}?ca={ca}"), "its certificate is not for 127.0.0.1").await;
    refused(&format!("rediss+cluster://127.0.0.1:{port}?ca={ca}"), "its certificate is not for 127.0.0.1")
        .await;
    let Some(plain) = TestServer::start_tcp() else { return };
    let plain = plain.port().expect("a port");
    let error = Client::connect(&format!("rediss://localhost:{plain}?ca={ca}")).await.unwrap_err();
    assert!(error.is_refused() || error.is_unavailable(), "{error:?}");
    assert!(error.to_string().contains("TLS"), "{error:?}");
    let error = Client::connect(&format!("redis://localhost:{port}")).await.unwrap_err();
    assert!(error.is_unavailable() || error.is_invalid(), "{error:?}");

    let legwork = |url: &str| {
        Program::new("legwork").args(["--url", url, "--json", "queues"]).run(Duration::from_secs(20))
    };
    let ran = legwork(&url);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(legwork(&format!("rediss://localhost:{port}?ca=/nowhere.pem")).code, Some(2));
    assert_eq!(legwork(&format!("rediss://localhost:{port}?ca={wrong}")).code, Some(1));
    // The server forgot what it held when it was restarted: what was lost then is not asked.
    drop(load);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_own_certificate() {
    let ours = Authority::new();
    let Some((_server, port)) = ours.server(&["--tls-auth-clients", "yes"]) else {
        return skip("redis-server is not installed");
    };
    let (cert, key) = ours.sign("client", "someone");
    let url = format!("rediss://localhost:{port}?ns=test-own&ca={}", text(&ours.file("ca.pem")));
    refused(&url, "cert=FILE&key=FILE").await;
    let jobs = Client::connect(&format!("{url}&cert={cert}&key={key}")).await.expect("connected");
    jobs.enqueue_raw("a", "1").await.expect("enqueued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_under_tls() {
    let ours = Authority::new();
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", &bus];
    let Some((server, port)) = ours.server(&[&cluster[..], &["--tls-auth-clients", "no"]].concat()) else {
        return skip("redis-server is not installed");
    };
    let slots: Vec<String> = (0..16_384).map(|slot: u32| slot.to_string()).collect();
    let words: Vec<&str> =
        ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    server.command(&words).expect("answered");
    until("the cluster is up", Duration::from_secs(10), async || {
        server.command(&["CLUSTER", "INFO"]).ok()?.contains("cluster_state:ok").then_some(())
    })
    .await;
    let url = format!("rediss+cluster://localhost:{port}?ns=test-both&ca={}", text(&ours.file("ca.pem")));
    let load = Load::start(&url).await;
    load.goes_on(50, Duration::from_secs(20)).await;
    let account = load.end().await;
    assert_eq!((account.lost.len(), account.repeated), (0, 0), "{account:?}");
}
