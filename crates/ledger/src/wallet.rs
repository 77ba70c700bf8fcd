//! A key that sends transactions and owns its nonces.

use crate::decode::is_ours;
use crate::endpoint::Ledger;
use crate::error::{Error, Refusal};
use crate::event::{BlockRef, ChainEvent};
use crate::revert::Revert;
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::{BlockId, Encodable2718};
use alloy::network::{TransactionBuilder, TransactionResponse};
use alloy::providers::Provider;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use consilium_core::eip712::SecretKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Osaka's cap on a transaction's gas (EIP-7825).
const GAS_CAP: u64 = 1 << 24;
/// Tip where the endpoint does not suggest one.
const DEFAULT_TIP: u128 = 1_000_000_000;
const FIRST_POLL: Duration = Duration::from_millis(5);
const SLOWEST_POLL: Duration = Duration::from_secs(1);

/// A signing key with its nonces, one count a chain. Clones share them, so that one process sends in order; two
/// processes must not send with one key. Or an account whose key is elsewhere, such as a contract's: its transactions are
/// made up and not sent.
#[derive(Debug, Clone)]
pub struct Wallet {
    account: Account,
    nonces: Arc<Mutex<BTreeMap<u64, u64>>>,
    /// Most that it pays for a gas, in wei.
    most_a_gas: Option<u128>,
    /// Most that the gas of one transaction may cost, in wei.
    most_at_once: Option<U256>,
}

#[derive(Debug, Clone)]
enum Account {
    Key(SecretKey),
    Elsewhere(Address),
}

/// A transaction that somebody else is to send: the wallet has no key for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The chain it is for.
    pub chain_id: u64,
    /// Who is to send it.
    pub from: Address,
    /// The contract that it calls.
    pub to: Address,
    /// Wei that go with it.
    pub value: U256,
    /// Its input.
    pub data: Bytes,
}

/// A mined, successful transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub transaction: B256,
    /// The block it is in.
    pub block: BlockRef,
    /// Gas it used.
    pub gas_used: u64,
    /// Wei it cost besides its value.
    pub fee: U256,
    /// What the contracts announced in it.
    pub events: Vec<ChainEvent>,
    /// The contract that it created.
    pub created: Option<Address>,
}

/// A mined transaction and what it yielded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined<T> {
    /// The number it was given: of a study, a round, an epoch.
    pub output: T,
    /// The transaction.
    pub receipt: Receipt,
}

impl Wallet {
    /// The wallet of a key.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self { account: Account::Key(key), nonces: Arc::default(), most_a_gas: None, most_at_once: None }
    }

    /// The wallet of an account whose key is elsewhere. What it would send is [`Error::Unsent`].
    #[must_use]
    pub fn elsewhere(address: Address) -> Self {
        Self { account: Account::Elsewhere(address), nonces: Arc::default(), most_a_gas: None, most_at_once: None }
    }

    /// The same wallet, which pays at most this many wei for a gas: what an endpoint says about fees is one party's word.
    #[must_use]
    pub fn paying_at_most(mut self, wei_a_gas: u128) -> Self {
        self.most_a_gas = Some(wei_a_gas);
        self
    }

    /// A clone that sends a transaction only if its gas costs at most this many wei, as fees are when it is sent; else it
    /// is [`Error::TooDear`] and nothing is sent.
    #[must_use]
    pub fn spending_at_most(&self, wei: U256) -> Self {
        Self { most_at_once: Some(wei), ..self.clone() }
    }

    /// What is offered for a gas where the endpoint says this: most, and the tip.
    fn offer(&self, endpoint: &Ledger, base: u128, tip: u128) -> Result<(u128, u128), Error> {
        let offered = base.saturating_mul(2).saturating_add(tip);
        match self.most_a_gas {
            Some(limit) if base > limit => {
                Err(Error::FeeTooHigh { endpoint: endpoint.endpoint().to_owned(), asked: base, limit })
            }
            Some(limit) => Ok((offered.min(limit), tip.min(limit - base))),
            None => Ok((offered, tip)),
        }
    }

    fn affords(&self, gas: u64, wei_a_gas: u128) -> Result<(), Error> {
        let cost = U256::from(gas).saturating_mul(U256::from(wei_a_gas));
        match self.most_at_once {
            Some(limit) if cost > limit => Err(Error::TooDear { cost, limit }),
            _ => Ok(()),
        }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        match &self.account {
            Account::Key(key) => key.address(),
            Account::Elsewhere(address) => *address,
        }
    }

    /// The key, for signing statements.
    ///
    /// # Errors
    /// [`Error::KeyElsewhere`].
    pub fn key(&self) -> Result<&SecretKey, Error> {
        match &self.account {
            Account::Key(key) => Ok(key),
            Account::Elsewhere(address) => Err(Error::KeyElsewhere(*address)),
        }
    }

    /// Signs and sends a transaction under the next nonce. After any error the next nonce is asked from the chain.
    async fn broadcast(&self, ledger: &Ledger, mut transaction: TxEip1559) -> Result<B256, Error> {
        let mut nonces = self.nonces.lock().await;
        let chain = ledger.chain_id();
        transaction.nonce = match nonces.remove(&chain) {
            Some(nonce) => nonce,
            None => ledger.ask(ledger.provider.get_transaction_count(self.address()).pending()).await?,
        };
        let next = transaction.nonce + 1;
        let envelope = self.sign(transaction)?;
        let _sent = ledger.ask(ledger.provider.send_raw_transaction(&envelope.encoded_2718())).await?;
        nonces.insert(chain, next);
        Ok(*envelope.tx_hash())
    }

    fn sign(&self, transaction: TxEip1559) -> Result<TxEnvelope, Error> {
        let signed = self.key()?.sign(&transaction.signature_hash());
        let signature = Signature::from_raw_array(signed.as_bytes())
            .unwrap_or_else(|_| unreachable!("core's signatures are r || s || v with v 27 or 28"));
        Ok(transaction.into_signed(signature).into())
    }
}

