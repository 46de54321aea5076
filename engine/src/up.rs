//! `tickline up`: what one machine runs, started in order, kept running and ended in order. One thread holds the state
//! and takes events; others only wait: for a child's end, for its words, for a request at the control socket.

pub mod child;
pub mod control;
pub mod keeper;
pub mod kept;
pub mod logs;
pub mod supervisor;
