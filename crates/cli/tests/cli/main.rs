//! The command line end to end: the real binary, on queues made through the library.

mod accounts;
mod backends;
mod bad_input;
mod doctor;
mod enqueue;
mod flows;
mod limits;
mod outbox;
mod output;
mod reading;
mod rules;
mod run;
mod sealed;
mod search;
mod steering;
mod world;
