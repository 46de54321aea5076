//! The few calls of Grafana's HTTP API that are needed.

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use tickline_config::secret::Secret;
use tickline_sinks::influx::spoken;

const PATIENCE: Duration = Duration::from_secs(10);

/// A Grafana and our login.
#[derive(Debug)]
pub(super) struct Grafana {
    client: Client,
    url: Url,
    login: Secret,
}

impl Grafana {
    /// Sends nothing yet.
    pub(super) fn new(url: &str, login: Secret) -> Result<Self, String> {
        let wrong = || format!("--grafana must be http://HOST:PORT or https://HOST:PORT, found {url:?}");
        let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        Ok(Self {
            client: client.build().map_err(|error| error.to_string())?,
            url: Url::parse(url).map_err(|_| wrong())?,
            login,
        })
    }

    /// Makes the data source or brings it up to date.
    pub(super) fn put_datasource(&self, uid: &str, source: &Value) -> Result<(), String> {
        let path = format!("/api/datasources/uid/{uid}");
        match self.ask(Method::GET, &path, None)? {
            StatusCode::NOT_FOUND => self.must(Method::POST, "/api/datasources", source),
            _ => self.must(Method::PUT, &path, source),
        }
    }

    /// Makes the folder, if it is not there.
    pub(super) fn put_folder(&self, uid: &str) -> Result<(), String> {
        match self.ask(Method::GET, &format!("/api/folders/{uid}"), None)? {
            StatusCode::NOT_FOUND => {
                self.must(Method::POST, "/api/folders", &json!({ "uid": uid, "title": uid }))
            }
            _ => Ok(()),
        }
    }

    /// Makes a dashboard or brings it up to date.
    pub(super) fn put_dashboard(&self, folder: &str, model: &Value) -> Result<(), String> {
        let body =
            json!({ "dashboard": model, "folderUid": folder, "overwrite": true, "message": "tickline" });
        self.must(Method::POST, "/api/dashboards/db", &body)
    }

    /// Whether something is there.
    pub(super) fn has(&self, path: &str) -> Result<bool, String> {
        Ok(self.ask(Method::GET, path, None)? != StatusCode::NOT_FOUND)
    }

    /// Removes something; false if it was not there.
    pub(super) fn delete(&self, path: &str) -> Result<bool, String> {
        Ok(self.ask(Method::DELETE, path, None)? != StatusCode::NOT_FOUND)
    }

    fn must(&self, method: Method, path: &str, body: &Value) -> Result<(), String> {
        match self.ask(method, path, Some(body))? {
            StatusCode::NOT_FOUND => Err(format!("{}: {path}: not found", self.url)),
            _ => Ok(()),
        }
    }

    /// The status of an answer that is a success or says that something is not there.
    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<StatusCode, String> {
        let url = self.url.join(path).map_err(|error| error.to_string())?;
        let request = self.signed(self.client.request(method, url));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().map_err(|error| format!("{}: {}", self.url, spoken(error)))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(status);
        }
        let said = answer.text().unwrap_or_default();
        Err(format!("{}: {path}: status {}, {}", self.url, status.as_u16(), said.trim()))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match self.login.expose().split_once(':') {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request.bearer_auth(self.login.expose()),
        }
    }
}
