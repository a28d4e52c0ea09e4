//! Files stay small enough to be read: a script under 80 lines, a source file within 600.

use std::path::{Path, PathBuf};

/// Every file below a directory.
fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

#[test]
fn no_file_outgrows_its_measure() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let (mut seen, mut over) = ((0, 0), Vec::new());
    for path in all {
        let most = match path.extension().and_then(|end| end.to_str()) {
            Some("lua") => 79,
            Some("rs") => 600,
            _ => continue,
        };
        *if most == 79 { &mut seen.0 } else { &mut seen.1 } += 1;
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > most {
            over.push(format!("{}: {lines} lines, at most {most}", path.display()));
        }
    }
    assert!(seen.0 > 20 && seen.1 > 60, "the sources are elsewhere: {seen:?}");
    assert!(over.is_empty(), "{}", over.join("\n"));
}
