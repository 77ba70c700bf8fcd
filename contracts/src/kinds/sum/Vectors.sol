// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Goldilocks} from "./Goldilocks.sol";

/// @title What a committed vector looks like: its length, its leaves, its top
library Vectors {
    uint256 internal constant LEAF_ELEMENTS = 32;
    uint256 internal constant LEAF_BYTES = 256;

    /// @notice Leaves of a vector.
    function leaves(uint64 length) internal pure returns (uint256) {
        return (uint256(length) + LEAF_ELEMENTS - 1) / LEAF_ELEMENTS;
    }

    /// @notice Whether the content is a leaf at this place: 32 values below p, zeros behind the vector's end.
    function isLeaf(bytes calldata content, uint64 length, uint64 leaf) internal pure returns (bool) {
        if (content.length != LEAF_BYTES) return false;
        for (uint256 i = 0; i < LEAF_ELEMENTS; i++) {
            uint256 value = Goldilocks.element(content, i);
            if (value >= Goldilocks.P) return false;
            if (uint256(leaf) * LEAF_ELEMENTS + i >= length && value != 0) return false;
        }
        return true;
    }
}
