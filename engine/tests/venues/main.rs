//! Connectors against simulated venues, over real sockets: what the venue says arrives, and what it keeps back is told.

mod betfair;
mod bus;
mod definitions;
mod derived;
mod eurusd;
mod faults;
mod holes;
mod kraken;
mod oanda;
mod sentiment;
