//! Query parameters: each at most once, none unknown, every number within its range.

use crate::fault::{Fault, Result};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The parameters of a request, before they are asked for.
pub(crate) struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Params> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|_| Fault::bad("The query of the address cannot be read."))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            let shown = shown(&name);
            if params.insert(name, value).is_some() {
                return Err(Fault::bad(format!("{shown}: given more than once; once is allowed")));
            }
        }
        Ok(Params(params))
    }
}

impl Params {
    /// Refuses names that are not among `known`.
    pub(crate) fn only(self, known: &[&str]) -> Result<Params> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(Fault::bad(format!("{}: no such parameter; allowed: {allowed}", shown(name))))
            }
            None => Ok(self),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A whole number within a range.
    pub(crate) fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = (range.start(), range.end());
                let text = shown(text);
                Err(Fault::bad(format!("{name}: {text:?}; allowed is a whole number from {least} to {most}")))
            }
        }
    }

    /// One of some words.
    pub(crate) fn word<'a>(&self, name: &str, words: &[&'a str]) -> Result<Option<&'a str>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(Fault::bad(format!("{name}: {:?}; allowed: {}", shown(text), words.join(", ")))),
        }
    }
}

/// An id in a path.
pub(crate) fn id(text: &str, what: &str) -> Result<i64> {
    text.parse().map_err(|_| Fault::missing(what))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
