//! Rewriting single fields of a JSON text and leaving every other byte of a value alone:
//! parsed into numbers and maps, a large integer or the order of keys could come back changed.

use super::Unreadable;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;

/// A place in a payload: names of fields with dots between, `*` for each member of a list or
/// map, a number for one member of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<String>);

impl Path {
    pub(super) fn parse(text: &str) -> Option<Path> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let good = |part: &String| !part.is_empty() && !part.contains(|c: char| c == ',' || c.is_control());
        (parts.len() <= 32 && parts.iter().all(good)).then_some(Path(parts))
    }

    /// Whether a value could be a part of both.
    pub(super) fn overlaps(&self, other: &Path) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b || a == "*" || b == "*")
    }

    /// Puts in place of each value at this path what `change` makes of it, which is told the
    /// value's own path as a JSON pointer; `None` when there is no such value.
    pub(super) fn rewrite(
        &self,
        value: &RawValue,
        change: &mut Change<'_>,
    ) -> Result<Option<Box<RawValue>>, Unreadable> {
        rewrite(value, &self.0, &mut String::new(), change)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

pub(super) type Change<'a> = dyn FnMut(&str, &RawValue) -> Result<Box<RawValue>, Unreadable> + 'a;

fn rewrite(
    value: &RawValue,
    path: &[String],
    at: &mut String,
    change: &mut Change<'_>,
) -> Result<Option<Box<RawValue>>, Unreadable> {
    let Some((part, rest)) = path.split_first() else {
        return change(at, value).map(Some);
    };
    let mut touched = false;
    let mut step = |name: &str, member: &mut Box<RawValue>| -> Result<(), Unreadable> {
        if part == "*" || part == name {
            let back = at.len();
            at.push('/');
            at.push_str(&name.replace('~', "~0").replace('/', "~1"));
            if let Some(new) = rewrite(member, rest, at, change)? {
                *member = new;
                touched = true;
            }
            at.truncate(back);
        }
        Ok(())
    };
    let text = value.get().trim_start();
    let new = if text.starts_with('{') {
        let mut object: Object = serde_json::from_str(text)?;
        object.0.iter_mut().try_for_each(|(name, member)| step(name, member))?;
        to_raw_value(&object)
    } else if text.starts_with('[') {
        let mut list: Vec<Box<RawValue>> = serde_json::from_str(text)?;
        list.iter_mut().enumerate().try_for_each(|(n, member)| step(&n.to_string(), member))?;
        to_raw_value(&list)
    } else {
        return Ok(None);
    };
    Ok(touched.then_some(new?))
}

/// An object with its members as they are written, in their order.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        from.deserialize_map(Members)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, member)| (name, member)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn starred(text: &str, path: &str) -> (String, Vec<String>) {
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        let mut seen = Vec::new();
        let new = Path::parse(path).unwrap().rewrite(&raw, &mut |at, value| {
            seen.push(format!("{at}={}", value.get()));
            Ok(to_raw_value("*")?)
        });
        (new.unwrap().map_or_else(|| text.into(), |new| new.get().into()), seen)
    }

    #[test]
    fn only_what_is_named_changes_by_a_byte() {
        let text = r#"{"z":123456789012345678901234567890,"a":{"token":{"x":1},"n":1.10},"a~/b":1e5,"z":2}"#;
        let (new, seen) = starred(text, "a.token");
        assert_eq!(new, text.replace(r#"{"x":1}"#, r#""*""#));
        assert_eq!(seen, [r#"/a/token={"x":1}"#]);
        assert_eq!(starred(text, "a~/b").1, ["/a~0~1b=1e5"]);
        for path in ["b", "a.token.x.y", "z.z", "0"] {
            assert_eq!(starred(text, path), (text.into(), vec![]), "{path}");
        }
        let (new, seen) = starred(r#"{"all":[{"t":1},{"u":2},{"t":3}]}"#, "all.*.t");
        assert_eq!(new, r#"{"all":[{"t":"*"},{"u":2},{"t":"*"}]}"#);
        assert_eq!(seen, ["/all/0/t=1", "/all/2/t=3"]);
        assert_eq!(starred("[1,2,3]", "1").0, r#"[1,"*",3]"#);
        assert_eq!(starred("[1,2]", "*").0, r#"["*","*"]"#);
    }

    #[test]
    fn paths_have_a_grammar() {
        for bad in ["", ".", "a.", ".a", "a..b", "a,b", "a\n", &"a.".repeat(40)] {
            assert!(Path::parse(bad).is_none(), "{bad:?}");
        }
        let overlap = |a, b| Path::parse(a).unwrap().overlaps(&Path::parse(b).unwrap());
        assert!(overlap("a.b", "a") && overlap("a.*", "a.b.c") && overlap("a", "a"));
        assert!(!overlap("a.b", "a.c") && !overlap("a.*.x", "a.b.y"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", path in "[a-c*0.]{1,6}") {
            if let (Some(path), Ok(raw)) = (Path::parse(&path), serde_json::from_str::<Box<RawValue>>(&text)) {
                let _ = path.rewrite(&raw, &mut |_, value| Ok(value.to_owned()));
            }
        }
    }
}
