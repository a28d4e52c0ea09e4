//! The decoder that `LEGWORK_FUZZ_TARGET` names, under libFuzzer.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::LazyLock;
use tests::fuzz::{Target, targets};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("LEGWORK_FUZZ_TARGET").expect("LEGWORK_FUZZ_TARGET");
    targets().into_iter().find(|target| target.name == name).expect("a target of this name")
});

fuzz_target!(|data: &[u8]| -> Corpus {
    (TARGET.run)(data);
    Corpus::Keep
});
