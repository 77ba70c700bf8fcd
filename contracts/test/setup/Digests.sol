// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @dev What sites and nodes sign, as a wallet shows it: EIP-712 digests in Consilium's domain. Written out anew: a test that
/// signed by the contracts' own code would agree with whatever that says.
contract Digests {
    address private immutable _consilium;

    constructor(address consilium) {
        _consilium = consilium;
    }

    function domainSeparator() public view virtual returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Consilium"), keccak256("1"), block.chainid, _consilium));
    }

    function contributionDigest(uint64 study, uint64 round, address site, bytes32 digest, bytes32 boxes)
        external
        view
        virtual
        returns (bytes32)
    {
        bytes32 kind = keccak256("Contribution(uint64 study,uint64 round,address site,bytes32 digest,bytes32 boxes)");
        return _digestOf(keccak256(abi.encode(kind, study, round, site, digest, boxes)));
    }

    function receiptDigest(uint64 study, uint64 round, address site, bytes32 digest)
        external
        view
        virtual
        returns (bytes32)
    {
        bytes32 kind = keccak256("Receipt(uint64 study,uint64 round,address site,bytes32 digest)");
        return _digestOf(keccak256(abi.encode(kind, study, round, site, digest)));
    }

    function voteDigest(uint64 study, uint64 round, bytes32 setRoot, uint32 size)
        external
        view
        virtual
        returns (bytes32)
    {
        bytes32 kind = keccak256("Vote(uint64 study,uint64 round,bytes32 setRoot,uint32 size)");
        return _digestOf(keccak256(abi.encode(kind, study, round, setRoot, size)));
    }

    function finalDigest(uint64 study, bytes32 subject, uint64 round, bytes32 setRoot)
        external
        view
        virtual
        returns (bytes32)
    {
        bytes32 kind = keccak256("Final(uint64 study,bytes32 subject,uint64 round,bytes32 setRoot)");
        return _digestOf(keccak256(abi.encode(kind, study, subject, round, setRoot)));
    }

    function shareRootDigest(uint64 study, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        external
        view
        virtual
        returns (bytes32)
    {
        bytes32 kind = keccak256("ShareRoot(uint64 study,uint64 round,bytes32 setRoot,uint8 index,bytes32 root)");
        return _digestOf(keccak256(abi.encode(kind, study, round, setRoot, index, root)));
    }

    function settlementDigest(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        bytes32 shareRootsHash,
        bytes32 aggregateRoot,
        bytes32 rewardRoot
    ) external view virtual returns (bytes32) {
        return _digestOf(settlementHash(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot));
    }

    /// @dev The struct hash, which is what a settled round is known by.
    function settlementHash(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        bytes32 shareRootsHash,
        bytes32 aggregateRoot,
        bytes32 rewardRoot
    ) public pure returns (bytes32) {
        bytes32 kind = keccak256(
            "Settlement(uint64 study,uint64 round,bytes32 setRoot,bytes32 shareRootsHash,bytes32 aggregateRoot,bytes32 rewardRoot)"
        );
        return keccak256(abi.encode(kind, study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot));
    }

    function accessDigest(uint64 study, uint64 round, bytes32 object, uint64 expires)
        external
        view
        virtual
        returns (bytes32)
    {
        bytes32 kind = keccak256("Access(uint64 study,uint64 round,bytes32 object,uint64 expires)");
        return _digestOf(keccak256(abi.encode(kind, study, round, object, expires)));
    }

    function _digestOf(bytes32 statement) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), statement));
    }
}
