//! A real cluster, one file a behaviour. `make e2e` runs them, one after the other: they share one operator.

mod deletion;
mod install;
mod kills;
mod neighbours;
mod removal;
mod upgrade;
