// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Goldilocks} from "./Goldilocks.sol";
import {MerkleTrees} from "./MerkleTrees.sol";

/// @title What a committed vector looks like: its length, its leaves, its top
library Vectors {
    uint256 internal constant LEAF_ELEMENTS = 32;
    uint256 internal constant LEAF_BYTES = 256;
    uint256 private constant TOP_BYTES = 41;

    /// @notice Elements of a study's aggregate and output shares: d and the weights for `weighted-mean`, d for
    /// `one-hot`; 0 for what is neither.
    function lengthOf(string calldata name, bytes calldata parameters) internal pure returns (uint64) {
        bytes32 program = keccak256(bytes(name));
        if (program == keccak256("weighted-mean") && parameters.length == 40) {
            uint64 dimension = _dimension(parameters);
            return dimension == 0 ? 0 : dimension + 1;
        }
        return program == keccak256("one-hot") && parameters.length == 8 ? _dimension(parameters) : 0;
    }

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

    /// @notice Whether the bytes are what a vector's root of this length is the hash of.
    function isTop(bytes calldata preimage, uint64 length) internal pure returns (bool) {
        return preimage.length == TOP_BYTES && uint8(preimage[0]) == MerkleTrees.VECTOR
            && uint64(bytes8(preimage[1:9])) == length;
    }

    /// The first eight bytes, little-endian; 0 for a dimension that the protocol does not know.
    function _dimension(bytes calldata parameters) private pure returns (uint64 dimension) {
        for (uint256 i = 8; i > 0; i--) {
            dimension = (dimension << 8) | uint8(parameters[i - 1]);
        }
        if (dimension > 2 ** 32) dimension = 0;
    }
}
