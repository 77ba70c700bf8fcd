//! The ERC-20 in which a study pays: allowances, permits, and the project's own currency for test networks.

use crate::contracts::TrialToken as E;
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed};
use crate::wallet::{Mined, Receipt, Wallet};
use alloy::sol_types::{Eip712Domain, SolCall, SolStruct};
use alloy_primitives::{Address, TxKind, U256};
use consilium_core::eip712::Signed;

mod permit {
    alloy::sol! {
        /// ERC-2612.
        #[derive(Debug)]
        struct Permit {
            address owner;
            address spender;
            uint256 value;
            uint256 nonce;
            uint256 deadline;
        }
    }
}

impl Ledger {
    /// Deploys the currency for test networks. Yields its address. Anyone can make coins of it: it is worth nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn deploy_trial_token(&self, wallet: &Wallet) -> Result<Mined<Address>, Error> {
        let receipt = self.send(wallet, TxKind::Create, U256::ZERO, E::BYTECODE.clone()).await?;
        let output = receipt.created.ok_or_else(|| self.malformed(Malformed::Unasked("the creation of the currency")))?;
        Ok(Mined { output, receipt })
    }

    /// Makes coins of the currency for test networks.
    ///
    /// # Errors
    /// [`Error::Reverted`] when the currency is another one.
    pub async fn mint_trial_coins(
        &self,
        wallet: &Wallet,
        currency: Address,
        to: Address,
        amount: U256,
    ) -> Result<Receipt, Error> {
        self.send(wallet, currency.into(), U256::ZERO, E::mintCall { to, amount }.abi_encode().into()).await
    }

    /// An account's coins.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is no ERC-20 at this address.
    pub async fn coins(&self, currency: Address, account: Address) -> Result<U256, Error> {
        self.coins_at(currency, account, None).await
    }

    pub(crate) async fn coins_at(&self, currency: Address, account: Address, at: Option<u64>) -> Result<U256, Error> {
        self.view_of(currency, E::balanceOfCall { account }, at).await
    }

    /// Lets the treasury take this much, and no more, of the wallet's coins. An allowance that is large enough stays; one
    /// that is too small is cleared first, because some currencies refuse to change one that is not zero.
    pub(crate) async fn allow(&self, wallet: &Wallet, currency: Address, amount: U256) -> Result<(), Error> {
        let (owner, spender) = (wallet.address(), self.addresses().treasury);
        let allowed = self.view_of(currency, E::allowanceCall { owner, spender }, None).await?;
        if allowed >= amount {
            return Ok(());
        }
        let values = if allowed.is_zero() { vec![amount] } else { vec![U256::ZERO, amount] };
        let mut allowance = Ok(());
        for value in values {
            let call = E::approveCall { spender, value };
            allowance = self.send_after(allowance, wallet, currency, call.abi_encode().into()).await.map(drop);
        }
        allowance
    }

    /// A signed allowance for the treasury (ERC-2612). Name and version are the currency's own words; chain and contract
    /// are what this ledger knows, so that an endpoint cannot have another currency's permit signed.
    pub(crate) async fn permit(&self, wallet: &Wallet, currency: Address, value: U256, deadline: U256) -> Result<Signed, Error> {
        let told = self.view_of(currency, E::eip712DomainCall {}, None).await?;
        let nonce = self.view_of(currency, E::noncesCall { owner: wallet.address() }, None).await?;
        let domain = Eip712Domain::new(
            Some(told.name.into()),
            Some(told.version.into()),
            Some(U256::from(self.chain_id())),
            Some(currency),
            None,
        );
        let (owner, spender) = (wallet.address(), self.addresses().treasury);
        let permit = permit::Permit { owner, spender, value, nonce, deadline };
        Ok(wallet.key()?.sign(&permit.eip712_signing_hash(&domain)))
    }
}
