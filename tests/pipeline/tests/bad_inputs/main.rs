//! What a browser, a script or a stranger may send to a whole shop, byte by byte, and what stands on its topics that is no
//! event: each gets its answer, none a 500, none reaches Stripe, and the shop sells on. The rows are those of the
//! project's list of bad inputs; `elsewhere` says which tests hold the others.

mod elsewhere;
mod events;
mod names;
mod requests;
