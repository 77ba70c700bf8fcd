//! The access header: one text for one capability.

use super::fixed::DOMAIN;
use consilium_core::capability::{Capability, MAX_SIGNATURE, Proof, Request};

pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = text.parse::<Capability>() else { return };
    assert_eq!(read.to_string(), text, "a capability has one form");
    let parts = match &read.proof {
        Proof::Key(_) => 4,
        Proof::Account { signature, .. } => {
            assert!(signature.len() <= MAX_SIGNATURE);
            5
        }
    };
    assert_eq!(text.split('.').count(), parts);
    let _ = read.caller(&DOMAIN, &Request { method: "GET", path: "/v1/status", body: b"" });
}
