// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IStudyEvents} from "./IStudyEvents.sol";

/// @title What sponsors decide about their studies, and what anyone may look up about those
interface ISponsorship is IStudyEvents {
    // ------------------------------------------------------------------------------------------------ sponsor

    /// @notice Creates a study sponsored by the caller, who also is its operator of rounds and its treasurer, with its first
    /// committee (epoch 1) and admitted sites.
    /// @param terms What is published about it.
    /// @param conditions What is promised about money and time.
    /// @param nodes Distinct active nodes that agreed to serve the sponsor; the order gives the node indices 1..n.
    /// @param sites Published in the event only; empty if the terms say where the list is.
    /// @return study Its number, from 1, which is also the id of the token that makes the caller its sponsor.
    function createStudy(
        StudyTerms calldata terms,
        Conditions calldata conditions,
        address[] calldata nodes,
        address[] calldata sites
    ) external returns (uint64 study);

    /// @notice Sponsor: budget and node share from the next opened round on.
    /// @param study Its number.
    /// @param budget What each settled round pays, at most.
    /// @param nodeShare The nodes' part of it, and of licence revenue, in ten-thousandths.
    function setRewards(uint64 study, uint96 budget, uint16 nodeShare) external;

    /// @notice Sponsor: forms the committee of the next epoch, picking up rotated keys. Not while a round is in progress.
    /// @param study Its number.
    /// @param threshold t of the new committee.
    /// @param nodes As in `createStudy`.
    function setCommittee(uint64 study, uint8 threshold, address[] calldata nodes) external;

    /// @notice Sponsor: the sites admitted from the next opened round on.
    /// @param study Its number.
    /// @param sitesRoot Root of the list.
    /// @param sites The list, for the event; empty if it is found at `uri`.
    /// @param uri Where the list is; empty if it is in the event.
    function setSites(uint64 study, bytes32 sitesRoot, address[] calldata sites, string calldata uri) external;

    /// @notice Sponsor: minimum cohort and finality rule from the next opened round on.
    /// @param study Its number.
    /// @param minimumCohort A set smaller than this is never certified.
    /// @param finality When nodes may take a certificate as final.
    function setPolicy(uint64 study, uint32 minimumCohort, string calldata finality) external;

    /// @notice Sponsor: ends the study. Its committee is discharged, no round opens any more, and its free money is the
    /// treasurer's to take out. Not while a round is in progress; what was settled is challenged and paid as ever.
    /// @param study Its number.
    function endStudy(uint64 study) external;

    // ------------------------------------------------------------------------------------------------ other contracts

    /// @notice Treasury: the study has received so much of its currency.
    /// @param study Its number.
    /// @param amount In units of the currency.
    function credit(uint64 study, uint128 amount) external;

    /// @notice Treasury: so much is taken out.
    /// @param study Its number.
    /// @param caller Who asks for it: the study's treasurer or its sponsor.
    /// @param amount In units of the currency.
    function debit(uint64 study, address caller, uint128 amount) external;

    /// @notice Treasury: licences were sold. Begins another revenue period if a round was settled, or struck out, since the
    /// last sale.
    /// @param study Its number.
    /// @return weight Of all rounds that were settled before: what the price is divided by. 0 if there are none.
    /// @return period The current revenue period, from 1; 0 before the first.
    function sell(uint64 study) external returns (uint256 weight, uint16 period);

    /// @notice Study token: a study has another owner, who opens its rounds.
    /// @param study Its number.
    /// @param sponsor The new owner.
    function sponsorChanged(uint64 study, address sponsor) external;

    /// @notice Study token: somebody else opens the study's rounds.
    /// @param study Its number.
    /// @param operator The account.
    function operatorChanged(uint64 study, address operator) external;

    /// @notice Study token: the guardian stops proofs and payouts, or ends the pause.
    /// @param study Its number.
    /// @param until Block time from which they go on; a time that is not later than now ends a pause.
    function pause(uint64 study, uint64 until) external;

    // ------------------------------------------------------------------------------------------------ views

    /// @notice All that is stored about a study; all zero for an unknown one.
    /// @param study Its number.
    /// @return As stored.
    function studyOf(uint64 study) external view returns (Study memory);

    /// @notice All that is stored about a round; all zero for an unknown one.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @return As stored.
    function roundOf(uint64 study, uint64 round) external view returns (Round memory);

    /// @notice The conditions a study was created with, and the budget and node share that hold now.
    /// @param study Its number.
    /// @return Those of the next round.
    function conditionsOf(uint64 study) external view returns (Conditions memory);

    /// @notice The committee of an epoch; empty for an unknown one.
    /// @param study The study's number.
    /// @param epoch From 1.
    /// @return Threshold and nodes, node 1 first.
    function committeeOf(uint64 study, uint64 epoch) external view returns (Committee memory);

    /// @notice Who sponsors a study; zero if there is no such study.
    /// @param study Its number.
    /// @return The account, or zero.
    function sponsorOf(uint64 study) external view returns (address);

    /// @notice Who may put a study's compensations off, and pause it; zero for nobody.
    /// @param study Its number.
    /// @return The account, or zero.
    function guardianOf(uint64 study) external view returns (address);
}
