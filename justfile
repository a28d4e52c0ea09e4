# Recipes are one-line calls; everything works without `just` too.

# all tests
test *PARTS:
    ./test {{PARTS}}

# Runnerly whole, on the embedded defaults
run *ARGS:
    cargo run --release -- {{ARGS}}

# the command line over the demo's queue
legwork *ARGS:
    cargo run -q -p legwork-cli -- {{ARGS}}

# the model test, long
model CASES="20000":
    LEGWORK_MODEL_CASES={{CASES}} cargo test --release -p legwork --test model

# decoders under libFuzzer, so many seconds each, from the corpus on; needs cargo-fuzz and a
# nightly compiler: `just fuzz 60 record cron`
fuzz SECONDS="600" *TARGETS:
    fuzz/all {{SECONDS}} {{TARGETS}}

# the long forms of the proofs: model, decoders
soak CASES="200000" SECONDS="3600":
    just model {{CASES}} && just fuzz {{SECONDS}}

# what a bare client does, and what Legwork does: `just bench drain`, `just bench all`
bench *ARGS:
    cargo run --release -q -p legwork-bench -- {{ARGS}}

# instructions of the pure steps beside those in the repository; --write writes them anew
instructions *ARGS:
    cargo run --release -q -p legwork-bench --no-default-features --bin legwork-hot -- {{ARGS}}

# every example, without a server and on a Redis of its own
examples:
    cargo test -p tests --test examples

# three schedulers and so many kills, through a year's changes of clocks in six zones
zones KILLS="50":
    LEGWORK_KILLS={{KILLS}} cargo test -p tests --test trouble -- --nocapture schedules

# so many kills of processes that share one SQLite file
sqlite-kills KILLS="100":
    LEGWORK_KILLS={{KILLS}} cargo test -p tests --test sqlite_faults -- --nocapture kills

# so many jobs due in the same second, on a machine that does nothing else
due COUNT="1000000":
    LEGWORK_QUIET=1 LEGWORK_DUE={{COUNT}} cargo test --release -p tests --test trouble -- --nocapture many

lint:
    ./test lint

fmt:
    cargo fmt --all

docs:
    cargo doc --workspace --no-deps

# workers and servers killed, connections cut, every job accounted for: `just storm short 7`
storm *ARGS:
    cargo run --release -q -p tests --bin storm -- {{ARGS}}
