// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The SHA-256 trees of section 7.7: vectors, certified sets, rewards
/// @notice leaf = SHA-256(0x00 || content), node = SHA-256(0x01 || left || right); the odd last node of a level moves up
/// as it is; root = SHA-256(kind || length || tree). The shape of a path follows from the index and the number of leaves.
library MerkleTrees {
    uint8 internal constant VECTOR = 2;
    uint8 internal constant SET = 3;
    uint8 internal constant REWARDS = 4;

    /// @notice A leaf lies outside of its tree, or its path has another number of siblings than its place dictates.
    error InvalidPath(uint256 index, uint256 leaves, uint256 siblings);

    function leafHash(bytes memory content) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), content));
    }

    /// @notice The root that a leaf and its siblings lead to.
    /// @param length What the top hash binds: elements of a vector, members of a set, leaves of a rewards tree.
    function rootOf(uint8 kind, uint64 length, uint256 leaves, uint256 index, bytes32 leaf, bytes32[] calldata path)
        internal
        view
        returns (bytes32)
    {
        require(index < leaves, InvalidPath(index, leaves, path.length));
        (bytes32 hash, uint256 place, uint256 width, uint256 used) = (leaf, index, leaves, 0);
        while (width > 1) {
            if (place ^ 1 < width) {
                require(used < path.length, InvalidPath(index, leaves, path.length));
                bytes32 sibling = path[used++];
                hash = place & 1 == 0 ? _node(hash, sibling) : _node(sibling, hash);
            }
            place >>= 1;
            width = (width + 1) >> 1;
        }
        require(used == path.length, InvalidPath(index, leaves, path.length));
        return sha256(abi.encodePacked(kind, length, hash));
    }

    /// @dev Past the free memory, which stays free: a path has up to twenty of these, and memory only grows.
    function _node(bytes32 left, bytes32 right) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 1)
            mstore(add(free, 1), left)
            mstore(add(free, 0x21), right)
            // The precompile cannot fail on 65 bytes but for want of gas, and then there is none left to go on with.
            if iszero(staticcall(gas(), 2, free, 0x41, 0, 0x20)) { revert(0, 0) }
            hash := mload(0)
        }
    }
}
