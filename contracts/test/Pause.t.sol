// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {IStudyToken} from "../src/interfaces/IStudyToken.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev A guardian stops proofs and payouts of one study for a while: nothing moves, nothing is lost by it, and it can
/// neither last nor be repeated at will.
contract PauseTest is Trial {
    uint64 private start;

    function setUp() public {
        prepare(1, 5);
    }

    function pauseFor(uint64 time) private {
        start = uint64(vm.getBlockTimestamp());
        vm.prank(guardian);
        studyToken.pause(study, start + time);
    }

    function refuseAsPaused() private {
        vm.expectRevert(abi.encodeWithSelector(IRecords.PausedUntil.selector, study, start + PAUSE));
    }

    // -------------------------------------------------------------------------------------------- who, and how long

    function test_pause_isTheGuardiansAndHasALimit() public {
        uint64 now_ = uint64(vm.getBlockTimestamp());
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotGuardian.selector, study, sponsor));
        vm.prank(sponsor);
        studyToken.pause(study, now_ + 1);
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotGuardian.selector, study, sponsor));
        vm.prank(sponsor);
        studyToken.resume(study);
        bytes4 refused = IRecords.PauseNotAllowed.selector;
        vm.expectRevert(abi.encodeWithSelector(refused, study, now_ + PAUSE + 1, 0));
        vm.prank(guardian);
        studyToken.pause(study, now_ + PAUSE + 1);
        vm.expectRevert(abi.encodeWithSelector(refused, study, now_, 0));
        vm.prank(guardian);
        studyToken.pause(study, now_);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.Paused(study, now_, now_ + PAUSE);
        pauseFor(PAUSE);
        vm.assertEq(consilium.pausedUntil(study), now_ + PAUSE, "paused");
        vm.assertEq(consilium.pausedUntil(study + 1), 0, "no other study");
        // It cannot be made longer.
        vm.expectRevert(abi.encodeWithSelector(refused, study, now_ + PAUSE + 5, now_));
        vm.prank(guardian);
        studyToken.pause(study, now_ + PAUSE + 5);
        pass(PAUSE);
        vm.assertEq(consilium.pausedUntil(study), 0, "over by itself");
        // Nor begun again before an unbonding delay is over.
        uint256 next = uint256(start) + PAUSE + UNBONDING;
        vm.warp(next - 1);
        vm.expectRevert(abi.encodeWithSelector(refused, study, next, next));
        vm.prank(guardian);
        studyToken.pause(study, uint64(next));
        vm.warp(next);
        pauseFor(PAUSE);
    }

    function test_pause_canEndEarly() public {
        pauseFor(PAUSE);
        pass(5 minutes);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.Paused(study, start, start + 5 minutes);
        vm.prank(guardian);
        studyToken.resume(study);
        vm.assertEq(consilium.pausedUntil(study), 0, "over");
        vm.expectRevert(
            abi.encodeWithSelector(IRecords.PauseNotAllowed.selector, study, 0, start + 5 minutes + UNBONDING)
        );
        vm.prank(guardian);
        studyToken.resume(study);
    }

    /// A deployment whose pauses outlast its compensations would pay out what may still be undone.
    function test_pause_endsBeforeBondsArePaidOut() public {
        deployParts();
        IRecords.Rules memory wanted = rules();
        wanted.longestPause = uint32(COMPENSATION);
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidWindow.selector, 0, 1 minutes, 0));
        this.deploySponsorship(wanted);
    }

    function deploySponsorship(IRecords.Rules memory wanted) external {
        deployWith(wanted);
    }

    // -------------------------------------------------------------------------------------------- what it stops

    function test_pause_stopsProofs() public {
        honest();
        Outcome memory one = outcome;
        bytes32[2] memory share = signedShare(3, one.round, one.roots.setRoot, 3, SUBJECT);
        bytes32[2] memory foreign = signedShare(3, one.round, SET_ROOT, 3, SUBJECT);
        bytes32[2] memory first = signedFinal(2, SUBJECT, 1, SET_ROOT);
        bytes32[2] memory second = signedFinal(2, SUBJECT, 1, REWARD_ROOT);
        pauseFor(PAUSE);
        refuseAsPaused();
        registry.proveWrongShare(study, one.round, one.roots, 3, SUBJECT, share);
        refuseAsPaused();
        registry.proveForeignShare(study, one.round, SET_ROOT, 3, SUBJECT, foreign);
        refuseAsPaused();
        registry.proveTwoFinals(study, SUBJECT, 1, SET_ROOT, first, 1, REWARD_ROOT, second);
        bytes32[2] memory again = signedShare(2, one.round, SUBJECT, 2, SUBJECT);
        bytes32[2] memory other = signedShare(2, one.round, SUBJECT, 2, SET_ROOT);
        refuseAsPaused();
        registry.proveTwoShares(study, one.round, 2, SUBJECT, SUBJECT, again, SUBJECT, SET_ROOT, other);
        refuseAsPaused();
        setCourt.proveMalformedRewards(study, one.round, one.roots, "no rewards");
        vm.prank(address(setCourt));
        refuseAsPaused();
        consilium.disown(study, one.round);
        address[] memory nodes = nodesFrom(1, 5);
        vm.prank(address(sumKind));
        refuseAsPaused();
        registry.convict(study, one.round, nodes, 1, ICourt.Offence.OfKind, reporter);
        refuseAsPaused();
        treasury.proveEquivocation(study, 1, sponsor, SUBJECT, SUBJECT, first, SET_ROOT, SUBJECT, second);
        pass(PAUSE);
        proveTwoFinals(2, one.round);
        assertConvicted(2);
    }

    function test_pause_stopsPayouts() public {
        Outcome memory one = play(study, 1, 5, 5);
        Outcome memory two = outcomeOf(study, openNext(study), 1, 5, 5);
        certifyAs(two);
        settleAs(two);
        proveTwoFinals(5, two.round);
        pass(COMPENSATION);
        pauseFor(PAUSE);
        ITreasury.Claim memory claim = claimOf(one, 1);
        refuseAsPaused();
        claimAlone(claim);
        refuseAsPaused();
        vm.prank(sponsor);
        treasury.withdraw(study, 1, sponsor);
        refuseAsPaused();
        treasury.payUnpaid(study, sponsor);
        refuseAsPaused();
        treasury.returnForfeits(study, new ITreasury.Claim[](0));
        IRecords.Settled memory settled = settledOf(two);
        refuseAsPaused();
        registry.assignCompensation(study, node(5), settled);
        refuseAsPaused();
        registry.forfeit(study, node(5));
        pass(PAUSE);
        claimAlone(claim);
        registry.assignCompensation(study, node(5), settled);
        compensateSite(two, node(5), 1);
    }

    /// Rounds go on: nobody's work is lost.
    function test_pause_stopsNoRound() public {
        pauseFor(PAUSE);
        Outcome memory one = play(study, 1, 5, 5);
        assertState(study, one.round, IRecords.State.Settled);
        vm.prank(node(5));
        registry.resign(study);
    }

    // -------------------------------------------------------------------------------------------- windows

    /// A lie that was settled before a pause, or in it, can be proved as long as without it.
    function testFuzz_pause_givesWindowsBackWhatItTook(uint32 before, uint32 length) public {
        before = uint32(bound(before, 0, WINDOW + 5 minutes));
        length = uint32(bound(length, 1, PAUSE));
        bool within = before % 2 == 0;
        if (within) {
            pauseFor(length);
            // Settled in the pause.
            pass(bound(before, 0, length - 1));
        }
        Outcome memory lie = outcomeOf(study, openNext(study), 1, 5, 5);
        lie.roots.rewardRoot = sha256("no rewards");
        certifyAs(lie);
        settleAs(lie);
        uint256 ends = vm.getBlockTimestamp() + WINDOW;
        if (within) {
            ends += start + length - vm.getBlockTimestamp();
        } else {
            pass(before);
            if (before < WINDOW) ends += length;
            pauseFor(length);
        }
        vm.assertEq(consilium.roundOf(study, lie.round).challengeEnds, ends, "as long as without");
        vm.warp(start + length);
        if (vm.getBlockTimestamp() >= ends) return;
        vm.warp(ends - 1);
        vm.prank(address(0xBEE));
        setCourt.proveMalformedRewards(study, lie.round, lie.roots, "no rewards");
        assertState(study, lie.round, IRecords.State.Fraudulent);
    }

    /// The ring waits as long, and who left is liable until then.
    function test_pause_holdsSlotsAndStake() public {
        uint64 now_ = uint64(vm.getBlockTimestamp());
        uint64 latest = now_ + UNBONDING - WINDOW - PAUSE - DISPUTE;
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidDeadlines.selector, now_ + 10, latest + 1));
        vm.prank(sponsor);
        consilium.openRound(study, SUBJECT, now_ + 10, latest + 1);
        for (uint256 i = 0; i < RING; i++) {
            play(study, 1, 5, 5);
        }
        pauseFor(PAUSE);
        pass(WINDOW); // the pause is over, and the windows have as much left
        uint64 until = now_ + WINDOW + PAUSE;
        vm.expectRevert(abi.encodeWithSelector(IRecords.RingFull.selector, study, until));
        this.openOne();
        vm.warp(until);
        this.openOne();
    }

    function openOne() external {
        openNext(study);
    }
}
