//! The `Authorization` header of a request to a node (docs/API.md, "Authorisation"): which round it is about, until when it
//! holds, and a signature over that and the request. Its only form is
//! `Consilium study.round.expires.0xsignature`, numbers in decimal without leading zeros, hex in lower case.

use crate::eip712::{Access, Domain, SecretKey, Signed};
use crate::error::SignatureError;
use crate::transcript::access_object;
use alloy_primitives::Address;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

const SCHEME: &str = "Consilium ";

/// A text that is no capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the capability has another form: write it as `Consilium study.round.expires.0xsignature`, with lower-case hex")]
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

/// A right to make one request until it expires. Its form is right; who signed it, and for what, is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Study number.
    pub study: u64,
    /// Round number.
    pub round: u64,
    /// The last Unix second at which it holds.
    pub expires: u64,
    /// The caller's EIP-712 signature over [`Access`].
    pub signature: Signed,
}

impl Capability {
    /// Signs a request about a round, good until `expires`, a Unix second.
    #[must_use]
    pub fn sign(domain: &Domain, key: &SecretKey, (study, round): (u64, u64), expires: u64, request: &Request<'_>) -> Self {
        let signature = domain.sign(key, &access(study, round, expires, request));
        Self { study, round, expires, signature }
    }

    /// Who signed this capability for this request; for another request it is somebody else, at random.
    ///
    /// # Errors
    /// [`SignatureError::NotCanonical`].
    pub fn signer(&self, domain: &Domain, request: &Request<'_>) -> Result<Address, SignatureError> {
        domain.signer(&access(self.study, self.round, self.expires, request), &self.signature)
    }
}

fn access(study: u64, round: u64, expires: u64, request: &Request<'_>) -> Access {
    Access { study, round, object: access_object(request.method, request.path, request.body), expires }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { study, round, expires, signature } = self;
        write!(f, "{SCHEME}{study}.{round}.{expires}.{}", hex::encode_prefixed(signature.as_bytes()))
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
    let mut parts = text.strip_prefix(SCHEME)?.splitn(4, '.');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (study, round, expires) = (number()?, number()?, number()?);
    let signature = hex::decode_to_array::<_, 65>(parts.next()?.strip_prefix("0x")?).ok()?;
    Some(Capability { study, round, expires, signature: Signed::from_bytes(&signature).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[3; 32]).unwrap()
    }

    #[test]
    fn a_capability_names_its_signer_for_its_own_request_alone() {
        let domain = Domain { chain_id: 1, contract: Address::repeat_byte(1) };
        let request = Request { method: "GET", path: "/v1/a?b=1", body: b"" };
        let given = Capability::sign(&domain, &key(), (1, 2), 3, &request);
        assert_eq!(given.to_string().parse(), Ok(given));
        assert_eq!(given.signer(&domain, &request), Ok(key().address()));
        for other in
            [Request { method: "POST", ..request }, Request { path: "/v1/a", ..request }, Request { body: b"x", ..request }]
        {
            assert_ne!(given.signer(&domain, &other), Ok(key().address()), "{other:?}");
        }
        assert_ne!(Capability { expires: 4, ..given }.signer(&domain, &request), Ok(key().address()));
    }

    #[test]
    fn a_capability_has_one_form() {
        let signature = hex::encode_prefixed(key().sign(&Default::default()).as_bytes());
        assert!(format!("Consilium 1.0.3.{signature}").parse::<Capability>().is_ok());
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
        ] {
            assert_eq!(wrong.parse::<Capability>(), Err(NotACapability), "{wrong}");
        }
    }
}
