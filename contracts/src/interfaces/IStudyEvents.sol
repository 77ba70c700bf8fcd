// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "./IRecords.sol";

/// @title What Consilium says about studies and rounds
/// @notice An auditor can replay every study from these events alone.
interface IStudyEvents is IRecords {
    /// @notice A study exists. Its committee and sites follow in the same transaction.
    /// @param study The study's number.
    /// @param sponsor Who created it.
    /// @param terms What is published about it.
    event StudyCreated(uint64 indexed study, address indexed sponsor, StudyTerms terms);
    /// @notice The conditions of a new study.
    /// @param study The study's number.
    /// @param conditions What is promised about money and time.
    event ConditionsSet(uint64 indexed study, Conditions conditions);
    /// @notice Budget and node share from the next opened round on.
    /// @param study The study's number.
    /// @param version Of the policy that rounds are opened under from now on.
    /// @param budget What each settled round pays, at the most.
    /// @param nodeShare The nodes' part, in ten-thousandths.
    event RewardsSet(uint64 indexed study, uint16 indexed version, uint96 budget, uint16 nodeShare);
    /// @notice The study's token, and with it the study, has another owner.
    /// @param study The study's number.
    /// @param sponsor The new owner.
    event SponsorChanged(uint64 indexed study, address indexed sponsor);
    /// @notice The committee of an epoch, with the KEM key hashes that hold for the whole epoch.
    /// @param study The study's number.
    /// @param epoch Of the committee, from 1.
    /// @param threshold t of the committee: Q = 3t+1 of its nodes decide.
    /// @param nodes Node 1 first.
    /// @param kemKeyHashes keccak256 of each node's KEM key, in the same order.
    event CommitteeFormed(
        uint64 indexed study, uint64 indexed epoch, uint8 threshold, address[] nodes, bytes32[] kemKeyHashes
    );
    /// @notice The sites admitted from the next opened round on: a new version of the policy, as `RewardsSet`. Their list is
    /// `sites`, or what is found at `uri`.
    /// @param study The study's number.
    /// @param version Of the policy that rounds are opened under from now on.
    /// @param sitesRoot Root of the list of admitted sites.
    /// @param sites The list, in the order of the tree; empty if it is found at `uri`.
    /// @param uri Where the list is; empty if it is in `sites`.
    event SitesAdmitted(uint64 indexed study, uint16 indexed version, bytes32 sitesRoot, address[] sites, string uri);
    /// @notice The policy from the next opened round on.
    /// @param study The study's number.
    /// @param minimumCohort Sites that a certified set has at the least.
    /// @param finality When nodes may take a certificate as final.
    event PolicySet(uint64 indexed study, uint32 minimumCohort, string finality);
    /// @notice Rounds are opened by another account now.
    /// @param study The study's number.
    /// @param operator Who opens rounds from now on.
    event OperatorChanged(uint64 indexed study, address indexed operator);
    /// @notice The study's guardian stopped proofs and payouts until this time, or ended the pause early. Challenge windows
    /// that were running are longer by as much.
    /// @param study The study's number.
    /// @param from Block time at which it begins.
    /// @param until Block time at which it ends.
    event Paused(uint64 indexed study, uint64 from, uint64 until);
    /// @notice No round of the study will open any more, and its committee is discharged.
    /// @param study The study's number.
    event StudyEnded(uint64 indexed study);
    /// @notice A round is open; everything it needs is frozen and hashed.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param subject Digest of what the round is about.
    /// @param epoch Of the committee, from 1.
    /// @param minimumCohort Sites that a certified set has at the least.
    /// @param sitesRoot Root of the list of admitted sites.
    /// @param finality When nodes may take a certificate as final.
    /// @param opened Block time of the opening.
    /// @param deadline Block time before which a set can be certified.
    /// @param settleBy Block time before which the round can be settled.
    /// @param frozen Hash of all that the round is opened under.
    event RoundOpened(
        uint64 indexed study,
        uint64 indexed round,
        bytes32 indexed subject,
        uint64 epoch,
        uint32 minimumCohort,
        bytes32 sitesRoot,
        string finality,
        uint64 opened,
        uint64 deadline,
        uint64 settleBy,
        bytes32 frozen
    );
    /// @notice The set of contributions that counts, with the votes for it as they came: 65 bytes for each set bit of
    /// `voters`, in increasing node index, so that nobody has to take an endpoint's word for a certificate.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param setRoot Root of the set.
    /// @param size Sites in the set.
    /// @param voters Bit j-1 is node j.
    /// @param signatures 65 bytes for each set bit.
    event RoundCertified(
        uint64 indexed study, uint64 indexed round, bytes32 setRoot, uint32 size, uint256 voters, bytes signatures
    );
    /// @notice More votes for the certified set, as in `RoundCertified`: who cast them is paid as the others are.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param voters Bit j-1 is node j.
    /// @param signatures 65 bytes for each set bit.
    event VotesAdded(uint64 indexed study, uint64 indexed round, uint256 voters, bytes signatures);
    /// @notice The result that counts.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param setRoot Root of the set.
    /// @param shareRoots Root of each node's output share, in node order.
    /// @param aggregateRoot Root of the result.
    /// @param rewardRoot Root of the rewards tree.
    /// @param signers Bit j-1 is node j.
    event RoundSettled(
        uint64 indexed study,
        uint64 indexed round,
        bytes32 setRoot,
        bytes32[] shareRoots,
        bytes32 aggregateRoot,
        bytes32 rewardRoot,
        uint256 signers
    );
    /// @notice No set was certified before the deadline; nothing was released and the subject is free again.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    event RoundVoided(uint64 indexed study, uint64 indexed round);
    /// @notice The certified set was not settled in time; its subject stays used.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    event RoundAbandoned(uint64 indexed study, uint64 indexed round);
    /// @notice Certificate or settlement was proved wrong in time: it counts no more, and the budget is the sponsor's
    /// again.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    event RoundFraudulent(uint64 indexed study, uint64 indexed round);
    /// @notice The settlement was proved wrong after the challenge window: the round goes on paying what it promised,
    /// and convicts nobody any more.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    event RoundRefuted(uint64 indexed study, uint64 indexed round);
}
