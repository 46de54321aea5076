//! The session token: got by a login or given, kept alive, and had anew once when the venue does not take it any more.
//! It promises that a login is only asked for after a wait, and that it never shows the token. It refuses to wait: when
//! is the connection's decision.

use serde::Deserialize;
use tickline_config::secret::Secret;

use super::codes::{self, Ending};
use super::requests;
use super::settings::{Credentials, Settings};
use crate::clock::MonoNanos;
use crate::connect::upstream::front;
use crate::connect::{Now, Outbox, Request};

/// A call that keeps the session alive and was not answered is made again so soon.
const AGAIN_NS: u64 = 300 * 1_000_000_000;

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Nothing to be done.
    Fine,
    /// There is a token now.
    LoggedIn,
    /// The login was none.
    Failed(Ending, String),
    /// The session was not kept alive, in the venue's words.
    NotKept(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Login,
    KeepAlive,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    session_token: Option<String>,
    login_status: String,
}

#[derive(Deserialize)]
struct KeptAlive {
    status: String,
    #[serde(default)]
    error: String,
}

/// The session.
#[derive(Debug)]
pub(super) struct Session {
    token: Option<Secret>,
    /// The last question, as long as it is not answered.
    asked: Option<(u32, Question)>,
    asked_so_far: u32,
    keep_alive_at: Option<MonoNanos>,
    /// Whether it was had anew since data came.
    is_renewed: bool,
}

impl Session {
    pub(super) const fn new() -> Self {
        Self { token: None, asked: None, asked_so_far: 0, keep_alive_at: None, is_renewed: false }
    }

    /// The token, if there is one.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(Secret::expose)
    }

    /// When it wants to be kept alive.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        self.keep_alive_at.filter(|_| self.asked.is_none())
    }

    /// Whether there is a token; if not, a login is on its way.
    pub(super) fn is_there(&mut self, settings: &Settings, now: Now, out: &mut Outbox) -> bool {
        if self.token.is_some() {
            return true;
        }
        match &settings.credentials {
            Credentials::Session(token) => {
                self.set(token.to_owned(), settings, now);
                true
            }
            Credentials::Certificate { username, password } => {
                let key = settings.app_key.expose();
                let request = requests::login(&settings.login_url, key, username, password.expose());
                self.ask(Question::Login, request, out);
                false
            }
        }
    }

    /// Keeps it alive, if it is time.
    pub(super) fn wake(&mut self, settings: &Settings, now: Now, out: &mut Outbox) {
        let Some(token) = self.token().filter(|_| self.due().is_some_and(|due| due <= now.mono)) else {
            return;
        };
        let request = requests::keep_alive(&settings.keep_alive_url, settings.app_key.expose(), token);
        self.ask(Question::KeepAlive, request, out);
    }

    fn ask(&mut self, question: Question, request: Request, out: &mut Outbox) {
        self.asked_so_far = self.asked_so_far.wrapping_add(1);
        self.asked = Some((self.asked_so_far, question));
        out.ask(self.asked_so_far, request);
    }

    fn set(&mut self, token: Secret, settings: &Settings, now: Now) {
        self.token = Some(token);
        self.keep_alive_at = Some(now.after(settings.keep_alive_ns));
    }

    /// Takes an answer.
    pub(super) fn answer(
        &mut self,
        (id, status, body): (u32, Option<u16>, &[u8]),
        settings: &Settings,
        now: Now,
    ) -> Answered {
        let Some((_, question)) = self.asked.take_if(|(asked, _)| *asked == id) else {
            return Answered::Fine;
        };
        match question {
            Question::Login => self.login(status, body, settings, now),
            Question::KeepAlive => self.kept_alive(status, body, settings, now),
        }
    }

    fn login(&mut self, status: Option<u16>, body: &[u8], settings: &Settings, now: Now) -> Answered {
        match serde_json::from_slice(body).ok().filter(|_| status == Some(200)) {
            Some(Login { session_token: Some(token), login_status }) if login_status == "SUCCESS" => {
                self.set(Secret::new(token), settings, now);
                Answered::LoggedIn
            }
            Some(Login { login_status, .. }) => {
                let said = front(&login_status);
                Answered::Failed(codes::of_login(said), format!("login: must be accepted, found {said}"))
            }
            None => Answered::Failed(codes::of_http(status), format!("login: {}", unanswered(status, body))),
        }
    }

    fn kept_alive(&mut self, status: Option<u16>, body: &[u8], settings: &Settings, now: Now) -> Answered {
        let answer: Option<KeptAlive> = serde_json::from_slice(body).ok().filter(|_| status == Some(200));
        match answer {
            Some(answer) if answer.status == "SUCCESS" => {
                self.keep_alive_at = Some(now.after(settings.keep_alive_ns));
                Answered::Fine
            }
            Some(answer) if answer.error == "NO_SESSION" => {
                // What streams goes on; the next connection needs another token.
                self.forget();
                Answered::NotKept("keep-alive: NO_SESSION".to_owned())
            }
            Some(answer) => self.again(front(&answer.error), now),
            None => self.again(&unanswered(status, body), now),
        }
    }

    fn again(&mut self, said: &str, now: Now) -> Answered {
        self.keep_alive_at = Some(now.after(AGAIN_NS));
        Answered::NotKept(format!("keep-alive: {said}"))
    }

    /// The venue does not take the token: whether another one is tried. Once, until data come.
    pub(super) fn renew(&mut self, settings: &mut Settings) -> bool {
        self.forget();
        if std::mem::replace(&mut self.is_renewed, true) {
            return false;
        }
        settings.reload() || matches!(settings.credentials, Credentials::Certificate { .. })
    }

    /// Data come: the venue takes it.
    pub(super) const fn is_taken(&mut self) {
        self.is_renewed = false;
    }

    /// There is no token, and no question is open.
    pub(super) fn forget(&mut self) {
        (self.token, self.asked, self.keep_alive_at) = (None, None, None);
    }
}

fn unanswered(status: Option<u16>, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let said = front(&body);
    status.map_or_else(|| said.to_owned(), |status| format!("{status} {said}").trim_end().to_owned())
}
