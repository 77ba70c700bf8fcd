// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../src/interfaces/IRecords.sol";
import {IRounds} from "../src/interfaces/IRounds.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {Deployment} from "./setup/Deployment.sol";
import {Relay} from "./setup/Receivers.sol";
import {Vm} from "./setup/Test.sol";

/// @dev A round from open to its end: every allowed step, every step twice, every step too late or too early.
contract RoundsTest is Deployment {
    uint256 private constant QUORUM = 15; // nodes 1 to 4 of 5

    uint64 private study;

    function setUp() public {
        deploy();
        study = createStudy(1, 5);
    }

    // -------------------------------------------------------------------------------------------- the whole way

    function test_round_openCertifySettle() public {
        bytes32 frozen = keccak256(
            abi.encode(
                study, uint64(1), SUBJECT, uint64(1), uint32(3), SITES_ROOT, "instant", START, DEADLINE, SETTLE_BY
            )
        );
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundOpened(
            study, 1, SUBJECT, 1, 3, SITES_ROOT, "instant", START, DEADLINE, SETTLE_BY, frozen
        );
        vm.assertEq(open(study, SUBJECT), 1, "first round");

        bytes memory votes = signatures(digests.voteDigest(study, 1, SET_ROOT, 5), QUORUM);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundCertified(study, 1, SET_ROOT, 5, QUORUM, votes);
        certify(study, 1, QUORUM);

        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundSettled(study, 1, SET_ROOT, shareRoots(5), AGGREGATE_ROOT, REWARD_ROOT, 30);
        settle(study, 1, 5, 30);

        IRecords.Round memory round = consilium.roundOf(study, 1);
        assertState(study, 1, IRecords.State.Settled);
        vm.assertEq(uint256(round.state), uint256(IRecords.State.Settled), "recorded state");
        vm.assertEq(round.epoch, 1, "epoch");
        vm.assertEq(round.deadline, DEADLINE, "deadline");
        vm.assertEq(round.settleBy, SETTLE_BY, "settle by");
        vm.assertEq(round.subject, SUBJECT, "subject");
        vm.assertEq(round.frozen, frozen, "frozen");
        vm.assertEq(round.setRoot, SET_ROOT, "set root");
        vm.assertEq(round.size, 5, "size");
        vm.assertEq(round.voters, QUORUM, "voters");
        vm.assertEq(round.signers, 30, "signers");
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", digests.domainSeparator(), round.settlement));
        vm.assertEq(digest, settlementDigest(study, 1, SET_ROOT, shareRoots(5)), "settlement");
    }

    function test_round_theNextOneFollowsASettledOneAtOnce() public {
        settledRound(SUBJECT);
        vm.assertEq(open(study, keccak256("next model")), 2, "second round");
        assertState(study, 1, IRecords.State.Settled);
    }

    function test_round_studiesDoNotTouchEachOther() public {
        uint64 other = createStudy(1, 5);
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        vm.assertEq(open(other, SUBJECT), 1, "a subject counts within a study");
        assertState(other, 1, IRecords.State.Open);
    }

    function test_round_keepsItsCommitteeWhenItIsOver() public {
        settledRound(SUBJECT);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        open(study, keccak256("next model"));
        vm.assertEq(consilium.roundOf(study, 1).epoch, 1, "old round, old epoch");
        vm.assertEq(consilium.roundOf(study, 2).epoch, 2, "new round, new epoch");

        // The old committee's votes count no more.
        bytes memory signed = signatures(digests.voteDigest(study, 2, SET_ROOT, 5), QUORUM);
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidSignature.selector, 1, node(6)));
        consilium.certify(study, 2, SET_ROOT, 5, QUORUM, signed);
    }

    // -------------------------------------------------------------------------------------------- open

    function test_open_refusesASubjectThatHadItsSum() public {
        settledRound(SUBJECT);
        vm.assertEq(consilium.studyOf(study).lastCertifiedSubject, SUBJECT, "last certified subject");
        vm.assertEq(consilium.studyOf(study).lastCertifiedRound, 1, "last certified round");
        vm.expectRevert(abi.encodeWithSelector(IRecords.SubjectCertified.selector, study, SUBJECT));
        open(study, SUBJECT);
    }

    function test_open_refusesTheSubjectOfAnAbandonedRound() public {
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        vm.warp(SETTLE_BY);
        vm.expectRevert(abi.encodeWithSelector(IRecords.SubjectCertified.selector, study, SUBJECT));
        openAt(SUBJECT, SETTLE_BY + 1, SETTLE_BY + 2);
    }

    function test_open_refusesTheLastCertifiedSubjectAlsoAfterVoidRounds() public {
        settledRound(SUBJECT);
        open(study, keccak256("next model"));
        vm.warp(DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(IRecords.SubjectCertified.selector, study, SUBJECT));
        openAt(SUBJECT, DEADLINE + 1, DEADLINE + 2);
        openAt(keccak256("next model"), DEADLINE + 1, DEADLINE + 2);
        vm.assertEq(consilium.studyOf(study).lastCertifiedSubject, SUBJECT, "last certified subject");
    }

    function test_open_aVoidRoundFreesItsSubject() public {
        open(study, SUBJECT);
        vm.warp(DEADLINE);
        vm.assertEq(openAt(SUBJECT, DEADLINE + 1, DEADLINE + 2), 2, "a retry is a new round");
    }

    function test_open_refusedWhileARoundIsInProgress() public {
        bytes memory reason = abi.encodeWithSelector(IRecords.RoundInProgress.selector, study, 1);
        bytes32 next = keccak256("next model");
        open(study, SUBJECT);
        vm.warp(DEADLINE - 1);
        vm.expectRevert(reason);
        openAt(next, SETTLE_BY + 1, SETTLE_BY + 2);
        certify(study, 1, QUORUM);
        vm.warp(SETTLE_BY - 1);
        vm.expectRevert(reason);
        openAt(next, SETTLE_BY + 1, SETTLE_BY + 2);
    }

    function test_open_recordsALapsedRoundFirst() public {
        open(study, SUBJECT);
        vm.warp(DEADLINE);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundVoided(study, 1);
        openAt(SUBJECT, DEADLINE + 10, DEADLINE + 20);
        vm.assertEq(uint256(consilium.roundOf(study, 1).state), uint256(IRecords.State.Void), "recorded");

        bytes memory signed = signatures(digests.voteDigest(study, 2, SET_ROOT, 5), QUORUM);
        consilium.certify(study, 2, SET_ROOT, 5, QUORUM, signed);
        vm.warp(DEADLINE + 20);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundAbandoned(study, 2);
        openAt(keccak256("next model"), DEADLINE + 30, DEADLINE + 40);
        vm.assertEq(uint256(consilium.roundOf(study, 2).state), uint256(IRecords.State.Abandoned), "recorded");
    }

    function test_open_recordsALapseOnlyOnce() public {
        open(study, SUBJECT);
        vm.warp(DEADLINE);
        consilium.voidRound(study, 1);
        vm.recordLogs();
        openAt(SUBJECT, DEADLINE + 1, DEADLINE + 2);
        vm.assertEq(vm.getRecordedLogs().length, 1, "the opening alone");
    }

    function test_open_refusesNoSubjectAndBadDeadlines() public {
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidSubject.selector));
        open(study, 0);
        refuseDeadlines(START, START + 1);
        refuseDeadlines(START + 5, START + 5);
        refuseDeadlines(START + 5, START + 4);
        refuseDeadlines(START + 5, 2 ** 40);
        refuseDeadlines(type(uint64).max - 1, type(uint64).max);
    }

    function refuseDeadlines(uint64 deadline, uint64 settleBy) private {
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidDeadlines.selector, deadline, settleBy));
        openAt(SUBJECT, deadline, settleBy);
    }

    // -------------------------------------------------------------------------------------------- certify

    /// Whoever reads the event can verify the votes, although another contract passed them on.
    function test_certify_tellsTheVotesAsTheyCame() public {
        open(study, SUBJECT);
        uint256 voters = 29; // nodes 1, 3, 4, 5
        bytes memory votes = signatures(digests.voteDigest(study, 1, SET_ROOT, 5), voters);
        Relay relay = new Relay();
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundCertified(study, 1, SET_ROOT, 5, voters, votes);
        relay.pass(address(consilium), abi.encodeCall(IRounds.certify, (study, 1, SET_ROOT, 5, voters, votes)));
    }

    /// Calldata may hold the votes anywhere, with anything behind them: the event has one form all the same.
    function test_certify_tellsTheVotesInOneFormHoweverTheyCame() public {
        open(study, SUBJECT);
        bytes memory votes = signatures(digests.voteDigest(study, 1, SET_ROOT, 5), QUORUM);
        bytes memory head = abi.encode(study, uint64(1), SET_ROOT, uint32(5), QUORUM, uint256(0xe5));
        bytes memory odd = bytes.concat(IRounds.certify.selector, head, new bytes(37), bytes32(votes.length), votes);
        odd = bytes.concat(odd, bytes32(type(uint256).max));
        vm.recordLogs();
        (bool accepted,) = address(consilium).call(odd);
        vm.assertTrue(accepted, "certified");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(keccak256(logs[0].data), keccak256(abi.encode(SET_ROOT, uint32(5), QUORUM, votes)), "one form");
    }

    function test_certify_untilJustBeforeTheDeadline() public {
        open(study, SUBJECT);
        vm.warp(DEADLINE - 1);
        certify(study, 1, QUORUM);
        assertState(study, 1, IRecords.State.Certified);
    }

    function test_certify_notAtTheDeadline() public {
        open(study, SUBJECT);
        bytes memory signed = signatures(digests.voteDigest(study, 1, SET_ROOT, 5), QUORUM);
        vm.warp(DEADLINE);
        expectWrongState(study, 1, IRecords.State.Void);
        consilium.certify(study, 1, SET_ROOT, 5, QUORUM, signed);
    }

    function test_certify_once() public {
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        bytes32 otherSet = keccak256("other set");
        bytes memory signed = signatures(digests.voteDigest(study, 1, otherSet, 5), QUORUM);
        expectWrongState(study, 1, IRecords.State.Certified);
        consilium.certify(study, 1, otherSet, 5, QUORUM, signed);
    }

    function test_certify_notBeforeOpen() public {
        bytes memory signed = signatures(digests.voteDigest(study, 1, SET_ROOT, 5), QUORUM);
        expectWrongState(study, 1, IRecords.State.None);
        consilium.certify(study, 1, SET_ROOT, 5, QUORUM, signed);
    }

    function test_certify_notASetBelowTheMinimum() public {
        open(study, SUBJECT);
        bytes memory signed = signatures(digests.voteDigest(study, 1, SET_ROOT, 2), QUORUM);
        vm.expectRevert(abi.encodeWithSelector(IRecords.CohortTooSmall.selector, 2, 3));
        consilium.certify(study, 1, SET_ROOT, 2, QUORUM, signed);
    }

    function test_certify_notNoSet() public {
        open(study, SUBJECT);
        bytes memory signed = signatures(digests.voteDigest(study, 1, 0, 5), QUORUM);
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidSetRoot.selector));
        consilium.certify(study, 1, 0, 5, QUORUM, signed);
    }

    // -------------------------------------------------------------------------------------------- settle

    function test_settle_untilJustBeforeSettleBy() public {
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        vm.warp(SETTLE_BY - 1);
        settle(study, 1, 5, QUORUM);
        vm.warp(SETTLE_BY);
        assertState(study, 1, IRecords.State.Settled);
    }

    function test_settle_notAtSettleBy() public {
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        vm.warp(SETTLE_BY);
        refuseSettlement(IRecords.State.Abandoned);
    }

    function test_settle_notBeforeCertify() public {
        refuseSettlement(IRecords.State.None);
        open(study, SUBJECT);
        refuseSettlement(IRecords.State.Open);
    }

    function test_settle_once() public {
        settledRound(SUBJECT);
        refuseSettlement(IRecords.State.Settled);
    }

    function test_settle_needsARootOfEveryNode() public {
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        for (uint256 count = 4; count <= 6; count += 2) {
            bytes memory signed = signatures(settlementDigest(study, 1, SET_ROOT, shareRoots(count)), QUORUM);
            vm.expectRevert(abi.encodeWithSelector(IRecords.ShareRootCount.selector, count, 5));
            consilium.settle(study, 1, shareRoots(count), AGGREGATE_ROOT, REWARD_ROOT, QUORUM, signed);
        }
    }

    function refuseSettlement(IRecords.State actual) private {
        bytes memory signed = signatures(settlementDigest(study, 1, SET_ROOT, shareRoots(5)), QUORUM);
        expectWrongState(study, 1, actual);
        consilium.settle(study, 1, shareRoots(5), AGGREGATE_ROOT, REWARD_ROOT, QUORUM, signed);
    }

    // -------------------------------------------------------------------------------------------- lapses

    function test_voidRound_fromTheDeadlineAndOnce() public {
        expectWrongState(study, 1, IRecords.State.None);
        consilium.voidRound(study, 1);
        open(study, SUBJECT);
        vm.warp(DEADLINE - 1);
        expectWrongState(study, 1, IRecords.State.Open);
        consilium.voidRound(study, 1);

        vm.warp(DEADLINE);
        assertState(study, 1, IRecords.State.Void);
        expectWrongState(study, 1, IRecords.State.Void);
        consilium.abandonRound(study, 1);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundVoided(study, 1);
        consilium.voidRound(study, 1);
        assertState(study, 1, IRecords.State.Void);

        expectWrongState(study, 1, IRecords.State.Void);
        consilium.voidRound(study, 1);
    }

    function test_abandonRound_fromSettleByAndOnce() public {
        open(study, SUBJECT);
        certify(study, 1, QUORUM);
        vm.warp(SETTLE_BY - 1);
        expectWrongState(study, 1, IRecords.State.Certified);
        consilium.abandonRound(study, 1);

        vm.warp(SETTLE_BY);
        assertState(study, 1, IRecords.State.Abandoned);
        expectWrongState(study, 1, IRecords.State.Abandoned);
        consilium.voidRound(study, 1);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundAbandoned(study, 1);
        consilium.abandonRound(study, 1);
        assertState(study, 1, IRecords.State.Abandoned);

        expectWrongState(study, 1, IRecords.State.Abandoned);
        consilium.abandonRound(study, 1);
    }

    function test_lapse_neverTouchesASettledRound() public {
        settledRound(SUBJECT);
        vm.warp(SETTLE_BY + 1 days);
        expectWrongState(study, 1, IRecords.State.Settled);
        consilium.voidRound(study, 1);
        expectWrongState(study, 1, IRecords.State.Settled);
        consilium.abandonRound(study, 1);
    }

    // --------------------------------------------------------------------------------------------

    function settledRound(bytes32 subject) private {
        uint64 round = open(study, subject);
        certify(study, round, QUORUM);
        settle(study, round, 5, QUORUM);
    }

    function openAt(bytes32 subject, uint64 deadline, uint64 settleBy) private returns (uint64) {
        vm.prank(sponsor);
        return consilium.openRound(study, subject, deadline, settleBy);
    }
}
