// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IStudyEvents} from "./IStudyEvents.sol";

/// @title Rounds, from their opening to their settlement, and what proofs do to them
interface IRounds is IStudyEvents {
    // ------------------------------------------------------------------------------------------------ rounds

    /// @notice Operator of rounds, or sponsor: opens the next round. Records the previous one as void or abandoned if it
    /// lapsed unrecorded, and gives back what rounding left of its budget if it was settled.
    /// @param study Its number.
    /// @param subject Digest of what the round is about, such as the base model.
    /// @param deadline Certification is possible before.
    /// @param settleBy Settlement is possible before.
    /// @return round Its number, from 1.
    function openRound(uint64 study, bytes32 subject, uint64 deadline, uint64 settleBy) external returns (uint64 round);

    /// @notice Anyone: certifies the set that at least Q nodes of the round's committee voted for.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param setRoot Root of the set.
    /// @param size Sites in it.
    /// @param signers Bit j-1 is node j.
    /// @param signatures r || s || v of each set bit's node over the vote's digest, in increasing node index.
    function certify(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint32 size,
        uint256 signers,
        bytes calldata signatures
    ) external;

    /// @notice Anyone, until the settlement: adds votes for the certified set, so that who sends the certificate does not
    /// choose whose votes count. In a kind that ends at the certificate there is no time for it.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param signers Nodes who have not voted yet.
    /// @param signatures As in `certify`, over the digest of the same vote.
    function addVotes(uint64 study, uint64 round, uint256 signers, bytes calldata signatures) external;

    /// @notice Anyone: settles a certified round on the result that at least Q nodes signed.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param shareRoots Root of each node's output share, in node order.
    /// @param aggregateRoot Root of the result.
    /// @param rewardRoot Root of the rewards tree: sites of the set, then the voters of the certificate.
    /// @param signers Bit j-1 is node j.
    /// @param signatures As in `certify`, over the settlement's digest, with the certified set root and
    /// shareRootsHash = keccak256(abi.encodePacked(shareRoots)).
    function settle(
        uint64 study,
        uint64 round,
        bytes32[] calldata shareRoots,
        bytes32 aggregateRoot,
        bytes32 rewardRoot,
        uint256 signers,
        bytes calldata signatures
    ) external;

    /// @notice Anyone: records that no set was certified before the deadline.
    /// @param study The study's number.
    /// @param round The round's number.
    function voidRound(uint64 study, uint64 round) external;

    /// @notice Anyone: records that a certified round was not settled in time.
    /// @param study The study's number.
    /// @param round The round's number.
    function abandonRound(uint64 study, uint64 round) external;

    // ------------------------------------------------------------------------------------------------ other contracts

    /// @notice Judges: a settlement is wrong. In time, the round becomes Fraudulent, else Refuted: it may have paid.
    /// The judge asks first and reverts if the proof fails.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param settlement EIP-712 struct hash of the Settlement.
    /// @return accused Who signed it, and who certified the set.
    function refute(uint64 study, uint64 round, bytes32 settlement) external returns (Accused memory accused);

    /// @notice Judges: a certificate is wrong; as `refute`. A round that was abandoned stays so.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @return certified The set, and who voted for it.
    function disown(uint64 study, uint64 round) external returns (Certified memory certified);

    /// @notice Registry: a member of the current committee is liable no more; no round opens before the next committee.
    /// @param study The study's number.
    /// @return newest The newest round, the last that the member may serve.
    function vacate(uint64 study) external returns (uint64 newest);

    /// @notice Registry: what a proof needs to know, and `vacate` in the same call. Reverts while the study is paused.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param settlement EIP-712 struct hash of a Settlement.
    /// @param vacates Whether the accused has a seat in the current committee.
    /// @return stands Whether the round is on record as settled with this Settlement, and was never proved wrong.
    function convictBySettlement(uint64 study, uint64 round, bytes32 settlement, bool vacates)
        external
        returns (bool stands);

    /// @notice Registry: what a proof needs to know, and `vacate` in the same call. Reverts while the study is paused.
    /// @param study The study's number.
    /// @param round The round's number; 0 for proofs that need no certificate.
    /// @param vacates Whether the accused has a seat in the current committee.
    /// @return setRoot The certified set of exactly this round; 0 if it has none or is not on record.
    /// @return epoch Of the committee that certified it.
    function convictByCertificate(uint64 study, uint64 round, bool vacates)
        external
        returns (bytes32 setRoot, uint64 epoch);

