//! The access header: one text for one capability.

use super::fixed::DOMAIN;
use consilium_core::capability::{Capability, Request};

pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = text.parse::<Capability>() else { return };
    assert_eq!(read.to_string(), text, "a capability has one form");
    assert_eq!(text.matches('.').count(), 3);
    let _ = read.signer(&DOMAIN, &Request { method: "GET", path: "/v1/status", body: b"" });
}
