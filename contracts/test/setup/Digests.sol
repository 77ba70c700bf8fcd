// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "../../src/SignedStatements.sol";
import {Statements} from "../../src/libraries/Statements.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @dev What sites and nodes sign, as a wallet shows it: EIP-712 digests in Consilium's domain.
contract Digests is SignedStatements {
    constructor(address consilium) SignedStatements(consilium) {}

    function domainSeparator() external view returns (bytes32) {
        return _domainNow();
    }

    function contributionDigest(uint64 study, uint64 round, address site, bytes32 digest, bytes32 boxes)
        external
        view
        returns (bytes32)
    {
        return _digestOf(Statements.contribution(study, round, site, digest, boxes));
    }

    function receiptDigest(uint64 study, uint64 round, address site, bytes32 digest) external view returns (bytes32) {
        return _digestOf(Statements.receipt(study, round, site, digest));
    }

    function voteDigest(uint64 study, uint64 round, bytes32 setRoot, uint32 size) external view returns (bytes32) {
        return _digestOf(Statements.vote(study, round, setRoot, size));
    }

    function finalDigest(uint64 study, bytes32 subject, uint64 round, bytes32 setRoot) external view returns (bytes32) {
        return _digestOf(Statements.finality(study, subject, round, setRoot));
    }

    function shareRootDigest(uint64 study, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        external
        view
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
    ) external view returns (bytes32) {
        return _digestOf(Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot));
    }

    function accessDigest(uint64 study, uint64 round, bytes32 object, uint64 expires) external view returns (bytes32) {
        return _digestOf(Statements.access(study, round, object, expires));
    }

    function _digestOf(bytes32 statement) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_domainNow(), statement);
    }
}
