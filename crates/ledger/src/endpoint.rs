//! Asking one endpoint, with a bound on time and a typed error for every way in which it can fail.

use crate::addresses::Addresses;
use crate::contracts::Consilium;
use crate::error::{Error, Malformed, Refusal};
use crate::event::BlockRef;
use crate::lists::Lists;
use crate::revert::{Revert, shorten};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::TransactionBuilder;
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use alloy::transports::http::reqwest::Url;
use alloy::transports::{RpcError, TransportError, TransportErrorKind, TransportResult};
use alloy_primitives::{Address, B256, U256};
use consilium_core::eip712::Domain;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

/// How long and how much is asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest wait for one answer.
    pub answer: Duration,
    /// Longest wait for a transaction's receipt.
    pub receipt: Duration,
    /// Most blocks in one request for events; halved when an endpoint refuses.
    pub blocks: u64,
    /// Longest wait for a list of sites that is published elsewhere; with zero none is fetched.
    pub list: Duration,
}

impl Limits {
    /// For one who waits for the outcome: an answer within 20 s, a receipt within 120, a list within 60.
    pub const DEFAULT: Self =
        Self { answer: Duration::from_secs(20), receipt: Duration::from_secs(120), blocks: 5_000, list: Duration::from_secs(60) };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A block as far as anyone here needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Hash of the block below.
    pub parent: B256,
    /// Block time in Unix seconds.
    pub timestamp: u64,
    /// Base fee in wei a gas.
    pub base_fee: u64,
}

impl Block {
    /// Number and hash.
    #[must_use]
    pub fn reference(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// The contracts of one deployment, seen through one endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) provider: DynProvider,
    addresses: Addresses,
    endpoint: Arc<str>,
    limits: Limits,
    pub(crate) lists: Arc<Lists>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("endpoint", &self.endpoint).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// A provider over HTTP, without alloy's fillers: wallets of this crate own their nonces.
///
/// # Errors
/// [`Error::Url`].
pub fn http_provider(url: &str) -> Result<DynProvider, Error> {
    let parsed: Url = url.parse().map_err(|_| Error::Url(shorten(url)))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(Error::Url(shorten(url)));
    }
    Ok(ProviderBuilder::new().disable_recommended_fillers().connect_http(parsed).erased())
}

/// A provider over a client, such as the embedded chain's, likewise without fillers.
#[must_use]
pub fn client_provider(client: RpcClient) -> DynProvider {
    ProviderBuilder::new().disable_recommended_fillers().connect_client(client).erased()
}

/// Scheme, host and port: paths, queries and user names of endpoints hold access keys and stay out of messages.
fn label(url: &str) -> String {
    url.parse::<Url>().map_or_else(|_| "the endpoint".to_owned(), |url| url.origin().ascii_serialization())
}

impl Ledger {
    /// Connects to an endpoint over HTTP and checks that it serves the deployment's chain and contracts.
    ///
    /// # Errors
    /// [`Error::Url`], and as [`Self::new`].
    pub async fn connect(url: &str, addresses: Addresses) -> Result<Self, Error> {
        Self::over(http_provider(url)?, addresses, &label(url)).await
    }

    /// The deployment over any provider, such as the embedded chain's in-process transport. The same checks.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::WrongChain`], [`Error::NoContract`], [`Error::WrongContract`].
    pub async fn new(provider: DynProvider, addresses: Addresses) -> Result<Self, Error> {
        Self::over(provider, addresses, "the chain in this process").await
    }

    async fn over(provider: DynProvider, addresses: Addresses, endpoint: &str) -> Result<Self, Error> {
        let ledger = Self::unchecked(provider, addresses, endpoint);
        ledger.check().await?;
        Ok(ledger)
    }

    pub(crate) fn unchecked(provider: DynProvider, addresses: Addresses, endpoint: &str) -> Self {
        Self { provider, addresses, endpoint: endpoint.into(), limits: Limits::default(), lists: Arc::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the contracts are.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The chain's EIP-155 id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.addresses.chain_id
    }

    /// The EIP-712 domain of everything that is signed about this deployment.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.addresses.domain()
    }

    /// The provider, for what this crate does not do.
    #[must_use]
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// The endpoint's name in messages: scheme, host and port.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How long and how much is asked at once.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn check(&self) -> Result<(), Error> {
        let expected = self.chain_id();
        let found = self.served_chain_id().await?;
        if found != expected {
            return Err(Error::WrongChain { endpoint: self.endpoint.to_string(), found: found.to_string(), expected });
        }
        let Addresses { registry, consilium, treasury, licences, study_token, .. } = self.addresses;
        let all = [
            ("NodeRegistry", registry),
            ("Consilium", consilium),
            ("Treasury", treasury),
            ("Licences", licences),
            ("StudyToken", study_token),
        ];
        for (contract, address) in all {
            if self.ask(self.provider.get_code_at(address)).await?.is_empty() {
                let endpoint = self.endpoint.to_string();
                return Err(Error::NoContract { endpoint, contract, address, chain_id: expected });
            }
        }
        let together = [
            ("NodeRegistry", self.view(Consilium::registryCall {}, None).await?, registry),
            ("Treasury", self.view(Consilium::treasuryCall {}, None).await?, treasury),
            ("StudyToken", self.view(Consilium::tokenCall {}, None).await?, study_token),
        ];
        match together.into_iter().find(|(_, found, named)| found != named) {
            Some((contract, found, expected)) => Err(Error::WrongContract { contract, found, expected }),
            None => Ok(()),
        }
    }

