//! A shop of many processes under load while all that it is made of is killed, frozen and cut off at random, and the comparison
//! at the end. The ledger is what the stand-in for Stripe and the mail sink have written; the shop's own tables are only compared
//! with it.
//!
//! What happens when follows from a seed. What it meets does not: two runs of one seed kill at the same moments, and find other
//! messages on their way.

#![expect(clippy::print_stderr, reason = "a long run says how it goes")]

mod compare;
mod counters;
mod facts;
mod faults;
mod lanes;
mod ledger;
mod load;
mod member;
mod node;
mod options;
mod poison;
mod quiet;
mod report;
mod run;
mod scenario;
mod schedule;
mod secrets;
mod shopper;
mod tell;
mod world;

pub use compare::Verdict;
pub use node::{Report as NodeReport, run as run_node};
pub use options::{Options, Stack};
pub use report::Report;
pub use run::run;
