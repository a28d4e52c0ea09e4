//! Which errors are the same one: the text without what differs from job to job.

/// What is looked at of an error: enough to tell it, and less than a backend keeps of it.
const LOOKED_AT: usize = 1_024;

/// Twelve hexadecimal characters that errors of one cause share: a hash of the text without
/// its numbers, hexadecimal words, quoted strings, paths and URLs. Only the first KiB counts.
///
/// ```
/// use legwork::fingerprint;
/// let one = fingerprint("athlete 7: GET https://api/v3/7 answered in 31 ms");
/// assert_eq!(one, fingerprint("athlete 12345: GET https://api/v3/12345 answered in 2 ms"));
/// assert_ne!(one, fingerprint("athlete 7: the token has been revoked"));
/// assert_eq!(one.len(), 12);
/// ```
pub fn fingerprint(error: &str) -> String {
    let mut end = error.len().min(LOOKED_AT);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    // FNV-1a, 64 bits: the same in every version and on every machine.
    let hash = normal(&error[..end])
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{:012x}", (hash ^ (hash >> 48)) & 0xffff_ffff_ffff)
}

/// The text with everything masked that differs from job to job.
fn normal(text: &str) -> String {
    let (mut rest, mut last, mut made) = (text, None, String::new());
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' | '\'' | '`' => match quoted(rest, first, last) {
                Some(length) => {
                    made.push_str("\"\"");
                    length
                }
                None => {
                    made.push(first);
                    first.len_utf8()
                }
            },
            c if c.is_whitespace() || c.is_control() => {
                if !made.ends_with(' ') {
                    made.push(' ');
                }
                c.len_utf8()
            }
            c if parts(c) => {
                made.push(c);
                c.len_utf8()
            }
            _ => {
                let length = rest.find(|c: char| c.is_whitespace() || parts(c)).unwrap_or(rest.len());
                word(&rest[..length], &mut made);
                length
            }
        };
        last = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    made.trim().to_owned()
}

/// Whether it stands between words.
fn parts(c: char) -> bool {
    c.is_control()
        || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | ',' | ';' | '"' | '\'' | '`')
}

/// How long a quoted string at the beginning of this text is; none for an apostrophe.
fn quoted(text: &str, mark: char, before: Option<char>) -> Option<usize> {
    if mark == '\'' && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let ends = |at: &usize| !text[at + 1..].chars().next().is_some_and(char::is_alphanumeric);
    let close = text.match_indices(mark).skip(1).map(|(at, _)| at).find(|at| mark != '\'' || ends(at))?;
    Some(close + 1)
}

/// One word: a path or a URL as a whole, else what is a number or hexadecimal in it.
fn word(word: &str, made: &mut String) {
    let slashes = word.matches(['/', '\\']).count();
    if word.contains("://") || slashes > 1 || (slashes == 1 && word.starts_with(['/', '.', '~'])) {
        return made.push('/');
    }
    if hexadecimal(&word.replace('-', "")) {
        return made.push('#');
    }
    let mut run = String::new();
    for c in word.chars().chain([' ']) {
        if c.is_alphanumeric() {
            run.push(c);
            continue;
        }
        masked(&run, made);
        run.clear();
        if c != ' ' {
            made.push(c);
        }
    }
}

fn hexadecimal(text: &str) -> bool {
    let text = text.strip_prefix("0x").unwrap_or(text);
    text.len() >= 8
        && text.bytes().all(|b| b.is_ascii_hexdigit())
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// A run of letters and digits.
fn masked(run: &str, made: &mut String) {
    let digits = run.chars().filter(|c| c.is_numeric()).count();
    if digits == 0 {
        made.push_str(run);
    } else if digits == run.chars().count() || run.starts_with("0x") || run.len() >= 6 {
        // A number, or an id that mixes letters and digits.
        made.push('#');
    } else {
        let mut before = false;
        for c in run.chars() {
            if !c.is_numeric() {
                made.push(c);
            } else if !before {
                made.push('#');
            }
            before = c.is_numeric();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_from_job_to_job_is_masked() {
        for (text, shape) in [
            ("the upstream said no", "the upstream said no"),
            ("took 31 ms, limit 20", "took # ms, limit #"),
            ("no file '/var/lib/it's here.gpx' found", "no file \"\" found"),
            ("it's not the user's fault", "it's not the user's fault"),
            ("GET https://a.b/c?d=7: 404", "GET / #"),
            ("open ./data/7.json: denied", "open / denied"),
            ("I/O error", "I/O error"),
            ("job 0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00 \n\t is  gone", "job # is gone"),
            ("at 0x7ffe12 of deadbeef00, v2 on host-17", "at # of #, v# on host-#"),
            ("10.0.0.7:6379 refused (os error 111)", "#.#.#.#:# refused (os error #)"),
            ("", ""),
        ] {
            assert_eq!(normal(text), shape);
        }
    }

    #[test]
    fn it_stays_what_it_was_in_other_versions() {
        assert_eq!(fingerprint("the upstream said no"), "e128c3b05a39");
    }

    #[test]
    fn only_the_first_kibibyte_counts() {
        let long = "x y ".repeat(300);
        assert_eq!(fingerprint(&long), fingerprint(&format!("{long} and more")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,400}") {
            prop_assert_eq!(fingerprint(&text).len(), 12);
            prop_assert!(fingerprint(&text).bytes().all(|b| b.is_ascii_hexdigit()));
        }

        #[test]
        fn numbers_do_not_tell_errors_apart(a in 0u64..u64::MAX, b in 0u64..u64::MAX) {
            let said = |n: u64| fingerprint(&format!("athlete {n} has no run {n}, only \"{n}\""));
            prop_assert_eq!(said(a), said(b));
        }
    }
}
