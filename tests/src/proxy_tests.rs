//! The proxy before a server that answers `reply N` to the line `N`.

use super::*;
use tokio::io::{AsyncBufReadExt, BufReader};

const SOON: Duration = Duration::from_secs(5);

/// A server that answers each line with 1,000 bytes, and how many lines it has seen.
async fn server() -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (seen, watched) = watch::channel(0);
    let seen = Arc::new(seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    seen.send_modify(|n| *n += 1);
                    if line.ends_with('\n') {
                        let _ = stream.get_mut().write_all(&[b'x'; 1_000]).await;
                    }
                    line.clear();
                }
            });
        }
    });
    (url, watched)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.url().trim_start_matches("redis://")).await.unwrap()
}

/// Asks once: how many bytes came back, and whether the end was a reset; `None` when
/// nothing came and nothing ended.
async fn ask(stream: &mut TcpStream, patience: Duration) -> Option<(usize, bool)> {
    let _ = stream.write_all(b"hello\n").await;
    let mut got = 0;
    let mut buffer = [0; 4_096];
    while got < 1_000 {
        match tokio::time::timeout(patience, stream.read(&mut buffer)).await {
            Ok(Ok(0)) => return Some((got, false)),
            Ok(Ok(n)) => got += n,
            Ok(Err(_)) => return Some((got, true)),
            Err(_) => return None,
        }
    }
    Some((got, false))
}

#[tokio::test]
async fn each_cut_cuts_where_it_says() {
    let (url, seen) = server().await;
    let proxy = Proxy::start(&url, 1).await.unwrap();
    for (cut, came, reached) in [
        (Cut::LostReply, 0, 1),
        (Cut::MidReply(10), 10, 1),
        (Cut::MidReply(999), 999, 1),
        (Cut::MidRequest(3), 0, 1),
    ] {
        let before = *seen.borrow();
        let mut stream = connect(&proxy).await;
        proxy.cut(cut);
        assert_eq!(ask(&mut stream, SOON).await, Some((came, false)), "{cut:?}");
        seen.clone().wait_for(|n| *n == before + reached).await.unwrap();
        let mut next = connect(&proxy).await;
        assert_eq!(ask(&mut next, SOON).await, Some((1_000, false)), "after {cut:?} all is well");
    }
    let kinds: Vec<_> = proxy.log().into_iter().map(|action| action.what).collect();
    assert_eq!(kinds, ["LostReply", "MidReply(10)", "MidReply(999)", "MidRequest(3)"]);
}

#[tokio::test]
async fn a_half_open_connection_stays_open_and_silent() {
    let (url, mut seen) = server().await;
    let proxy = Proxy::start(&url, 1).await.unwrap();
    let mut stream = connect(&proxy).await;
    proxy.cut(Cut::HalfOpen);
    assert_eq!(ask(&mut stream, Duration::from_millis(100)).await, None);
    seen.wait_for(|n| *n == 1).await.unwrap();
    let mut other = connect(&proxy).await;
    assert_eq!(ask(&mut other, SOON).await, Some((1_000, false)), "the others go on");
    assert_eq!(ask(&mut stream, Duration::from_millis(100)).await, None, "and this one never answers");
}

#[tokio::test]
async fn a_reset_is_one() {
    let (url, _seen) = server().await;
    let proxy = Proxy::start(&url, 1).await.unwrap();
    let mut stream = connect(&proxy).await;
    assert_eq!(ask(&mut stream, SOON).await, Some((1_000, false)));
    proxy.cut(Cut::Reset);
    let mut buffer = [0; 1];
    let end = tokio::time::timeout(SOON, stream.read(&mut buffer)).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn spells_lie_on_old_and_new_connections_until_healed() {
    let (url, seen) = server().await;
    let proxy = Proxy::start(&url, 1).await.unwrap();
    let mut old = connect(&proxy).await;
    assert_eq!(ask(&mut old, SOON).await, Some((1_000, false)));
    let short = Duration::from_millis(100);
    for (spell, reached) in [(Spell::HalfOpen, 0), (Spell::DeafServer, 0), (Spell::DeafClient, 1)] {
        let before = *seen.borrow();
        proxy.cast(spell);
        assert_eq!(ask(&mut connect(&proxy).await, short).await, None, "{spell:?}");
        assert_eq!(*seen.borrow(), before + reached, "{spell:?}");
        proxy.cast(Spell::None);
    }
    for slow in [Spell::Slow(Duration::from_millis(20)), Spell::Sliced(100, Duration::from_millis(4))] {
        proxy.cast(slow);
        let asked = Instant::now();
        assert_eq!(ask(&mut old, SOON).await, Some((1_000, false)));
        assert!(asked.elapsed() >= Duration::from_millis(40), "{slow:?} took {:?}", asked.elapsed());
    }
    proxy.cast(Spell::Down);
    assert_eq!(ask(&mut old, SOON).await, Some((0, true)));
    let mut refused = connect(&proxy).await;
    assert!(ask(&mut refused, SOON).await.is_some_and(|(came, _)| came == 0));
    proxy.cast(Spell::None);
    assert_eq!(ask(&mut connect(&proxy).await, SOON).await, Some((1_000, false)));
}
