// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../interfaces/IRecords.sol";
import {Signatures} from "./Signatures.sol";

/// @title Committees: their shape, and what Q of their nodes signed
library Committees {
    uint256 internal constant MAX_NODES = 32;

    /// @dev The addresses are the code of a contract of their own: read together for less than two slots.
    struct Stored {
        address roster;
        uint8 threshold;
        uint8 count;
    }

    /// @notice Stores a committee after checking t >= 1, 3t+1 <= n <= 5t+1, n <= 32 and that no node comes twice.
    function form(Stored storage self, uint8 threshold, address[] memory nodes) internal {
        uint256 n = nodes.length;
        uint256 t = threshold;
        require(t >= 1 && n >= 3 * t + 1 && n <= 5 * t + 1 && n <= MAX_NODES, IRecords.InvalidCommittee(n, threshold));
        bytes memory packed;
        for (uint256 i = 0; i < n; i++) {
            for (uint256 k = 0; k < i; k++) {
                require(nodes[k] != nodes[i], IRecords.DuplicateNode(nodes[i]));
            }
            packed = bytes.concat(packed, bytes20(nodes[i]));
        }
        self.threshold = threshold;
        // forge-lint: disable-next-line(unsafe-typecast)
        self.count = uint8(n); // n <= 32
        self.roster = _write(packed);
    }

    /// @notice The committee's nodes in order.
    function members(Stored storage self) internal view returns (address[] memory nodes) {
        uint256 n = self.count;
        nodes = new address[](n);
        if (n == 0) return nodes;
        bytes memory packed = _read(self.roster, n);
        for (uint256 i = 0; i < n; i++) {
            nodes[i] = _at(packed, i);
        }
    }

    /// @notice The node of an index from 1; zero if there is none.
    function member(Stored storage self, uint256 index) internal view returns (address) {
        uint256 n = self.count;
        return index == 0 || index > n ? address(0) : _at(_read(self.roster, n), index - 1);
    }

    /// @notice Reverts unless the nodes of the bitmap are at least Q = 3t+1 and each of them signed the digest.
    /// @param signers Bit j-1 is node j.
    function requireQuorum(Stored storage self, bytes32 digest, uint256 signers, bytes calldata signatures)
        internal
        view
    {
        uint256 word = _wordOf(self);
        uint256 count = _countOf(word, signers);
        uint256 quorum = 3 * uint256(uint8(word >> 160)) + 1;
        require(count >= quorum, IRecords.QuorumMissing(count, quorum));
        _requireSignatures(word, count, digest, signers, signatures);
    }

    /// @notice Reverts unless the bitmap has nodes, and each of them signed the digest.
    /// @param signers Bit j-1 is node j.
    function requireSigned(Stored storage self, bytes32 digest, uint256 signers, bytes calldata signatures)
        internal
        view
    {
        uint256 word = _wordOf(self);
        uint256 count = _countOf(word, signers);
        require(count != 0, IRecords.QuorumMissing(0, 1));
        _requireSignatures(word, count, digest, signers, signatures);
    }

    function _countOf(uint256 word, uint256 signers) private pure returns (uint256) {
        uint256 n = uint8(word >> 168);
        require(signers >> n == 0, IRecords.UnknownSigner(signers, n));
        return ones(signers);
    }

    /// @dev The one slot at once: the first member is the lowest.
    function _wordOf(Stored storage self) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := sload(self.slot)
        }
    }

    /// @dev One signature for each set bit, in order: so nobody counts twice, and there are no bytes left over.
    /// @param word The one slot of the struct.
    /// @param count Of the signers.
    function _requireSignatures(uint256 word, uint256 count, bytes32 digest, uint256 signers, bytes calldata signatures)
        private
        view
    {
        require(
            signatures.length == count * Signatures.LENGTH,
            IRecords.SignaturesLength(signatures.length, count * Signatures.LENGTH)
        );
        bytes memory packed = _read(address(uint160(word)), uint8(word >> 168));
        uint256 offset = 0;
        for (uint256 i = 0; signers >> i != 0; i++) {
            if ((signers >> i) & 1 == 0) continue;
            bytes calldata signature;
            // Within bounds: there are 65 bytes for each set bit, by the caller's check.
            assembly ("memory-safe") {
                signature.offset := add(signatures.offset, offset)
                signature.length := 65
            }
            address node = _at(packed, i);
            // Nobody is address zero, which is no node: only registered accounts are.
            require(Signatures.signerOf(digest, signature) == node, IRecords.InvalidSignature(i + 1, node));
            offset += Signatures.LENGTH;
        }
    }

    function ones(uint256 bitmap) internal pure returns (uint256 count) {
        for (; bitmap != 0; bitmap &= bitmap - 1) {
            count++;
        }
    }

    function _at(bytes memory packed, uint256 i) private pure returns (address node) {
        assembly ("memory-safe") {
            node := shr(96, mload(add(add(packed, 0x20), mul(20, i))))
        }
    }

    /// @dev The constructor returns the bytes behind itself. The first of them stops whoever would run them as code.
    function _write(bytes memory data) private returns (address roster) {
        bytes memory code = abi.encodePacked(hex"600b5981380380925939f300", data);
        assembly ("memory-safe") {
            roster := create(0, add(code, 0x20), mload(code))
        }
        require(roster != address(0), IRecords.RosterNotStored());
    }

    function _read(address roster, uint256 n) private view returns (bytes memory packed) {
        packed = new bytes(20 * n);
        assembly ("memory-safe") {
            extcodecopy(roster, add(packed, 0x20), 1, mul(20, n))
        }
    }
}
