//! Everything that is read: status, statements, vectors.

use super::access::{self, Asked, Role};
use super::{OPENAPI, Refused, Shared};
use crate::court::sites;
use crate::metrics::Metrics;
use crate::rounds::{Entry, OpenRound, stage_name};
use crate::service::{Service, locked};
use crate::store::{ClosedRound, Pieces};
use alloy_primitives::{Address, B256};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use consilium_core::certify::SetMember;
use consilium_core::round::Stage;
use serde_json::{Value, json};
use std::sync::Arc;

type Params<T> = Result<Path<T>, axum::extract::rejection::PathRejection>;
type Answer = Result<Json<Value>, Refused>;

fn params<T>(path: Params<T>) -> Result<T, Refused> {
    path.map(|Path(params)| params).map_err(|error| Refused::format(error.body_text()))
}

/// `GET /v1/status`.
pub(super) async fn status(State(service): Shared) -> Json<Value> {
    let head = *locked(&service.head);
    let head = head.map(|head| json!({"number": head.number, "hash": head.hash, "timestamp": head.timestamp}));
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "address": service.address(),
        "chain_id": service.domain.chain_id,
        "contract": service.domain.contract,
        "head": head,
        "beyond_policy": service.seats.status(),
    }))
}

/// A round that is open here, or what is kept of one that has ended.
enum Found {
    Open(Arc<OpenRound>),
    Closed(Box<ClosedRound>),
}

impl Found {
    fn is_settled(&self) -> bool {
        match self {
            Self::Open(open) => open.stage() == Stage::Settled,
            Self::Closed(closed) => closed.status["stage"] == stage_name(Stage::Settled),
        }
    }
}

async fn find(service: &Service, study: u64, round: u64) -> Result<Found, Refused> {
    if let Some(Entry::Open(open)) = service.rounds.get(study, round) {
        return Ok(Found::Open(open));
    }
    match service.database.run(move |db| db.closed(study, round)).await? {
        Some(closed) => Ok(Found::Closed(Box::new(closed))),
        None => access::open_round(service, study, round).await.map(Found::Open),
    }
}

/// `GET /v1/studies/S/rounds/R`.
pub(super) async fn round(State(service): Shared, path: Params<(u64, u64)>) -> Answer {
    let (study, round) = params(path)?;
    Ok(Json(match find(&service, study, round).await? {
        Found::Open(open) => open.status(),
        Found::Closed(closed) => closed.status,
    }))
}

/// `GET .../receipts/SITE`.
pub(super) async fn receipts(State(service): Shared, path: Params<(u64, u64, Address)>) -> Answer {
    let (study, round, site) = params(path)?;
    let receipts: Vec<Value> = match find(&service, study, round).await? {
        Found::Open(open) => open.receipts(&site),
        Found::Closed(closed) => {
            let all = closed.statements["receipts"].as_array().cloned().unwrap_or_default();
            all.into_iter().filter(|receipt| receipt["site"] == json!(site)).collect()
        }
    };
    Ok(Json(json!({ "receipts": receipts })))
}

/// `GET .../set`.
pub(super) async fn set(State(service): Shared, path: Params<(u64, u64)>) -> Answer {
    let (study, round) = params(path)?;
    let set = match find(&service, study, round).await? {
        Found::Open(open) => open.set(),
        Found::Closed(closed) => closed.set,
    };
    set.map(Json).ok_or_else(|| Refused::not_ready("no certified set is known here"))
}

/// `GET .../statements`.
pub(super) async fn statements(State(service): Shared, path: Params<(u64, u64)>) -> Answer {
    let (study, round) = params(path)?;
    Ok(Json(match find(&service, study, round).await? {
        Found::Open(open) => {
            let evidence = service.database.run(move |db| db.evidence(study, round)).await?;
            open.statements(&evidence)
        }
        Found::Closed(closed) => {
            // Offences are found after a round's end, too.
            let evidence = service.database.run(move |db| db.evidence(study, round)).await?;
            let mut statements = closed.statements;
            statements["evidence"] = json!(evidence);
            statements
        }
    }))
}

/// Checks the capability of a GET.
async fn admit(service: &Service, study: u64, round: u64, headers: &HeaderMap, uri: &Uri) -> Result<(Address, Role), Refused> {
    let path = uri.path_and_query().map_or("", |target| target.as_str());
    access::admit(service, headers, &Asked { study, round, method: "GET", path, body: &[] }).await
}

