//! The house rules that a machine can hold: who may depend on whom, and how large a file, a function
//! may be; that what is promised has its tests, and that documents lead nowhere that is not there. A rule that turns out wrong is changed here, with its reason.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too")]

mod arrows;
mod documents;
mod guarantees;
mod sizes;
mod sources;
