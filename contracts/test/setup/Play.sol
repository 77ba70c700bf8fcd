// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../../src/interfaces/ICourt.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {Deployment} from "./Deployment.sol";
import {Trees} from "./Trees.sol";

/// @dev Whole rounds with real trees: sites that are paid, vectors that can be opened, nodes 1..n of the registry.
abstract contract Play is Deployment {
    uint64 internal constant P = 0xFFFFFFFF00000001;

    struct Outcome {
        uint64 study;
        uint64 round;
        address[] cohort;
        address[] voters;
        ICourt.Roots roots;
        /// What the archive will keep of it, once it is settled.
        uint80 record;
    }

    // -------------------------------------------------------------------------------------------- rounds

    /// @dev Opens at this time, with a subject of its own.
    function openNext(uint64 study) internal returns (uint64 round) {
        bytes32 subject = keccak256(abi.encode("subject", consilium.studyOf(study).rounds + 1));
        vm.prank(sponsor);
        return consilium.openRound(study, subject, uint64(block.timestamp) + 10, uint64(block.timestamp) + 20);
    }

    /// @dev Votes of the first Q nodes for this cohort, and random-looking roots.
    function outcomeOf(uint64 study, uint64 round, uint8 t, uint256 n, uint256 cohort)
        internal
        pure
        returns (Outcome memory outcome)
    {
        outcome.study = study;
        outcome.round = round;
        outcome.cohort = sites(cohort);
        outcome.voters = nodesFrom(1, 3 * uint256(t) + 1);
        outcome.roots.setRoot = Trees.setRoot(outcome.cohort);
        outcome.roots.shareRoots = new bytes32[](n);
        for (uint256 i = 0; i < n; i++) {
            outcome.roots.shareRoots[i] = keccak256(abi.encode("share", round, i));
        }
        outcome.roots.aggregateRoot = keccak256(abi.encode("aggregate", round));
        outcome.roots.rewardRoot = Trees.rewardRoot(outcome.cohort, outcome.voters);
    }

    function certifyAs(Outcome memory outcome) internal {
        (bytes32 setRoot, uint32 size) = (outcome.roots.setRoot, uint32(outcome.cohort.length));
        uint256 signers = 2 ** outcome.voters.length - 1;
        bytes memory votes = signatures(digests.voteDigest(outcome.study, outcome.round, setRoot, size), signers);
        consilium.certify(outcome.study, outcome.round, setRoot, size, signers, votes);
    }

    function settleAs(Outcome memory outcome) internal {
        settleOnly(outcome);
        outcome.record = recordOf(outcome.study, outcome.round);
    }

    /// @dev The transaction alone.
    function settleOnly(Outcome memory outcome) internal {
        ICourt.Roots memory roots = outcome.roots;
        uint256 signers = 2 ** outcome.voters.length - 1;
        bytes memory signed = signatures(digestOf(outcome), signers);
        consilium.settle(
            outcome.study, outcome.round, roots.shareRoots, roots.aggregateRoot, roots.rewardRoot, signers, signed
        );
    }

    /// @dev Of a settled round on record: policy, revenue periods before, late votes, when it had to be settled.
    function recordOf(uint64 study, uint64 round) internal view returns (uint80) {
        IRecords.Round memory told = consilium.roundOf(study, round);
        uint256 late = 0;
        for (uint256 left = told.lateVoters; left != 0; left &= left - 1) {
            late++;
        }
        return
            uint80(uint256(told.policy) | (uint256(told.period) << 16) | (late << 32) | (uint256(told.settleBy) << 40));
    }

    function digestOf(Outcome memory outcome) internal view returns (bytes32) {
        ICourt.Roots memory roots = outcome.roots;
        return digests.settlementDigest(
            outcome.study,
            outcome.round,
            roots.setRoot,
            keccak256(abi.encodePacked(roots.shareRoots)),
            roots.aggregateRoot,
            roots.rewardRoot
        );
    }

    function play(uint64 study, uint8 t, uint256 n, uint256 cohort) internal returns (Outcome memory outcome) {
        outcome = outcomeOf(study, openNext(study), t, n, cohort);
        certifyAs(outcome);
        settleAs(outcome);
    }

    function pass(uint256 time) internal {
        vm.warp(vm.getBlockTimestamp() + time);
    }

    // -------------------------------------------------------------------------------------------- claims

    /// @dev A leaf of a round on record.
    function shareOf(Outcome memory outcome, uint32 index) internal pure returns (ITreasury.Share memory share) {
        share.round = outcome.round;
        share.index = index;
        (share.sites, share.nodes) = (uint32(outcome.cohort.length), uint32(outcome.voters.length));
        share.setRoot = outcome.roots.setRoot;
        share.shareRootsHash = keccak256(abi.encodePacked(outcome.roots.shareRoots));
        share.aggregateRoot = outcome.roots.aggregateRoot;
        share.path = Trees.open(Trees.rewardLeaves(outcome.cohort, outcome.voters), index);
    }

    function accountOf(Outcome memory outcome, uint32 index) internal pure returns (address) {
        uint256 sitesCount = outcome.cohort.length;
        return index < sitesCount ? outcome.cohort[index] : outcome.voters[index - sitesCount];
    }

    function claimOf(Outcome memory outcome, uint32 index) internal pure returns (ITreasury.Claim memory one) {
        one.study = outcome.study;
        one.account = accountOf(outcome, index);
        one.shares = new ITreasury.Share[](1);
        one.shares[0] = shareOf(outcome, index);
    }

    function claimAlone(ITreasury.Claim memory one) internal {
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](1);
        claims[0] = one;
        treasury.claim(claims);
    }

    // -------------------------------------------------------------------------------------------- compensations

    /// @dev A round on record, as compensations are shown it.
    function settledOf(Outcome memory outcome) internal pure returns (IRecords.Settled memory settled) {
        settled.setRoot = outcome.roots.setRoot;
        settled.shareRootsHash = keccak256(abi.encodePacked(outcome.roots.shareRoots));
        settled.aggregateRoot = outcome.roots.aggregateRoot;
        settled.rewardRoot = outcome.roots.rewardRoot;
        (settled.sites, settled.nodes) = (uint32(outcome.cohort.length), uint32(outcome.voters.length));
    }

    function setMember(address[] memory cohort, uint32 place) internal pure returns (ICourt.SetMember memory member) {
        (member.index, member.site) = (place, cohort[place]);
        member.digest = Trees.digestOf(cohort[place]);
        member.length = uint64(cohort.length);
        member.path = Trees.open(Trees.setLeaves(cohort), place);
    }

    /// @dev Of a list without powers.
    function listMember(address[] memory list, uint64 place) internal pure returns (ICourt.ListMember memory member) {
        (member.index, member.length) = (place, uint64(list.length));
        member.path = Trees.open(Trees.listLeaves(list), place);
    }

    /// @dev Site `place` of a cohort that is the beginning of the admitted sites.
    function compensateSite(Outcome memory outcome, address account, uint32 place) internal {
        registry.compensate(
            outcome.study, account, setMember(outcome.cohort, place), listMember(sites(ADMITTED), place)
        );
    }

    // -------------------------------------------------------------------------------------------- the archive

    function settlementOf(Outcome memory outcome) internal view returns (bytes32) {
        return digests.settlementHash(
            outcome.study,
            outcome.round,
            outcome.roots.setRoot,
            keccak256(abi.encodePacked(outcome.roots.shareRoots)),
            outcome.roots.aggregateRoot,
            outcome.roots.rewardRoot
        );
    }

    function archiveLeaf(Outcome memory outcome) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                outcome.study,
                outcome.round,
                settlementOf(outcome),
                outcome.cohort.length,
                outcome.voters.length,
                uint256(outcome.record)
            )
        );
    }

    /// @dev From a position among all archived leaves to its peak.
    function archivePath(bytes32[] memory leaves, uint256 position) internal pure returns (bytes32[] memory path) {
        uint256 first = 0;
        for (uint256 height = 32; height > 0; height--) {
            uint256 span = 1 << (height - 1);
            if (leaves.length & span == 0) continue;
            if (position < first + span) return _mountainPath(leaves, first, height - 1, position - first);
            first += span;
        }
    }

    function _mountainPath(bytes32[] memory leaves, uint256 first, uint256 height, uint256 place)
        private
        pure
        returns (bytes32[] memory path)
    {
        path = new bytes32[](height);
        bytes32[] memory level = new bytes32[](1 << height);
        for (uint256 i = 0; i < level.length; i++) {
            level[i] = leaves[first + i];
        }
        for (uint256 h = 0; h < height; h++) {
            path[h] = level[place ^ 1];
            place /= 2;
            bytes32[] memory above = new bytes32[](level.length / 2);
            for (uint256 i = 0; i < above.length; i++) {
                above[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
            }
            level = above;
        }
    }
}
