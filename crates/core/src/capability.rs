//! The `Authorization` header of a request to a node (docs/API.md, "Authorisation"): which round it is about, until when it
//! holds, and a signature over that and the request. Its forms are `Consilium study.round.expires.0xsignature` for a key and
//! `Consilium study.round.expires.0xaccount.0xsignature` for a contract (ERC-1271), numbers in decimal without leading zeros,
//! hex in lower case.

use crate::eip712::{Access, Domain, SafeMessage, SecretKey, Signed};
use crate::error::SignatureError;
use crate::transcript::access_object;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue};
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

const SCHEME: &str = "Consilium ";
/// Most bytes of a contract's signature.
pub const MAX_SIGNATURE: usize = 4096;

/// A text that is no capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the capability has another form: write it as `Consilium study.round.expires.0xsignature`, or with `0xaccount.` before the \
     signature of a contract, with lower-case hex"
)]
pub struct NotACapability;

/// A request, as a capability names it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// GET or POST.
    pub method: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The body, or what announces it.
    pub body: &'a [u8],
}

/// Who asks, with what it signs by.
#[derive(Debug, Clone)]
pub enum Holder {
    /// A key, in its own name.
    Key(SecretKey),
    /// A key, in the name of a contract that takes its signatures for the contract's own (ERC-1271).
    Account {
        /// The contract.
        account: Address,
        /// The key.
        key: SecretKey,
        /// What of a digest the key signs.
        form: AccountForm,
    },
}

/// What a contract wants its owner to sign, so that a digest counts as signed by the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountForm {
    /// The digest itself.
    Digest,
    /// The EIP-712 digest of `SafeMessage(bytes message)` in the account's own domain, with the digest as the message: what a
    /// Safe of version 1.3 or later asks of its owners.
    SafeMessage {
        /// EIP-155 id of the account's chain.
        chain_id: u64,
    },
}

impl Holder {
    /// In whose name it asks.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Self::Key(key) => key.address(),
            Self::Account { account, .. } => *account,
        }
    }

    fn sign(&self, digest: B256) -> Proof {
        match self {
            Self::Key(key) => Proof::Key(key.sign(&digest)),
            Self::Account { account, key, form } => {
                let signature = key.sign(&form.wrap(*account, digest)).as_bytes().to_vec().into();
                Proof::Account { account: *account, signature }
            }
        }
    }
}

impl AccountForm {
    /// What an owner of the account signs, so that the account accepts this digest.
    #[must_use]
    pub fn wrap(self, account: Address, digest: B256) -> B256 {
        match self {
            Self::Digest => digest,
            Self::SafeMessage { chain_id } => {
                let domain = Eip712Domain {
                    chain_id: Some(U256::from(chain_id)),
                    verifying_contract: Some(account),
                    ..Eip712Domain::default()
                };
                SafeMessage { message: digest.abi_encode().into() }.eip712_signing_hash(&domain)
            }
        }
    }
}

/// What a capability has been signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A key's EIP-712 signature over [`Access`].
    Key(Signed),
    /// Whatever a contract takes for its signature over the same digest, at most [`MAX_SIGNATURE`] bytes.
    Account {
        /// The contract.
        account: Address,
        /// Its signature.
        signature: Bytes,
    },
}

/// In whose name a request was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The holder of this address's key: proved.
    Key(Address),
    /// A contract, if it accepts the signature for the digest: only the chain can tell.
    Account {
        /// The contract.
        account: Address,
        /// EIP-712 digest of [`Access`].
        digest: B256,
        /// What the contract is to be asked about.
        signature: Bytes,
    },
}

/// A right to make one request until it expires. Its form is right; who signed it, and for what, is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Study number.
    pub study: u64,
    /// Round number.
    pub round: u64,
    /// The last Unix second at which it holds.
    pub expires: u64,
    /// What it was signed by.
    pub proof: Proof,
}

impl Capability {
    /// Signs a request about a round, good until `expires`, a Unix second.
    #[must_use]
    pub fn sign(domain: &Domain, holder: &Holder, (study, round): (u64, u64), expires: u64, request: &Request<'_>) -> Self {
        let proof = holder.sign(domain.digest(&access(study, round, expires, request)));
        Self { study, round, expires, proof }
    }

    /// Who signed this capability for this request. For another request a key is somebody else's, at random.
    ///
    /// # Errors
    /// [`SignatureError::NotCanonical`].
    pub fn caller(&self, domain: &Domain, request: &Request<'_>) -> Result<Caller, SignatureError> {
        let access = access(self.study, self.round, self.expires, request);
        match &self.proof {
            Proof::Key(signature) => domain.signer(&access, signature).map(Caller::Key),
            Proof::Account { account, signature } => {
                Ok(Caller::Account { account: *account, digest: domain.digest(&access), signature: signature.clone() })
            }
        }
    }
}

fn access(study: u64, round: u64, expires: u64, request: &Request<'_>) -> Access {
    Access { study, round, object: access_object(request.method, request.path, request.body), expires }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { study, round, expires, proof } = self;
        write!(f, "{SCHEME}{study}.{round}.{expires}.")?;
        match proof {
            Proof::Key(signature) => f.write_str(&hex::encode_prefixed(signature.as_bytes())),
            Proof::Account { account, signature } => {
                write!(f, "{}.{}", hex::encode_prefixed(account), hex::encode_prefixed(signature))
            }
        }
    }
}

impl FromStr for Capability {
    type Err = NotACapability;

    fn from_str(text: &str) -> Result<Self, NotACapability> {
        let read = read(text).ok_or(NotACapability)?;
        // `+1`, `01` and upper-case hex are read above, and are other texts for the same capability.
        if read.to_string() == text { Ok(read) } else { Err(NotACapability) }
    }
}

