// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {BurningReceiver, VerboseReceiver} from "./setup/Receivers.sol";
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
        assertState(study, outcome.round, IConsilium.State.Fraudulent);
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
        ICourt.Opening[] memory all = openings(points, element / 32);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), element, all);
    }

    function test_polynomial_ofDegreeTwo() public {
        prepare(2, 9);
        drawVectors(LENGTH);
        vectors[4][ELEMENT] ^= 1;
        conclude();
        proveWrongSettlement(ELEMENT, pointsFrom(2));
        assertState(study, outcome.round, IConsilium.State.Fraudulent);
    }

    function test_polynomial_aHonestOneOfDegreeTwoStands() public {
        prepare(2, 9);
        honest();
        ICourt.Opening[] memory all = openings(pointsFrom(5), ELEMENT / 32);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    function test_polynomial_pointsMustIncreaseAndBeEnough() public {
        settleWrongly();
        uint8[] memory points = pointsFrom(0);
        points[1] = 0;
        refusePoints(openings(points, ELEMENT / 32), ELEMENT);
        refusePoints(openings(new uint8[](2), ELEMENT / 32), ELEMENT);
        ICourt.Opening[] memory four = new ICourt.Opening[](4);
        for (uint8 i = 0; i < 4; i++) {
            four[i] = opening(i, ELEMENT / 32);
        }
        refusePoints(four, ELEMENT);
        ICourt.Opening[] memory three = openings(pointsFrom(1), ELEMENT / 32);
        refusePoints(three, LENGTH);
        three[2].point = 6;
        refusePoints(three, ELEMENT);
    }

    function test_polynomial_leavesMustBeTheSettledOnesAtOnePlace() public {
        settleWrongly();
        // Node 3 at another leaf of its own: values of two places never make an offence.
        ICourt.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        all[2] = opening(3, 0);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 3));
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
        all = openings(pointsFrom(1), ELEMENT / 32);
        all[1].content[5] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 2));
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    function test_polynomial_theProgramMustBeTheStudys() public {
        settleWrongly();
        ICourt.Program memory other = program();
        other.parameters = parameters(DIMENSION + 1);
        ICourt.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheProgram.selector, study));
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, other, ELEMENT, all);
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
                ICourt.Opening memory one = opening(point, leaf);
                vm.expectRevert(ICourt.NoOffence.selector);
                registry.proveMalformedLeaf(study, outcome.round, outcome.roots, program(), leaf, one);
            }
        }
    }

    function test_root_ofAnotherLength() public {
        drawVectors(LENGTH + 1);
        conclude();
        bytes memory top = abi.encodePacked(uint8(2), LENGTH + 1, tree(2));
        vm.prank(reporter);
        registry.proveMalformedRoot(study, outcome.round, outcome.roots, program(), 2, top);
        assertState(study, outcome.round, IConsilium.State.Fraudulent);
        assertConvicted(1);
    }

    function test_root_honestOnesStand() public {
        honest();
        for (uint8 point = 0; point <= 5; point++) {
            bytes memory top = abi.encodePacked(uint8(2), LENGTH, tree(point));
            vm.expectRevert(ICourt.NoOffence.selector);
            registry.proveMalformedRoot(study, outcome.round, outcome.roots, program(), point, top);
        }
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 0));
        registry.proveMalformedRoot(study, outcome.round, outcome.roots, program(), 0, "anything");
    }

    // -------------------------------------------------------------------------------------------- when, and once

    function test_round_isFraudulentOnlyWithinTheWindow() public {
        settleWrongly();
        pass(WINDOW);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, outcome.round, IConsilium.State.Settled); // it may have paid
        assertConvicted(1); // but who signed it pays
        assertConvicted(4);
    }

    function test_round_isProvedWrongOnce() public {
        settleWrongly();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        ICourt.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheSettlement.selector, study, outcome.round));
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    function test_round_lateProofsPayOnce() public {
        settleWrongly();
        pass(WINDOW);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        ICourt.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
    }

    /// t+1 colluders settle a lie and have an honest node convicted by it: the proof of the lie gives it its bond back.
    function test_acquittal_ofANodeThatDifferedFromAWrongSettlement() public {
        frame(5);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.acquit(study, node(5));
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        registry.acquit(study, node(5));
        vm.assertEq(registry.nodeOf(node(5)).stake, STAKE - BOND / 10, "all but the reporter's part");
        vm.assertEq(registry.nodeOf(node(5)).serving, 0, "free");
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(1)));
        registry.acquit(study, node(1));
    }

    /// Assigned before the lie was proved: from then on nobody shares in the bond, which is the framed node's.
    function test_acquittal_comesBeforeEveryCompensation() public {
        frame(5);
        registry.assignCompensation(study, node(5));
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        pass(COMPENSATION);
        address site = outcome.cohort[0];
        bytes32[] memory path = Trees.open(Trees.setLeaves(outcome.cohort), 0);
        bytes memory due = abi.encodeWithSelector(ICourt.AcquittalDue.selector, study, node(5), outcome.round);
        vm.expectRevert(due);
        registry.compensate(study, node(5), 0, site, Trees.digestOf(site), path);
        registry.acquit(study, node(5));
        vm.assertEq(registry.nodeOf(node(5)).stake, STAKE - BOND / 10, "all but the reporter's part");
        vm.assertEq(site.balance, 0, "nobody else has any of it");
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(5)));
        registry.compensate(study, node(5), 0, site, Trees.digestOf(site), path);
    }

    /// Not assigned yet, it is not assigned any more; bonds of those who signed the lie are shared as ever.
    function test_acquittal_leavesNothingToAssign() public {
        frame(5);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        vm.expectRevert(abi.encodeWithSelector(ICourt.AcquittalDue.selector, study, node(5), outcome.round));
        registry.assignCompensation(study, node(5));
        registry.assignCompensation(study, node(1));
        registry.acquit(study, node(5));
    }

    /// A signer that has a friend convict it for a share that differs from the lie is not let off by the lie's proof.
    function test_acquittal_notOfWhoSignedTheLie() public {
        frame(4);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(4)));
        registry.acquit(study, node(4));
        vm.assertEq(registry.bondOf(study, node(4)).amount, BOND - BOND / 10, "nobody is paid for it twice");
        registry.assignCompensation(study, node(4));
        vm.assertEq(registry.nodeOf(node(4)).stake, STAKE - BOND, "the bond is lost");
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

    // -------------------------------------------------------------------------------------------- the harmed sites

    function test_compensation_reachesTheSitesOfTheRound() public {
        settleWrongly();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        registry.assignCompensation(study, node(1));
        bytes32[] memory leaves = Trees.setLeaves(outcome.cohort);
        address site = outcome.cohort[3];
        bytes32 digest = Trees.digestOf(site);
        bytes32[] memory path = Trees.open(leaves, 3);

        uint64 until = uint64(vm.getBlockTimestamp()) + COMPENSATION;
        vm.expectRevert(abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(1), until));
        registry.compensate(study, node(1), 3, site, digest, path);
        pass(COMPENSATION);
        registry.compensate(study, node(1), 3, site, digest, path);
        uint256 each = (BOND - BOND / 10) / 5;
        vm.assertEq(site.balance, each, "an equal part");
        vm.expectRevert(abi.encodeWithSelector(ICourt.AlreadyCompensated.selector, site));
        registry.compensate(study, node(1), 3, site, digest, path);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(1)));
        registry.compensate(study, node(1), 3, address(0xBAD), digest, path);
        for (uint32 i = 0; i < 5; i++) {
            if (i == 3) continue;
            site = outcome.cohort[i];
            registry.compensate(study, node(1), i, site, Trees.digestOf(site), Trees.open(leaves, i));
        }
        vm.assertEq(registry.bondOf(study, node(1)).amount, (BOND - BOND / 10) % 5, "what rounding left");
    }

    /// Two sites that are contracts: neither costs the sender much, nor the others anything.
    function test_compensation_aSiteCannotBurnTheSendersGas() public {
        (BurningReceiver burning, VerboseReceiver verbose) = (new BurningReceiver(), new VerboseReceiver());
        harmSitesWith(address(burning), address(verbose));
        uint256 each = (BOND - BOND / 10) / 5;
        for (uint32 i = 0; i < 5; i++) {
            bool taken = outcome.cohort[i] != address(burning);
            compensateSite(i, taken ? bytes("") : refusal(address(burning)));
            vm.assertTrue(vm.lastCallGas().gasTotalUsed < 150_000, "a site's gas is bounded");
            vm.assertEq(outcome.cohort[i].balance, taken ? each : 0, "an equal part");
        }
        // It has lost nothing.
        burning.calmDown();
        for (uint32 i = 0; i < 5; i++) {
            if (outcome.cohort[i] == address(burning)) compensateSite(i, "");
        }
        vm.assertEq(burning.paid(), each, "later, as much");
    }

    /// Of a bond of nothing everybody has had its part, and nobody is called.
    function test_compensation_ofNothingCallsNobody() public {
        (threshold, committee) = (1, 5);
        IConsilium.StudyTerms memory terms = defaultTerms();
        terms.parameters = parameters(DIMENSION);
        IConsilium.Conditions memory conditions = payingConditions();
        conditions.bond = 0;
        study = createStudyWith(terms, conditions, 5);
        fund(study, BUDGET);
        BurningReceiver burning = new BurningReceiver();
        harmSitesWith(address(burning), address(0x1));
        for (uint32 i = 0; i < 5; i++) {
            compensateSite(i, "");
        }
        compensateSite(0, abi.encodeWithSelector(ICourt.AlreadyCompensated.selector, outcome.cohort[0]));
    }

    function test_compensation_theGuardianFreezesAndCannotRedirect() public {
        settleWrongly();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        registry.assignCompensation(study, node(1));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotGuardian.selector, study, address(this)));
        registry.freezeCompensation(study, node(1), true);
        vm.prank(guardian);
        registry.freezeCompensation(study, node(1), true);
        pass(COMPENSATION);
        address site = outcome.cohort[0];
        bytes32[] memory path = Trees.open(Trees.setLeaves(outcome.cohort), 0);
        uint64 due = uint64(vm.getBlockTimestamp());
        vm.expectRevert(abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(1), due));
        registry.compensate(study, node(1), 0, site, Trees.digestOf(site), path);
        vm.prank(guardian);
        registry.freezeCompensation(study, node(1), false);
        registry.compensate(study, node(1), 0, site, Trees.digestOf(site), path);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotGuardian.selector, study, guardian));
        vm.prank(guardian);
        registry.freezeCompensation(study, node(1), true);
    }

    /// Finals about a round that never was: the newest certified round's sites stand in.
    function test_compensation_ofAContradictionWithoutACertificate() public {
        honest();
        proveTwoFinals(2, 12345);
        registry.assignCompensation(study, node(2));
        vm.assertEq(registry.potOf(study, node(2)).setRoot, outcome.roots.setRoot, "newest certified round");
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(2)));
        registry.assignCompensation(study, node(2));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(3)));
        registry.assignCompensation(study, node(3));
    }

    // --------------------------------------------------------------------------------------------

    /// A wrong settlement whose sites are these two and three others, ready to be paid.
    function harmSitesWith(address one, address other) private {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        Outcome memory fresh = outcomeOf(study, openNext(study), threshold, committee, 5);
        (fresh.cohort[1], fresh.cohort[3]) = (one, other);
        fresh.roots.setRoot = Trees.setRoot(fresh.cohort);
        fresh.roots.rewardRoot = Trees.rewardRoot(fresh.cohort, fresh.voters);
        fresh.roots.aggregateRoot = Trees.vectorRoot(vectors[0]);
        for (uint256 j = 1; j <= committee; j++) {
            fresh.roots.shareRoots[j - 1] = Trees.vectorRoot(vectors[j]);
        }
        concludeAs(fresh);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        registry.assignCompensation(study, node(1));
        pass(COMPENSATION);
    }

    function compensateSite(uint32 place, bytes memory refused) private {
        address site = outcome.cohort[place];
        bytes32[] memory path = Trees.open(Trees.setLeaves(outcome.cohort), place);
        if (refused.length != 0) vm.expectRevert(refused);
        registry.compensate(study, node(1), place, site, Trees.digestOf(site), path);
    }

    function refusal(address site) private pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.TransferFailed.selector, site);
    }

    /// A settlement that lies about an honest node's share, which convicts it.
    function frame(uint8 j) private {
        drawVectors(LENGTH);
        bytes32 honestRoot = Trees.vectorRoot(vectors[j]);
        vectors[j][ELEMENT] ^= 1;
        conclude();
        proveWrongShare(j, j, honestRoot);
    }

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
        ICourt.Opening memory one = opening(point, leaf);
        vm.prank(reporter);
        registry.proveMalformedLeaf(study, outcome.round, outcome.roots, program(), leaf, one);
        assertState(study, outcome.round, IConsilium.State.Fraudulent);
        assertConvicted(1);
    }

    function refusePoints(ICourt.Opening[] memory all, uint64 element) private {
        vm.expectRevert(ICourt.OpeningPoints.selector);
        registry.proveWrongSettlement(study, outcome.round, outcome.roots, program(), element, all);
    }
}
