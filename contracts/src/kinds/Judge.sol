// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {IRecords} from "../interfaces/IRecords.sol";
import {Settlements} from "../libraries/Settlements.sol";
import {IJudge} from "./IJudge.sol";

/// @title What contracts that judge results have in common
abstract contract Judge is IJudge {
    /// @inheritdoc IJudge
    address public immutable consilium;
    /// @inheritdoc IJudge
    ICourt public immutable registry;

    constructor(address consilium_, ICourt registry_) {
        (consilium, registry) = (consilium_, registry_);
    }

    /// @dev Who signed a settlement, and whose votes it rests on. Marks it as refuted: whatever fails afterwards undoes
    /// that.
    function _accuse(uint64 study, uint64 round, ICourt.Roots calldata roots)
        internal
        returns (IRecords.Accused memory accused)
    {
        accused = IConsilium(consilium).refute(study, round, Settlements.hashOf(study, round, roots));
        require(accused.threshold != 0, ICourt.NotTheSettlement(study, round));
    }

    /// @dev Everybody who signed it loses its bond; the sender is the reporter.
    function _convictSigners(uint64 study, uint64 round, IRecords.Accused memory accused, ICourt.Offence offence)
        internal
    {
        registry.convict(study, round, accused.nodes, accused.signers, offence, msg.sender);
    }
}