fn read(text: &str) -> Option<Capability> {
    let mut parts = text.strip_prefix(SCHEME)?.splitn(5, '.');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (study, round, expires) = (number()?, number()?, number()?);
    let first = parts.next()?.strip_prefix("0x")?;
    let proof = match parts.next() {
        None => Proof::Key(Signed::from_bytes(&hex::decode_to_array::<_, 65>(first).ok()?).ok()?),
        Some(signature) => {
            let account = Address::from(hex::decode_to_array::<_, 20>(first).ok()?);
            let signature = signature.strip_prefix("0x").filter(|hex| hex.len() <= 2 * MAX_SIGNATURE)?;
            Proof::Account { account, signature: hex::decode(signature).ok()?.into() }
        }
    };
    Some(Capability { study, round, expires, proof })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    const DOMAIN: Domain = Domain { chain_id: 1, contract: Address::repeat_byte(1) };
    const REQUEST: Request<'_> = Request { method: "GET", path: "/v1/a?b=1", body: b"" };

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[3; 32]).unwrap()
    }

    fn others() -> [Request<'static>; 3] {
        [Request { method: "POST", ..REQUEST }, Request { path: "/v1/a", ..REQUEST }, Request { body: b"x", ..REQUEST }]
    }

    #[test]
    fn a_capability_names_its_signer_for_its_own_request_alone() {
        let given = Capability::sign(&DOMAIN, &Holder::Key(key()), (1, 2), 3, &REQUEST);
        assert_eq!(given.to_string().parse(), Ok(given.clone()));
        let mine = Ok(Caller::Key(key().address()));
        assert_eq!(given.caller(&DOMAIN, &REQUEST), mine);
        for other in others() {
            assert_ne!(given.caller(&DOMAIN, &other), mine, "{other:?}");
        }
        assert_ne!(Capability { expires: 4, ..given }.caller(&DOMAIN, &REQUEST), mine);
    }

    #[test]
    fn a_contract_is_asked_about_the_digest_of_the_very_request() {
        let account = Address::repeat_byte(7);
        let holder = Holder::Account { account, key: key(), form: AccountForm::Digest };
        let given = Capability::sign(&DOMAIN, &holder, (1, 2), 3, &REQUEST);
        assert_eq!(given.to_string().parse(), Ok(given.clone()));
        let asked = |request: &Request<'_>| match given.caller(&DOMAIN, request).unwrap() {
            Caller::Account { account: named, digest, signature } => {
                assert_eq!(named, account);
                // Signing is deterministic.
                signature[..] == key().sign(&digest).as_bytes()[..]
            }
            Caller::Key(key) => panic!("{key} is a key"),
        };
        assert!(asked(&REQUEST));
        for other in others() {
            assert!(!asked(&other), "{other:?}");
        }
    }

    // Type hashes and encoding from the sources of Safe 1.4.1 (CompatibilityFallbackHandler.sol, Safe.sol), put together with
    // another implementation of Keccak-256.
    #[test]
    fn an_owner_of_a_safe_signs_the_message_that_the_safe_makes_of_a_digest() {
        let form = AccountForm::SafeMessage { chain_id: 31337 };
        let wrapped = form.wrap(Address::repeat_byte(0x5a), B256::repeat_byte(0xd1));
        assert_eq!(wrapped, b256!("fce998dafa4256b2c5ce419d1ad0ecd8ebf606d95bea8fe1b292af69a1ddefdd"));
    }

    #[test]
    fn a_capability_has_one_form() {
        let signature = hex::encode_prefixed(key().sign(&Default::default()).as_bytes());
        let account = hex::encode_prefixed(Address::repeat_byte(0xab));
        let longest = "00".repeat(MAX_SIGNATURE);
        for right in [
            format!("Consilium 1.0.3.{signature}"),
            format!("Consilium 1.0.3.{account}.{signature}"),
            format!("Consilium 1.0.3.{account}.0x"),
            format!("Consilium 1.0.3.{account}.0x{longest}"),
        ] {
            assert!(right.parse::<Capability>().is_ok(), "{right}");
        }
        for wrong in [
            String::new(),
            format!("Bearer 1.2.3.{signature}"),
            format!("Consilium 1.2.{signature}"),
            format!("Consilium 1.2.3.{signature}.4"),
            format!("Consilium 1.2.-3.{signature}"),
            format!("Consilium 1.2.3.{}", &signature[2..]),
            format!("Consilium 1.2.3.{}", &signature[..20]),
            "Consilium 1.2.3.0x".into(),
            format!("Consilium +1.2.3.{signature}"),
            format!("Consilium 1.02.3.{signature}"),
            format!("Consilium 1.2.18446744073709551616.{signature}"),
            format!("Consilium 1.2.3.0x{}", signature[2..].to_uppercase()),
            format!("Consilium 1.2.3.0x{signature}"),
            format!("Consilium 1.2.3.{account}"),
            format!("Consilium 1.2.3.{account}."),
            format!("Consilium 1.2.3.{account}.00"),
            format!("Consilium 1.2.3.{account}.0x0"),
            format!("Consilium 1.2.3.{account}.0xAB"),
            format!("Consilium 1.2.3.{account}00.{signature}"),
            format!("Consilium 1.2.3.{account}.{signature}.{signature}"),
            format!("Consilium 1.2.3.{account}.0x{longest}00"),
        ] {
            assert_eq!(wrong.parse::<Capability>(), Err(NotACapability), "{wrong}");
        }
    }
}
