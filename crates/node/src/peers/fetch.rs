//! Headers, masked vectors and output shares from peers, every one bounded while it arrives.

use super::{Peers, hex_of, target};
use crate::metrics::Metrics;
use alloy_primitives::{Address, B256};
use consilium_core::codec::Elements;
use consilium_core::error::Malformed;
use consilium_core::field::Fp;
use reqwest::header::AUTHORIZATION;
use thiserror::Error;

/// Why a peer's vector is not here.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("no URL of this peer is configured")]
    Unknown,
    #[error("cannot reach the peer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the peer answered {0}")]
    Status(reqwest::StatusCode),
    #[error("what the peer sent is no such vector: {0}")]
    Malformed(#[from] Malformed),
    #[error("the peer sent more than the {0} bytes that there can be")]
    TooLong(usize),
}

impl Peers {
    /// A GET with this node's capability.
    async fn get(&self, peer: &Address, study: u64, round: u64, rest: &str) -> Result<reqwest::Response, FetchError> {
        let base = self.inner.urls.get(peer).ok_or(FetchError::Unknown)?;
        let path = format!("/v1/studies/{study}/rounds/{round}/{rest}");
        let url = target(base, &path).ok_or(FetchError::Unknown)?;
        let capability = self.inner.caller.authorise(study, round, "GET", &path, &[]);
        let sent = self.inner.client.get(url).header(AUTHORIZATION, capability).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(answer),
            Ok(answer) => Err(FetchError::Status(answer.status())),
            Err(error) => {
                Metrics::add(&self.inner.metrics.peer_errors, 1);
                Err(error.into())
            }
        }
    }

    async fn bounded(&self, mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if bytes.len() + piece.len() > most {
                return Err(FetchError::TooLong(most));
            }
            bytes.extend_from_slice(&piece);
        }
        Metrics::add(&self.inner.metrics.bytes_in, bytes.len());
        Ok(bytes)
    }

    /// A contribution's header.
    pub(crate) async fn header(
        &self,
        peer: &Address,
        study: u64,
        round: u64,
        digest: &B256,
        most: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let answer = self.get(peer, study, round, &format!("contributions/{}/header", hex_of(digest))).await?;
        self.bounded(answer, most).await
    }

    /// A contribution's masked vector, as it arrives. The caller counts.
    pub(crate) async fn values(
        &self,
        peer: &Address,
        study: u64,
        round: u64,
        digest: &B256,
    ) -> Result<reqwest::Response, FetchError> {
        self.get(peer, study, round, &format!("contributions/{}/values", hex_of(digest))).await
    }

    /// A peer's output share, of `length` elements.
    pub(crate) async fn share(&self, peer: &Address, study: u64, round: u64, length: usize) -> Result<Vec<Fp>, FetchError> {
        let mut answer = self.get(peer, study, round, "share").await?;
        let mut elements = Elements::new(length, "the output share");
        while let Some(piece) = answer.chunk().await? {
            Metrics::add(&self.inner.metrics.bytes_in, piece.len());
            elements.push(&piece)?;
        }
        Ok(elements.finish()?)
    }

    /// The bytes that a peer serves as its output share, whatever they are.
    pub(crate) async fn share_bytes(&self, peer: &Address, study: u64, round: u64, most: usize) -> Result<Vec<u8>, FetchError> {
        let answer = self.get(peer, study, round, "share").await?;
        self.bounded(answer, most).await
    }

    /// What a peer shows as the round's certified set.
    pub(crate) async fn set(&self, peer: &Address, study: u64, round: u64, most: usize) -> Result<Vec<u8>, FetchError> {
        let answer = self.get(peer, study, round, "set").await?;
        self.bounded(answer, most).await
    }

    /// A round's aggregate, as a peer has it.
    pub(crate) async fn aggregate(&self, peer: &Address, study: u64, round: u64, most: usize) -> Result<Vec<u8>, FetchError> {
        let answer = self.get(peer, study, round, "aggregate").await?;
        self.bounded(answer, most).await
    }
}
