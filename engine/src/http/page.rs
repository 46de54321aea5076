//! The status page: five files that are built in, which ask `/status` and `/history`. They load nothing from anywhere
//! else, and the policy that goes with them keeps it so.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// What a browser may load for a page of ours: the page's own files and the answers of this server.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, type and text of each file.
const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/charts.js", "text/javascript; charset=utf-8", include_str!("page/charts.js")),
    ("/words.js", "text/javascript; charset=utf-8", include_str!("page/words.js")),
];

/// Serves the page's files beside what `pages` serves.
pub(super) fn with_files<S: Clone + Send + Sync + 'static>(pages: Router<S>) -> Router<S> {
    FILES.into_iter().fold(pages, |pages, (path, kind, text)| {
        let answer = move || async move { file(kind, text) };
        pages.route(path, get(answer))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    // Another version of the engine brings other files.
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_names_no_other_host() {
        let bytes: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        assert!(bytes <= 200_000, "{bytes}");
        for (path, _, text) in FILES {
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "{path}");
            assert!(!foreign.contains("innerHTML") && !foreign.contains(" style="), "{path}");
        }
    }
}