/// A contribution of this round that the caller may read.
async fn readable(
    service: &Service,
    path: Params<(u64, u64, B256)>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<SetMember, Refused> {
    let (study, round, digest) = params(path)?;
    let caller = admit(service, study, round, headers, uri).await?;
    let members = service.database.run(move |db| db.contributions(study, round)).await?;
    let found = members.into_iter().find(|member| member.digest == digest);
    match caller {
        (_, Role::Member(_) | Role::Auditor) => found.ok_or_else(|| Refused::not_found("no such contribution is here")),
        // A site learns of others' contributions neither whether they are here.
        (stranger, Role::Licensee) => Err(Refused::forbidden(stranger)),
        (site, Role::Site) => found.filter(|member| member.site == site).ok_or_else(|| Refused::forbidden(site)),
    }
}

/// `GET .../contributions`: what is held under the caller's address in an open round.
///
/// A site whose data folder was restored or copied learns from it that its key has signed already.
pub(super) async fn held(State(service): Shared, path: Params<(u64, u64)>, uri: Uri, headers: HeaderMap) -> Answer {
    let (study, round) = params(path)?;
    let path = uri.path_and_query().map_or("", |target| target.as_str());
    let caller = access::key(&service, &headers, &Asked { study, round, method: "GET", path, body: &[] })?;
    let open = access::open_round(&service, study, round).await?;
    if !open.terms.admits(&caller) {
        return Err(Refused::forbidden(caller));
    }
    let contributions = sites::signed_by(&service, &open, caller).await?;
    Ok(Json(json!({"contributions": contributions, "receipts": open.receipts(&caller)})))
}

/// `GET .../contributions/DIGEST/header`.
pub(super) async fn header(
    State(service): Shared,
    path: Params<(u64, u64, B256)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let member = readable(&service, path, &headers, &uri).await?;
    let bytes = service.blobs.header(&member.digest).await?.ok_or_else(|| Refused::not_found("the header was deleted"))?;
    Metrics::add(&service.metrics.bytes_out, bytes.len());
    Ok(bytes_response(Body::from(bytes)))
}

/// `GET .../contributions/DIGEST/values`, streamed.
pub(super) async fn values(
    State(service): Shared,
    path: Params<(u64, u64, B256)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let member = readable(&service, path, &headers, &uri).await?;
    let found = service.blobs.stream_values(&member.digest).await?;
    Ok(streamed(&service, found.ok_or_else(|| Refused::not_found("the masked vector was deleted"))?))
}

/// `GET .../share`.
pub(super) async fn share(
    State(service): Shared,
    path: Params<(u64, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (study, round) = params(path)?;
    let (caller, role) = admit(&service, study, round, &headers, &uri).await?;
    if matches!(role, Role::Site | Role::Licensee) {
        return Err(Refused::forbidden(caller));
    }
    let found = service.blobs.stream_share(study, round).await?;
    Ok(streamed(&service, found.ok_or_else(|| Refused::not_ready("this node has released no output share for this round"))?))
}

/// `GET .../aggregate`.
pub(super) async fn aggregate(
    State(service): Shared,
    path: Params<(u64, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (study, round) = params(path)?;
    let (_, role) = admit(&service, study, round, &headers, &uri).await?;
    if role == Role::Licensee && !find(&service, study, round).await?.is_settled() {
        return Err(Refused::not_ready("the round is not settled, and a licence is for settled ones"));
    }
    let found = service.blobs.stream_aggregate(study, round).await?;
    Ok(streamed(&service, found.ok_or_else(|| Refused::not_ready("this node has no aggregate of this round"))?))
}

/// A vector that is read as fast as the caller takes it.
fn streamed(service: &Service, (length, pieces): (u64, Pieces)) -> Response {
    Metrics::add(&service.metrics.bytes_out, length as usize);
    let mut response = bytes_response(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

fn bytes_response(body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// `GET /v1/openapi.yaml`.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
}

/// `GET /metrics`.
pub(super) async fn metrics(State(service): Shared) -> Response {
    let open = service.rounds.open();
    let stages = [Stage::Collecting, Stage::Certified, Stage::Final, Stage::Settled, Stage::Closed];
    let counts = stages.map(|stage| (stage_name(stage), open.iter().filter(|round| round.stage() == stage).count()));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], service.metrics.render(&counts, service.seats.beyond()))
        .into_response()
}
