//! Every conformance case on every backend: one line per backend at the end.

mod common;

use common::Keeper;
use legwork::testing::conformance::find;
use legwork::testing::harness::Harness;

/// Runs one case on a harness of its own; says so where the backend is not to be had.
fn run(opened: impl Future<Output = Option<(Harness, Keeper)>>, verb: &str, name: &str) {
    let case = find(verb, name).expect("a case of the list");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some((harness, keeper)) = opened.await else {
            return;
        };
        case.run(&harness).await;
        drop(harness);
        drop(keeper);
    });
}

macro_rules! tests_of {
    ($backend:ident ; $($verb:ident { $($name:ident)* })*) => {
        mod $backend { $(mod $verb { $(
            #[test]
            fn $name() {
                crate::run(crate::common::$backend(), stringify!($verb), stringify!($name));
            }
        )* })* }
    };
}

legwork::conformance_cases!(tests_of redis);
legwork::conformance_cases!(tests_of redis_shards);
legwork::conformance_cases!(tests_of valkey);
legwork::conformance_cases!(tests_of sqlite_file);
legwork::conformance_cases!(tests_of sqlite_memory);
