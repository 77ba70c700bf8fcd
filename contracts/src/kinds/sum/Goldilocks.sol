// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The field of the protocol, and whether values lie on one polynomial of low degree
library Goldilocks {
    /// @dev p = 2^64 - 2^32 + 1.
    uint256 internal constant P = 0xFFFFFFFF00000001;

    /// @notice Whether a polynomial of degree k-2 takes the k values at the k points.
    /// @dev It does exactly if the divided difference Σ y_i / w_i vanishes, w_i = Π_{k != i} (x_i - x_k). Multiplied by
    /// all w_i, none of which is zero in the field, it needs no division: Σ y_i Π_{j != i} w_j = 0.
    /// @param points Distinct and below p.
    /// @param values Below p.
    function fits(uint256[] memory points, uint256[] memory values) internal pure returns (bool) {
        uint256 k = points.length;
        uint256[] memory weights = new uint256[](k);
        for (uint256 i = 0; i < k; i++) {
            uint256 weight = 1;
            for (uint256 j = 0; j < k; j++) {
                if (j != i) weight = mulmod(weight, P + points[i] - points[j], P);
            }
            weights[i] = weight;
        }
        uint256 sum = 0;
        for (uint256 i = 0; i < k; i++) {
            uint256 term = values[i];
            for (uint256 j = 0; j < k; j++) {
                if (j != i) term = mulmod(term, weights[j], P);
            }
            sum = addmod(sum, term, P);
        }
        return sum == 0;
    }

    /// @notice Element `position` of a leaf: 8 bytes, big-endian. It may be p or more.
    function element(bytes calldata leaf, uint256 position) internal pure returns (uint256) {
        return uint256(uint64(bytes8(leaf[8 * position:8 * position + 8])));
    }
}
