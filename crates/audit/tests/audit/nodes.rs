//! The documented HTTP API over maps from path to bytes: what a test puts in is what is served.

use alloy_primitives::Address;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use consilium_core::eip712::{Access, Domain, Signed};
use consilium_core::transcript::access_object;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// One serving node.
#[derive(Clone)]
pub(crate) struct Served {
    files: Files,
    readers: Arc<Vec<Address>>,
    domain: Domain,
    /// How many requests are still answered with "busy".
    pub(crate) busy: Arc<AtomicU32>,
    /// What is never answered: paths with this in them.
    pub(crate) silent: Arc<Mutex<Option<String>>>,
    pub(crate) url: String,
}

impl Served {
    /// Serves on a free port, vectors to `readers` only.
    pub(crate) async fn start(domain: Domain, readers: Vec<Address>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Self {
            files: Files::default(),
            readers: Arc::new(readers),
            domain,
            busy: Arc::default(),
            silent: Arc::default(),
            url,
        };
        let router = Router::new().fallback(answer).with_state(served.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        served
    }

    pub(crate) fn put(&self, path: String, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path, bytes);
    }

    /// What is served at a path.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        self.files.lock().unwrap()[path].clone()
    }

    /// Changes what is served at a path.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.files.lock().unwrap();
        change(files.get_mut(path).unwrap_or_else(|| panic!("nothing at {path}")));
    }

    pub(crate) fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path).unwrap_or_else(|| panic!("nothing at {path}"));
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }

    fn admits(&self, request: &Request, path: &str) -> bool {
        let header = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
        let Some(parts) = header.and_then(|value| value.strip_prefix("Consilium ")) else { return false };
        let parts: Vec<&str> = parts.split('.').collect();
        let [study, round, expires, signature] = parts[..] else { return false };
        let (study, round, expires) = (study.parse().unwrap(), round.parse().unwrap(), expires.parse().unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signed: Signed = serde_json::from_value(signature.into()).unwrap();
        let access = Access { study, round, object: access_object("GET", path, &[]), expires };
        let caller = self.domain.signer(&access, &signed).unwrap();
        let own = path.starts_with(&format!("/v1/studies/{study}/rounds/{round}/"));
        own && (now..=now + 300).contains(&expires) && self.readers.contains(&caller)
    }
}

async fn answer(State(node): State<Served>, request: Request) -> Response {
    let less = |left: u32| left.checked_sub(1);
    if node.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
        let body = r#"{"error":{"code":"busy","message":"too much to do","remedy":"ask again"}}"#;
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let path = request.uri().path().to_owned();
    let silent = node.silent.lock().unwrap().clone();
    if silent.is_some_and(|silent| path.contains(&silent)) {
        return std::future::pending().await;
    }
    let guarded = ["/header", "/values", "/share", "/aggregate"].iter().any(|end| path.ends_with(end));
    if guarded && !node.admits(&request, &path) {
        let body = r#"{"error":{"code":"unauthorised","message":"no right to read","remedy":"sign an Access statement"}}"#;
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    match node.files.lock().unwrap().get(&path) {
        Some(bytes) => Body::from(bytes.clone()).into_response(),
        None => {
            let body = r#"{"error":{"code":"not-found","message":"not here","remedy":"ask another node"}}"#;
            (StatusCode::NOT_FOUND, body).into_response()
        }
    }
}
