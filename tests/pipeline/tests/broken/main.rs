//! Everything that a shop depends on is broken and mended while carts come in: shoppers get the answers that the
//! design allows, memory stays bounded, and in the end every payment has its order and its mail, once. The ledger is
//! the stand-ins' own. Each test prints its seed.

mod back;
mod elsewhere;
mod flow;
mod mail;
mod replicas;
mod servers;
mod stripe;
