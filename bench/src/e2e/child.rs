//! A sender process, ended when it is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use tickline_bench::shapes::Shape;

use super::sender::Sent;

/// What is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) seed: u64,
    pub(crate) messages: u64,
    /// As on the command line.
    pub(crate) rate: String,
}

/// A running sender.
#[derive(Debug)]
pub(crate) struct Sender {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where it publishes.
    pub(crate) endpoint: String,
}

impl Sender {
    /// Starts this program as a sender; it waits for its subscriber.
    pub(crate) fn start(load: &Load) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["send", "--shape", load.shape.name, "--rate", &load.rate])
            .args(["--seed", &load.seed.to_string(), "--messages", &load.messages.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the sender must start")?;
        let output = child.stdout.take().context("the sender's output")?;
        let mut sender = Self { child, output: BufReader::new(output), endpoint: String::new() };
        sender.endpoint = sender.line()?;
        Ok(sender)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "the sender has ended early");
        Ok(line.trim().to_owned())
    }

    /// Whether it has nothing more to say.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What it did, once it has sent everything.
    pub(crate) fn sent(mut self) -> Result<Sent> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("the sender's report {line:?}"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Fails only where it has already ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
