// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "./interfaces/IConsilium.sol";
import {Statements} from "./libraries/Statements.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title What a wallet signs, so that wallets, nodes and tests can compare
abstract contract Digests is IConsilium, EIP712 {
    constructor() EIP712("Consilium", "1") {}

    /// @inheritdoc IConsilium
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IConsilium
    function contributionDigest(uint64 study, uint64 round, address site, bytes32 digest, bytes32 boxes)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Statements.contribution(study, round, site, digest, boxes));
    }

    /// @inheritdoc IConsilium
    function receiptDigest(uint64 study, uint64 round, address site, bytes32 digest) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.receipt(study, round, site, digest));
    }

    /// @inheritdoc IConsilium
    function voteDigest(uint64 study, uint64 round, bytes32 setRoot, uint32 size) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.vote(study, round, setRoot, size));
    }

    /// @inheritdoc IConsilium
    function finalDigest(uint64 study, bytes32 subject, uint64 round, bytes32 setRoot) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.finality(study, subject, round, setRoot));
    }

    /// @inheritdoc IConsilium
    function shareRootDigest(uint64 study, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Statements.shareRoot(study, round, setRoot, index, root));
    }

    /// @inheritdoc IConsilium
    function settlementDigest(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        bytes32 shareRootsHash,
        bytes32 aggregateRoot,
        bytes32 rewardRoot
    ) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot));
    }

    /// @inheritdoc IConsilium
    function accessDigest(uint64 study, uint64 round, bytes32 object, uint64 expires) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.access(study, round, object, expires));
    }
}
