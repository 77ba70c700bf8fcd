// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IJudge} from "../kinds/IJudge.sol";
import {ICourt} from "./ICourt.sol";

/// @title Proofs about certified sets and rewards (section 6.12), whatever the kind of the study
interface ISetCourt is IJudge {
    /// @notice A leaf of the list of admitted sites: an address, and its power where the list has powers.
    struct Neighbour {
        uint64 index;
        bytes content;
        bytes32[] path;
    }

    /// @notice That a site is not on a list: the two between which it would stand, the lower one first; or the first
    /// of the list, or the last, if it would stand before or behind it.
    struct Absence {
        bool powers;
        uint64 length;
        Neighbour[] neighbours;
    }

    /// @notice What was shown does not prove that the site is missing from the list.
    /// @param site The site's key; zero if a leaf of the list is none.
    error NotAbsent(address site);
    /// @notice The rewards have no leaf at this place.
    /// @param index How far it lies behind the last.
    error NoSuchReward(uint256 index);

    /// @notice (v) A certified set holds a site that was not on the list when the round opened. Every voter loses its
    /// bond; before the round is settled for good it becomes Fraudulent.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param member Its leaf, among the sites of the set.
    /// @param absence That the list has no leaf of it.
    function proveForeignSite(uint64 study, uint64 round, ICourt.SetMember calldata member, Absence calldata absence)
        external;

    /// @notice (vi) A leaf of the settled rewards is not the one that the set, or the certificate, has at its place.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param roots As they were settled.
    /// @param index Of the leaf: below the set's size that of a site, then of a voter in node order.
    /// @param content What leads to the settled root.
    /// @param path Siblings from the leaf to the root.
    /// @param member The set's leaf of the same index; unread for a voter's.
    function proveWrongReward(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        uint32 index,
        bytes calldata content,
        bytes32[] calldata path,
        ICourt.SetMember calldata member
    ) external;

    /// @notice (vi) The settled reward root is not the top of a tree with a leaf for each site and each voter.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param roots As they were settled.
    /// @param preimage Whose SHA-256 is the reward root.
    function proveMalformedRewards(uint64 study, uint64 round, ICourt.Roots calldata roots, bytes calldata preimage)
        external;
}
