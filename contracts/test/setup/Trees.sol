// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @dev The trees of section 7.7 as a prover builds them, level by level; shares no code with the contracts.
library Trees {
    function rootOf(uint8 kind, uint64 length, bytes32[] memory leaves) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(kind, length, treeOf(leaves)));
    }

    function treeOf(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            level = _up(level);
        }
        return level[0];
    }

    function open(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[] memory siblings = new bytes32[](64);
        uint256 count = 0;
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            if (index ^ 1 < level.length) siblings[count++] = level[index ^ 1];
            level = _up(level);
            index /= 2;
        }
        path = new bytes32[](count);
        for (uint256 i = 0; i < count; i++) {
            path[i] = siblings[i];
        }
    }

    function leaf(bytes memory content) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), content));
    }

    // ------------------------------------------------------------------------------------------------ rewards and sets

    function rewardLeaves(address[] memory sites, address[] memory voters)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](sites.length + voters.length);
        for (uint256 i = 0; i < sites.length; i++) {
            leaves[i] = leaf(abi.encodePacked(sites[i], uint8(0), uint64(1)));
        }
        for (uint256 i = 0; i < voters.length; i++) {
            leaves[sites.length + i] = leaf(abi.encodePacked(voters[i], uint8(1), uint64(1)));
        }
    }

    function rewardRoot(address[] memory sites, address[] memory voters) internal pure returns (bytes32) {
        bytes32[] memory leaves = rewardLeaves(sites, voters);
        return rootOf(4, uint64(leaves.length), leaves);
    }

    function setLeaves(address[] memory sites) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](sites.length);
        for (uint256 i = 0; i < sites.length; i++) {
            leaves[i] = leaf(abi.encodePacked(sites[i], digestOf(sites[i])));
        }
    }

    function setRoot(address[] memory sites) internal pure returns (bytes32) {
        return rootOf(3, uint64(sites.length), setLeaves(sites));
    }

    function digestOf(address site) internal pure returns (bytes32) {
        return keccak256(abi.encode("contribution", site));
    }

    // ------------------------------------------------------------------------------------------------ admitted sites

    function listLeaves(address[] memory list) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](list.length);
        for (uint256 i = 0; i < list.length; i++) {
            leaves[i] = leaf(abi.encodePacked(list[i]));
        }
    }

    function listRoot(address[] memory list) internal pure returns (bytes32) {
        return rootOf(5, uint64(list.length), listLeaves(list));
    }

    function powerLeaves(address[] memory list, uint64[] memory powers)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](list.length);
        for (uint256 i = 0; i < list.length; i++) {
            leaves[i] = leaf(abi.encodePacked(list[i], powers[i]));
        }
    }

    function powerRoot(address[] memory list, uint64[] memory powers) internal pure returns (bytes32) {
        return rootOf(6, uint64(list.length), powerLeaves(list, powers));
    }

    // ------------------------------------------------------------------------------------------------ vectors

    /// @dev The contents of a vector's leaves: 32 words of 8 bytes, big-endian, zeros at the end.
    function contents(uint64[] memory values) internal pure returns (bytes[] memory pieces) {
        pieces = new bytes[]((values.length + 31) / 32);
        for (uint256 i = 0; i < pieces.length; i++) {
            bytes memory piece;
            for (uint256 k = 32 * i; k < 32 * i + 32; k++) {
                piece = bytes.concat(piece, bytes8(k < values.length ? values[k] : 0));
            }
            pieces[i] = piece;
        }
    }

    function vectorLeaves(bytes[] memory pieces) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](pieces.length);
        for (uint256 i = 0; i < pieces.length; i++) {
            leaves[i] = leaf(pieces[i]);
        }
    }

    function vectorRoot(uint64[] memory values) internal pure returns (bytes32) {
        return rootOf(2, uint64(values.length), vectorLeaves(contents(values)));
    }

    function _up(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < above.length; i++) {
            above[i] = 2 * i + 1 < level.length
                ? sha256(abi.encodePacked(uint8(1), level[2 * i], level[2 * i + 1]))
                : level[2 * i];
        }
    }
}
