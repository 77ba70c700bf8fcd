// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The SHA-256 trees of section 7.7: vectors, certified sets, rewards, admitted sites
/// @notice leaf = SHA-256(0x00 || content), node = SHA-256(0x01 || left || right); the odd last node of a level moves up
/// as it is; root = SHA-256(kind || length || tree). The shape of a path follows from the index and the number of leaves.
library MerkleTrees {
    uint8 internal constant VECTOR = 2;
    uint8 internal constant SET = 3;
    uint8 internal constant REWARDS = 4;
    uint8 internal constant SITES = 5;
    uint8 internal constant POWERS = 6;

    uint256 private constant TOP_BYTES = 41;

    /// @notice A leaf lies outside of its tree, or its path has another number of siblings than its place dictates.
    error InvalidPath(uint256 index, uint256 leaves, uint256 siblings);

    function leafHash(bytes memory content) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), content));
    }

    /// @notice The leaf of a rewards tree: account, role and units in 20, 1 and 8 bytes.
    function rewardLeafHash(address account, uint8 role, uint64 units) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            // 0x00 || content: 30 bytes, the last of the first word.
            mstore(0, or(or(shl(72, account), shl(64, role)), units))
            if iszero(staticcall(gas(), 2, 2, 30, 0, 0x20)) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @notice The same of content in calldata, hashed where a copy of it is cheapest: past the free memory, once.
    function leafHashOf(bytes calldata content) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0)
            calldatacopy(add(buffer, 1), content.offset, content.length)
            // The precompile cannot fail but for want of gas, and then there is none left to go on with.
            if iszero(staticcall(gas(), 2, buffer, add(content.length, 1), 0, 0x20)) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @notice Whether the bytes are what a tree's root of this kind and length is the hash of.
    function isTop(bytes calldata preimage, uint8 kind, uint64 length) internal pure returns (bool) {
        return preimage.length == TOP_BYTES && uint8(preimage[0]) == kind && uint64(bytes8(preimage[1:9])) == length;
    }

    /// @notice The root that a leaf and its siblings lead to.
    /// @dev One buffer past the free memory, which stays free, holds what is hashed next. A path that is too short
    /// takes siblings from what follows it in the calldata; the last check refuses it, as one that is too long.
    /// @param length What the top hash binds: elements of a vector, members of a set, leaves of a rewards tree.
    function rootOf(uint8 kind, uint64 length, uint256 leaves, uint256 index, bytes32 leaf, bytes32[] calldata path)
        internal
        view
        returns (bytes32 root)
    {
        require(index < leaves, InvalidPath(index, leaves, path.length));
        bool fits;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let left := add(buffer, 1)
            let right := add(buffer, 0x21)
            let next := path.offset
            root := leaf
            mstore8(buffer, 1)
            // Of this level: the place of our node, and of the last one.
            let place := index
            let last := sub(leaves, 1)
            for {} last {} {
                // Only the last node can lack a sibling, if its place is even: it moves up as it is.
                if or(and(place, 1), lt(place, last)) {
                    let side := shl(5, and(place, 1))
                    mstore(add(left, side), root)
                    mstore(sub(right, side), calldataload(next))
                    next := add(next, 0x20)
                    if iszero(staticcall(gas(), 2, buffer, 0x41, 0, 0x20)) { revert(0, 0) }
                    root := mload(0)
                }
                place := shr(1, place)
                last := shr(1, last)
            }
            fits := eq(next, add(path.offset, shl(5, path.length)))
            mstore8(buffer, kind)
            mstore(add(buffer, 1), shl(192, length))
            mstore(add(buffer, 9), root)
            if iszero(staticcall(gas(), 2, buffer, 0x29, 0, 0x20)) { revert(0, 0) }
            root := mload(0)
        }
        require(fits, InvalidPath(index, leaves, path.length));
    }
}