    // ------------------------------------------------------------------------------------------------ views

    /// @notice The node of an index, from 1, of a round's committee; zero if there is none or the round is not on record.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param index As in the protocol.
    /// @return The node's account, or zero.
    function memberOf(uint64 study, uint64 round, uint8 index) external view returns (address);

    /// @notice The node of an index, from 1, if its vote for a round came late and counts; else zero. Also off the record.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param index As in the protocol.
    /// @return The node's account, or zero.
    function lateVoterOf(uint64 study, uint64 round, uint8 index) external view returns (address);

    /// @notice The root of the sites that were admitted when a round opened. Reverts unless the round is settled for good,
    /// and while it is on record also if it was proved wrong.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param settled The parts of its Settlement.
    /// @return sitesRoot As frozen.
    function settledSites(uint64 study, uint64 round, Settled calldata settled)
        external
        view
        returns (bytes32 sitesRoot);

    /// @notice Reverts unless Q members of an epoch's committee, and nobody else, voted for a set that is not the certified
    /// one, and the node has this index among them.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param epoch Of the committee.
    /// @param setRoot Of the set that was voted for.
    /// @param size Its number of sites.
    /// @param index What the node called itself.
    /// @param node Who answers with the votes.
    /// @param signers Bit j-1 is node j.
    /// @param signatures 65 bytes each, in increasing node index.
    function requireStrayQuorum(
        uint64 study,
        uint64 round,
        uint64 epoch,
        bytes32 setRoot,
        uint32 size,
        uint8 index,
        address node,
        uint256 signers,
        bytes calldata signatures
    ) external view;

    /// @notice What a round that is settled for good pays each site of its set, and each voter. Reverts if it is not, and
    /// while the study is paused.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param settlement EIP-712 struct hash of its Settlement; of its Vote, in a kind that ends at the certificate.
    /// @param sites Size of its certified set.
    /// @param nodes How many votes came with the certificate; 0 in a kind that ends there, whose votes all count as late.
    /// @param record For a round that is off the record: what the archive keeps of it, its `position` there, and the `path`
    /// to the peak. For a round on record: 0, 0 and empty. Bits 0 to 15: version of the policy that it was opened under; 16 to
    /// 31: revenue periods begun before its settlement; 32 to 39: late votes; 40 to 79: when it had to be settled.
    /// @param position In the archive.
    /// @param path To the peak.
    /// @return perSite What each site gets.
    /// @return perNode What each voter gets.
    function finalPay(
        uint64 study,
        uint64 round,
        bytes32 settlement,
        uint32 sites,
        uint32 nodes,
        uint80 record,
        uint32 position,
        bytes32[] calldata path
    ) external view returns (uint256 perSite, uint256 perNode);

    /// @notice The record of a round: as it stands, or as it was shown to `finalPay` if the round is off the record.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @param shown Taken for true off the record.
    /// @return Bits as in `finalPay`.
    function recordOf(uint64 study, uint64 round, uint80 shown) external view returns (uint80);

    /// @notice Whether an account is shown proofs about the results or sets of this study.
    /// @param study The study's number.
    /// @param judge The account.
    /// @return Whether it is.
    function mayJudge(uint64 study, address judge) external view returns (bool);

    /// @notice Until when proofs and payouts of a study are stopped; 0 if they are not.
    /// @param study Its number.
    /// @return Block time, or 0.
    function pausedUntil(uint64 study) external view returns (uint64);

    /// @notice What a round's sites and voters weigh when licence revenue is divided: together, `sites` times 10,000 but for
    /// rounding. The node share is the one under which the round was opened.
    /// @param study The study's number.
    /// @param policy Version of the policy that the round was opened under.
    /// @param sites Size of its certified set.
    /// @param nodes Number of its voters, late ones included.
    /// @return perSite Of each site.
    /// @return perNode Of each voter.
    function weightsOf(uint64 study, uint16 policy, uint256 sites, uint256 nodes)
        external
        view
        returns (uint256 perSite, uint256 perNode);
}
