// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Whose signature it is
/// @notice r || s || v: 65 bytes, s in the lower half of the order, v 27 or 28. Everything else is nobody's.
library Signatures {
    uint256 internal constant LENGTH = 65;
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @dev What the precompile reads (digest, v, r, s) is laid out past the free memory, which stays free.
    /// @return signer Zero if there is none.
    function signerOf(bytes32 digest, bytes calldata signature) internal view returns (address signer) {
        if (signature.length != LENGTH) return address(0);
        uint256 half = HALF_ORDER;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            // Of s and its negative, which recover the same key, one counts. Any v but 27 and 28 recovers nobody, and
            // then the precompile writes nothing.
            if iszero(gt(calldataload(add(signature.offset, 0x20)), half)) {
                mstore(buffer, digest)
                mstore(add(buffer, 0x20), byte(0, calldataload(add(signature.offset, 0x40))))
                calldatacopy(add(buffer, 0x40), signature.offset, 0x40)
                mstore(0, 0)
                pop(staticcall(gas(), 1, buffer, 0x80, 0, 0x20))
                signer := mload(0)
            }
        }
    }
}
