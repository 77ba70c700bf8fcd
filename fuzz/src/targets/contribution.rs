//! The header of a contribution (section 3.8): one canonical form, of the length that committee and program dictate.

use super::fixed::rounds;
use crate::parts::Parts;
use consilium_core::contribution::Contribution;

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    let terms = &rounds()[usize::from(parts.byte()) % rounds().len()];
    let (bytes, shape) = (parts.rest(), terms.shape());
    let Ok(read) = Contribution::from_bytes(bytes, &shape) else { return };
    assert_eq!(read.to_bytes(), bytes, "a header has one form");
    assert!(bytes.len() <= shape.max_header_len());
    assert_eq!(read.boxes.len(), terms.committee.sizes().n());
    assert_eq!(read.body.check(terms.committee.sizes(), &*terms.program), Ok(()));
    assert!(Contribution::from_bytes(&[bytes, &[0]].concat(), &shape).is_err(), "nothing may be left over");
    assert!(Contribution::from_bytes(&bytes[..bytes.len() - 1], &shape).is_err(), "nothing may be missing");
    if let Ok(digest) = read.authenticate(&terms.domain, &terms.context()) {
        assert_eq!(digest, read.body.digest(&terms.context().of_site(read.site)));
        assert_eq!((read.study, read.round), (terms.study, terms.round));
    }
}
