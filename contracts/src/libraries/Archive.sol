// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title What remains of settled rounds when their slots are used again
/// @notice A Merkle mountain range of the rounds that are settled for good: one slot a height, so that a study with a
/// million rounds keeps twenty. Whoever claims for an old round shows that it is in there.
/// @dev A node is keccak256(left || right). Leaves are hashes of more than 64 bytes, so that no node passes for one.
library Archive {
    /// @dev One slot: archiving writes it and one peak.
    struct Totals {
        /// What licence revenue is divided by: the weights of all sites and voters of all settled rounds.
        uint64 weight;
        /// Archived rounds.
        uint32 count;
        /// The newest of them.
        uint32 through;
        /// Revenue periods so far.
        uint16 periods;
        /// Whether the weight has changed since the last sale.
        bool changed;
    }

    struct Log {
        Totals totals;
        /// The peak of height h counts while bit h of `count` is set.
        mapping(uint256 height => bytes32) peaks;
    }

    /// @notice The totals, read as the one slot they are: the first member is the lowest.
    function load(Log storage self) internal view returns (Totals memory totals) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(self.slot)
        }
        totals.weight = uint64(word);
        totals.count = uint32(word >> 64);
        totals.through = uint32(word >> 96);
        totals.periods = uint16(word >> 128);
        totals.changed = word >> 144 != 0;
    }

    /// @notice Writes the one slot.
    function store(Log storage self, Totals memory totals) internal {
        uint256 word = uint256(totals.weight) | (uint256(totals.count) << 64) | (uint256(totals.through) << 96)
            | (uint256(totals.periods) << 128) | (totals.changed ? 1 << 144 : 0);
        assembly ("memory-safe") {
            sstore(self.slot, word)
        }
    }

    /// @notice The leaf of a round: all that a payment depends on.
    /// @param record As in `IRounds.finalPay`.
    function leaf(uint64 study, uint64 round, bytes32 settlement, uint256 sites, uint256 nodes, uint256 record)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(study, round, settlement, sites, nodes, record));
    }

    /// @notice Appends a leaf. The caller counts it.
    function append(Log storage self, uint256 count, bytes32 node) internal {
        uint256 height = 0;
        for (; (count >> height) & 1 == 1; height++) {
            node = _parent(self.peaks[height], node);
        }
        self.peaks[height] = node;
    }

    /// @notice Whether a leaf is the one at a position, by the path to its peak.
    function contains(Log storage self, uint256 position, bytes32 node, bytes32[] calldata path)
        internal
        view
        returns (bool)
    {
        (uint256 count, uint256 height) = (self.totals.count, path.length);
        if (height >= 32 || (count >> height) & 1 == 0 || position >> height != (count >> height) - 1) return false;
        for (uint256 i = 0; i < height; i++) {
            node = (position >> i) & 1 == 0 ? _parent(node, path[i]) : _parent(path[i], node);
        }
        return node == self.peaks[height];
    }

    function _parent(bytes32 left, bytes32 right) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0, left)
            mstore(0x20, right)
            hash := keccak256(0, 0x40)
        }
    }
}
