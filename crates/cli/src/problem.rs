//! What went wrong, as one line (or one JSON object), and the exit code it means.

use crate::args::Args;
use crate::words::shown;
use clap::CommandFactory;
use clap::error::{ContextKind, ErrorKind};
use serde_json::json;
use std::error::Error as _;
use std::io::Write;
use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Good,
    /// 1: not found, refused, in conflict.
    Failed,
    /// 2: what was given is not allowed.
    Usage,
    /// 3: the backend was not reached.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Good => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
        })
    }
}

/// An error for people (a line) and for programs (a word).
#[derive(Debug)]
pub(crate) struct Problem {
    exit: Exit,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn invalid(message: impl Into<String>) -> Problem {
        Problem::new(Exit::Usage, "invalid", message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Problem {
        Problem::new(Exit::Failed, "failed", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Problem {
        Problem::new(Exit::Failed, "not_found", message)
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Problem {
        Problem::new(Exit::Unreachable, "unavailable", message)
    }

    /// What it says, for where it is one of several things to say.
    pub(crate) fn into_line(self) -> String {
        without_secrets(&self.message)
    }

    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Problem {
        Problem { exit, code, message: message.into() }
    }

    /// Says it on stderr, and returns how the process ends.
    pub(crate) fn tell(&self, json: bool) -> Exit {
        let message = shown(&without_secrets(&self.message));
        let line = if json {
            json!({"error": {"code": self.code, "message": message}}).to_string()
        } else {
            format!("legwork: {message}")
        };
        // Nothing is left to be done for a stderr that is closed.
        let _ = writeln!(std::io::stderr(), "{line}");
        self.exit
    }
}

impl From<legwork::Error> for Problem {
    fn from(e: legwork::Error) -> Problem {
        let (exit, code) = match &e {
            e if e.is_invalid() => (Exit::Usage, "invalid"),
            e if e.is_unavailable() => (Exit::Unreachable, "unavailable"),
            e if e.is_not_found() => (Exit::Failed, "not_found"),
            e if e.is_conflict() => (Exit::Failed, "conflict"),
            e if e.is_refused() => (Exit::Failed, "refused"),
            _ => (Exit::Failed, "corrupt"),
        };
        Problem::new(exit, code, e.to_string())
    }
}

/// Answers what is no command: help, the version, or a line that says what was wrong.
pub(crate) fn usage(e: &clap::Error, json: bool) -> Exit {
    match e.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = e.print();
            Exit::Good
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            if !json {
                let _ = writeln!(std::io::stderr(), "{}", Args::command().render_help());
            }
            Problem::new(Exit::Usage, "usage", "no command given; see legwork --help").tell(json)
        }
        _ => Problem::new(Exit::Usage, "usage", one_line(e)).tell(json),
    }
}

/// What clap says over several lines, in one and without the usage.
pub(crate) fn one_line(e: &clap::Error) -> String {
    // The parsers of values name the field and what is allowed themselves.
    if e.kind() == ErrorKind::ValueValidation
        && let Some(source) = e.source()
    {
        return source.to_string();
    }
    if e.kind() == ErrorKind::InvalidUtf8 {
        let arg = e.get(ContextKind::InvalidArg).map(|a| format!(" of {a}")).unwrap_or_default();
        return format!("an argument{arg} is not UTF-8");
    }
    let rendered = e.render().to_string();
    let told = rendered.split("\n\nUsage:").next().unwrap_or_default();
    let told = told.split("\n\nFor more information").next().unwrap_or_default();
    let parts: Vec<&str> = told.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let line = parts.join("; ").replacen("error: ", "", 1).replace(":; ", ": ");
    format!("{line}; see legwork --help")
}

/// Hides what may be a password in anything that looks like a URL, wherever on the command
/// line it was put: what stands before an `@`, and the parameter `pass`.
fn without_secrets(message: &str) -> String {
    let mut kept = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).unwrap_or(after.len());
        let login = after[..end].rfind('@');
        kept.push_str(before);
        kept.push_str(login.map_or("", |_| "***"));
        let place = &after[login.unwrap_or(0)..end];
        match place.split_once("pass=") {
            Some((first, secret)) => {
                kept.push_str(first);
                kept.push_str("pass=***");
                kept.push_str(secret.find('&').map_or("", |next| &secret[next..]));
            }
            None => kept.push_str(place),
        }
        rest = &after[end..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn what_may_be_a_password_is_hidden() {
        let line = "no 'redis://me:pa@ss@h:1/0' but redis://h and redis://:x@h";
        assert_eq!(without_secrets(line), "no 'redis://***@h:1/0' but redis://h and redis://***@h");
        let line = "redis+unix:///s?user=me&pass=hush&ns=a is no server";
        assert_eq!(without_secrets(line), "redis+unix:///s?user=me&pass=***&ns=a is no server");
    }
}
