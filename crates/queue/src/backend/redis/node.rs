//! Where one server is, and how a connection to it is opened.

use super::config::Config;
use super::errors;
use super::socket::{Socket, Wire};
use super::tls::Tls;
use crate::{Error, Result};
use redis::RedisConnectionInfo;
use redis::aio::PubSub;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// A connection that has not come about by then does not.
const CONNECT: Duration = Duration::from_secs(2);
/// With TLS and login.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Host and port.
    Tcp(String, u16),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// As people write it: never a user or a password.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Node::Tcp(host, port) => write!(f, "{host}:{port}"),
            Node::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Node {
    /// An address as the nodes of a cluster give it, `host:port`. They leave out a host that
    /// they do not know: it is the one that was asked, `via`.
    pub(super) fn told(address: &str, via: &Node) -> Option<Node> {
        let (host, port) = address.rsplit_once(':')?;
        Node::at(host, port.parse().ok()?, via)
    }

    /// As [`Node::told`], in two parts.
    pub(super) fn at(host: &str, port: u16, via: &Node) -> Option<Node> {
        let host = host.trim_matches(['[', ']']);
        match via {
            Node::Tcp(known, _) if host.is_empty() || host == "?" => Some(Node::Tcp(known.clone(), port)),
            _ => Some(Node::Tcp(host.to_owned(), port)).filter(|_| port > 0),
        }
    }

    /// A connection for commands, which may be shared.
    pub(super) async fn connect(&self, config: &Config) -> Result<Socket> {
        self.connect_as(&config.login, config.tls.as_ref()).await
    }

    /// As [`Node::connect`], under another login.
    pub(super) async fn connect_as(&self, login: &RedisConnectionInfo, tls: Option<&Tls>) -> Result<Socket> {
        self.bounded(async {
            let wire = self.wire(tls).await?;
            Socket::new(login, wire).await.map_err(|e| errors::told(&self.to_string(), e))
        })
        .await
    }

    /// A connection that listens.
    pub(super) async fn listen(&self, config: &Config) -> Result<PubSub> {
        self.bounded(async {
            let wire = self.wire(config.tls.as_ref()).await?;
            PubSub::new(&config.login, wire).await.map_err(|e| errors::told(&self.to_string(), e))
        })
        .await
    }

    /// A server that takes connections and says nothing must hold nobody up.
    async fn bounded<T>(&self, opening: impl Future<Output = Result<T>>) -> Result<T> {
        match timeout(HANDSHAKE, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> Error {
        Error::unavailable(format!("redis at {self}: no answer in time"))
    }

    async fn wire(&self, tls: Option<&Tls>) -> Result<Box<dyn Wire>> {
        let failed = |e: std::io::Error| errors::told(&self.to_string(), e.into());
        let late = |what: &str| Error::unavailable(format!("redis at {self}: {what} in time"));
        let (host, port) = match self {
            Node::Unix(path) => {
                return Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?));
            }
            Node::Tcp(host, port) => (host.as_str(), *port),
        };
        let stream = timeout(CONNECT, TcpStream::connect((host, port))).await;
        let stream = stream.map_err(|_| late("no answer"))?.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = tls else { return Ok(Box::new(stream)) };
        let wrapped = timeout(CONNECT, tls.wrap(self, host, stream)).await;
        Ok(Box::new(wrapped.map_err(|_| late("no TLS handshake"))??))
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn addresses_as_a_cluster_tells_them() {
        let via = Node::Tcp("asked".into(), 1);
        for (address, wanted) in [
            ("10.0.0.1:7000", Some("10.0.0.1:7000")),
            (":7001", Some("asked:7001")),
            ("?:7001", Some("asked:7001")),
            ("fe80::1:7000", Some("[fe80::1]:7000")),
            ("[fe80::1]:7000", Some("[fe80::1]:7000")),
            ("host:0", None),
            ("host:x", None),
            ("host", None),
        ] {
            assert_eq!(Node::told(address, &via).map(|n| n.to_string()).as_deref(), wanted, "{address}");
        }
    }
}
