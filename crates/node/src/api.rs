//! The HTTP API of docs/API.md, in the order in which one contribution meets it: `upload`, then `messages` and `read` by
//! the peers, with `access` in front of everything that is not public.

mod access;
mod messages;
mod read;
mod refusal;
mod upload;

use crate::service::Service;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
pub(crate) use messages::{ANNOUNCEMENT, announcement};
pub(crate) use refusal::Refused;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Shared = State<Arc<Service>>;

/// The route whose time is bounded piece by piece, because a vector may be large and a line slow.
const UPLOAD: &str = "/v1/studies/{study}/rounds/{round}/contributions";

/// Every route: method, path, handler. openapi.yaml lists the same.
fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Arc<Service>>)> {
    vec![
        ("get", "/v1/status", get(read::status)),
        ("get", "/v1/studies/{study}/rounds/{round}", get(read::round)),
        ("post", UPLOAD, post(upload::contribution)),
        ("get", UPLOAD, get(read::held)),
        ("get", "/v1/studies/{study}/rounds/{round}/receipts/{site}", get(read::receipts)),
        ("get", "/v1/studies/{study}/rounds/{round}/set", get(read::set)),
        ("get", "/v1/studies/{study}/rounds/{round}/statements", get(read::statements)),
        ("get", "/v1/studies/{study}/rounds/{round}/contributions/{digest}/header", get(read::header)),
        ("get", "/v1/studies/{study}/rounds/{round}/contributions/{digest}/values", get(read::values)),
        ("get", "/v1/studies/{study}/rounds/{round}/share", get(read::share)),
        ("get", "/v1/studies/{study}/rounds/{round}/aggregate", get(read::aggregate)),
        ("post", "/v1/studies/{study}/rounds/{round}/messages", post(messages::receive)),
        ("get", "/v1/openapi.yaml", get(read::openapi)),
        ("get", "/metrics", get(read::metrics)),
    ]
}

/// The API over a service.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let all = routes().into_iter().fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    let missing = || async { Refused::not_found("there is no such route; see /v1/openapi.yaml") };
    let wrong = || async { Refused::not_found("the route exists, with another method; see /v1/openapi.yaml") };
    all.fallback(missing)
        .method_not_allowed_fallback(wrong)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&service), in_time))
        .with_state(service)
}

/// Bounds the time of every answer but an upload's.
async fn in_time(State(service): Shared, request: Request, next: Next) -> Response {
    let is_upload = request.method() == axum::http::Method::POST && request.uri().path().ends_with("/contributions");
    if is_upload {
        return next.run(request).await;
    }
    let limit = Duration::from_secs(service.config.limits.request_seconds);
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| Refused::busy("the answer took too long").into_response())
}

/// The API's description, as it is served.
pub(crate) const OPENAPI: &str = include_str!("../openapi.yaml");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The operations in the description: a path line, indented by two, and the method lines below it.
    fn described() -> BTreeSet<(String, String)> {
        let (mut path, mut found) = (String::new(), BTreeSet::new());
        for line in OPENAPI.lines() {
            let indent = line.len() - line.trim_start().len();
            let Some(name) = line.trim().strip_suffix(':') else { continue };
            if indent == 2 && name.starts_with('/') {
                path = name.to_owned();
            } else if indent == 4 && ["get", "post", "put", "delete"].contains(&name) {
                found.insert((name.to_owned(), path.clone()));
            }
        }
        found
    }

    #[test]
    fn the_description_lists_every_route_and_no_other() {
        let served: BTreeSet<_> = routes().into_iter().map(|(method, path, _)| (method.to_owned(), path.to_owned())).collect();
        assert_eq!(described(), served);
    }

    #[test]
    fn every_error_code_is_in_both_documents() {
        let api = include_str!("../../../docs/API.md");
        for code in refusal::CODES {
            assert!(OPENAPI.contains(&format!("- {code}\n")), "{code} is not in openapi.yaml");
            assert!(api.contains(&format!("`{code}`")), "{code} is not in docs/API.md");
        }
    }
}
