// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {IKind} from "../../src/kinds/IKind.sol";
import {Judge} from "../../src/kinds/Judge.sol";

/// @dev A kind without a result: its rounds end at the certificate, a cohort may be one, and whoever asks its judge has
/// the committee convicted, or held.
contract EmptyKind is IKind, Judge {
    uint8 public constant kind = 7;
    uint32 public constant leastCohort = 1;
    bool public constant endsAtCertificate = true;

    constructor(address consilium_, ICourt registry_) Judge(consilium_, registry_) {}

    /// @dev All who voted for the set.
    function convictVoters(uint64 study, uint64 round) external {
        IRecords.Certified memory certified = IConsilium(consilium).disown(study, round);
        registry.convict(study, round, certified.nodes, certified.voters, ICourt.Offence.OfKind, msg.sender);
    }

    /// @dev One node, for whatever it did outside any round.
    function convictOne(uint64 study, address node) external {
        address[] memory nodes = new address[](1);
        nodes[0] = node;
        registry.convict(study, 0, nodes, 1, ICourt.Offence.OfKind, msg.sender);
    }

    function hold(uint64 study, address node, uint64 until) external {
        registry.hold(study, node, until);
    }

    /// @dev A signed root is the hash of a tag and the vector's root (0x07).
    function vectorRoot(bytes32 signed, bytes calldata evidence) external pure returns (bytes32 root) {
        root = bytes32(evidence);
        require(signed == sha256(abi.encodePacked(uint8(7), root)), NothingToUnwrap());
    }

    error NothingToUnwrap();
}
