//! The HTTP client of the InfluxDB sink and of its administration: no redirects (a body and a login must not
//! wander), no proxy unless one is named, HTTP/1.1, one pooled connection.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder, RequestBuilder};
use reqwest::header::{AUTHORIZATION, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Identity, Proxy, Url};

use tickline_config::model::{Influx, InfluxTarget};
use tickline_config::secret::Secret;

use crate::influx::status::Answer;
use crate::open::OpenError;
use crate::sink::{Fault, FaultKind, Outcome};

/// A pooled connection is not used again after this idle time: load balancers close at 60 s (AWS), proxies at
/// 75 s (nginx), and a request sent into a closing connection is in doubt.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Connecting takes at most this part of the time-out of a request.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// As much of a body is read.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// A client with its server and login.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    base: Url,
    login: Login,
    /// Where the login comes from.
    sink: String,
    target: InfluxTarget,
}

#[derive(Debug)]
enum Login {
    Open,
    Basic(String, Secret),
    Header(HeaderValue),
}

impl Http {
    pub(crate) fn new(sink: &str, influx: &Influx) -> Result<Self, OpenError> {
        let client_error = |source: reqwest::Error| OpenError::Client { sink: sink.to_owned(), source };
        let builder = Client::builder()
            .user_agent(concat!("tickline/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .timeout(influx.timeout)
            .connect_timeout(influx.timeout.min(CONNECT_MAX))
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(1);
        let builder = match &influx.proxy {
            Some(proxy) => builder.proxy(Proxy::all(proxy).map_err(client_error)?),
            None => builder.no_proxy(),
        };
        let builder = with_tls(builder, sink, influx)?;
        let client = builder.build().map_err(client_error)?;
        let (target, sink) = (influx.target.clone(), sink.to_owned());
        let login = Login::new(&sink, &target)?;
        Ok(Self { client, base: base_url(&sink, &influx.url)?, login, sink, target })
    }

    /// Takes the login that stands in its file now; false if it is the same.
    pub(crate) fn renew_login(&mut self) -> bool {
        let secret = match &mut self.target {
            InfluxTarget::V1 { login, .. } => login.as_mut().map(|(_, password)| password),
            InfluxTarget::V2 { token, .. } | InfluxTarget::V3 { token, .. } => token.as_mut(),
        };
        let Some((secret, renewed)) = secret.and_then(|secret| secret.renewed().map(|new| (secret, new)))
        else {
            return false;
        };
        *secret = renewed;
        // What cannot be a login is left to the next try.
        Login::new(&self.sink, &self.target).map(|login| self.login = login).is_ok()
    }

    /// The server's address with `path` and parameters.
    pub(crate) fn url(&self, path: &str, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        let folder = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{folder}{path}"));
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.signed(self.client.post(url))
    }

    pub(crate) fn patch(&self, url: Url) -> RequestBuilder {
        self.signed(self.client.patch(url))
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.signed(self.client.get(url))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            Login::Open => request,
            Login::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
            Login::Header(value) => request.header(AUTHORIZATION, value.clone()),
        }
    }
}

/// Whom we believe and what we show, read from their files.
fn with_tls(mut builder: ClientBuilder, sink: &str, influx: &Influx) -> Result<ClientBuilder, OpenError> {
    let read = |key: &'static str, path: &Path| {
        std::fs::read(path).map_err(|error| OpenError::Tls {
            sink: sink.to_owned(),
            key,
            path: path.to_owned(),
            detail: error.to_string(),
        })
    };
    let refused = |key: &'static str, path: &Path| {
        let (sink, path) = (sink.to_owned(), path.to_owned());
        move |error: reqwest::Error| OpenError::Tls { sink, key, path, detail: error.to_string() }
    };
    if let Some(path) = &influx.tls_ca {
        let roots = Certificate::from_pem_bundle(&read("tls_ca", path)?).map_err(refused("tls_ca", path))?;
        builder = builder.tls_certs_only(roots);
    } else if influx.url.starts_with("http://") && influx.proxy.is_none() {
        // Nobody's certificate is asked for: the system's authorities, megabytes a client, are not read.
        builder = builder.tls_certs_only([]);
    }
    if let Some(path) = &influx.tls_client {
        let own = Identity::from_pem(&read("tls_client", path)?).map_err(refused("tls_client", path))?;
        builder = builder.identity(own);
    }
    Ok(builder)
}

