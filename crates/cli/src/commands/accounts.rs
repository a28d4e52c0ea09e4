//! `acl`, `migrate`: what accounts may do in Redis, and what must be there before they can.

use super::{Done, PATIENCE};
use crate::args::Acl;
use crate::out::Out;
use crate::problem::Problem;
use legwork::backend::redis::{self, Redis, Rights};
use serde::Serialize;

#[derive(Serialize)]
struct Account<'a> {
    user: &'a str,
    roles: Vec<&'static str>,
    keys: &'a [String],
    channels: &'a [String],
    commands: &'a [String],
    line: &'a str,
}

pub(super) fn print(url: Option<&str>, account: &Acl, out: &mut Out) -> Done {
    let url = url.filter(|url| !url.trim().is_empty()).unwrap_or("redis://localhost");
    if url.starts_with("sqlite:") {
        return Err(Problem::invalid("url: SQLite has no accounts; acl is for Redis"));
    }
    let config = Redis::parse(url)?;
    let rights = Rights::of(&config, &account.roles, account.server_version)?;
    let roles: Vec<_> = account.roles.iter().map(|role| role.as_str()).collect();
    let user = account.user.clone().unwrap_or_else(|| format!("legwork-{}", roles.join("-")));
    let hash = account.password_hash.as_ref().map(|hash| format!("#{hash} ")).unwrap_or_default();
    let line = match account.add {
        true => format!(
            "ACL SETUSER {user} on {hash}{} {} {}",
            rights.keys.join(" "),
            rights.channels.join(" "),
            rights.commands.join(" ")
        ),
        false => format!("ACL SETUSER {user} reset on {hash}{rights}"),
    };
    if account.password_hash.is_none() && !account.add {
        out.note("without --password-hash nobody can log in as this account yet");
    }
    if out.json {
        let Rights { keys, channels, commands, .. } = &rights;
        return out.value(&Account { user: &user, roles, keys, channels, commands, line: &line });
    }
    out.line(line);
    Ok(())
}

#[derive(Serialize)]
struct Loaded {
    library: String,
    servers: usize,
    others: Vec<String>,
    removed: Vec<String>,
}

pub(super) async fn migrate(url: &str, tidy: bool, out: &mut Out) -> Done {
    if url.starts_with("sqlite:") {
        return Err(Problem::invalid(
            "url: a SQLite file is migrated when it is opened; migrate is for Redis",
        ));
    }
    let done = match tokio::time::timeout(PATIENCE, redis::migrate(url, tidy)).await {
        Ok(done) => done?,
        Err(_) => return Err(Problem::unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    if out.json {
        let (library, servers) = (done.library, done.servers);
        return out.value(&Loaded { library, servers, others: done.others, removed: done.removed });
    }
    let servers = if done.servers == 1 { "one server".into() } else { format!("{} servers", done.servers) };
    out.line(format!("{} is loaded on {servers}", done.library));
    for other in &done.removed {
        out.line(format!("{other} was removed"));
    }
    for other in &done.others {
        out.line(format!("{other} of another version stays; remove it with --tidy when nobody uses it"));
    }
    Ok(())
}