impl Ledger {
    /// Sends a transaction and waits until it is mined.
    pub(crate) async fn send(&self, wallet: &Wallet, to: TxKind, value: U256, input: Bytes) -> Result<Receipt, Error> {
        let mut request = TransactionRequest::default().with_from(wallet.address()).with_value(value).with_input(input.clone());
        request.to = Some(to);
        // Also for one that somebody else is to send: a contract that refuses it says so now.
        let estimate = self.ask(self.provider.estimate_gas(request.clone())).await?;
        if let (Account::Elsewhere(from), TxKind::Call(to)) = (&wallet.account, to) {
            return Err(Error::Unsent(vec![Unsent { chain_id: self.chain_id(), from: *from, to, value, data: input }]));
        }
        let (base, tip) = self.fees().await?;
        let (max_fee_per_gas, max_priority_fee_per_gas) = wallet.offer(self, base, tip)?;
        wallet.affords(with_margin(estimate), base.saturating_add(max_priority_fee_per_gas))?;
        let transaction = TxEip1559 {
            chain_id: self.chain_id(),
            nonce: 0,
            gas_limit: with_margin(estimate),
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list: Default::default(),
            input,
        };
        let hash = wallet.broadcast(self, transaction).await?;
        let receipt = match self.wait(hash).await {
            Ok(receipt) => receipt,
            Err(error) => {
                // A nonce beyond a gap waits forever: let the next transaction ask the chain which one it takes.
                wallet.nonces.lock().await.remove(&self.chain_id());
                return Err(error);
            }
        };
        if !receipt.status() {
            return Err(self.why_failed(request, &receipt).await);
        }
        self.receipt(&receipt)
    }

    /// Calls a contract that takes coins, after the allowance for them. Where somebody else is to send both, this call joins
    /// the allowance unasked: until that is mined, every chain would refuse it.
    pub(crate) async fn send_after(
        &self,
        allowed: Result<(), Error>,
        wallet: &Wallet,
        to: Address,
        data: Bytes,
    ) -> Result<Receipt, Error> {
        match allowed {
            Ok(()) => self.send(wallet, to.into(), U256::ZERO, data).await,
            Err(Error::Unsent(mut batch)) => {
                let (chain_id, from) = (self.chain_id(), wallet.address());
                batch.push(Unsent { chain_id, from, to, value: U256::ZERO, data });
                Err(Error::Unsent(batch))
            }
            Err(error) => Err(error),
        }
    }

