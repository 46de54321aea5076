//! Promise: a simulated venue speaks as the venue does, to clients that share no code with it, and the journal says
//! exactly what its faults have kept from them.

mod betfair;
mod betfair_faults;
mod client;
mod command;
mod holes;
mod kraken;
mod kraken_faults;
mod oanda;
