// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Committees: their shape, and what Q of their nodes signed
library Committees {
    uint256 internal constant MAX_NODES = 32;
    uint256 private constant SIGNATURE_LENGTH = 65;

    struct Stored {
        uint8 threshold;
        uint8 count;
        address[MAX_NODES] nodes;
    }

    /// @notice Stores a committee after checking t >= 1, 3t+1 <= n <= 5t+1, n <= 32 and that no node comes twice.
    function form(Stored storage self, uint8 threshold, address[] calldata nodes) internal {
        uint256 n = nodes.length;
        uint256 t = threshold;
        require(t >= 1 && n >= 3 * t + 1 && n <= 5 * t + 1 && n <= MAX_NODES, IConsilium.InvalidCommittee(n, threshold));
        self.threshold = threshold;
        // forge-lint: disable-next-line(unsafe-typecast)
        self.count = uint8(n); // n <= 32
        for (uint256 i = 0; i < n; i++) {
            for (uint256 k = 0; k < i; k++) {
                require(nodes[k] != nodes[i], IConsilium.DuplicateNode(nodes[i]));
            }
            self.nodes[i] = nodes[i];
        }
    }

    /// @notice The committee's nodes in order.
    function members(Stored storage self) internal view returns (address[] memory nodes) {
        nodes = new address[](self.count);
        for (uint256 i = 0; i < nodes.length; i++) {
            nodes[i] = self.nodes[i];
        }
    }

    /// @notice Reverts unless the nodes of the bitmap are at least Q = 3t+1 and each of them signed the digest.
    /// @dev One signature for each set bit, in order: so nobody counts twice, and there are no bytes left over.
    /// @param signers Bit j-1 is node j.
    function requireQuorum(Stored storage self, bytes32 digest, uint256 signers, bytes calldata signatures)
        internal
        view
    {
        (uint256 n, uint256 quorum) = (self.count, 3 * uint256(self.threshold) + 1);
        require(signers >> n == 0, IConsilium.UnknownSigner(signers, n));
        uint256 count = _ones(signers);
        require(count >= quorum, IConsilium.QuorumMissing(count, quorum));
        require(
            signatures.length == count * SIGNATURE_LENGTH,
            IConsilium.SignaturesLength(signatures.length, count * SIGNATURE_LENGTH)
        );

        uint256 offset = 0;
        for (uint256 i = 0; i < n; i++) {
            if ((signers >> i) & 1 == 0) continue;
            bytes calldata signature = signatures[offset:offset + SIGNATURE_LENGTH];
            // Low s and v of 27 or 28 only. A failure recovers address zero, which is no node.
            (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
            require(signer == self.nodes[i], IConsilium.InvalidSignature(i + 1, self.nodes[i]));
            offset += SIGNATURE_LENGTH;
        }
    }

    function _ones(uint256 bitmap) private pure returns (uint256 count) {
        for (; bitmap != 0; bitmap &= bitmap - 1) {
            count++;
        }
    }
}
