// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {BurningReceiver, VerboseReceiver} from "./setup/Receivers.sol";
import {Trees} from "./setup/Trees.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev Who gets a lost bond, and when: the reporter, admitted sites of a round settled for good, the sink.
contract CompensationTest is Trial {
    bytes32 private constant LIE = keccak256("lie");
    uint256 private constant TENTH = BOND / 10;
    uint256 private constant REST = BOND - BOND / 10;

    function setUp() public {
        prepare(1, 5);
    }

    // -------------------------------------------------------------------------------------------- the harmed sites

    function test_compensation_reachesTheSitesOfTheRound() public {
        honest();
        proveWrongShare(2, 2, LIE);
        uint256 due = vm.getBlockTimestamp() + COMPENSATION;
        vm.warp(due - 1);
        refuseAssignment(2, abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(2), due));
        vm.warp(due);
        refusePayment(2, 3, noCompensation(2)); // not assigned yet
        vm.expectEmit(address(registry));
        emit ICourt.ReporterPaid(study, node(2), reporter, TENTH);
        vm.expectEmit(address(registry));
        emit ICourt.CompensationAssigned(study, node(2), outcome.round, outcome.roots.setRoot, 5);
        registry.assignCompensation(study, node(2), settledOf(outcome));
        vm.assertEq(reporter.balance, TENTH, "the reporter's part");
        ICourt.Pot memory pot = registry.potOf(study, node(2));
        vm.assertTrue(pot.setRoot == outcome.roots.setRoot && pot.sitesRoot == SITES_ROOT, "whose it is");
        vm.assertTrue(pot.size == 5 && pot.each == REST / 5, "in equal parts");

        for (uint32 i = 0; i < 5; i++) {
            compensateSite(outcome, node(2), i);
            vm.assertEq(outcome.cohort[i].balance, REST / 5, "an equal part");
            refusePayment(2, i, abi.encodeWithSelector(ICourt.AlreadyCompensated.selector, outcome.cohort[i]));
        }
        vm.assertEq(registry.bondOf(study, node(2)).amount, REST % 5, "what rounding left");
        refuseAssignment(2, noCompensation(2));
        refuseAssignment(3, noCompensation(3));
    }

    /// Both leaves must be the site's own: in the set, among its sites, and on the list.
    function test_compensation_needsBothLeaves() public {
        harm(2);
        ICourt.SetMember memory member = setMember(outcome.cohort, 3);
        ICourt.ListMember memory listed = listMember(sites(ADMITTED), 3);
        member.site = address(0xBAD);
        expectRefusal(abi.encodeWithSelector(ICourt.NotInTheSet.selector, address(0xBAD)));
        registry.compensate(study, node(2), member, listed);
        member = setMember(outcome.cohort, 3);
        listed.power = 1;
        expectRefusal(abi.encodeWithSelector(ICourt.NotAdmitted.selector, member.site));
        registry.compensate(study, node(2), member, listed);
        listed = listMember(sites(ADMITTED), 4);
        expectRefusal(abi.encodeWithSelector(ICourt.NotAdmitted.selector, member.site));
        registry.compensate(study, node(2), member, listed);
        member.index = 5;
        expectRefusal(noCompensation(2));
        registry.compensate(study, node(2), member, listed);
    }

    /// A list with powers has other leaves.
    function test_compensation_byAListWithPowers() public {
        uint64[] memory powers = new uint64[](ADMITTED);
        for (uint256 i = 0; i < ADMITTED; i++) {
            powers[i] = uint64(7 + i);
        }
        admit(Trees.powerRoot(sites(ADMITTED), powers), sites(ADMITTED));
        harm(2);
        ICourt.SetMember memory member = setMember(outcome.cohort, 3);
        ICourt.ListMember memory listed = listMember(sites(ADMITTED), 3);
        listed.path = Trees.open(Trees.powerLeaves(sites(ADMITTED), powers), 3);
        expectRefusal(abi.encodeWithSelector(ICourt.NotAdmitted.selector, member.site));
        registry.compensate(study, node(2), member, listed);
        listed.power = 10;
        registry.compensate(study, node(2), member, listed);
        vm.assertEq(member.site.balance, REST / 5, "an equal part");
    }

    /// A leaf behind the sites of the set is a committee member's, and is paid nothing.
    function test_compensation_notOfLeavesBehindTheSites() public {
        Outcome memory fresh = outcomeOf(study, openNext(study), threshold, committee, 5);
        address[] memory all = sites(6);
        fresh.roots.setRoot = Trees.setRoot(all);
        concludeAs(fresh);
        proveTwoFinals(2, outcome.round);
        pass(COMPENSATION);
        registry.assignCompensation(study, node(2), settledOf(outcome));
        ICourt.SetMember memory member = setMember(all, 5);
        ICourt.ListMember memory listed = listMember(sites(ADMITTED), 5);
        expectRefusal(noCompensation(2));
        registry.compensate(study, node(2), member, listed);
        member = setMember(all, 4);
        listed = listMember(sites(ADMITTED), 4);
        registry.compensate(study, node(2), member, listed);
    }

    /// Two sites that are contracts: neither costs the sender much, nor the others anything.
    function test_compensation_aSiteCannotBurnTheSendersGas() public {
        (BurningReceiver burning, VerboseReceiver verbose) = (new BurningReceiver(), new VerboseReceiver());
        harmSitesWith(address(burning), address(verbose));
        for (uint32 i = 0; i < 5; i++) {
            bool taken = outcome.cohort[i] != address(burning);
            paySite(i, taken ? bytes("") : refusal(address(burning)));
            vm.assertTrue(vm.lastCallGas().gasTotalUsed < 150_000, "a site's gas is bounded");
            vm.assertEq(outcome.cohort[i].balance, taken ? REST / 5 : 0, "an equal part");
        }
        // It has lost nothing.
        burning.calmDown();
        paySite(1, "");
        vm.assertEq(burning.paid(), REST / 5, "later, as much");
    }

    /// Of a bond of nothing everybody has had its part, and nobody is called.
    function test_compensation_ofNothingCallsNobody() public {
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.parameters = parameters(DIMENSION);
        IRecords.Conditions memory conditions = payingConditions();
        conditions.bond = 0;
        study = createStudyWith(terms, conditions, 5);
        fund(study, BUDGET);
        harmSitesWith(address(new BurningReceiver()), address(0x1));
        for (uint32 i = 0; i < 5; i++) {
            paySite(i, "");
        }
        paySite(0, abi.encodeWithSelector(ICourt.AlreadyCompensated.selector, outcome.cohort[0]));
    }

    /// A reporter that does not take its part leaves it to the sites.
    function test_compensation_aReporterThatTakesNothingStopsNobody() public {
        BurningReceiver burning = new BurningReceiver();
        reporter = address(burning);
        honest();
        proveWrongShare(2, 2, LIE);
        pass(COMPENSATION);
        registry.assignCompensation(study, node(2), settledOf(outcome));
        vm.assertEq(reporter.balance, 0, "not taken");
        vm.assertEq(registry.potOf(study, node(2)).each, BOND / 5, "the sites' too");
    }

    /// Whoever sends may not starve the reporter of the gas that it needs.
    function test_compensation_leavesTheReporterItsGas() public {
        honest();
        proveWrongShare(2, 2, LIE);
        pass(COMPENSATION);
        bytes memory call = abi.encodeCall(ICourt.assignCompensation, (study, node(2), settledOf(outcome)));
        (bool done, bytes memory reason) = address(registry).call{gas: 130_000}(call);
        vm.assertTrue(!done && bytes4(reason) == ICourt.GasMissing.selector, "too little gas");
        (done,) = address(registry).call(call);
        vm.assertTrue(done && reporter.balance == TENTH, "enough");
    }

    // -------------------------------------------------------------------------------------------- which round

    /// Only of a round that is settled for good, shown with all its roots.
    function test_assignment_needsTheExactSettlement() public {
        honest();
        proveWrongShare(2, 2, LIE);
        pass(COMPENSATION);
        bytes memory reason = abi.encodeWithSelector(IRecords.NotFinal.selector, study, outcome.round);
        for (uint256 which = 0; which < 5; which++) {
            IRecords.Settled memory settled = settledOf(outcome);
            if (which == 0) settled.setRoot = LIE;
            if (which == 1) settled.shareRootsHash = LIE;
            if (which == 2) settled.aggregateRoot = LIE;
            if (which == 3) settled.rewardRoot = LIE;
            if (which == 4) settled.sites += 1;
            vm.expectRevert(reason);
            registry.assignCompensation(study, node(2), settled);
        }
    }

    /// A round that left the ring is shown by its place in the archive, under the sites it was opened with.
    function test_assignment_ofARoundOffTheRecord() public {
        honest();
        Outcome memory harmed = outcome;
        admit(Trees.listRoot(sites(3)), sites(3)); // later rounds have another list
        proveTwoFinals(5, harmed.round);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 4));
        uint80 second;
        for (uint256 i = 0; i < RING; i++) {
            pass(WINDOW);
            Outcome memory fresh = outcomeOf(study, openNext(study), 1, 4, 3);
            certifyAs(fresh);
            settleAs(fresh);
            if (i == 0) second = fresh.record;
        }
        assertState(study, harmed.round, IRecords.State.None);
        IRecords.Settled memory settled = settledOf(harmed);
        refuseArchived(settled, harmed.round); // without its place
        (settled.record, settled.position) = (harmed.record, 0);
        settled.path = new bytes32[](1);
        settled.path[0] = archiveLeafAfter(harmed, second);
        settled.record += 1;
        refuseArchived(settled, harmed.round);
        settled.record = harmed.record;
        registry.assignCompensation(study, node(5), settled);
        vm.assertEq(registry.potOf(study, node(5)).sitesRoot, SITES_ROOT, "the sites admitted then");
        compensateSite(harmed, node(5), 4);
        vm.assertEq(harmed.cohort[4].balance, REST / 5, "an equal part");
    }

    function refuseArchived(IRecords.Settled memory settled, uint64 round) private {
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, round));
        registry.assignCompensation(study, node(5), settled);
    }

    /// @dev Round 2, under the second policy.
    function archiveLeafAfter(Outcome memory harmed, uint80 record) private view returns (bytes32) {
        vm.assertEq(consilium.studyOf(study).archived, 2, "two rounds left the ring, or may");
        Outcome memory next = outcomeOf(study, harmed.round + 1, 1, 4, 3);
        next.record = record;
        return archiveLeaf(next);
    }

    // -------------------------------------------------------------------------------------------- forfeits

    /// Evidence about these rounds, and from when its bond is the sink's.
    function test_forfeit_whenNoSiteIsPaid() public {
        // Void: no round of it was ever certified.
        uint64 void = openNext(study);
        pass(10);
        forfeitFrom(void, 0);
        // Abandoned.
        prepare(1, 5);
        uint64 abandoned = openNext(study);
        certifyAs(outcomeOf(study, abandoned, 1, 5, 5));
        pass(20);
        forfeitFrom(abandoned, 0);
        // Proved wrong in time, and late.
        for (uint256 late = 0; late < 2; late++) {
            prepare(1, 5);
            drawVectors(LENGTH);
            vectors[3][40] ^= 1;
            conclude();
            pass(late * WINDOW);
            proveWrongSettlement(40, pointsFrom(1));
            forfeitFrom(outcome.round, 0);
        }
        // Settled for good, or never heard of: there is time to show the former.
        prepare(1, 5);
        honest();
        forfeitFrom(outcome.round, COMPENSATION);
        prepare(1, 5);
        forfeitFrom(77, COMPENSATION);
        // A number that no round can have.
        prepare(1, 5);
        forfeitFrom(type(uint64).max, 0);
    }

    /// @dev Node 5's bond for two Finals, one of them about this round; to the second.
    function forfeitFrom(uint64 round, uint256 later) private {
        uint256 before = sink.balance;
        proveTwoFinals(5, round);
        uint256 from = vm.getBlockTimestamp() + COMPENSATION + later;
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(5), from));
        registry.forfeit(study, node(5));
        vm.warp(from);
        registry.forfeit(study, node(5));
        vm.assertEq(sink.balance - before, REST, "all but the reporter's part");
        expectRefusal(noCompensation(5));
        registry.forfeit(study, node(5));
    }

    /// What could still be undone also pays its reporter, only then.
    function test_forfeit_paysTheReporterFirst() public {
        honest();
        proveWrongShare(2, 2, LIE);
        pass(2 * COMPENSATION);
        registry.forfeit(study, node(2));
        vm.assertEq(reporter.balance, TENTH, "the reporter's part");
        vm.assertEq(sink.balance, REST, "the rest");
    }

    /// Once sites are to be paid they have their time; what they have not taken is the sink's.
    function test_forfeit_ofWhatSitesHaveNotTaken() public {
        harm(2);
        compensateSite(outcome, node(2), 1);
        uint256 from = registry.bondOf(study, node(2)).until + CLAIM_TIME;
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(2), from));
        registry.forfeit(study, node(2));
        compensateSite(outcome, node(2), 2);
        vm.warp(from);
        registry.forfeit(study, node(2));
        vm.assertEq(sink.balance, REST - 2 * (REST / 5), "three parts");
        vm.assertEq(registry.potOf(study, node(2)).setRoot, 0, "no pot is left");
        refusePayment(2, 3, noCompensation(2));
    }

    function test_forfeit_ofNobodyWhoHasItsBond() public {
        expectRefusal(noCompensation(2));
        registry.forfeit(study, node(2));
    }

    // -------------------------------------------------------------------------------------------- guardian and judges

    function test_postpone_onceByTheGuardianBeforeItIsDue() public {
        honest();
        proveWrongShare(2, 2, LIE);
        uint256 due = vm.getBlockTimestamp() + COMPENSATION;
        refusePostponement(address(this), 2);
        vm.warp(due - 1);
        vm.expectEmit(address(registry));
        emit ICourt.CompensationPostponed(study, node(2), due + COMPENSATION);
        vm.prank(guardian);
        registry.postponeCompensation(study, node(2));
        refusePostponement(guardian, 2);
        vm.warp(due + COMPENSATION - 1);
        refuseAssignment(
            2, abi.encodeWithSelector(ICourt.CompensationLocked.selector, study, node(2), due + COMPENSATION)
        );
        vm.warp(due + COMPENSATION);
        registry.assignCompensation(study, node(2), settledOf(outcome));
    }

    function test_postpone_notOnceItIsDueNorOfAnyOtherBond() public {
        honest();
        vm.expectRevert(noCompensation(3));
        vm.prank(guardian);
        registry.postponeCompensation(study, node(3));
        proveWrongShare(2, 2, LIE);
        pass(COMPENSATION);
        refusePostponement(guardian, 2);
    }

    function test_hold_byJudgesAloneAndForTheDelayAtMost() public {
        uint64 longest = uint64(vm.getBlockTimestamp()) + UNBONDING;
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheJudge.selector, study, address(this)));
        registry.hold(study, node(1), longest);
        vm.expectRevert(abi.encodeWithSelector(ICourt.HoldTooLong.selector, longest + 1));
        vm.prank(address(sumKind));
        registry.hold(study, node(1), longest + 1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotLiable.selector, study, node(6)));
        vm.prank(address(sumKind));
        registry.hold(study, node(6), longest);
    }

    /// Held while it serves or afterwards, a bond is not free before; never earlier than without.
    function test_hold_outlastsTheService() public {
        vm.prank(node(1));
        registry.resign(study);
        uint64 until = uint64(vm.getBlockTimestamp()) + UNBONDING;
        pass(1 hours);
        vm.prank(address(setCourt));
        registry.hold(study, node(1), until - 1);
        vm.assertEq(registry.bondOf(study, node(1)).until, until, "never earlier");
        vm.expectEmit(address(registry));
        emit ICourt.Held(study, node(1), until + 1 hours);
        vm.prank(address(sumKind));
        registry.hold(study, node(1), until + 1 hours);
        vm.warp(until + 1 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BondLocked.selector, study, node(1), until + 1 hours));
        registry.reclaim(study, node(1));
        pass(1);
        registry.reclaim(study, node(1));
    }

    function test_convict_byJudgesAloneAndForGood() public {
        address[] memory nodes = nodesFrom(1, 5);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheJudge.selector, study, address(this)));
        registry.convict(study, 1, nodes, 1, ICourt.Offence.OfKind, reporter);
        vm.expectRevert(ICourt.NoOffence.selector);
        vm.prank(address(sumKind));
        registry.convict(study, 1, nodes, 1, ICourt.Offence.WrongShare, reporter);
        vm.expectRevert(ICourt.NoOffence.selector);
        vm.prank(address(sumKind));
        registry.convict(study, 1, nodes, 1, ICourt.Offence.ForeignShare, reporter);
        vm.prank(address(sumKind));
        registry.convict(study, 1, nodes, 5, ICourt.Offence.OfKind, reporter);
        assertConvicted(1);
        assertUntouched(2);
        assertConvicted(3);
        vm.assertEq(reporter.balance, 2 * TENTH, "reward");
        vm.assertTrue(consilium.studyOf(study).vacant, "two seats are");
        vm.assertTrue(!consilium.mayJudge(study, address(this)) && !consilium.mayJudge(99, address(0)), "who judges");
    }

    // --------------------------------------------------------------------------------------------

    function noCompensation(uint256 j) private view returns (bytes memory) {
        return abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(j));
    }

    function expectRefusal(bytes memory reason) private {
        vm.expectRevert(reason);
    }

    function refuseAssignment(uint256 j, bytes memory reason) private {
        vm.expectRevert(reason);
        registry.assignCompensation(study, node(j), settledOf(outcome));
    }

    function refusePayment(uint256 j, uint32 place, bytes memory reason) private {
        ICourt.SetMember memory member = setMember(outcome.cohort, place);
        ICourt.ListMember memory listed = listMember(sites(ADMITTED), place);
        vm.expectRevert(reason);
        registry.compensate(study, node(j), member, listed);
    }

    function refusePostponement(address who, uint256 j) private {
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotGuardian.selector, study, who));
        vm.prank(who);
        registry.postponeCompensation(study, node(j));
    }

    function admit(bytes32 root, address[] memory list) private {
        vm.prank(sponsor);
        consilium.setSites(study, root, list, "");
    }

    /// @dev A wrong share in an honest round, whose sites are to be paid.
    function harm(uint256 j) private {
        honest();
        proveWrongShare(j, uint8(j), LIE);
        pass(COMPENSATION);
        registry.assignCompensation(study, node(j), settledOf(outcome));
    }

    /// @dev The same, where the sites are these two and three others, and the whole list.
    function harmSitesWith(address one, address other) private {
        drawVectors(LENGTH);
        address[] memory cohort = sites(5);
        (cohort[1], cohort[3]) = (one, other);
        admit(Trees.listRoot(cohort), cohort);
        Outcome memory fresh = outcomeOf(study, openNext(study), threshold, committee, 5);
        fresh.cohort = cohort;
        fresh.roots.setRoot = Trees.setRoot(cohort);
        fresh.roots.rewardRoot = Trees.rewardRoot(cohort, fresh.voters);
        concludeAs(fresh);
        proveWrongShare(1, 1, LIE);
        pass(COMPENSATION);
        registry.assignCompensation(study, node(1), settledOf(outcome));
    }

    function paySite(uint32 place, bytes memory refused) private {
        ICourt.SetMember memory member = setMember(outcome.cohort, place);
        ICourt.ListMember memory listed = listMember(outcome.cohort, place);
        if (refused.length != 0) vm.expectRevert(refused);
        registry.compensate(study, node(1), member, listed);
    }

    function refusal(address site) private pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.TransferFailed.selector, site);
    }
}
