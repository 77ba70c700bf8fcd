// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "./interfaces/IConsilium.sol";
import {ICourt} from "./interfaces/ICourt.sol";
import {IRecords} from "./interfaces/IRecords.sol";
import {ISetCourt} from "./interfaces/ISetCourt.sol";
import {Judge} from "./kinds/Judge.sol";
import {Committees} from "./libraries/Committees.sol";
import {MerkleTrees} from "./libraries/MerkleTrees.sol";
import {SetLeaves} from "./libraries/SetLeaves.sol";

/// @title Proofs about certified sets and rewards (section 6.12)
/// @dev A set that holds a site nobody admitted, and rewards that are not those of their set. Leaves of a set behind its
/// sites are contributions of the committee's members: they are no sites, and no reward is theirs.
contract SetCourt is ISetCourt, Judge {
    // Of a leaf of the rewards tree: account, role and units in 20, 1 and 8 bytes.
    uint8 private constant ROLE_SITE = 0;
    uint8 private constant ROLE_NODE = 1;
    uint64 private constant UNIT = 1;

    constructor(address consilium_, ICourt registry_) Judge(consilium_, registry_) {}

    /// @inheritdoc ISetCourt
    function proveForeignSite(uint64 study, uint64 round, ICourt.SetMember calldata member, Absence calldata absence)
        external
    {
        IRecords.Certified memory certified = IConsilium(consilium).disown(study, round);
        require(certified.setRoot != 0, ICourt.NotCertified(study, round));
        require(
            member.index < certified.size && SetLeaves.rootOf(member) == certified.setRoot,
            ICourt.NotInTheSet(member.site)
        );
        _requireAbsent(member.site, certified.sitesRoot, absence);
        registry.convict(study, round, certified.nodes, certified.voters, ICourt.Offence.ForeignSite, msg.sender);
    }

    /// @inheritdoc ISetCourt
    function proveWrongReward(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        uint32 index,
        bytes calldata content,
        bytes32[] calldata path,
        ICourt.SetMember calldata member
    ) external {
        IRecords.Accused memory accused = _accuse(study, round, roots);
        uint256 length = _rewardLeaves(accused);
        bytes32 found = MerkleTrees.rootOf(
            MerkleTrees.REWARDS, uint64(length), length, index, MerkleTrees.leafHashOf(content), path
        );
        require(found == roots.rewardRoot, ICourt.NotTheLeaf(0));
        bytes memory right;
        if (index < accused.size) {
            require(member.index == index && SetLeaves.rootOf(member) == roots.setRoot, ICourt.NotInTheSet(member.site));
            right = abi.encodePacked(member.site, ROLE_SITE, UNIT);
        } else {
            right = abi.encodePacked(_voter(accused, index - accused.size), ROLE_NODE, UNIT);
        }
        require(keccak256(content) != keccak256(right), ICourt.NoOffence());
        _convictSigners(study, round, accused, ICourt.Offence.WrongReward);
    }

    /// @inheritdoc ISetCourt
    function proveMalformedRewards(uint64 study, uint64 round, ICourt.Roots calldata roots, bytes calldata preimage)
        external
    {
        IRecords.Accused memory accused = _accuse(study, round, roots);
        require(sha256(preimage) == roots.rewardRoot, ICourt.NotTheLeaf(0));
        // forge-lint: disable-next-line(unsafe-typecast)
        bool fits = MerkleTrees.isTop(preimage, MerkleTrees.REWARDS, uint64(_rewardLeaves(accused))); // below 2^25
        require(!fits, ICourt.NoOffence());
        _convictSigners(study, round, accused, ICourt.Offence.WrongReward);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// One leaf for each site of the set, then one for each vote that the certificate brought.
    function _rewardLeaves(IRecords.Accused memory accused) private pure returns (uint256) {
        return uint256(accused.size) + Committees.ones(accused.voters);
    }

    /// @param place Among the voters, in node order, from 0.
    function _voter(IRecords.Accused memory accused, uint256 place) private pure returns (address) {
        for (uint256 i = 0; i < accused.nodes.length; i++) {
            if ((accused.voters >> i) & 1 == 0) continue;
            if (place == 0) return accused.nodes[i];
            place--;
        }
        // A leaf behind the last voter leads to no root of this length.
        revert NoSuchReward(place);
    }

    /// The list is sorted, so that a site is missing exactly if it lies before the first, behind the last, or between two
    /// that stand side by side.
    function _requireAbsent(address site, bytes32 sitesRoot, Absence calldata absence) private view {
        uint256 count = absence.neighbours.length;
        require(count == 1 || count == 2, NotAbsent(site));
        Neighbour calldata first = absence.neighbours[0];
        Neighbour calldata last = absence.neighbours[count - 1];
        uint160 lower = _listed(absence, first, sitesRoot);
        uint160 sought = uint160(site);
        bool absent;
        if (count == 2) {
            uint160 upper = _listed(absence, last, sitesRoot);
            absent = last.index == uint256(first.index) + 1 && lower < sought && sought < upper;
        } else {
            absent = (first.index == 0 && sought < lower) || (first.index + 1 == absence.length && lower < sought);
        }
        require(absent, NotAbsent(site));
    }

    function _listed(Absence calldata absence, Neighbour calldata one, bytes32 sitesRoot)
        private
        view
        returns (uint160)
    {
        bool weighted = absence.powers;
        require(one.content.length == (weighted ? 28 : 20), NotAbsent(address(0)));
        bytes32 found = MerkleTrees.rootOf(
            weighted ? MerkleTrees.POWERS : MerkleTrees.SITES,
            absence.length,
            absence.length,
            one.index,
            MerkleTrees.leafHashOf(one.content),
            one.path
        );
        address listed = address(bytes20(one.content[0:20]));
        require(found == sitesRoot, ICourt.NotAdmitted(listed));
        return uint160(listed);
    }
}
