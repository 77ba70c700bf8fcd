// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {Settlements} from "../libraries/Settlements.sol";

/// @title What contracts that judge results have in common
abstract contract Judge {
    /// @notice Where the bonds are of those whom it convicts.
    ICourt public immutable registry;
    address private immutable _consilium;

    constructor(address consilium_, ICourt registry_) {
        (_consilium, registry) = (consilium_, registry_);
    }

    /// @notice The contract whose studies it judges.
    function consilium() public view virtual returns (address) {
        return _consilium;
    }

    /// @dev Who signed a settlement, and whose votes it rests on. Marks it as refuted: whatever fails afterwards undoes
    /// that.
    function _accuse(uint64 study, uint64 round, ICourt.Roots calldata roots)
        internal
        returns (IConsilium.Accused memory accused)
    {
        accused = IConsilium(_consilium).refute(study, round, Settlements.hashOf(study, round, roots));
        require(accused.threshold != 0, ICourt.NotTheSettlement(study, round));
    }

    /// @dev Everybody who signed it loses its bond; the sender is the reporter.
    function _convictSigners(uint64 study, uint64 round, IConsilium.Accused memory accused, ICourt.Offence offence)
        internal
    {
        registry.convict(study, round, accused.nodes, accused.signers, offence, msg.sender);
    }
}
