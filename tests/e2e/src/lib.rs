//! A real cluster under test, driven by what a user has: `kubectl`, `helm`, a browser and the shop's pages.
//! `make e2e` gives it `KUBECONFIG` and the images; `tests/e2e/run` says how. It must not look at the nodes.

mod figures;
mod kubectl;
mod load;
mod operator;
mod place;
mod pod;
mod shop;

pub use figures::{Start, start_anew};
pub use kubectl::{Forward, helm, kubectl, kubectl_json, kubectl_with, node};
pub use load::{Load, Sold};
pub use operator::Operator;
pub use place::Place;
pub use pod::{pod, postgres};
pub use shop::{Ledger, Shop, demo};
