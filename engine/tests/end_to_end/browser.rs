//! A headless Chromium, spoken to by its DevTools protocol: enough to open a page, ask it for a value and see what it
//! complains of.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::program::{PATIENCE, wait_for};

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    asked: u64,
    /// What the page has complained of: uncaught errors, `console.error`, refused loads.
    pub(crate) complaints: Vec<String>,
    _profile: TempDir,
}

/// The program, where it is installed; CI must have it.
fn installed() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(name).exists())
    });
    if found.is_none() {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "chromium is not installed");
        println!("skipped: chromium is not installed");
    }
    found
}

impl Browser {
    /// A page of that size, in dark colours or light ones; none where no browser is installed.
    pub(crate) fn open(width: u32, height: u32, dark: bool) -> Option<Self> {
        let program = installed()?;
        let profile = tempfile::tempdir().unwrap();
        let user_data = format!("--user-data-dir={}", profile.path().display());
        // Its sandbox does not start for root, and what it opens is ours.
        let flags =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"];
        let mut command = Command::new(program);
        command.args(flags).args([&user_data, "--remote-debugging-port=0", "about:blank"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = stderr
            .find_map(|line| Some(line.ok()?.strip_prefix("DevTools listening on ")?.trim().to_owned()));
        // Its log is read to the end, so that it never waits for a full pipe.
        let log = std::thread::Builder::new().name("browser-log".into());
        log.spawn(move || stderr.for_each(drop)).unwrap();
        let (socket, _) = tungstenite::connect(address.expect("it listens")).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser = Self { child, socket, session, asked: 0, complaints, _profile: profile };
        browser.attach(width, height, dark);
        Some(browser)
    }

    fn attach(&mut self, width: u32, height: u32, dark: bool) {
        let page = self.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let to = json!({ "targetId": page["targetId"], "flatten": true });
        self.session = self.call("Target.attachToTarget", &to)["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Opens an address and waits until its page is there.
    pub(crate) fn goto(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer.get("errorText").is_none(), "{answer}");
        self.wait(&format!("location.href === {url:?} && document.readyState === 'complete'"));
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let what = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &what);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Asks until the expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        wait_for(expression, || (self.value(expression) == true).then_some(()));
    }

    /// Writes the page, from its top to its end, as PNG, where `TICKLINE_PICTURES` names a folder for it.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("TICKLINE_PICTURES") else { return };
        let what = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", &what);
        let path = Path::new(&folder).join(format!("{name}.png.base64"));
        std::fs::write(path, answer["data"].as_str().unwrap()).unwrap();
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut call = json!({ "id": self.asked, "method": method, "params": params });
        if !self.session.is_empty() {
            call["sessionId"] = self.session.as_str().into();
        }
        self.socket.send(Message::text(call.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["id"] == self.asked {
                assert!(said.get("error").is_none(), "{method}: {said}");
                return said["result"].clone();
            }
            self.hear(&said);
        }
    }

    fn hear(&mut self, said: &Value) {
        let params = &said["params"];
        let wrong = match said["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => params["type"] == "error",
            Some("Log.entryAdded") => params["entry"]["level"] == "error",
            _ => false,
        };
        if wrong {
            self.complaints.push(params.to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
