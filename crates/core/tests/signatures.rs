//! Recovery of signers against the library's own, which also verifies.

use alloy_primitives::{B256, Signature, U256};
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

proptest! {
    /// The compact form is the standard's, and reads back; of two words that are no signature nothing is made.
    #[test]
    fn compact_signatures_are_those_of_the_standard(key in prop::array::uniform32(1u8..), digest: [u8; 32], words: [[u8; 32]; 2]) {
        let signed = SecretKey::from_bytes(&key).unwrap().sign(&B256::from(digest));
        let expected = Signature::from_raw_array(signed.as_bytes()).unwrap();
        prop_assert_eq!(signed.to_compact().concat(), expected.as_erc2098());
        prop_assert_eq!(Signed::from_compact(signed.to_compact()), Ok(signed));
        let words = words.map(B256::from);
        if let Ok(read) = Signed::from_compact(words) {
            prop_assert_eq!(read.to_compact(), words);
        }
        prop_assert!(Signed::from_compact([words[0], B256::ZERO]).is_err());
        let high: U256 = U256::MAX >> 1;
        prop_assert!(Signed::from_compact([signed.to_compact()[0], high.into()]).is_err(), "s in the upper half");
    }
}
