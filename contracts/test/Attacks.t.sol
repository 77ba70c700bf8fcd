// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {ISumKind} from "../src/kinds/sum/ISumKind.sol";
import {Trees} from "./setup/Trees.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev Whole attacks on stake and proofs by sponsors, committees and bystanders, and what stops each of them.
contract AttacksTest is Trial {
    uint64 private constant ELEMENT = 40;
    address private attacker = address(0xA77AC);

    function setUp() public {
        prepare(1, 5);
    }

    // -------------------------------------------------------------------------------------------- other people's stake

    /// A stranger with four nodes of its own wants the free stake of a fifth, to settle a lie about its share.
    function test_attack_aStrangerCannotTakeANodeThatDidNotAgree() public {
        address[] memory list = nodesFrom(6, 5);
        for (uint256 j = 6; j <= 9; j++) {
            vm.prank(node(j));
            registry.setConsent(attacker, consentTo(4 ether));
        }
        IRecords.Conditions memory all = evil(1 ether, WINDOW, 2);
        refuseStudy(all, list, abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(10), attacker));
        vm.assertEq(registry.nodeOf(node(10)).stake, STAKE, "free");

        // Had it agreed, no more than what it agreed to would be at stake.
        vm.prank(node(10));
        registry.setConsent(attacker, consentTo(BOND));
        refuseStudy(
            all, list, abi.encodeWithSelector(INodeRegistry.BeyondConsent.selector, node(10), attacker, 1 ether, WINDOW)
        );
    }

    /// A study that locks all stake of its nodes, sent before an honest sponsor's.
    function test_attack_aStrangerCannotLockStake() public {
        refuseStudy(
            evil(1 ether, WINDOW, 2),
            nodesFrom(11, 5),
            abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(11), attacker)
        );
        vm.prank(sponsor);
        consilium.createStudy(evilTerms(), payingConditions(), nodesFrom(11, 5), sites(5));
        vm.assertEq(registry.nodeOf(node(11)).stake, STAKE - BOND, "the honest sponsor's study alone");
    }

    /// Studies that ask for no bond would keep a node from leaving until it has resigned from each.
    function test_attack_aStrangerCannotKeepANodeFromLeaving() public {
        refuseStudy(
            evil(0, WINDOW, 2),
            nodesFrom(11, 5),
            abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(11), attacker)
        );
        vm.prank(node(11));
        registry.beginUnbond();
    }

    // -------------------------------------------------------------------------------------------- framed by a lie

    /// The lie is proved after its window, and an honest node is to be convicted by it all the same.
    function test_attack_aRefutedSettlementConvictsNobody() public {
        bytes32 honestRoot = lieAboutFive();
        pass(WINDOW);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        for (uint256 j = 1; j <= 4; j++) {
            assertConvicted(j);
        }
        assertState(study, outcome.round, IRecords.State.Refuted);
        refuseWrongShare(honestRoot);
    }

    /// Framed within the window, and the lie is proved one second after it: nobody has to ask for the acquittal.
    function test_attack_aNodeFramedInTimeIsAcquittedLate() public {
        bytes32 honestRoot = lieAboutFive();
        proveWrongShare(5, 5, honestRoot);
        pass(WINDOW);
        vm.expectEmit(address(registry));
        emit ICourt.Acquitted(study, node(5), BOND);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        assertAcquitted(5);
        pass(COMPENSATION);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(5)));
        registry.assignCompensation(study, node(5), settledOf(outcome));
    }

    /// Without a window nobody could be acquitted.
    function test_attack_aStudyWithoutAWindowIsRefused() public {
        refuseStudy(
            evil(BOND, 0, 2),
            nodesFrom(1, 5),
            abi.encodeWithSelector(IRecords.InvalidWindow.selector, 0, 1 minutes, LONGEST)
        );
    }

    /// In one block the sponsor proves its committee's lie, replaces it, and turns the ring over the evidence: the
    /// framed node is acquitted before, and the slot is held to the end of the window.
    function test_attack_theRingCannotBeTurnedOverAFraudulentRound() public {
        bytes32 honestRoot = lieInARingOf2();
        uint256 until = consilium.roundOf(study, outcome.round).challengeEnds;
        proveWrongShare(5, 5, honestRoot);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        assertAcquitted(5);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(11, 5));
        throwAway(1);
        pass(12);
        vm.expectRevert(abi.encodeWithSelector(IRecords.RingFull.selector, study, until));
        throwAway(2);
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        vm.warp(until);
        throwAway(2);
    }

    /// A lie that left the ring cannot be proved any more: then it convicts nobody either.
    function test_attack_aRoundOffTheRecordConvictsNobody() public {
        bytes32 honestRoot = lieAboutFive();
        pass(WINDOW);
        for (uint256 i = 0; i < RING; i++) {
            throwAway(i);
            if (i + 1 < RING) pass(12);
        }
        assertState(study, outcome.round, IRecords.State.None);
        ISumKind.Opening[] memory all = openings(pointsFrom(3), ELEMENT / 32);
        expectWrongState(study, outcome.round, IRecords.State.None);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
        refuseWrongShare(honestRoot);
    }

    // -------------------------------------------------------------------------------------------- proofs blocked

    /// Money to the brim, so that the budget of a round that is proved wrong would not fit any more.
    function test_attack_overfundingDoesNotStopAProof() public {
        settleWrongly();
        fundToTheBrim();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        vm.assertEq(consilium.studyOf(study).free, 2 ** 87 + uint256(BUDGET), "all is there");
    }

    function test_attack_overfundingDoesNotStopALapse() public {
        uint64 round = openNext(study);
        fundToTheBrim();
        pass(10);
        consilium.voidRound(study, round);
        vm.assertEq(consilium.studyOf(study).free, 2 ** 87 + uint256(BUDGET), "all is there");
        openNext(study);
    }

    /// Throw-away rounds after an abandoned one, whose certificate is evidence against who released another set's share.
    function test_attack_theRingCannotBeTurnedOverAnAbandonedRound() public {
        study = createStudyWith(evilTerms(), evil(BOND, WINDOW, 2), 5);
        uint64 round = openNext(study);
        uint256 until = vm.getBlockTimestamp() + 20 + WINDOW;
        certifyAs(outcomeOf(study, round, 1, 5, 5));
        bytes32[2] memory said = signedShare(1, round, SET_ROOT, 1, SUBJECT);
        pass(20);
        throwAway(1);
        pass(12);
        vm.expectRevert(abi.encodeWithSelector(IRecords.RingFull.selector, study, until));
        throwAway(2);
        registry.proveForeignShare(study, round, SET_ROOT, 1, SUBJECT, said);
        assertConvicted(1);
    }

    // -------------------------------------------------------------------------------------------- who gains

    /// Convicting an honest node by a lie, just before the lie is proved, pays nobody anything.
    function test_attack_aBystanderEarnsNothingOfAnHonestBond() public {
        bytes32 honestRoot = lieAboutFive();
        proveWrongShare(5, 5, honestRoot);
        vm.assertEq(reporter.balance, 0, "nothing yet");
        address other = address(0xB0B);
        ISumKind.Opening[] memory all = openings(pointsFrom(3), ELEMENT / 32);
        vm.prank(other);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), ELEMENT, all);
        vm.assertEq(reporter.balance, 0, "nor ever");
        vm.assertEq(other.balance, 4 * (BOND / 10), "the liars' tenths are for who proved the lie");
        assertAcquitted(5);
        pass(UNBONDING);
        registry.reclaim(study, node(5));
        vm.assertEq(registry.nodeOf(node(5)).stake, STAKE, "not a wei poorer");
    }

    /// A double signer has itself convicted of what will be undone.
    function test_attack_aConvictionThatIsUndoneShieldsFromNothing() public {
        bytes32 honestRoot = lieAboutFive();
        proveWrongShare(5, 5, honestRoot);
        proveTwoFinals(5, 1);
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(5));
        vm.assertTrue(bond.standing == INodeRegistry.Standing.Convicted, "for good");
        vm.assertEq(reporter.balance, BOND / 10, "the tenth of the proof that stands");
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        assertConvicted(5);
        vm.assertEq(registry.bondOf(study, node(5)).amount, BOND - BOND / 10, "not given back");
    }

    /// The other order: acquitted first. The bond answers for the unbonding delay.
    function test_attack_anAcquittedNodeGoesOnAnswering() public {
        bytes32 honestRoot = lieAboutFive();
        proveWrongShare(5, 5, honestRoot);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        pass(UNBONDING - 1);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.BondLocked.selector, study, node(5), vm.getBlockTimestamp() + 1)
        );
        registry.reclaim(study, node(5));
        proveTwoFinals(5, 1);
        assertConvicted(5);
    }

    /// Q nodes certify sites of their own, settle a lie and prove it themselves: a tenth comes back, the rest is lost.
    function test_attack_liarsCannotPayThemselvesByTheirOwnProof() public {
        address[] memory own = concludeOwnSites(1);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        pass(COMPENSATION);
        for (uint256 j = 1; j <= 4; j++) {
            vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(j)));
            registry.assignCompensation(study, node(j), settledOf(outcome));
            registry.forfeit(study, node(j));
        }
        vm.assertEq(reporter.balance, 4 * (BOND / 10), "a tenth");
        vm.assertEq(sink.balance, 4 * uint256(BOND - BOND / 10), "the rest is nobody's of theirs");
        vm.assertEq(own[0].balance + own[1].balance + own[2].balance, 0, "nothing");
    }

    /// The same with an offence whose round is settled for good: none of its sites was admitted.
    function test_attack_liarsCannotPayThemselvesByAnotherOffence() public {
        address[] memory own = concludeOwnSites(0);
        proveTwoFinals(1, outcome.round);
        pass(COMPENSATION);
        registry.assignCompensation(study, node(1), settledOf(outcome));
        for (uint32 i = 0; i < 3; i++) {
            ICourt.SetMember memory member = setMember(own, i);
            ICourt.ListMember memory listed = listMember(sites(ADMITTED), i);
            vm.expectRevert(abi.encodeWithSelector(ICourt.NotAdmitted.selector, own[i]));
            registry.compensate(study, node(1), member, listed);
            listed = listMember(own, i);
            vm.expectRevert(abi.encodeWithSelector(ICourt.NotAdmitted.selector, own[i]));
            registry.compensate(study, node(1), member, listed);
        }
        pass(CLAIM_TIME);
        registry.forfeit(study, node(1));
        vm.assertEq(sink.balance, BOND - BOND / 10, "the sink's");
    }

    /// Before any round was certified there are no harmed sites: the bond does not stay for ever.
    function test_attack_aBondLostBeforeAnyCertificateGoesToTheSink() public {
        proveTwoFinals(2, 1);
        uint256 from = vm.getBlockTimestamp() + 2 * COMPENSATION;
        vm.warp(from - 1);
        IRecords.Settled memory none;
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, 1));
        registry.assignCompensation(study, node(2), none);
        vm.expectRevert(abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(2), from));
        registry.forfeit(study, node(2));
        vm.warp(from);
        registry.forfeit(study, node(2));
        vm.assertEq(sink.balance, BOND - BOND / 10, "the sink's");
    }

    // --------------------------------------------------------------------------------------------

    function evil(uint96 bond, uint32 window, uint16 ring) private view returns (IRecords.Conditions memory c) {
        c = defaultConditions();
        (c.bond, c.challengeWindow, c.ring) = (bond, window, ring);
    }

    function evilTerms() private pure returns (IRecords.StudyTerms memory terms) {
        terms = defaultTerms();
        terms.parameters = parameters(DIMENSION);
    }

    function refuseStudy(IRecords.Conditions memory conditions, address[] memory nodes, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(attacker);
        consilium.createStudy(evilTerms(), conditions, nodes, sites(3));
    }

    function settleWrongly() private {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        conclude();
    }

    /// Q signers lie about honest node 5's root; node 5's own honest root is returned.
    function lieAboutFive() private returns (bytes32 honestRoot) {
        drawVectors(LENGTH);
        honestRoot = Trees.vectorRoot(vectors[5]);
        vectors[5][ELEMENT] ^= 1;
        conclude();
    }

    function lieInARingOf2() private returns (bytes32) {
        study = createStudyWith(evilTerms(), evil(BOND, WINDOW, 2), 5);
        return lieAboutFive();
    }

    function ownSites() private pure returns (address[] memory own) {
        own = new address[](3);
        for (uint256 i = 0; i < 3; i++) {
            own[i] = address(uint160(0xE71100 + i));
        }
    }

    /// Sites of the committee's own, in order; `by` makes the settlement wrong unless it is 0.
    function concludeOwnSites(uint64 by) private returns (address[] memory own) {
        Outcome memory fresh = outcomeOf(study, openNext(study), 1, 5, 3);
        own = ownSites();
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= by;
        fresh.cohort = own;
        fresh.roots.setRoot = Trees.setRoot(own);
        fresh.roots.rewardRoot = Trees.rewardRoot(own, fresh.voters);
        fresh.roots.aggregateRoot = Trees.vectorRoot(vectors[0]);
        for (uint256 j = 1; j <= committee; j++) {
            fresh.roots.shareRoots[j - 1] = Trees.vectorRoot(vectors[j]);
        }
        concludeAs(fresh);
    }

    function throwAway(uint256 about) private {
        uint64 time = uint64(vm.getBlockTimestamp());
        vm.prank(sponsor);
        consilium.openRound(study, keccak256(abi.encode("throw away", about)), time + 1, time + 2);
    }

    function fundToTheBrim() private {
        uint256 top = 2 ** 87 - consilium.studyOf(study).free;
        fund(study, top);
        coin.mint(sponsor, 1);
        vm.prank(sponsor);
        coin.approve(address(treasury), 1);
        vm.expectRevert(abi.encodeWithSelector(IRecords.FundsTooLarge.selector, 2 ** 87 + 1));
        vm.prank(sponsor);
        treasury.fund(study, 1);
    }

    function refuseWrongShare(bytes32 honestRoot) private {
        bytes32[2] memory signed = signedShare(5, outcome.round, outcome.roots.setRoot, 5, honestRoot);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheSettlement.selector, study, outcome.round));
        registry.proveWrongShare(study, outcome.round, outcome.roots, 5, honestRoot, signed);
        assertUntouched(5);
    }

    /// Liars report each other for less first, and name a round whose sites are their sponsor's.
    function test_attack_aConvictionForLessDoesNotSaveTheBondOfALiar() public {
        bytes32 root = Trees.listRoot(ownSites());
        vm.prank(sponsor);
        consilium.setSites(study, root, ownSites(), "");
        concludeOwnSites(0);
        Outcome memory first = outcome;
        concludeOwnSites(1);
        for (uint256 j = 1; j <= 4; j++) {
            proveTwoFinals(j, first.round);
        }
        uint256 before = reporter.balance;
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        vm.assertTrue(reporter.balance > before, "who proves the lie has a part of what is left");
        pass(COMPENSATION);
        for (uint256 j = 1; j <= 4; j++) {
            vm.expectRevert(abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(j)));
            registry.assignCompensation(study, node(j), settledOf(first));
            registry.forfeit(study, node(j));
        }
        vm.assertEq(sink.balance + reporter.balance, 4 * uint256(BOND), "their own sites have nothing of it");
    }
}
