//! Command lines.

use super::Target;

pub(super) const TARGETS: &[Target] = &[Target { name: "arguments", run: arguments }];

/// A word of the command line on each line; nothing is done of what it says.
fn arguments(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let words: Vec<&str> = text.split('\n').collect();
    match legwork_cli::understood(&words) {
        Ok(shown) => !shown.is_empty(),
        Err(line) => {
            assert!(!line.is_empty() && !line.contains('\n'), "not one line: {line:?}");
            false
        }
    }
}
