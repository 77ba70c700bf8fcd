// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {ISetCourt} from "../src/interfaces/ISetCourt.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {ISumKind} from "../src/kinds/sum/ISumKind.sol";
import {Offender} from "./setup/Offender.sol";
import {Trees} from "./setup/Trees.sol";

/// @dev Ways out for those who lied, or round those who did not, that are closed.
contract EscapesTest is Offender {
    uint64 private constant ELEMENT = 40;
    uint96 private constant PRICE = 50_000;
    uint256 private constant QUARTER = 91 days;
    address private buyer = address(0xB0B);

    function setUp() public {
        prepare(1, 5);
    }

    /// A share of a set that nobody voted for is not answered with the certificate of the round itself, though the sets
    /// begin alike, nor under another's index, under which it would be no evidence of two shares.
    function test_answer_isNotTheCertifiedSet() public {
        uint64 round = openNext(study);
        Outcome memory fresh = outcomeOf(study, round, 1, 5, 5);
        certifyAs(fresh);
        bytes32 certified = fresh.roots.setRoot;
        uint256 first = uint256(certified) & (uint256(type(uint32).max) << 224);
        bytes32 foreign = bytes32(first | (uint256(keccak256("all but one site")) >> 32));
        vm.assertTrue(foreign != certified, "a set of its own");

        bytes32[2] memory stray = signedShare(3, round, foreign, 3, SUBJECT);
        registry.proveForeignShare(study, round, foreign, 3, SUBJECT, stray);
        assertConvicted(3);

        ICourt.Answer memory answer = ICourt.Answer({
            setRoot: certified,
            size: 5,
            index: 77,
            root: SUBJECT,
            signature: signedShare(3, round, certified, 77, SUBJECT),
            voters: 15,
            votes: signatures(digests.voteDigest(study, round, certified, 5), 15)
        });
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.answerForeignShare(study, node(3), answer);
        assertConvicted(3);
    }

    /// Of the same set: whoever has released for it and was convicted by it has signed twice.
    function test_answer_isUnderTheNodesOwnIndexAndOfAnotherSet() public {
        uint64 round = openNext(study);
        Outcome memory fresh = outcomeOf(study, round, 1, 5, 5);
        certifyAs(fresh);
        bytes32 stray = keccak256("another set");
        registry.proveForeignShare(study, round, stray, 3, SUBJECT, signedShare(3, round, stray, 3, SUBJECT));
        bytes memory votes = signatures(digests.voteDigest(study, round, stray, 5), 15);
        bytes32[2] memory signed = signedShare(3, round, stray, 4, SUBJECT);
        ICourt.Answer memory answer = ICourt.Answer(stray, 5, 4, SUBJECT, signed, 15, votes);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotItsIndex.selector, study, round, 4, node(3)));
        registry.answerForeignShare(study, node(3), answer);
        (answer.index, answer.signature) = (3, signedShare(3, round, stray, 3, SUBJECT));
        registry.answerForeignShare(study, node(3), answer);
        assertAcquitted(3);
    }

    /// A site that claims all that it is owed, at once, keeps what it earns years later: before the first sale nobody can
    /// enrol, so that what was announced then says nothing of revenue.
    function test_escheat_takesNoRevenueOfASaleAfterTheAnnouncement() public {
        Outcome memory one = play(study, 1, 5, 5);
        pass(WINDOW);
        address site = one.cohort[0];
        claimAlone(claimOf(one, 0));
        vm.assertEq(coin.balanceOf(site), 150, "claimed at once");
        ITreasury.Claim memory again = claimOf(one, 0);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(again); // nothing is left, and there is no way to enrol

        vm.warp(vm.getBlockTimestamp() + ESCHEAT - QUARTER + 20);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](1);
        claims[0] = again; // anyone, with a leaf that was paid
        treasury.announceEscheat(claims);
        pass(3650 days);

        sell(); // the first sale ever, today
        vm.assertEq(treasury.revenueOf(study, site), 0, "not enrolled");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.escheat(claims); // in the same block, by anyone
        claimAlone(again);
        vm.assertEq(coin.balanceOf(site), 150 + 7500, "its part of the sale");

        // A round whose site stays away is announced once more, and then the sink's.
        ITreasury.Claim[] memory others = new ITreasury.Claim[](1);
        others[0] = claimOf(one, 1);
        pass(1);
        treasury.announceEscheat(others);
        pass(QUARTER);
        treasury.escheat(others);
        vm.assertEq(coin.balanceOf(sink), 150 + 7500, "pay and revenue of another site");
    }

    /// A pause stops revenue too, also if a leaf is shown that was taken before.
    function test_pause_stopsRevenueOfLeavesOfBefore() public {
        Outcome memory one = play(study, 1, 5, 5);
        sell();
        pass(WINDOW);
        claimAlone(claimOf(one, 0));
        sell();
        vm.prank(guardian);
        studyToken.pause(study, uint64(vm.getBlockTimestamp()) + PAUSE);
        bytes memory paused =
            abi.encodeWithSelector(IRecords.PausedUntil.selector, study, uint64(vm.getBlockTimestamp()) + PAUSE);
        ITreasury.Claim memory stale = claimOf(one, 0);
        vm.expectRevert(paused);
        claimAlone(stale);
        stale.shares = new ITreasury.Share[](0);
        vm.expectRevert(paused);
        claimAlone(stale);
    }

    /// The sites of a round that was proved wrong get no compensation, on record or off.
    function test_compensation_notOfARefutedRoundOffTheRecord() public {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        conclude();
        Outcome memory lie = outcome;
        pass(WINDOW);
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, lie.round, IRecords.State.Refuted);
        proveTwoFinals(5, lie.round);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        IRecords.Settled memory settled = settledOf(lie);
        for (uint256 i = 0; i < RING; i++) {
            uint64 time = uint64(vm.getBlockTimestamp());
            vm.prank(sponsor);
            consilium.openRound(study, keccak256(abi.encode("throw away", i)), time + 1, time + 2);
            pass(3);
        }
        assertState(study, lie.round, IRecords.State.None);
        pass(COMPENSATION);
        settled.record = lie.record;
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, lie.round));
        registry.assignCompensation(study, node(5), settled);
    }

    /// The leaf of a struck site that the sink has stays the sink's, and the site keeps its part in another round.
    function test_strike_afterAnEscheatTakesNothingOfAnotherRound() public {
        Outcome memory bad = playWithKey();
        Outcome memory clean = playWithKey();
        address site = bad.cohort[0];
        sell();
        claimAlone(claimOf(clean, 0)); // forgets the first
        ITreasury.Claim[] memory claims = escheated(claimOf(bad, 0));
        strike(bad.round);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.returnForfeits(study, claims);
        sell();
        vm.assertEq(treasury.revenueOf(study, site), 3750, "the round that was clean");
        vm.assertEq(treasury.revenueOf(study, sink), 3750, "the struck one");
    }

    /// The same where the site has nothing else.
    function test_strike_afterAnEscheatStopsNoReturn() public {
        Outcome memory bad = playWithKey();
        sell();
        ITreasury.Claim[] memory claims = escheated(claimOf(bad, 0));
        strike(bad.round);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.returnForfeits(study, claims);
    }

    /// A proof about the set makes the round Fraudulent. Whoever signed the wrong settlement without a vote for the set is
    /// convicted all the same, in either order of the proofs.
    function test_proofs_aboutSetAndSettlementConvictInEitherOrder() public {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        uint64 round = openNext(study);
        Outcome memory lie = realOutcome(round);
        lie.cohort[4] = address(0x52000);
        lie.roots.setRoot = Trees.setRoot(lie.cohort);
        certifyAs(lie); // nodes 1 to 4
        ICourt.Roots memory roots = lie.roots;
        bytes memory signed = signatures(digestOf(lie), 30); // nodes 2 to 5
        consilium.settle(study, round, roots.shareRoots, roots.aggregateRoot, roots.rewardRoot, 30, signed);
        outcome = lie;
        uint256 snapshot = vm.snapshotState();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertConvicted(5); // in this order
        vm.revertToState(snapshot);

        ISetCourt.Absence memory absence;
        absence.length = uint64(ADMITTED);
        absence.neighbours = new ISetCourt.Neighbour[](1);
        absence.neighbours[0].index = uint64(ADMITTED) - 1;
        absence.neighbours[0].content = abi.encodePacked(sites(ADMITTED)[ADMITTED - 1]);
        absence.neighbours[0].path = Trees.open(Trees.listLeaves(sites(ADMITTED)), ADMITTED - 1);
        ICourt.SetMember memory member = setMember(lie.cohort, 4);
        vm.prank(reporter);
        setCourt.proveForeignSite(study, round, member, absence);
        ISumKind.Opening[] memory all = openings(pointsFrom(1), ELEMENT / 32);
        assertUntouched(5);
        vm.prank(reporter);
        sumKind.proveWrongSettlement(study, round, roots, program(), ELEMENT, all);
        assertConvicted(5); // in the other
        expectWrongState(study, round, IRecords.State.Fraudulent);
        sumKind.proveWrongSettlement(study, round, roots, program(), ELEMENT, all);
    }

    function throwAway(uint256 about) private {
        uint64 time = uint64(vm.getBlockTimestamp());
        vm.prank(sponsor);
        consilium.openRound(study, keccak256(abi.encode("throw away", about)), time + 1, time + 2);
    }

    /// The sink's own revenue is told of the sink.
    function test_escheat_namesNobodyWhoLostNothing() public {
        Outcome memory one = play(study, 1, 5, 5);
        sell();
        ITreasury.Claim[] memory claims = escheated(claimOf(one, 1));
        sell();
        claims[0] = ITreasury.Claim(study, buyer, new ITreasury.Share[](0));
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotPermitted.selector, buyer));
        treasury.escheat(claims);
        claims[0].account = sink;
        vm.expectEmit(address(treasury));
        emit ITreasury.Escheated(study, sink, 7500);
        treasury.escheat(claims);
    }

    /// Where rounds pay nothing but revenue, a site takes its part by a claim before there is anything to pay, and the sink
    /// has nothing of it years later.
    function test_claim_enrolsBeforeThereIsAnythingToPay() public {
        vm.prank(sponsor);
        consilium.setRewards(study, 0, NODE_SHARE);
        Outcome memory first = play(study, 1, 5, 3);
        sell();
        Outcome memory second = play(study, 1, 5, 5);
        pass(WINDOW);
        ITreasury.Claim memory own = claimOf(second, 4);
        claimAlone(own);
        vm.assertTrue(treasury.isEnrolled(study, own.account, second.round, false), "enrolled");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(own);

        vm.warp(vm.getBlockTimestamp() + ESCHEAT + 20);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](2);
        (claims[0], claims[1]) = (claimOf(first, 0), own);
        treasury.announceEscheat(claims);
        pass(QUARTER);
        treasury.escheat(claims);
        sell();
        vm.assertTrue(treasury.revenueOf(study, own.account) >= 4687, "its part of a sale of today");
    }

    /// The same of a round that was archived before it was proved wrong.
    function test_compensation_notOfARoundThatIsRefutedOnceItIsArchived() public {
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        conclude();
        Outcome memory lie = outcome;
        pass(WINDOW);
        for (uint256 i = 0; i < RING - 2; i++) {
            throwAway(i);
            pass(3);
        }
        play(study, 1, 5, 5); // its settlement archives the lie, which stays on record until the next opening
        vm.assertEq(consilium.studyOf(study).archived, 1, "archived");
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, lie.round, IRecords.State.Refuted);
        proveTwoFinals(5, lie.round);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        throwAway(RING);
        assertState(study, lie.round, IRecords.State.None);
        pass(COMPENSATION);
        IRecords.Settled memory settled = settledOf(lie);
        settled.record = lie.record;
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, lie.round));
        registry.assignCompensation(study, node(5), settled);
    }

    function realOutcome(uint64 round) private view returns (Outcome memory fresh) {
        fresh = outcomeOf(study, round, threshold, committee, 5);
        fresh.roots.aggregateRoot = Trees.vectorRoot(vectors[0]);
        for (uint256 j = 1; j <= committee; j++) {
            fresh.roots.shareRoots[j - 1] = Trees.vectorRoot(vectors[j]);
        }
    }

    /// @dev Years later, announced and taken a quarter after that.
    function escheated(ITreasury.Claim memory forgotten) private returns (ITreasury.Claim[] memory claims) {
        vm.warp(vm.getBlockTimestamp() + ESCHEAT + 20);
        claims = new ITreasury.Claim[](1);
        claims[0] = forgotten;
        treasury.announceEscheat(claims);
        pass(QUARTER);
        treasury.escheat(claims);
    }

    function sell() private {
        vm.prank(sponsor);
        licences.setOffer(study, PRICE, 0);
        coin.mint(buyer, PRICE);
        vm.prank(buyer);
        coin.approve(address(treasury), PRICE);
        vm.prank(buyer);
        licences.buy(study, 1, PRICE, buyer);
    }
}
