//! What a browser, a script or a stranger may send to a whole shop, byte by byte, and what stands on its topics that is no
//! event: each gets its answer, none a 500, none reaches Stripe, and the shop sells on. `elsewhere` says which tests hold
//! what is nearer to one part.

mod elsewhere;
mod events;
mod names;
mod requests;
