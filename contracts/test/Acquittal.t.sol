// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Trees} from "./setup/Trees.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev Convictions that turn out to be false: by a settlement that is proved wrong, or by a certificate that a
/// reorganisation took away. Until then all of the bond is kept; whoever signed a lie is let off by nothing.
contract AcquittalTest is Trial {
    uint64 private constant ELEMENT = 40;
    uint256 private constant TENTH = BOND / 10;
    uint256 private constant REST = BOND - BOND / 10;
    uint256 private constant EACH = REST / 5;

    function setUp() public {
        prepare(1, 5);
    }

    // -------------------------------------------------------------------------------------------- by a wrong settlement

    struct Case {
        /// Seconds after the settlement: of the conviction, and of the proof of the lie.
        uint256 framed;
        uint256 proved;
        /// How many sites were paid before.
        uint32 paid;
        bool inTime;
    }

    /// In time, late, after its bond was shared out in part or wholly: the framed node has all of it back.
    function test_acquittal_wheneverTheLieIsProved() public {
        Case[7] memory cases = [
            Case({framed: 0, proved: 0, paid: 0, inTime: true}),
            Case({framed: 0, proved: WINDOW - 1, paid: 0, inTime: true}),
            Case({framed: WINDOW - 1, proved: WINDOW, paid: 0, inTime: false}),
            Case({framed: WINDOW, proved: WINDOW, paid: 0, inTime: false}),
            Case({framed: 0, proved: COMPENSATION, paid: 0, inTime: false}),
            Case({framed: 0, proved: COMPENSATION + 1 hours, paid: 2, inTime: false}),
            Case({framed: 1 hours, proved: 1 days, paid: 5, inTime: false})
        ];
        for (uint256 i = 0; i < cases.length; i++) {
            prepare(1, 5);
            vm.deal(reporter, 0);
            acquitIn(cases[i]);
        }
    }

    function acquitIn(Case memory one) private {
        uint256 held = address(registry).balance;
        bytes32 honestRoot = lieAbout(5);
        uint256 begin = vm.getBlockTimestamp();
        vm.warp(begin + one.framed);
        proveWrongShare(5, 5, honestRoot);
        vm.assertEq(reporter.balance, 0, "all of the bond is kept");
        uint256 out = one.paid == 0 ? 0 : payOut(5, one.paid);
        vm.warp(begin + one.proved);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        assertState(study, outcome.round, one.inTime ? IRecords.State.Fraudulent : IRecords.State.Refuted);
        assertAcquitted(5);
        vm.assertEq(registry.potOf(study, node(5)).setRoot, 0, "nobody else's any more");
        vm.assertEq(registry.nodeOf(node(5)).serving, 0, "its seat is left");
        // What it had lost comes out of the first liar's bond, as far as that goes.
        uint256 first = out < REST ? out : REST;
        vm.assertEq(registry.bondOf(study, node(1)).amount, REST - first, "restitution");
        vm.assertEq(registry.bondOf(study, node(2)).amount, REST - (out - first), "and no more");
        vm.assertEq(address(registry).balance, held - out - 4 * TENTH, "to the wei");
        pass(UNBONDING);
        registry.reclaim(study, node(5));
        vm.assertEq(registry.nodeOf(node(5)).stake, STAKE, "not a wei poorer");
    }

    /// The lie is proved first: from then on no share is wrong for differing from it.
    function test_acquittal_isNotNeededAfterTheProof() public {
        for (uint256 late = 0; late < 2; late++) {
            prepare(1, 5);
            bytes32 honestRoot = lieAbout(5);
            pass(late * WINDOW);
            proveWrongSettlement(ELEMENT, pointsFrom(3));
            bytes32[2] memory signed = signedShare(5, outcome.round, outcome.roots.setRoot, 5, honestRoot);
            vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheSettlement.selector, study, outcome.round));
            registry.proveWrongShare(study, outcome.round, outcome.roots, 5, honestRoot, signed);
            assertUntouched(5);
        }
    }

    /// Assigned to sites before the lie was proved: none of them is paid any more.
    function test_acquittal_endsACompensation() public {
        frame(5);
        pass(COMPENSATION);
        registry.assignCompensation(study, node(5), settledOf(outcome));
        compensateSite(outcome, node(5), 0);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        ICourt.SetMember memory member = setMember(outcome.cohort, 1);
        ICourt.ListMember memory listed = listMember(sites(ADMITTED), 1);
        bytes memory reason = abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(5));
        vm.expectRevert(reason);
        registry.compensate(study, node(5), member, listed);
        pass(CLAIM_TIME);
        vm.expectRevert(reason);
        registry.forfeit(study, node(5));
    }

    /// Gone to the sink whole, it comes back whole.
    function test_acquittal_ofABondThatWasForfeited() public {
        frame(5);
        pass(2 * COMPENSATION);
        registry.forfeit(study, node(5));
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        vm.assertEq(registry.bondOf(study, node(1)).amount, 0, "all that the first liar had");
        vm.assertEq(registry.bondOf(study, node(2)).amount, 2 * REST - BOND, "and a part of the second's");
        assertAcquitted(5);
        vm.assertEq(reporter.balance, 5 * TENTH, "nothing is taken back from a reporter");
    }

    /// A signer that has a friend convict it for a share that differs from the lie is not let off by the lie's proof.
    function test_acquittal_notOfWhoSignedTheLie() public {
        Case[3] memory cases = [
            Case({framed: 0, proved: 0, paid: 0, inTime: true}),
            Case({framed: 0, proved: WINDOW, paid: 0, inTime: false}),
            Case({framed: WINDOW, proved: 1 days, paid: 0, inTime: false})
        ];
        for (uint256 i = 0; i < cases.length; i++) {
            prepare(1, 5);
            vm.deal(reporter, 0);
            bytes32 honestRoot = lieAbout(4);
            pass(cases[i].framed);
            proveWrongShare(4, 4, honestRoot);
            pass(cases[i].proved - cases[i].framed);
            proveWrongSettlement(ELEMENT, pointsFrom(3));
            INodeRegistry.Bond memory bond = registry.bondOf(study, node(4));
            vm.assertTrue(bond.standing == INodeRegistry.Standing.Convicted, "for good");
            vm.assertEq(bond.amount, REST, "as the others");
            vm.assertEq(bond.round, 0, "no site has a part in it");
            vm.assertEq(reporter.balance, 4 * TENTH, "one reward a node");
        }
    }

    /// Shared out already, the bond of a liar that had itself convicted is neither given back nor taken twice.
    function test_acquittal_notOfALiarWhoseBondWasPaidOut() public {
        frame(4);
        uint256 out = payOut(4, 5);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(4));
        vm.assertTrue(bond.standing == INodeRegistry.Standing.Misreported, "as it was");
        vm.assertEq(bond.amount, BOND - out, "nothing more");
        vm.assertEq(reporter.balance, 3 * TENTH, "of the three others");
        vm.assertEq(registry.bondOf(study, node(1)).amount, REST, "no restitution to a liar");
    }

    /// Of a node convicted by another round's settlement this proof says nothing.
    function test_acquittal_ofThisRoundAlone() public {
        honest();
        proveWrongShare(5, 5, SUBJECT);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 4));
        committee = 4;
        drawVectors(LENGTH);
        vectors[3][ELEMENT] ^= 1;
        conclude();
        proveWrongSettlement(ELEMENT, pointsFrom(1));
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        vm.assertTrue(
            registry.bondOf(study, node(5)).standing == INodeRegistry.Standing.Misreported, "its share was wrong"
        );
    }

    /// Three liars have lost their bonds before, and been paid out: what is left goes to the framed as far as it goes.
    function test_restitution_isWhatTheLiarsHave() public {
        frame(5);
        for (uint256 j = 1; j <= 3; j++) {
            proveTwoFinals(j, 77);
        }
        payOut(5, 5);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        // Node 4 alone had a bond left: nine tenths of one.
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(5));
        vm.assertTrue(bond.standing == INodeRegistry.Standing.Discharged, "acquitted");
        vm.assertEq(bond.amount, REST + REST % 5, "what there was");
        vm.assertEq(registry.bondOf(study, node(4)).amount, 0, "all of it");
        vm.assertEq(registry.bondOf(study, node(3)).amount, REST, "bonds that were lost before are spoken for");
    }

    /// Two framed nodes, one of whom was paid out: each gets back what it lost.
    function test_restitution_toEachWhatItLost() public {
        prepare(1, 6);
        drawVectors(LENGTH);
        bytes32[2] memory honestRoots = [Trees.vectorRoot(vectors[5]), Trees.vectorRoot(vectors[6])];
        vectors[5][ELEMENT] ^= 1;
        vectors[6][ELEMENT] ^= 1;
        conclude();
        proveWrongShare(5, 5, honestRoots[0]);
        proveWrongShare(6, 6, honestRoots[1]);
        uint256 out = payOut(6, 3);
        proveWrongSettlement(ELEMENT, pointsFrom(3));
        assertAcquitted(5);
        assertAcquitted(6);
        vm.assertEq(registry.bondOf(study, node(1)).amount, REST - out, "out of a liar's");
    }

    // -------------------------------------------------------------------------------------------- by Q votes

    bytes32 private constant SHARE = keccak256("share of a set that was certified once");
    bytes32 private constant ONCE = keccak256("certified on another branch");

    function test_answer_clearsANodeThatHasVotesForItsSet() public {
        accuse(3);
        uint256 held = address(registry).balance;
        ICourt.Answer memory answer = answerOf(3, 15);
        vm.expectEmit(address(registry));
        emit ICourt.Acquitted(study, node(3), BOND);
        registry.answerForeignShare(study, node(3), answer);
        assertAcquitted(3);
        vm.assertEq(reporter.balance, 0, "nobody was paid");
        vm.assertEq(address(registry).balance, held, "nor anything moved");
        vm.assertEq(registry.nodeOf(node(3)).serving, 0, "its seat is left");
        // Again, there is nothing to answer.
        refuse(3, answer, abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(3)));
        // What was answered is no accusation any more; another round's is.
        bytes32[2] memory signed = signedShare(3, outcome.round, ONCE, 3, SHARE);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveForeignShare(study, outcome.round, ONCE, 3, SHARE, signed);
        pass(UNBONDING);
        registry.reclaim(study, node(3));
        vm.assertEq(registry.nodeOf(node(3)).stake, STAKE, "not a wei poorer");
    }

    function test_answer_ofOneRoundIsNoneForAnother() public {
        accuse(3);
        Outcome memory first = outcome;
        registry.answerForeignShare(study, node(3), answerOf(3, 15));
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        honest();
        ICourt.Answer memory before = answerOf(3, 15);
        before.votes = signatures(digests.voteDigest(study, first.round, ONCE, 5), 15);
        before.signature = signedShare(3, first.round, ONCE, 3, SHARE);
        bytes32[2] memory signed = signedShare(3, outcome.round, ONCE, 3, SHARE);
        registry.proveForeignShare(study, outcome.round, ONCE, 3, SHARE, signed);
        (bool answered,) = address(registry).call(abi.encodeCall(ICourt.answerForeignShare, (study, node(3), before)));
        vm.assertTrue(!answered, "votes of the first round");
        registry.answerForeignShare(study, node(3), answerOf(3, 15));
        assertAcquitted(3);
    }

    function test_answer_needsQVotesForTheVerySet() public {
        accuse(3);
        ICourt.Answer memory answer = answerOf(3, 7);
        refuse(3, answer, abi.encodeWithSelector(IRecords.QuorumMissing.selector, 3, 4));
        answer = answerOf(3, 15);
        answer.votes = signatures(digests.voteDigest(study, outcome.round, SET_ROOT, 5), 15);
        refuse(3, answer, abi.encodeWithSelector(IRecords.InvalidSignature.selector, 1, node(1)));
        answer = answerOf(3, 15);
        answer.size = 6;
        refuse(3, answer, abi.encodeWithSelector(IRecords.InvalidSignature.selector, 1, node(1)));
        // Votes there were, for a set that is not the one of the share it is accused of.
        answer = answerFor(3, SET_ROOT, 15);
        refuse(3, answer, abi.encodeWithSelector(ICourt.NoOffence.selector));
        // Another node's share.
        answer = answerOf(3, 15);
        answer.signature = signedShare(2, outcome.round, ONCE, 3, SHARE);
        refuse(3, answer, abi.encodeWithSelector(ICourt.TwoSigners.selector, node(2), node(3)));
        registry.answerForeignShare(study, node(3), answerOf(3, 15));
    }

    /// The committee that may have voted is the round's, whoever served before and serves today.
    function test_answer_byTheCommitteeOfTheRound() public {
        address[] memory second = nodesFrom(1, 5);
        second[4] = node(6);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, second);
        honest();
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(7, 5));
        accuseOf(3, outcome.round);
        ICourt.Answer memory answer = answerOf(3, 30);
        bytes32 digest = digests.voteDigest(study, outcome.round, ONCE, 5);
        // Of the first committee, nodes 2 to 5; of today's, its second to fifth.
        refuse(3, answer, abi.encodeWithSelector(IRecords.InvalidSignature.selector, 5, node(6)));
        answer.votes = "";
        for (uint256 j = 8; j <= 11; j++) {
            answer.votes = bytes.concat(answer.votes, sign(secret(j), digest));
        }
        refuse(3, answer, abi.encodeWithSelector(IRecords.InvalidSignature.selector, 2, node(2)));
        answer.votes = bytes.concat(signatures(digest, 14), sign(secret(6), digest));
        registry.answerForeignShare(study, node(3), answer);
        assertAcquitted(3);
        vm.assertTrue(!consilium.studyOf(study).vacant, "today's committee goes on");
    }

    /// In time is before anything of the bond was paid.
    function test_answer_untilTheBondIsPaidOut() public {
        accuse(3);
        pass(COMPENSATION);
        ICourt.Answer memory answer = answerOf(3, 15);
        registry.assignCompensation(study, node(3), settledOf(outcome));
        refuse(3, answer, abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(3)));
        prepare(1, 5);
        accuse(3);
        pass(COMPENSATION + 1);
        registry.answerForeignShare(study, node(3), answerOf(3, 15));
        assertAcquitted(3);
    }

    /// Only of what it answers: a bond lost for good, or for a wrong share, has no answer.
    function test_answer_notOfAnyOtherOffence() public {
        accuse(3);
        ICourt.Answer memory answer = answerOf(3, 15);
        proveTwoFinals(3, outcome.round);
        refuse(3, answer, abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(3)));
        proveWrongShare(2, 2, SUBJECT);
        refuse(2, answer, abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(2)));
        refuse(1, answer, abi.encodeWithSelector(ICourt.NoCompensation.selector, study, node(1)));
    }

    /// A node that resigned its seat after the accusation leaves it once.
    function test_answer_afterTheSeatWasLeft() public {
        accuse(3);
        vm.prank(node(3));
        registry.resign(study);
        vm.assertEq(registry.nodeOf(node(3)).serving, 0, "left");
        registry.answerForeignShare(study, node(3), answerOf(3, 15));
        vm.assertEq(registry.nodeOf(node(3)).serving, 0, "once");
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotServing.selector, study, node(3)));
        vm.prank(node(3));
        registry.resign(study);
    }

    // --------------------------------------------------------------------------------------------

    /// A settlement that lies about the share of node j, whose right root is returned.
    function lieAbout(uint8 j) private returns (bytes32 honestRoot) {
        drawVectors(LENGTH);
        honestRoot = Trees.vectorRoot(vectors[j]);
        vectors[j][ELEMENT] ^= 1;
        conclude();
    }

    function frame(uint8 j) private {
        proveWrongShare(j, j, lieAbout(j));
    }

    /// @dev Waits until the bond is due and pays the reporter and so many sites.
    function payOut(uint256 j, uint32 count) private returns (uint256 out) {
        vm.warp(registry.bondOf(study, node(j)).until);
        registry.assignCompensation(study, node(j), settledOf(outcome));
        for (uint32 i = 0; i < count; i++) {
            compensateSite(outcome, node(j), i);
        }
        vm.deal(reporter, 0);
        return TENTH + count * EACH;
    }

    /// @dev An honest round, in which node j released its share of a set that Q had voted for on another branch.
    function accuse(uint256 j) private {
        honest();
        accuseOf(j, outcome.round);
    }

    function accuseOf(uint256 j, uint64 round) private {
        bytes32[2] memory signed = signedShare(j, round, ONCE, uint8(j), SHARE);
        vm.prank(reporter);
        registry.proveForeignShare(study, round, ONCE, uint8(j), SHARE, signed);
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(j));
        vm.assertTrue(bond.standing == INodeRegistry.Standing.Strayed && bond.amount == BOND, "all of it is kept");
    }

    function answerOf(uint256 j, uint256 voters) private view returns (ICourt.Answer memory) {
        return answerFor(j, ONCE, voters);
    }

    function answerFor(uint256 j, bytes32 setRoot, uint256 voters) private view returns (ICourt.Answer memory answer) {
        (answer.setRoot, answer.size, answer.index, answer.root) = (setRoot, 5, uint8(j), SHARE);
        answer.signature = signedShare(j, outcome.round, setRoot, uint8(j), SHARE);
        answer.voters = voters;
        answer.votes = signatures(digests.voteDigest(study, outcome.round, setRoot, 5), voters);
    }

    function refuse(uint256 j, ICourt.Answer memory answer, bytes memory reason) private {
        vm.expectRevert(reason);
        registry.answerForeignShare(study, node(j), answer);
    }

    /// Old evidence does not convict again once the node has answered it, also when it serves again.
    function test_answer_staysAnsweredWhenTheNodeServesAgain() public {
        honest();
        bytes32 once = keccak256("another set");
        bytes32 share = keccak256("share");
        bytes32[2] memory signed = signedShare(3, outcome.round, once, 3, share);
        registry.proveForeignShare(study, outcome.round, once, 3, share, signed);
        ICourt.Answer memory answer;
        (answer.setRoot, answer.size, answer.index, answer.root) = (once, 5, 3, share);
        (answer.signature, answer.voters) = (signed, 15);
        answer.votes = signatures(digests.voteDigest(study, outcome.round, once, 5), 15);
        registry.answerForeignShare(study, node(3), answer);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveForeignShare(study, outcome.round, once, 3, share, signed);
    }
}
