//! Throws bytes at decoders: what stands in `fuzz/corpus`, and what chance makes of it.
//!
//! Everything follows from the target's name and a seed, so that a failure comes again. What
//! a decoder took for good is kept and changed further; a failure is made smaller and written
//! to `target/fuzz`.

mod change;
mod runnerly;
mod shell;
mod web;

pub use legwork::testing::fuzz::Target;

use change::Changes;
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

/// What no input may take, in a build without optimisation on a machine that does more.
const LONGEST: Duration = Duration::from_secs(1);
/// An input that has not ended by then never does.
const STUCK: Duration = Duration::from_secs(20);
/// Inputs that were made are kept up to this length, and so many of them.
const MOST_BYTES: usize = 8 << 10;
const MOST_KEPT: usize = 512;

/// Every decoder: the library's, the command line's, Runnerly's.
pub fn targets() -> Vec<Target> {
    let all = [legwork::testing::fuzz::TARGETS, runnerly::TARGETS, shell::TARGETS, web::TARGETS];
    all.concat()
}

/// What a run has seen.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    inputs: u64,
    good: u64,
    slowest: Duration,
}

/// Replays the corpus of a target and changes it for as long as `LEGWORK_FUZZ_SECONDS` says
/// (10), from `LEGWORK_FUZZ_SEED` (1); with `LEGWORK_FUZZ_FILE`, runs that file alone.
///
/// # Panics
/// Where a promise is broken, with the input's file and the command that runs it again.
pub fn test(name: &str) {
    let target = targets().into_iter().find(|target| target.name == name).expect("a target");
    if let Ok(file) = std::env::var("LEGWORK_FUZZ_FILE") {
        let good = (target.run)(&fs::read(&file).unwrap_or_else(|e| panic!("{file}: {e}")));
        return println!("{name}: {file}: {}", if good { "good" } else { "refused" });
    }
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "no corpus in fuzz/corpus/{name}");
    let (seconds, seed) = (number("LEGWORK_FUZZ_SECONDS", 10), number("LEGWORK_FUZZ_SEED", 1));
    let began = Instant::now();
    let seen = search(target, corpus, seed, Duration::from_secs(seconds));
    let share = 100 * seen.good / seen.inputs.max(1);
    let line = format!(
        "{name}: {} inputs in {:.1?}, {share} % good, the slowest {:.1?}",
        seen.inputs,
        began.elapsed(),
        seen.slowest
    );
    // Seen also where tests are quiet; what parsers print on the way is not.
    let _ = writeln!(std::io::stdout(), "{line}");
    assert!(seen.good > 0, "{name}: nothing in the corpus is good, so its decoder is hardly tried");
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is not a number")))
}

/// The files of a target's corpus, in their order.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(crate::root().join("fuzz/corpus").join(name))
        .map_or_else(|_| Vec::new(), |all| all.filter_map(|one| Some(one.ok()?.path())).collect());
    files.sort();
    files.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// Runs in a thread of its own, so that one who never ends is seen.
fn search(target: Target, corpus: Vec<Vec<u8>>, seed: u64, span: Duration) -> Seen {
    let (now, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let (said, hear) = sync_channel(1);
    let (at, counted) = (now.clone(), count.clone());
    let thread = std::thread::spawn(move || {
        let mut seen = Seen::default();
        let ended = walk(target, corpus, seed, span, &mut seen, |input| {
            input.clone_into(&mut at.lock().unwrap_or_else(|e| e.into_inner()));
            counted.fetch_add(1, Ordering::Relaxed);
        });
        // Whoever listened may have given up.
        let _ = said.send((seen, ended));
    });
    loop {
        let before = count.load(Ordering::Relaxed);
        match hear.recv_timeout(STUCK) {
            Ok((seen, Ok(()))) => {
                thread.join().expect("it has said so");
                return seen;
            }
            Ok((_, Err((input, why)))) => fail(target, seed, &input, &why),
            Err(RecvTimeoutError::Timeout) if count.load(Ordering::Relaxed) > before => {}
            Err(_) => {
                let input = now.lock().unwrap_or_else(|e| e.into_inner()).clone();
                fail(target, seed, &input, "it does not end");
            }
        }
    }
}

fn fail(target: Target, seed: u64, input: &[u8], why: &str) -> ! {
    let dir = crate::root().join("target/fuzz");
    let file = dir.join(format!("{}-{seed}", target.name));
    let written = fs::create_dir_all(&dir).and_then(|()| fs::write(&file, input));
    let (name, shown) = (target.name, String::from_utf8_lossy(&input[..input.len().min(300)]).into_owned());
    panic!(
        "{name}, seed {seed}: {why}\ninput ({} bytes, {written:?}): {shown:?}\nagain: LEGWORK_FUZZ_FILE={} cargo test -p tests --test fuzz {name}",
        input.len(),
        file.display()
    )
}

type Broken = (Vec<u8>, String);

/// The corpus as it is, then changes of it until the time is over.
fn walk(
    target: Target,
    corpus: Vec<Vec<u8>>,
    seed: u64,
    span: Duration,
    seen: &mut Seen,
    mut note: impl FnMut(&[u8]),
) -> Result<(), Broken> {
    let began = Instant::now();
    let fixed = corpus.len();
    let mut one = |input: &[u8]| {
        note(input);
        run(target, input, seen)
    };
    for input in &corpus {
        one(input).map_err(|why| (input.clone(), why))?;
    }
    let mut changes = Changes::new(seed, target.name);
    let mut kept = corpus;
    while began.elapsed() < span {
        let input = changes.of(&kept);
        let good = one(&input).map_err(|why| (smaller(target, input.clone()), why))?;
        if good && input.len() <= MOST_BYTES && !kept.contains(&input) {
            match kept.len() < fixed + MOST_KEPT {
                true => kept.push(input),
                false => kept[fixed + changes.below(MOST_KEPT)] = input,
            }
        }
    }
    Ok(())
}

/// One input; whether it was good, or what broke.
fn run(target: Target, input: &[u8], seen: &mut Seen) -> Result<bool, String> {
    let began = Instant::now();
    let good = quietly(|| (target.run)(input))?;
    let mut took = began.elapsed();
    // The machine may have been busy with others: only what is slow each time is.
    for _ in 0..2 {
        if took > LONGEST {
            let began = Instant::now();
            quietly(|| (target.run)(input))?;
            took = took.min(began.elapsed());
        }
    }
    if took > LONGEST {
        return Err(format!("it takes {took:.1?}; {LONGEST:?} is allowed"));
    }
    seen.inputs += 1;
    seen.good += u64::from(good);
    seen.slowest = seen.slowest.max(took);
    Ok(good)
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls it; what a panic said, in place of printing it.
fn quietly<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match QUIET.get() {
            true => SAID.with_borrow_mut(|said| *said = info.to_string()),
            false => before(info),
        }));
    });
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(call));
    QUIET.set(false);
    done.map_err(|_| SAID.with_borrow_mut(std::mem::take))
}

/// Cuts pieces out for as long as it still breaks, a few seconds at most.
fn smaller(target: Target, mut input: Vec<u8>) -> Vec<u8> {
    let began = Instant::now();
    let breaks = |input: &[u8]| quietly(|| (target.run)(input)).is_err();
    let mut piece = input.len().div_ceil(2);
    while piece > 0 && breaks(&input) {
        let mut at = 0;
        while at < input.len() && began.elapsed() < Duration::from_secs(5) {
            let mut less = input.clone();
            less.drain(at..(at + piece).min(input.len()));
            match breaks(&less) {
                true => input = less,
                false => at += piece,
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    input
}
