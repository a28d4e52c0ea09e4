//! Running statistics: pure functions from activities and streams to numbers.
//!
//! Conventions: days, weeks (from Monday), months and years are local ([`Activity::day`](crate::run::Activity::day));
//! only runs count; pace comes from moving time, for races from elapsed time; nothing is rounded before it is shown.
//!
//! | question | where |
//! |---|---|
//! | totals per day, week, month, year | [`totals`] |
//! | everything about a list of activities at once | [`summary`] |
//! | days or weeks in a row | [`streaks`] |
//! | Eddington number | [`eddington`] |
//! | fastest 5 km within a run | [`efforts`] |
//! | kilometre and mile splits, moving time | [`splits`] |
//! | personal records and how they fell | [`records`] |
//! | heart rate zones | [`zones`] |
//! | metres climbed | [`climb`] |
//! | pace as text | [`pace`] |
//! | fitness, equivalent times, training paces | [`vdot`] |
//! | pace corrected for slope | [`grade`] |
//! | training load, fitness, fatigue, form | [`load`] |
//! | pace histogram, calendar | [`spread`] |

pub mod climb;
pub mod eddington;
pub mod efforts;
pub mod grade;
pub mod load;
pub mod pace;
pub mod records;
pub mod splits;
pub mod spread;
pub mod streaks;
pub mod summary;
pub mod totals;
pub mod vdot;
pub mod zones;

#[cfg(test)]
mod recorded;

/// Metres in a kilometre.
pub const KM: f64 = 1000.0;

/// Metres in a mile.
pub const MILE: f64 = 1609.344;
