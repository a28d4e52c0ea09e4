//! What the documents say is so: commands run, links lead somewhere, recipes are one-line
//! calls, and every test named as a proof exists. The README's Rust is compiled as a
//! documentation test of this crate.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::{Program, binary, free_port, root};

const LONG: Duration = Duration::from_secs(120);

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The fenced blocks of a document: language and lines.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(language) => {
                inside = !inside;
                if inside {
                    blocks.push((language.trim().to_owned(), Vec::new()));
                }
            }
            None if inside => blocks.last_mut().expect("a block was begun").1.push(line.to_owned()),
            None => {}
        }
    }
    assert!(!inside, "a block is never closed");
    blocks
}

/// What a line of a shell block means here.
enum Step {
    /// Runs to its end: this line, for a shell.
    Run(String),
    /// Runnerly whole: runs until this test ends.
    Serve,
    /// The tests themselves.
    Tests,
}

/// Replaces `cargo run …` by the binary that is built already.
fn step(line: &str, binaries: &[(String, String)]) -> Step {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (cargo, arguments) = line.split_once(" -- ").unwrap_or((line, ""));
    match words[..] {
        ["./test", ..] => Step::Tests,
        ["cargo", "run", "--release"] => Step::Serve,
        ["cargo", "run", ..] => {
            let given = |flag: &str| words.iter().position(|w| *w == flag).and_then(|at| words.get(at + 1));
            let package = given("-p").map_or("", |p| *p);
            let mut of_package = binaries.iter().filter(|(owner, _)| owner == package).map(|(_, name)| name);
            let name = match given("--bin").filter(|_| cargo.contains("--bin")) {
                Some(bin) => of_package.find(|name| name == bin),
                None => of_package.next().filter(|_| of_package.next().is_none()),
            };
            let name = name.unwrap_or_else(|| panic!("no such program: {line}"));
            Step::Run(format!("{} {arguments}", binary(name).display()))
        }
        _ => panic!("this test does not know how to run: {line}"),
    }
}

/// Package and name of every binary; those of the default members under no package, too,
/// as `cargo run` finds them.
fn binaries() -> Vec<(String, String)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let told = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo tells about the workspace");
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let default = list(&told["workspace_default_members"]);
    let mut found = Vec::new();
    for package in list(&told["packages"]) {
        for target in list(&package["targets"]).iter().filter(|t| t["kind"][0] == "bin") {
            let (owner, name) = (package["name"].as_str(), target["name"].as_str());
            let (owner, name) = (owner.expect("a name").to_owned(), name.expect("a name").to_owned());
            if default.contains(&package["id"]) {
                found.push((String::new(), name.clone()));
            }
            found.push((owner, name));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_runs_in_order() {
    let readme = read(&root().join("README.md"));
    let binaries = binaries();
    let room = tempfile::tempdir().expect("a directory");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut server = None;
    let mut ran = 0;
    for (language, lines) in blocks(&readme) {
        assert!(["sh", "rust", "toml"].contains(&&*language), "a block of the README is in {language:?}");
        let commands = lines.iter().map(|l| l.trim()).filter(|l| !l.is_empty() && !l.starts_with('#'));
        for line in commands.filter(|_| language == "sh") {
            match step(line, &binaries) {
                Step::Tests => assert!(root().join("test").is_file()),
                Step::Serve => {
                    let program =
                        Program::new("runnerly").within(room.path()).env("RUNNERLY_LISTEN", &listen);
                    let mut process = program.start();
                    process.line("Runnerly is ready", LONG).await;
                    let page = reqwest::get(format!("http://{listen}/")).await.expect("an answer");
                    assert!(page.status().is_success(), "{line}: {}", page.status());
                    server = Some(process);
                }
                Step::Run(command) => {
                    let program = Program::installed("sh").expect("a shell").within(room.path());
                    let done = program.args(["-c", &command]).without("LEGWORK_URL").run(LONG);
                    assert_eq!(done.code, Some(0), "{line}: {done:?}");
                    assert!(!done.stdout.trim().is_empty(), "{line} says nothing: {done:?}");
                    ran += 1;
                }
            }
        }
    }
    assert!(ran >= 8 && server.is_some(), "the README has its commands: {ran} ran");
}

#[test]
fn every_recipe_is_one_line() {
    let justfile = read(&root().join("justfile"));
    let mut recipes = 0;
    let mut lines = justfile.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')).peekable();
    while let Some(head) = lines.next() {
        assert!(!head.starts_with(char::is_whitespace), "a second line of a recipe: {head}");
        assert!(head.contains(':'), "no recipe: {head}");
        let body = lines.next().unwrap_or_else(|| panic!("nothing under {head}"));
        assert!(body.starts_with("    ") && !body.ends_with('\\'), "{head}: {body}");
        recipes += 1;
    }
    assert!(recipes > 0);
}

/// README, architecture, and everything under docs.
fn documents() -> Vec<PathBuf> {
    let mut found =
        vec![root().join("README.md"), root().join("ARCHITECTURE.md"), root().join("CHANGELOG.md")];
    let mut open = vec![root().join("docs")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut links = 0;
    for document in documents() {
        let text = read(&document);
        let dir = document.parent().expect("a document lies somewhere");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split(['#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(dir.join(target).exists(), "{}: {target} does not exist", document.display());
            links += 1;
        }
    }
    assert!(links > 5, "{links} links");
}

#[test]
fn every_proof_of_a_guarantee_exists() {
    let text = read(&root().join("docs/guarantees.md"));
    let promised = text.split("## Promised").nth(1).and_then(|t| t.split("\n## ").next()).expect("promises");
    let rows = promised.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| promise "));
    let mut proofs = 0;
    for row in rows {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|c| c.contains(".rs")).collect();
        assert!(!named.is_empty(), "a promise without a proof: {row}");
        for proof in named {
            let (file, name) = proof.split_once("::").unwrap_or((proof, ""));
            let code = read(&root().join(file));
            let test = format!("fn {name}(");
            assert!(name.is_empty() || code.contains(&test), "{proof} does not exist");
            proofs += 1;
        }
    }
    assert!(proofs > 10, "{proofs} proofs");
}
