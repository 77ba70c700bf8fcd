// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {ISumKind} from "../src/kinds/sum/ISumKind.sol";
import {Trees} from "./setup/Trees.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev Settlements whose roots do not fit together or are no vectors: every signer pays, and in time the round is
/// Fraudulent. Honest settlements cannot be touched, whatever is shown.
contract WrongSettlementTest is Trial {
    uint64 private constant ELEMENT = 40;

    function setUp() public {
        prepare(1, 5);
    }

    // -------------------------------------------------------------------------------------------- no polynomial

    function testFuzz_polynomial_anyWrongElementIsProved(uint8 liar, uint64 place, uint64 by, uint8 first) public {
        uint8 wrong = uint8(bound(liar, 0, 5));
        uint64 element = uint64(bound(place, 0, LENGTH - 1));
        drawVectors(LENGTH);
        vectors[wrong][element] = uint64(addmod(vectors[wrong][element], bound(by, 1, P - 1), P));
        conclude();
        // Any t+2 points with the wrong one among them.
        uint8 start = wrong == 0 ? 0 : uint8(bound(first, wrong > 2 ? wrong - 2 : 0, wrong > 3 ? 3 : wrong));
        proveWrongSettlement(element, pointsFrom(start));
        for (uint256 j = 1; j <= 4; j++) {
            assertConvicted(j);
        }
        assertUntouched(5); // it did not sign
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        vm.assertEq(reporter.balance, 4 * (BOND / 10), "reward");
        vm.assertEq(consilium.studyOf(study).free, 100 * uint256(BUDGET), "the budget is the sponsor's again");
    }

    function testFuzz_polynomial_honestSettlementsStand(uint64 place, uint8 a, uint8 b, uint8 c) public {
        honest();
        uint64 element = uint64(bound(place, 0, LENGTH - 1));
        uint8[] memory points = new uint8[](3);
        points[0] = uint8(bound(a, 0, 3));
        points[1] = uint8(bound(b, points[0] + 1, 4));
        points[2] = uint8(bound(c, points[1] + 1, 5));
        ISumKind.Opening[] memory all = openings(points, element / 32);
        vm.expectRevert(ICourt.NoOffence.selector);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), element, all);
    }

    function test_polynomial_ofDegreeTwo() public {
        prepare(2, 9);
        drawVectors(LENGTH);
        vectors[4][ELEMENT] ^= 1;
        conclude();
        proveWrongSettlement(ELEMENT, pointsFrom(2));
        assertState(study, outcome.round, IRecords.State.Fraudulent);
    }

    function test_polynomial_aHonestOneOfDegreeTwoStands() public {
        prepare(2, 9);
        honest();
        ISumKind.Opening[] memory all = openings(pointsFrom(5), ELEMENT / 32);
        vm.expectRevert(ICourt.NoOffence.selector);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    function test_polynomial_pointsMustIncreaseAndBeEnough() public {
        settleWrongly();
        uint8[] memory points = pointsFrom(0);
        points[1] = 0;
        refusePoints(openings(points, ELEMENT / 32), ELEMENT);
        refusePoints(openings(new uint8[](2), ELEMENT / 32), ELEMENT);
        ISumKind.Opening[] memory four = new ISumKind.Opening[](4);
        for (uint8 i = 0; i < 4; i++) {
            four[i] = opening(i, ELEMENT / 32);
        }
        refusePoints(four, ELEMENT);
        ISumKind.Opening[] memory three = openings(pointsFrom(1), ELEMENT / 32);
        refusePoints(three, LENGTH);
        three[2].point = 6;
        refusePoints(three, ELEMENT);
    }

    function test_polynomial_leavesMustBeTheSettledOnesAtOnePlace() public {
        settleWrongly();
        // Node 3 at another leaf of its own: values of two places never make an offence.
        ISumKind.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        all[2] = opening(3, 0);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 3));
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
        all = openings(pointsFrom(1), ELEMENT / 32);
        all[1].content[5] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 2));
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    function test_polynomial_theProgramMustBeTheStudys() public {
        settleWrongly();
        ISumKind.Program memory other = program();
        other.parameters = parameters(DIMENSION + 1);
        ISumKind.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        vm.expectRevert(abi.encodeWithSelector(ISumKind.NotTheProgram.selector, study));
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, other, ELEMENT, all);
    }

    // -------------------------------------------------------------------------------------------- no vector

    function test_leaf_aValueOfPOrMore() public {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] = P;
        conclude();
        proveLeaf(3, 1);
    }

    function test_leaf_paddingThatIsNotZero() public {
        drawVectors(128);
        conclude128();
        proveLeaf(0, 3);
    }

    function test_leaf_honestOnesStand() public {
        honest();
        for (uint8 point = 0; point <= 5; point++) {
            for (uint64 leaf = 0; leaf < 4; leaf++) {
                ISumKind.Opening memory one = opening(point, leaf);
                vm.expectRevert(ICourt.NoOffence.selector);
                sumKind.proveMalformedLeaf(study, outcome.round, outcome.roots, program(), leaf, one);
            }
        }
    }

    function test_root_ofAnotherLength() public {
        drawVectors(LENGTH + 1);
        conclude();
        bytes memory top = abi.encodePacked(uint8(2), LENGTH + 1, tree(2));
        vm.prank(reporter);
        sumKind.proveMalformedRoot(study, outcome.round, outcome.roots, program(), 2, top);
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        assertConvicted(1);
    }

    function test_root_honestOnesStand() public {
        honest();
        for (uint8 point = 0; point <= 5; point++) {
            bytes memory top = abi.encodePacked(uint8(2), LENGTH, tree(point));
            vm.expectRevert(ICourt.NoOffence.selector);
            sumKind.proveMalformedRoot(study, outcome.round, outcome.roots, program(), point, top);
        }
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 0));
        sumKind.proveMalformedRoot(study, outcome.round, outcome.roots, program(), 0, "anything");
    }

    // -------------------------------------------------------------------------------------------- when, and once

    function test_round_isFraudulentOnlyWithinTheWindow() public {
        settleWrongly();
        pass(WINDOW - 1);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, outcome.round, IRecords.State.Fraudulent);
    }

    /// It may have paid, and goes on paying; who signed it loses its bond.
    function test_round_isRefutedAfterTheWindow() public {
        settleWrongly();
        pass(WINDOW);
        uint256 free = consilium.studyOf(study).free;
        bytes32 settlement = consilium.roundOf(study, outcome.round).settlement;
        vm.expectEmit(address(consilium));
        emit IStudyEvents.RoundRefuted(study, outcome.round);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, outcome.round, IRecords.State.Refuted);
        assertConvicted(1);
        assertConvicted(4);
        vm.assertEq(consilium.studyOf(study).free, free, "its budget is not the sponsor's");
        vm.assertEq(consilium.roundOf(study, outcome.round).settlement, settlement, "what it pays by");
        claimAlone(claimOf(outcome, 0));
        vm.assertEq(coin.balanceOf(outcome.cohort[0]), 150, "a site's part");
    }

    function test_round_givesBackWhatItReserved() public {
        settleWrongly();
        vm.prank(sponsor);
        consilium.setRewards(study, 2 * BUDGET, 0);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        vm.assertEq(consilium.studyOf(study).free, 100 * uint256(BUDGET), "no more");
    }

    function test_round_isProvedWrongOnce() public {
        settleWrongly();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        refuseProof(IRecords.State.Fraudulent);
    }

    function test_round_lateProofsPayOnce() public {
        settleWrongly();
        pass(WINDOW);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        refuseProof(IRecords.State.Refuted);
    }

    function refuseProof(IRecords.State actual) private {
        ISumKind.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        expectWrongState(study, outcome.round, actual);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    /// A proof that proves nothing leaves no mark: its reverted call had refuted the round first.
    function test_round_staysSettledAfterAProofThatFails() public {
        honest();
        ISumKind.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        vm.expectRevert(ICourt.NoOffence.selector);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
        assertState(study, outcome.round, IRecords.State.Settled);
        assertUntouched(1);
    }

    /// No site has a part in it: that no colluder can be one of those, all of the rest is the sink's.
    function test_bonds_ofLiarsGoToTheSink() public {
        settleWrongly();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        uint256 due = vm.getBlockTimestamp() + COMPENSATION;
        vm.expectRevert(abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(1), due));
        registry.forfeit(study, node(1));
        vm.warp(due);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(1)));
        registry.assignCompensation(study, node(1), settledOf(outcome));
        for (uint256 j = 1; j <= 4; j++) {
            vm.expectEmit(address(registry));
            emit ICourt.Forfeited(study, node(j), BOND - BOND / 10);
            registry.forfeit(study, node(j));
            vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(j)));
            registry.forfeit(study, node(j));
        }
        vm.assertEq(sink.balance, 4 * uint256(BOND - BOND / 10), "all but the reporter's part");
    }

    /// Once a round is Fraudulent, no share is wrong for differing from it.
    function test_wrongShare_notAgainstAWrongSettlement() public {
        settleWrongly();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        bytes32[2] memory signed = signedShare(5, outcome.round, outcome.roots.setRoot, 5, SUBJECT);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheSettlement.selector, study, outcome.round));
        registry.proveWrongShare(study, outcome.round, outcome.roots, 5, SUBJECT, signed);
    }

    /// Its signers have left, but for those that were taken again.
    function test_formerMembers_leaveNoSeatVacant() public {
        settleWrongly();
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertConvicted(1);
        vm.assertTrue(!consilium.studyOf(study).vacant, "today's committee goes on");
        openNext(study);
    }

    function test_formerMembers_oneOfThemServesAgain() public {
        settleWrongly();
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(4, 5));
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertConvicted(1);
        vm.assertTrue(consilium.studyOf(study).vacant, "node 4 had a seat");
    }

    // --------------------------------------------------------------------------------------------

    function settleWrongly() private {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        conclude();
    }

    function conclude128() private {
        // The leaves of 128 elements under the top of 100: the last 28 are padding, and not zero.
        uint64 round = openNext(study);
        Outcome memory fresh = outcomeOf(study, round, 1, 5, 5);
        fresh.roots.aggregateRoot = sha256(abi.encodePacked(uint8(2), LENGTH, tree(0)));
        concludeAs(fresh);
    }

    function tree(uint8 point) private view returns (bytes32) {
        return Trees.treeOf(Trees.vectorLeaves(Trees.contents(vectors[point])));
    }

    function proveLeaf(uint8 point, uint64 leaf) private {
        ISumKind.Opening memory one = opening(point, leaf);
        vm.prank(reporter);
        sumKind.proveMalformedLeaf(study, outcome.round, outcome.roots, program(), leaf, one);
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        assertConvicted(1);
    }

    function refusePoints(ISumKind.Opening[] memory all, uint64 element) private {
        vm.expectRevert(ISumKind.OpeningPoints.selector);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), element, all);
    }
}
