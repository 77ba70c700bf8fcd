// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "../src/SignedStatements.sol";
import {Statements} from "../src/libraries/Statements.sol";
import {DigestCases} from "./setup/DigestCases.sol";
import {Digests} from "./setup/Digests.sol";

/// @dev Digests by the library's struct hashes and the domain of those who check signatures.
contract LibraryDigests is Digests, SignedStatements {
    constructor(address consilium) Digests(consilium) SignedStatements(consilium) {}

    function domainSeparator() public view override returns (bytes32) {
        return _domainNow();
    }

    function contributionDigest(uint64 study, uint64 round, address site, bytes32 digest, bytes32 boxes)
        external
        view
        override
        returns (bytes32)
    {
        bytes32 alone = Statements.contribution(study, round, site, digest, boxes);
        (bytes32 first, bytes32 second) =
            Statements.contributions(study, round, site, digest, boxes, keccak256("other"), keccak256("boxes"));
        (bytes32 third, bytes32 fourth) =
            Statements.contributions(study, round, site, keccak256("other"), keccak256("boxes"), digest, boxes);
        require(first == alone && fourth == alone && second == third && second != alone, "two contributions");
        return _digestOf(alone);
    }

    function receiptDigest(uint64 study, uint64 round, address site, bytes32 digest)
        external
        view
        override
        returns (bytes32)
    {
        return _digestOf(Statements.receipt(study, round, site, digest));
    }

    function voteDigest(uint64 study, uint64 round, bytes32 setRoot, uint32 size)
        external
        view
        override
        returns (bytes32)
    {
        return _digestOf(Statements.vote(study, round, setRoot, size));
    }

    function finalDigest(uint64 study, bytes32 subject, uint64 round, bytes32 setRoot)
        external
        view
        override
        returns (bytes32)
    {
        return _digestOf(Statements.finality(study, subject, round, setRoot));
    }

    function shareRootDigest(uint64 study, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        external
        view
        override
        returns (bytes32)
    {
        return _digestOf(Statements.shareRoot(study, round, setRoot, index, root));
    }

    function settlementDigest(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        bytes32 shareRootsHash,
        bytes32 aggregateRoot,
        bytes32 rewardRoot
    ) external view override returns (bytes32) {
        return _digestOf(Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot));
    }

    function accessDigest(uint64 study, uint64 round, bytes32 object, uint64 expires)
        external
        view
        override
        returns (bytes32)
    {
        return _digestOf(Statements.access(study, round, object, expires));
    }
}

/// @dev The digests of the contracts' own code are those that viem computed.
contract StatementHashesTest is DigestCases {
    LibraryDigests private statements;

    function setUp() public {
        statements = new LibraryDigests(readCases());
    }

    function test_statements_haveTheDigestsOfViem() public view {
        checkCases(statements);
    }

    /// What was signed before a chain split is no statement on the half with the new number.
    function test_domain_followsTheChain() public {
        bytes32 before = statements.domainSeparator();
        vm.chainId(77);
        vm.assertTrue(statements.domainSeparator() != before, "another chain, another domain");
        vm.assertEq(
            statements.domainSeparator(),
            new Digests(vm.parseJsonAddress(json, ".domain.verifyingContract")).domainSeparator(),
            "of that chain"
        );
    }
}
