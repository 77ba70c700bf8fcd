// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Whose signature it is
/// @notice Packed: r || s || v, 65 bytes, v 27 or 28. Compact (EIP-2098): r, then s with v - 27 in its highest bit. Either
/// way s is in the lower half of the order. Everything else is nobody's.
library Signatures {
    uint256 internal constant LENGTH = 65;
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @return signer Zero if there is none.
    function signerOf(bytes32 digest, bytes calldata signature) internal view returns (address signer) {
        if (signature.length != LENGTH) return address(0);
        (bytes32 r, uint256 s, uint256 v) = (0, 0, 0);
        assembly ("memory-safe") {
            r := calldataload(signature.offset)
            s := calldataload(add(signature.offset, 0x20))
            v := byte(0, calldataload(add(signature.offset, 0x40)))
        }
        return _recover(digest, v, r, s);
    }

    /// @return signer Zero if there is none.
    function signerOfCompact(bytes32 digest, bytes32[2] calldata signature) internal view returns (address signer) {
        uint256 vs = uint256(signature[1]);
        unchecked {
            return _recover(digest, 27 + (vs >> 255), signature[0], vs & (type(uint256).max >> 1));
        }
    }

    /// @dev What the precompile reads (digest, v, r, s) is laid out past the free memory, which stays free.
    function _recover(bytes32 digest, uint256 v, bytes32 r, uint256 s) private view returns (address signer) {
        // Of s and its negative, which recover the same key, one counts.
        if (s > HALF_ORDER) return address(0);
        // Any v but 27 and 28 recovers nobody, and then the precompile writes nothing.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, digest)
            mstore(add(buffer, 0x20), v)
            mstore(add(buffer, 0x40), r)
            mstore(add(buffer, 0x60), s)
            mstore(0, 0)
            pop(staticcall(gas(), 1, buffer, 0x80, 0, 0x20))
            signer := mload(0)
        }
    }
}
