//! JSON-RPC over HTTP, for `cast`, viem, wallets and other machines.

use std::{future::Future, io};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    rpc::{self, RpcError},
    sequencer::Sequencer,
};

/// The largest request body, as in geth: 5 MiB.
pub const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;

/// The route `POST /`, to serve alone or within another router.
pub fn router(sequencer: Sequencer) -> Router {
    Router::new().route("/", post(answer)).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(sequencer)
}

/// Serves the chain until `shutdown` completes and open requests are answered.
///
/// There is no authentication: whoever reaches the port may read and may send what he has signed.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    sequencer: Sequencer,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    tracing::info!(address = ?listener.local_addr().ok(), "chain serves JSON-RPC");
    axum::serve(listener, router(sequencer)).with_graceful_shutdown(shutdown).await
}

async fn answer(State(sequencer): State<Sequencer>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let error = RpcError::invalid_request(rejection.body_text());
            return json(rejection.status(), rpc::failure(&Value::Null, &error).to_string().into());
        }
    };
    // Execution and the disk take milliseconds, which the threads that serve sockets must not wait.
    match tokio::task::spawn_blocking(move || sequencer.respond(&body)).await {
        Ok(Some(answer)) => json(StatusCode::OK, answer),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(failed) => {
            tracing::error!(%failed, "a request ended in a panic");
            let error = RpcError::internal("internal error");
            let answer = rpc::failure(&Value::Null, &error).to_string().into();
            json(StatusCode::INTERNAL_SERVER_ERROR, answer)
        }
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