    /// The base fee and the suggested tip. Twice the base fee is offered: room for six full blocks.
    async fn fees(&self) -> Result<(u128, u128), Error> {
        let base = u128::from(self.head().await?.base_fee);
        let tip = match self.ask(self.provider.get_max_priority_fee_per_gas()).await {
            Ok(tip) => tip,
            Err(Error::Rejected { cause: Refusal::Other, .. }) => DEFAULT_TIP,
            Err(error) => return Err(error),
        };
        Ok((base, tip))
    }

    async fn wait(&self, transaction: B256) -> Result<TransactionReceipt, Error> {
        let end = Instant::now() + self.limits().receipt;
        let mut pause = FIRST_POLL;
        loop {
            match self.ask(self.provider.get_transaction_receipt(transaction)).await {
                Ok(Some(receipt)) => return Ok(receipt),
                // The transaction is on its way whatever happens to this connection.
                Ok(None) | Err(Error::Unreachable { .. }) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= end {
                return Err(Error::NotMined { transaction, seconds: self.limits().receipt.as_secs() });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(SLOWEST_POLL);
        }
    }

    /// Repeats a failed transaction as a call, to learn the reason: mostly somebody else was first.
    async fn why_failed(&self, request: TransactionRequest, receipt: &TransactionReceipt) -> Error {
        let block = receipt.block_number.map_or_else(BlockId::latest, BlockId::number);
        match self.ask(self.provider.call(request).block(block)).await {
            Err(error @ Error::Reverted(_)) => error,
            _ => Revert::unexplained("the transaction failed in its block, and the reason does not show any more").into(),
        }
    }

    fn receipt(&self, receipt: &TransactionReceipt) -> Result<Receipt, Error> {
        let unasked = || self.malformed(crate::error::Malformed::Unasked("a mined transaction"));
        let block = BlockRef { number: receipt.block_number.ok_or_else(unasked)?, hash: receipt.block_hash.ok_or_else(unasked)? };
        let ours = |log: &&alloy::rpc::types::Log| is_ours(self.addresses(), log);
        let events = receipt.logs().iter().filter(ours).map(|log| ChainEvent::decode(self.addresses(), log));
        Ok(Receipt {
            transaction: receipt.transaction_hash,
            block,
            gas_used: receipt.gas_used,
            fee: U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price),
            events: events.collect::<Result<_, _>>().map_err(|log| self.malformed(log.into()))?,
            created: receipt.contract_address,
        })
    }

    /// The input of a mined transaction.
    pub(crate) async fn input_of(&self, transaction: B256) -> Result<Option<(Option<Address>, Bytes)>, Error> {
        use alloy::consensus::Transaction;
        let found = self.ask(self.provider.get_transaction_by_hash(transaction)).await?;
        let Some(found) = found else { return Ok(None) };
        if found.tx_hash() != transaction {
            return Err(self.malformed(crate::error::Malformed::Unasked("the transaction that was asked for")));
        }
        Ok(Some((found.to(), found.input().clone())))
    }
}

/// A quarter more than estimated, within the cap.
fn with_margin(estimate: u64) -> u64 {
    estimate.saturating_add(estimate / 4).min(GAS_CAP.max(estimate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::Addresses;
    use crate::endpoint::http_provider;

    #[test]
    fn a_wallet_offers_no_more_than_it_is_told_to_whatever_the_endpoint_says() {
        let endpoint = Ledger::unchecked(http_provider("http://127.0.0.1:9").unwrap(), Addresses::default(), "there");
        let wallet = Wallet::new(SecretKey::from_bytes(&[1; 32]).unwrap());
        assert_eq!(wallet.offer(&endpoint, 10, 3).unwrap(), (23, 3));
        let careful = wallet.clone().paying_at_most(15);
        assert_eq!(careful.offer(&endpoint, 4, 2).unwrap(), (10, 2));
        assert_eq!(careful.offer(&endpoint, 10, 1_000_000).unwrap(), (15, 5));
        let refused = careful.offer(&endpoint, 16, 0).unwrap_err();
        assert!(matches!(refused, Error::FeeTooHigh { asked: 16, limit: 15, .. }) && refused.is_temporary(), "{refused}");
        assert!(wallet.affords(u64::MAX, u128::MAX).is_ok());
        let thrifty = careful.spending_at_most(U256::from(100));
        assert!(thrifty.affords(50, 2).is_ok() && thrifty.affords(50, 3).is_err());
        assert!(thrifty.offer(&endpoint, 16, 0).is_err(), "both limits hold");
    }
}
