//! What is asked of the venue: subscriptions, in requests of so many symbols.

use super::{ANSWER_NS, LINK, Phase, SYMBOLS_MAX, Session, Standing, Subscription};
use crate::connect::{Now, Outbox};

impl Session {
    /// Asks for the symbols at these positions, which have until then to answer.
    pub(in super::super) fn subscribe(&mut self, positions: Vec<usize>, now: Now, out: &mut Outbox) {
        if let (Phase::Open { answers_by }, false) = (&mut self.phase, positions.is_empty()) {
            *answers_by = now.after(ANSWER_NS);
        }
        for part in positions.chunks(SYMBOLS_MAX) {
            for at in part {
                if let Some(symbol) = self.names.get_mut(*at) {
                    symbol.standing = Standing::Asked;
                }
            }
            self.request("subscribe", part.to_vec(), out);
        }
    }

    /// Ends and begins the subscription of one symbol: a new snapshot comes.
    pub(in super::super) fn resubscribe(&mut self, at: usize, now: Now, out: &mut Outbox) {
        self.asked.retain(|(_, positions)| *positions != [at]);
        self.request("unsubscribe", vec![at], out);
        self.subscribe(vec![at], now, out);
    }

    fn request(&mut self, method: &str, positions: Vec<usize>, out: &mut Outbox) {
        self.requests += 1;
        let id = self.requests;
        let names: Vec<String> = positions.iter().map(|at| format!("{:?}", self.name(*at))).collect();
        let is_all = self.is_channel_wide();
        let symbols = if is_all { String::new() } else { format!(",\"symbol\":[{}]", names.join(",")) };
        let Subscription { channel, parameters, .. } = &self.wanted;
        let text = format!(
            r#"{{"method":"{method}","params":{{"channel":"{channel}"{symbols}{parameters}}},"req_id":{id}}}"#
        );
        out.send(LINK, text);
        if method == "subscribe" {
            self.asked.push((id, positions));
        }
    }

    /// Replaces the parameters, such as a token that lives for one connection.
    pub(in super::super) fn set_parameters(&mut self, parameters: String) {
        self.wanted.parameters = parameters;
    }
}
