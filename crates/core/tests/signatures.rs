//! Recovery of signers against the library's own, which also verifies.

use alloy_primitives::{B256, Signature};
use consilium_core::eip712::{Domain, Receipt, SecretKey, Signed};
use proptest::prelude::*;

fn receipt(round: u64, digest: [u8; 32]) -> Receipt {
    Receipt { study: 7, round, site: [3; 20].into(), digest: digest.into() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever the library says signed, honest signature or altered one, is whom we name; where it finds nobody, so do we.
    #[test]
    fn signers_are_the_librarys(key in prop::array::uniform32(1u8..), round: u64, digest: [u8; 32], at in 0usize..65, bit in 0u8..8, alter: bool) {
        let domain = Domain { chain_id: 31337, contract: [9; 20].into() };
        let key = SecretKey::from_bytes(&key).unwrap();
        let said = receipt(round, digest);
        let mut bytes = *domain.sign(&key, &said).as_bytes();
        if alter {
            bytes[at] ^= 1 << bit;
        }
        let Ok(signed) = Signed::from_bytes(&bytes) else { return Ok(()) };
        let hash: B256 = domain.digest(&said);
        let library = Signature::from_raw_array(&bytes).and_then(|signature| signature.recover_address_from_prehash(&hash));
        prop_assert_eq!(domain.signer(&said, &signed).ok(), library.ok());
        prop_assert_eq!(domain.check(&said, &signed, key.address()).is_ok(), !alter);
    }
}
