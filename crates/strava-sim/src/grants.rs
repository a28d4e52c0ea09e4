//! Codes and tokens: what an athlete allowed, and what proves it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Seconds an access token lives.
const ACCESS_S: i64 = 6 * 3600;
/// With more than this left, a refresh returns the same access token.
const KEEP_S: i64 = 3600;
/// Seconds a code waits to be exchanged.
const CODE_S: i64 = 600;

/// All codes and grants of the one application.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Grants {
    codes: BTreeMap<String, Code>,
    grants: BTreeMap<u64, Grant>,
    access: BTreeMap<String, Access>,
    last: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Code {
    athlete: i64,
    scope: String,
    expires_at: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Grant {
    athlete: i64,
    scope: String,
    access_token: String,
    expires_at: i64,
    refresh_token: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Access {
    grant: u64,
    expires_at: i64,
}

/// What the token endpoint hands out.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) athlete: i64,
    pub(crate) scope: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expires_at: i64,
    /// Whether the access token is a new one.
    pub(crate) renewed: bool,
}

/// Whoever holds a living access token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) athlete: i64,
    scope: String,
}

impl Caller {
    pub(crate) fn may(&self, scope: &str) -> bool {
        self.scope.split(',').any(|granted| granted == scope)
    }

    pub(crate) fn reads_activities(&self) -> bool {
        self.may("activity:read") || self.reads_private()
    }

    pub(crate) fn reads_private(&self) -> bool {
        self.may("activity:read_all")
    }
}

impl Grants {
    /// A code for `athlete` with the comma-separated `scope` that was left ticked.
    pub(crate) fn issue_code(&mut self, athlete: i64, scope: String, now: i64) -> String {
        self.codes.retain(|_, code| code.expires_at > now);
        let code = token();
        self.codes.insert(code.clone(), Code { athlete, scope, expires_at: now + CODE_S });
        code
    }

    /// Exchanges a code, once.
    pub(crate) fn exchange(&mut self, code: &str, now: i64) -> Option<Tokens> {
        let Code { athlete, scope, expires_at } = self.codes.remove(code)?;
        if expires_at <= now {
            return None;
        }
        self.last += 1;
        let grant = Grant {
            athlete,
            scope,
            access_token: token(),
            expires_at: now + ACCESS_S,
            refresh_token: token(),
        };
        let access = Access { grant: self.last, expires_at: grant.expires_at };
        self.access.insert(grant.access_token.clone(), access);
        let tokens = grant.tokens(true);
        self.grants.insert(self.last, grant);
        Some(tokens)
    }

    /// Trades a refresh token for the next one, which kills it.
    pub(crate) fn refresh(&mut self, refresh_token: &str, now: i64) -> Option<Tokens> {
        // An access token that was replaced early stays good until its own end.
        self.access.retain(|_, access| access.expires_at > now);
        let found = self.grants.iter_mut().find(|(_, grant)| grant.refresh_token == refresh_token);
        let (&id, grant) = found?;
        grant.refresh_token = token();
        let renewed = grant.expires_at - now <= KEEP_S;
        if renewed {
            grant.access_token = token();
            grant.expires_at = now + ACCESS_S;
            let access = Access { grant: id, expires_at: grant.expires_at };
            self.access.insert(grant.access_token.clone(), access);
        }
        Some(grant.tokens(renewed))
    }

    /// Who calls with this access token.
    pub(crate) fn caller(&self, access_token: &str, now: i64) -> Option<Caller> {
        let access = self.access.get(access_token).filter(|access| access.expires_at > now)?;
        let grant = self.grants.get(&access.grant)?;
        Some(Caller { athlete: grant.athlete, scope: grant.scope.clone() })
    }

    /// Ends every grant of the athlete who owns this token, access or refresh.
    pub(crate) fn revoke(&mut self, token: &str, now: i64) -> Option<i64> {
        let by_refresh = || self.grants.values().find(|grant| grant.refresh_token == token);
        let athlete = match self.caller(token, now) {
            Some(caller) => caller.athlete,
            None => by_refresh()?.athlete,
        };
        self.grants.retain(|_, grant| grant.athlete != athlete);
        let grants = &self.grants;
        self.access.retain(|_, access| grants.contains_key(&access.grant));
        Some(athlete)
    }

    /// Whether a grant of this athlete has any of these scopes.
    pub(crate) fn any(&self, athlete: i64, scopes: &[&str]) -> bool {
        self.grants
            .values()
            .filter(|grant| grant.athlete == athlete)
            .any(|grant| grant.scope.split(',').any(|scope| scopes.contains(&scope)))
    }

    /// Athletes with a living grant.
    pub(crate) fn connected(&self) -> Vec<i64> {
        let mut athletes: Vec<i64> = self.grants.values().map(|grant| grant.athlete).collect();
        athletes.sort_unstable();
        athletes.dedup();
        athletes
    }
}

impl Grant {
    fn tokens(&self, renewed: bool) -> Tokens {
        Tokens {
            athlete: self.athlete,
            scope: self.scope.clone(),
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
            expires_at: self.expires_at,
            renewed,
        }
    }
}

/// Forty hexadecimal digits, as Strava's tokens look.
pub(crate) fn token() -> String {
    rand::random::<[u8; 20]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected() -> (Grants, Tokens) {
        let mut grants = Grants::default();
        let code = grants.issue_code(7, "read,activity:read".into(), 1_000);
        let tokens = grants.exchange(&code, 1_010).expect("a fresh code");
        assert!(grants.exchange(&code, 1_010).is_none(), "a code works once");
        (grants, tokens)
    }

    #[test]
    fn a_refresh_kills_the_old_token_and_keeps_a_young_access_token() {
        let (mut grants, first) = connected();
        let second = grants.refresh(&first.refresh_token, 1_010 + 7_318).expect("alive");
        assert_eq!(second.access_token, first.access_token);
        assert_eq!(second.expires_at - (1_010 + 7_318), 14_282);
        assert!(grants.refresh(&first.refresh_token, 9_000).is_none());
    }

    #[test]
    fn near_its_end_an_access_token_is_replaced_and_both_work() {
        let (mut grants, first) = connected();
        let late = first.expires_at - 3_600;
        let second = grants.refresh(&first.refresh_token, late).expect("alive");
        assert_ne!(second.access_token, first.access_token);
        assert_eq!(second.expires_at, late + ACCESS_S);
        assert!(grants.caller(&first.access_token, late).is_some());
        assert!(grants.caller(&first.access_token, first.expires_at).is_none());
        assert!(grants.caller(&second.access_token, first.expires_at).is_some());
    }

    #[test]
    fn a_code_goes_stale_and_revoking_either_token_ends_both() {
        let (mut grants, tokens) = connected();
        let code = grants.issue_code(7, String::new(), 0);
        assert!(grants.exchange(&code, CODE_S).is_none());
        assert_eq!(grants.revoke(&tokens.refresh_token, 1_020), Some(7));
        assert!(grants.caller(&tokens.access_token, 1_020).is_none());
        assert!(grants.refresh(&tokens.refresh_token, 1_020).is_none());
        assert!(grants.revoke(&tokens.access_token, 1_020).is_none());
    }
}
