//! Ways to a Redis that moves: sentinels that elect another primary, a cluster that moves
//! slots and replaces nodes, TLS. Real servers on the loopback, killed with -9 under load.

mod cluster;
mod demoted;
mod durable;
mod load;
mod sentinels;
mod tls;
