//! What a forwarder answers over HTTP: whether it lives, its report as JSON, and its numbers for Prometheus. Topics stand in
//! the report only: there may be one a symbol.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::report::ForwardReport;
use crate::metrics::Page;
use crate::stats::Cell;
use crate::stop::Stop;

/// The pages of the forwarder that publishes into `cell`.
pub(crate) fn pages(cell: Arc<Cell<ForwardReport>>, stop: Arc<Stop>) -> Router {
    let health = move || async move {
        match stop.failure() {
            None => (StatusCode::OK, "ok\n").into_response(),
            Some(reason) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")).into_response(),
        }
    };
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(cell)
}

async fn status(State(cell): State<Arc<Cell<ForwardReport>>>) -> Response {
    let report = cell.lock().clone();
    match serde_json::to_string_pretty(&report) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn metrics(State(cell): State<Arc<Cell<ForwardReport>>>) -> Response {
    let page = page(&cell.lock().clone());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

fn page(report: &ForwardReport) -> String {
    let mut page = Page::default();
    page.counter("forward_messages", "messages received", &[], report.messages);
    page.counter("forward_bytes", "bytes of all their parts", &[], report.bytes);
    let help = "messages that found a subscriber without room: each begins a hole for it";
    page.counter("forward_overflows", help, &[], report.overflows);
    page.counter("forward_refused", "messages of too many parts", &[], report.refused);
    for (name, route) in &report.routes {
        page.counter(
            "forward_route_passed",
            "messages passed on by a route",
            &[("route", name)],
            route.passed,
        );
    }
    for (name, route) in &report.routes {
        let help = "messages that a route does not want";
        page.counter("forward_route_filtered", help, &[("route", name)], route.filtered);
    }
    for worker in &report.workers {
        let labels = [("worker", worker.endpoint.as_str())];
        page.counter("forward_worker_sent", "messages given to a worker", &labels, worker.sent);
    }
    for worker in &report.workers {
        let labels = [("worker", worker.endpoint.as_str())];
        page.counter("forward_worker_dropped", "messages a worker had no room for", &labels, worker.dropped);
    }
    if let Some(cache) = report.cache {
        page.gauge("forward_cache_entries", "last values kept", &[], cache.entries as f64);
        page.gauge("forward_cache_bytes", "bytes they take", &[], cache.bytes as f64);
        page.counter("forward_cache_evicted", "last values given up for others", &[], cache.evicted);
        page.counter("forward_cache_replayed", "last values sent again", &[], cache.replayed);
    }
    if let Some(upstream) = report.upstream {
        page.counter("forward_lost", "numbers that never came to routes and workers", &[], upstream.lost);
    }
    page.gauge("forward_balanced", "1 if everything adds up", &[], f64::from(u8::from(report.balanced)));
    page.text
}
