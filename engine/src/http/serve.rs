//! Connections of the admin server: so many at once, each with so long to say what it wants. Whoever opens
//! connections and sends nothing takes nothing from the others, nor from the engine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 64;
/// Longest time until the head of a request is there.
const HEAD_MAX: Duration = Duration::from_secs(2);
/// Longest life of a connection: a scraper opens another one.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Accepts until it is dropped.
pub(super) async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("http: accepting failed: {error}");
                // Out of descriptors, most likely: not again at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_MAX)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            // How a client leaves is its own affair.
            tokio::time::timeout(CONNECTION_MAX, connection).await.ok();
            drop(place);
        });
    }
}