    /// The second part of Consilium's code, which runs on Consilium's storage. Which contract that is never changes.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn sponsorship(&self) -> Result<Address, Error> {
        self.view(Consilium::sponsorshipCall {}, None).await
    }

    /// The id of the chain that the endpoint serves.
    ///
    /// # Errors
    /// [`Error::Unreachable`]; [`Error::ChainIdTooLarge`].
    pub async fn served_chain_id(&self) -> Result<u64, Error> {
        let id: U256 = self.ask(self.provider.client().request_noparams::<U256>("eth_chainId")).await?;
        u64::try_from(id).map_err(|_| Error::ChainIdTooLarge { endpoint: self.endpoint.to_string(), found: id.to_string() })
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn head(&self) -> Result<Block, Error> {
        self.block(BlockNumberOrTag::Latest).await?.ok_or_else(|| self.malformed(Malformed::Unasked("the newest block")))
    }

    /// A block by number or tag, if there is one.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn block(&self, which: BlockNumberOrTag) -> Result<Option<Block>, Error> {
        let Some(block) = self.ask(self.provider.get_block_by_number(which)).await? else { return Ok(None) };
        let (header, hash) = (&block.header.inner, block.header.hash);
        if which.as_number().is_some_and(|asked| asked != header.number) {
            return Err(self.malformed(Malformed::Unasked("the block that was asked for")));
        }
        let base_fee = header.base_fee_per_gas.unwrap_or(0);
        Ok(Some(Block { number: header.number, hash, parent: header.parent_hash, timestamp: header.timestamp, base_fee }))
    }

    /// The hash of the block at a height, if the chain is that high.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn block_hash(&self, number: u64) -> Result<Option<B256>, Error> {
        Ok(self.block(number.into()).await?.map(|block| block.hash))
    }

    /// An account's native currency in wei.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn balance(&self, account: Address) -> Result<U256, Error> {
        self.ask(self.provider.get_balance(account)).await
    }

    /// Calls a view of Consilium at a block, or at the head.
    pub(crate) async fn view<C: SolCall>(&self, call: C, at: Option<u64>) -> Result<C::Return, Error> {
        self.view_of(self.addresses.consilium, call, at).await
    }

    /// Calls a view of one of the contracts.
    pub(crate) async fn view_of<C: SolCall>(&self, contract: Address, call: C, at: Option<u64>) -> Result<C::Return, Error> {
        let request = TransactionRequest::default().with_to(contract).with_input(call.abi_encode());
        let block = at.map_or_else(BlockId::latest, BlockId::number);
        let returned = self.ask(self.provider.call(request).block(block)).await?;
        C::abi_decode_returns_validate(&returned)
            .map_err(|error| self.malformed(Malformed::Response(shorten(&error.to_string()))))
    }

    pub(crate) fn malformed(&self, defect: Malformed) -> Error {
        Error::Malformed { endpoint: self.endpoint.to_string(), defect: Box::new(defect) }
    }

    /// Waits for an answer, not forever, and sorts what can go wrong.
    pub(crate) async fn ask<T>(&self, request: impl IntoFuture<Output = TransportResult<T>>) -> Result<T, Error> {
        match tokio::time::timeout(self.limits.answer, request.into_future()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.sort(&error)),
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", self.limits.answer.as_secs()))),
        }
    }

    fn unreachable(&self, reason: &str) -> Error {
        Error::Unreachable { endpoint: self.endpoint.to_string(), reason: shorten(reason) }
    }

    fn sort(&self, error: &TransportError) -> Error {
        match error {
            RpcError::ErrorResp(payload) => {
                let reverted = payload.code == 3 || payload.message.contains("revert");
                if reverted {
                    let unexplained = || Revert::unexplained(&payload.message);
                    return payload.as_revert_data().map_or_else(unexplained, Revert::decode).into();
                }
                let cause = Refusal::of(&payload.message);
                Error::Rejected { endpoint: self.endpoint.to_string(), cause, message: shorten(&payload.message) }
            }
            RpcError::Transport(kind) => self.unreachable(&self.reason(kind)),
            RpcError::NullResp => self.malformed(Malformed::Unasked("what was asked for")),
            RpcError::DeserError { err, .. } => self.malformed(Malformed::Response(shorten(&err.to_string()))),
            RpcError::UnsupportedFeature(_) | RpcError::LocalUsageError(_) | RpcError::SerError(_) => {
                self.malformed(Malformed::Response(shorten(&error.to_string())))
            }
        }
    }

    /// The innermost cause, which names no URL: reqwest's outer messages would show the path, and keys in it.
    fn reason(&self, kind: &TransportErrorKind) -> String {
        let mut cause: &dyn std::error::Error = kind;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let words = cause.to_string();
        let hidden = words.split_whitespace().map(|word| if word.contains("://") { &*self.endpoint } else { word });
        hidden.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(endpoint: &str) -> Ledger {
        let addresses = Addresses { chain_id: 1, ..Addresses::default() };
        let provider = http_provider(endpoint).unwrap();
        let limits = Limits { answer: Duration::from_millis(50), ..Limits::default() };
        Ledger::unchecked(provider, addresses, &label(endpoint)).with_limits(limits)
    }

    #[tokio::test]
    async fn an_endpoint_that_never_answers_is_unreachable_after_the_limit() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let error = silent(&url).head().await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { endpoint, .. } if *endpoint == url), "{error}");
        assert!(error.is_temporary());
    }

    #[tokio::test]
    async fn access_keys_in_urls_stay_out_of_messages() {
        let error = silent("http://user:hunter2@127.0.0.1:9/v3/topsecret?key=topsecret").head().await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("http://127.0.0.1:9") && !said.contains("topsecret") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_form_to_use() {
        for text in ["", "localhost:8545", "ws://localhost:8545", "/tmp/socket", "http://"] {
            let error = http_provider(text).unwrap_err().to_string();
            assert!(error.contains("http://host:port"), "{text}: {error}");
        }
    }
}
