//! The admin server: the status page, `/health`, `/ready`, `/metrics`, `/status`, `/history` and `/config` on one
//! thread with a runtime of its own. It only reads; nothing that blocks is called in it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tickline_config::report::{CLOCK_HEADER, PartReport, PartState};
use tickline_loadgen::owner::listener;
use tokio::sync::oneshot;

use crate::health::is_ours;
use crate::report::{Histograms, Standard, judge, report};
use crate::spawn::{Thread, spawn};
use crate::stop::Stop;
use crate::view::View;

mod page;
mod serve;

use page::{CONTENT_SECURITY_POLICY, with_files};
use serve::serve;

/// Why the server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The port is in use.
    #[error("http.listen: port must be free, found {address} taken{owner}")]
    Taken {
        /// As configured.
        address: SocketAddr,
        /// By whom, where that can be seen.
        owner: String,
    },
    /// The address cannot be listened on.
    #[error("http.listen: must be an address of this machine, found {address} ({source})")]
    Address {
        /// As configured.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Binds the address, before anything else is started.
pub fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => {
            let owner = listener(address.port()).map(|(pid, name)| format!(" by {name} (pid {pid})"));
            HttpError::Taken { address, owner: owner.unwrap_or_default() }
        }
        _ => HttpError::Address { address, source },
    })
}

/// The running server.
#[derive(Debug)]
pub struct Server {
    end: oneshot::Sender<()>,
    thread: Thread,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Serves a view until [`Server::stop`].
    pub fn start(socket: TcpListener, view: Arc<View>) -> io::Result<Self> {
        let stop = Arc::clone(&view.stop);
        Self::with_pages(socket, &stop, pages(view))
    }

    /// Serves other pages in the same way.
    pub(crate) fn with_pages(socket: TcpListener, stop: &Arc<Stop>, pages: Router) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pages = guarded(pages, address);
        let thread = spawn("http", None, stop, move || {
            runtime.spawn(async move {
                let socket = tokio::net::TcpListener::from_std(socket);
                let served = match socket {
                    Ok(socket) => serve(socket, pages).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = served {
                    tracing::error!("http: serving ended: {error}");
                }
            });
            // Ended by an order or by the one who could give it; the runtime takes its connections along.
            runtime.block_on(ended).ok();
        })?;
        Ok(Self { end, thread, address })
    }

    /// Ends the server, open connections included.
    pub fn stop(self) {
        // If the server has ended by itself there is no one to tell.
        self.end.send(()).ok();
        self.thread.join();
    }
}

fn pages(view: Arc<View>) -> Router {
    with_files(Router::new())
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/history", get(history))
        .route("/config", get(config))
        .with_state(view)
}

fn guarded(pages: Router, address: SocketAddr) -> Router {
    // A page of somewhere else must not read this one through a name that leads to our own machine.
    let check = middleware::from_fn(move |request: Request, next: Next| async move {
        if address.ip().is_loopback() && !is_local(request.headers().get(header::HOST)) {
            let rule = "host: must be localhost or a loopback address\n";
            return (StatusCode::MISDIRECTED_REQUEST, rule).into_response();
        }
        let mut response = next.run(request).await;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    });
    pages.layer(check)
}

/// Whether a `Host` header names this machine as itself.
fn is_local(host: Option<&HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Alive: it answers and no stage has failed.
async fn health(State(view): State<Arc<View>>) -> Response {
    match view.stop.failure() {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(reason) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")).into_response(),
    }
}

/// Ready: it is not ending and nothing of ours is in trouble. What else is wrong is named and leaves it ready: an
/// engine that is not ready would be restarted for it.
async fn ready(State(view): State<Arc<View>>) -> Response {
    let wrong = report(&view, Histograms::LeaveOut).parts;
    let wrong: Vec<PartReport> = wrong.into_iter().filter(|part| part.state != PartState::Ok).collect();
    let failed = wrong.iter().any(|part| is_ours(part) && part.state == PartState::Failed);
    let lines: String = wrong.iter().map(|part| format!("{}: {}\n", part.name, part.cause)).collect();
    if failed {
        return (StatusCode::SERVICE_UNAVAILABLE, lines).into_response();
    }
    (StatusCode::OK, format!("ready\n{lines}")).into_response()
}

/// Samples of the last quarter of an hour, of them those after `since` (ms since 1970).
async fn history(State(view): State<Arc<View>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let since = query.split('&').find_map(|pair| pair.strip_prefix("since=")?.parse().ok());
    let history = view.history.lock().since(since.unwrap_or(i64::MIN));
    ([(header::CONTENT_TYPE, "application/json")], history.to_string()).into_response()
}

async fn metrics(State(view): State<Arc<View>>) -> Response {
    let page = crate::metrics::now(&view);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

async fn status(State(view): State<Arc<View>>, RawQuery(query): RawQuery) -> Response {
    let wanted = query.is_some_and(|query| query.split('&').any(|pair| pair == "hdr=1"));
    let mut report = report(&view, if wanted { Histograms::Include } else { Histograms::LeaveOut });
    judge(&mut report, Standard::Live);
    match serde_json::to_string_pretty(&report) {
        // The clock lets a load generator on another host tell how far its own is off.
        Ok(json) => {
            let now = view.clock.wall().0.to_string();
            let clock = HeaderName::from_static(CLOCK_HEADER);
            ([(header::CONTENT_TYPE, "application/json".to_owned()), (clock, now)], json).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn config(State(view): State<Arc<View>>) -> Response {
    let text = view.config.lock().0.clone();
    ([(header::CONTENT_TYPE, "application/toml; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_header_names_this_machine_or_is_refused() {
        let local = |host: &str| is_local(Some(&HeaderValue::from_str(host).unwrap()));
        for host in ["localhost", "LOCALHOST:9600", "127.0.0.1:9600", "127.8.8.8", "[::1]:9600", "[::1]"] {
            assert!(local(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "10.0.0.1:9600", "127.0.0.1.evil.example:80"]
        {
            assert!(!local(host), "{host}");
        }
        assert!(!is_local(None));
    }

    #[test]
    fn a_taken_port_names_the_key_and_the_process_that_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address).unwrap_err().to_string();
        let start = format!("http.listen: port must be free, found {address} taken by ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.ends_with(&format!("(pid {})", std::process::id())), "{error}");
    }
}
