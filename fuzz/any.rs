//! The decoder that `LEGWORK_FUZZ_TARGET` names, under libFuzzer.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::{LazyLock, Mutex, PoisonError};
use tests::fuzz::{Target, targets};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    // libFuzzer's own hook ends the process at any panic, also at one of a library that we
    // catch, as an import does.
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let name = std::env::var("LEGWORK_FUZZ_TARGET").expect("LEGWORK_FUZZ_TARGET");
    targets().into_iter().find(|target| target.name == name).expect("a target of this name")
});

/// The last panic, for when nobody catches it.
static PANIC: Mutex<String> = Mutex::new(String::new());

fuzz_target!(|data: &[u8]| -> Corpus {
    if std::panic::catch_unwind(|| (TARGET.run)(data)).is_err() {
        eprintln!("{}", PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        std::process::abort();
    }
    Corpus::Keep
});
