// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title What sites and nodes sign
/// @notice EIP-712 struct hashes of the protocol's seven statements. A digest is
/// keccak256(0x1901 || domain separator || struct hash); test/eip712.vectors.json pins them for all implementations.
library Statements {
    bytes32 internal constant CONTRIBUTION =
        keccak256("Contribution(uint64 study,uint64 round,address site,bytes32 digest,bytes32 boxes)");
    bytes32 internal constant RECEIPT = keccak256("Receipt(uint64 study,uint64 round,address site,bytes32 digest)");
    bytes32 internal constant VOTE = keccak256("Vote(uint64 study,uint64 round,bytes32 setRoot,uint32 size)");
    bytes32 internal constant FINAL = keccak256("Final(uint64 study,bytes32 subject,uint64 round,bytes32 setRoot)");
    bytes32 internal constant SHARE_ROOT =
        keccak256("ShareRoot(uint64 study,uint64 round,bytes32 setRoot,uint8 index,bytes32 root)");
    bytes32 internal constant SETTLEMENT = keccak256(
        "Settlement(uint64 study,uint64 round,bytes32 setRoot,bytes32 shareRootsHash,bytes32 aggregateRoot,bytes32 rewardRoot)"
    );
    bytes32 internal constant ACCESS = keccak256("Access(uint64 study,uint64 round,bytes32 object,uint64 expires)");

    /// @notice A site's one contribution to a round.
    function contribution(uint64 study, uint64 round, address site, bytes32 digest, bytes32 boxes)
        internal
        pure
        returns (bytes32)
    {
        return _hash(CONTRIBUTION, study, round, bytes32(uint256(uint160(site))), digest, boxes);
    }

    /// @notice Two contributions of one site to one round.
    function contributions(
        uint64 study,
        uint64 round,
        address site,
        bytes32 digest,
        bytes32 boxes,
        bytes32 otherDigest,
        bytes32 otherBoxes
    ) internal pure returns (bytes32 hash, bytes32 otherHash) {
        bytes32 kind = CONTRIBUTION;
        // As `_hash`; the second differs in its last two words.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, kind)
            mstore(add(buffer, 0x20), study)
            mstore(add(buffer, 0x40), round)
            mstore(add(buffer, 0x60), site)
            mstore(add(buffer, 0x80), digest)
            mstore(add(buffer, 0xa0), boxes)
            hash := keccak256(buffer, 0xc0)
            mstore(add(buffer, 0x80), otherDigest)
            mstore(add(buffer, 0xa0), otherBoxes)
            otherHash := keccak256(buffer, 0xc0)
        }
    }

    /// @notice A node verified and keeps a site's contribution.
    function receipt(uint64 study, uint64 round, address site, bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT, study, round, site, digest));
    }

    /// @notice A node holds every member of a set and misses none that must be in it.
    function vote(uint64 study, uint64 round, bytes32 setRoot, uint32 size) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOTE, study, round, setRoot, size));
    }

    /// @notice A node saw the set's certificate final; it says so for one set a subject, ever.
    function finality(uint64 study, bytes32 subject, uint64 round, bytes32 setRoot) internal pure returns (bytes32) {
        return keccak256(abi.encode(FINAL, study, subject, round, setRoot));
    }

    /// @notice A node's output share over a set.
    function shareRoot(uint64 study, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        internal
        pure
        returns (bytes32)
    {
        return _hash(SHARE_ROOT, study, round, setRoot, bytes32(uint256(index)), root);
    }

    /// @notice The result of a round: what a node found consistent with all share roots.
    function settlement(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        bytes32 shareRootsHash,
        bytes32 aggregateRoot,
        bytes32 rewardRoot
    ) internal pure returns (bytes32 hash) {
        bytes32 kind = SETTLEMENT;
        // As `_hash`, of seven words.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, kind)
            mstore(add(buffer, 0x20), study)
            mstore(add(buffer, 0x40), round)
            mstore(add(buffer, 0x60), setRoot)
            mstore(add(buffer, 0x80), shareRootsHash)
            mstore(add(buffer, 0xa0), aggregateRoot)
            mstore(add(buffer, 0xc0), rewardRoot)
            hash := keccak256(buffer, 0xe0)
        }
    }

    /// @notice A request to read an object off chain until `expires`.
    function access(uint64 study, uint64 round, bytes32 object, uint64 expires) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCESS, study, round, object, expires));
    }

    /// keccak256(abi.encode(...)) of six words, past the free memory, which stays free: proofs and claims are paid by
    /// the word.
    function _hash(bytes32 kind, uint256 study, uint256 round, bytes32 third, bytes32 fourth, bytes32 fifth)
        private
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, kind)
            mstore(add(buffer, 0x20), study)
            mstore(add(buffer, 0x40), round)
            mstore(add(buffer, 0x60), third)
            mstore(add(buffer, 0x80), fourth)
            mstore(add(buffer, 0xa0), fifth)
            hash := keccak256(buffer, 0xc0)
        }
    }
}
