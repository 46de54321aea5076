//! Lines of a file or of standard input. Both are read by waiting, so a thread of its own hands the lines over; it
//! ends with its source, or when nobody takes them any more.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};

use crate::spawn::spawn;
use crate::stop::Stop;

/// Lines that may wait.
const LINES_MAX: usize = 1_024;

pub(super) fn open(
    path: &str,
    wake: Arc<mio::Waker>,
    stop: &Arc<Stop>,
) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let source: Box<dyn BufRead + Send> = if path == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path)?))
    };
    let (give, take) = bounded(LINES_MAX);
    spawn("pub-file", None, stop, move || {
        for line in source.split(b'\n') {
            let failed = line.is_err();
            if give.send(line).is_err() || wake.wake().is_err() || failed {
                return;
            }
        }
        drop(give);
        // Nobody left to wake is no fault.
        wake.wake().ok();
    })?;
    Ok(take)
}