impl Login {
    fn new(sink: &str, target: &InfluxTarget) -> Result<Self, OpenError> {
        let header = |scheme: &str, token: &Secret| {
            let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose())).map_err(|_| {
                let rule = "text without control characters";
                OpenError::Value { sink: sink.to_owned(), key: "token", rule, found: "***".to_owned() }
            })?;
            value.set_sensitive(true);
            Ok(Login::Header(value))
        };
        match target {
            InfluxTarget::V1 { login: Some((user, password)), .. } => {
                Ok(Login::Basic(user.clone(), password.clone()))
            }
            InfluxTarget::V2 { token: Some(token), .. } => header("Token", token),
            InfluxTarget::V3 { token: Some(token), .. } => header("Bearer", token),
            _ => Ok(Login::Open),
        }
    }
}

fn base_url(sink: &str, text: &str) -> Result<Url, OpenError> {
    let wrong = |rule, found: &str| OpenError::Value {
        sink: sink.to_owned(),
        key: "url",
        rule,
        found: found.to_owned(),
    };
    let url = Url::parse(text).map_err(|_| wrong("an http or https address", text))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("an http or https address", text));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("an address without a login, which has keys of its own", "***@***"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("an address without parameters", text));
    }
    Ok(url)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) version: Option<String>,
    retry_after: Option<String>,
    date: Option<String>,
}

impl Reply {
    /// Sends the request; where no answer comes, says whether it may have arrived.
    pub(crate) fn of(request: RequestBuilder) -> Result<Self, Outcome> {
        let response = request.send().map_err(no_answer)?;
        let owned = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let status = response.status().as_u16();
        let (retry_after, date) = (owned(RETRY_AFTER.as_str()), owned(DATE.as_str()));
        let version = owned("x-influxdb-version");
        let mut body = Vec::new();
        // The status alone decides about a 204; with any other, half an answer is no answer.
        if let Err(error) = response.take(BODY_BYTES_MAX).read_to_end(&mut body)
            && status != 204
        {
            let detail = format!("status {status}, then the answer broke off: {error}");
            return Err(Outcome::InDoubt(fault(FaultKind::Transient, detail)));
        }
        Ok(Self { status, body, version, retry_after, date })
    }

    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            date: self.date.as_deref(),
            body: &self.body,
        }
    }
}

/// Why there is no answer, down to the first cause, and without the address: that may hold a secret.
pub fn spoken(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        detail.push_str(": ");
        detail.push_str(&source.to_string());
        cause = source.source();
    }
    detail
}

/// A request that never left is safe to send again; any other may have been stored.
fn no_answer(error: reqwest::Error) -> Outcome {
    let (is_builder, is_connect, detail) = (error.is_builder(), error.is_connect(), spoken(error));
    if is_builder {
        Outcome::NotSent(fault(FaultKind::Config, detail))
    } else if is_connect {
        Outcome::NotSent(fault(FaultKind::Transient, detail))
    } else {
        Outcome::InDoubt(fault(FaultKind::Transient, detail))
    }
}

fn fault(kind: FaultKind, detail: String) -> Fault {
    Fault { kind, code: 0, detail, retry_after_ms: None }
}

/// Some lines of a request are refused, and which is not known.
pub(super) fn content_fault(detail: String) -> Fault {
    Fault { kind: FaultKind::Content, code: 400, detail, retry_after_ms: None }
}
