// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "../src/SignedStatements.sol";
import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev Offences that signatures alone prove: each one convicts exactly the liar, once; and what is none reverts.
contract CourtTest is Trial {
    bytes32 private constant LIE = keccak256("lie");

    function setUp() public {
        prepare(1, 5);
        honest();
    }

    // -------------------------------------------------------------------------------------------- (i) wrong share

    function test_wrongShare_takesTheBondOfANodeThatSignedIt() public {
        vm.expectEmit(address(registry));
        emit ICourt.Convicted(
            study, node(2), outcome.round, ICourt.Offence.WrongShare, reporter, BOND / 10, BOND - BOND / 10
        );
        proveWrongShare(2, 2, LIE);
        assertConvicted(2);
        for (uint256 j = 1; j <= 5; j++) {
            if (j != 2) assertUntouched(j);
        }
        vm.assertEq(reporter.balance, 0, "nothing while it can be undone");
        INodeRegistry.Backing memory backing = registry.backingOf(study, node(2));
        vm.assertTrue(backing.party == reporter && backing.amount == BOND, "who showed it, and how much was taken");
        vm.assertEq(registry.bondOf(study, node(2)).until, vm.getBlockTimestamp() + COMPENSATION, "paid from then on");
        vm.assertEq(registry.nodeOf(node(2)).stake, STAKE - BOND, "free stake is not the study's");
    }

    /// Node 5 signed neither certificate nor settlement: its loose statement counts.
    function test_wrongShare_alsoOfANodeLeftOutOfTheSettlement() public {
        proveWrongShare(5, 5, LIE);
        assertConvicted(5);
    }

    function test_wrongShare_notTheSettledOne() public {
        bytes32 settled = outcome.roots.shareRoots[1];
        bytes32[2] memory signed = signedShare(2, outcome.round, outcome.roots.setRoot, 2, settled);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveWrongShare(study, outcome.round, outcome.roots, 2, settled, signed);
    }

    /// A statement under another's number never counted for anything, so it convicts nobody.
    function testFuzz_wrongShare_notUnderAnothersIndex(uint8 who, uint8 shown) public {
        uint256 j = bound(who, 1, 5);
        uint8 index = uint8(bound(shown, 0, 9));
        if (index == j) index = uint8(j % 5 + 1);
        bytes32[2] memory signed = signedShare(j, outcome.round, outcome.roots.setRoot, index, LIE);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotItsIndex.selector, study, outcome.round, index, node(j)));
        registry.proveWrongShare(study, outcome.round, outcome.roots, index, LIE, signed);
        assertUntouched(j);
    }

    function test_wrongShare_notAgainstRootsThatWereNotSettled() public {
        ICourt.Roots memory roots = outcome.roots;
        roots.shareRoots[1] = LIE;
        bytes32 honestRoot = outcome.roots.shareRoots[1];
        bytes32[2] memory signed = signedShare(2, outcome.round, roots.setRoot, 2, honestRoot);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheSettlement.selector, study, outcome.round));
        registry.proveWrongShare(study, outcome.round, roots, 2, honestRoot, signed);
    }

    function test_wrongShare_ofAnEarlierEpochUnderTheIndexOfThen() public {
        address[] memory turned = nodesFrom(1, 5);
        (turned[0], turned[1]) = (turned[1], turned[0]);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, turned);
        bytes32[2] memory now_ = signedShare(2, outcome.round, outcome.roots.setRoot, 1, LIE);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotItsIndex.selector, study, outcome.round, 1, node(2)));
        registry.proveWrongShare(study, outcome.round, outcome.roots, 1, LIE, now_);
        proveWrongShare(2, 2, LIE);
        assertConvicted(2);
    }

    // -------------------------------------------------------------------------------------------- (iii) contradictions

    function test_foreignShare_convicts() public {
        bytes32[2] memory signed = signedShare(3, outcome.round, SET_ROOT, 3, LIE);
        vm.prank(reporter);
        registry.proveForeignShare(study, outcome.round, SET_ROOT, 3, LIE, signed);
        assertConvicted(3);
    }

    function test_foreignShare_notOfTheCertifiedSetNorWithoutACertificate() public {
        bytes32 certified = outcome.roots.setRoot;
        bytes32[2] memory signed = signedShare(3, outcome.round, certified, 3, LIE);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveForeignShare(study, outcome.round, certified, 3, LIE, signed);

        uint64 next = openNext(study);
        signed = signedShare(3, next, SET_ROOT, 3, LIE);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotCertified.selector, study, next));
        registry.proveForeignShare(study, next, SET_ROOT, 3, LIE, signed);
    }

    /// What was certified is not known any more once the round has left the ring.
    function test_foreignShare_notOfARoundOffTheRecord() public {
        bytes32[2] memory signed = signedShare(3, outcome.round, SET_ROOT, 3, LIE);
        pass(WINDOW);
        for (uint256 i = 0; i < RING; i++) {
            pass(20);
            openNext(study);
        }
        assertState(study, outcome.round, IRecords.State.None);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotCertified.selector, study, outcome.round));
        registry.proveForeignShare(study, outcome.round, SET_ROOT, 3, LIE, signed);
        assertUntouched(3);
    }

    function test_twoShares_convict() public {
        bytes32[2] memory one = signedShare(4, 77, SET_ROOT, 4, LIE);
        bytes32[2] memory other = signedShare(4, 77, SET_ROOT, 4, REWARD_ROOT);
        vm.prank(reporter);
        registry.proveTwoShares(study, 77, 4, SET_ROOT, LIE, one, SET_ROOT, REWARD_ROOT, other);
        assertConvicted(4);
        vm.assertTrue(consilium.studyOf(study).vacant, "its seat is vacant");
    }

    function test_twoShares_notTheSameTwiceNorOfTwoNodes() public {
        bytes32[2] memory one = signedShare(4, 1, SET_ROOT, 4, LIE);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveTwoShares(study, 1, 4, SET_ROOT, LIE, one, SET_ROOT, LIE, one);
        bytes32[2] memory other = signedShare(3, 1, SET_ROOT, 4, REWARD_ROOT);
        vm.expectRevert(abi.encodeWithSelector(ICourt.TwoSigners.selector, node(4), node(3)));
        registry.proveTwoShares(study, 1, 4, SET_ROOT, LIE, one, SET_ROOT, REWARD_ROOT, other);
    }

    function test_twoFinals_convict() public {
        proveTwoFinals(1, 9);
        assertConvicted(1);
        vm.assertTrue(consilium.studyOf(study).vacant, "its seat is vacant");
    }

    function testFuzz_twoFinals_onlyOfOneNodeAndOneSubjectThatDiffer(uint64 round, bytes32 set, bool sameNode) public {
        bytes32[2] memory one = signedFinal(1, SUBJECT, round, set);
        bytes32[2] memory other = signedFinal(sameNode ? 1 : 2, SUBJECT, round, set);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveTwoFinals(study, SUBJECT, round, set, one, round, set, other);

        // Two subjects may have two Finals: shown as one, the second signature is nobody's or a stranger's.
        other = signedFinal(1, LIE, round, keccak256(abi.encode(set)));
        (bool proved,) = address(registry)
            .call(
                abi.encodeCall(
                    ICourt.proveTwoFinals, (study, SUBJECT, round, set, one, round, keccak256(abi.encode(set)), other)
                )
            );
        vm.assertTrue(!proved, "two subjects");
        assertUntouched(1);
    }

    function test_twoSettlements_convict() public {
        ICourt.Said memory said = settlementOf(2, SET_ROOT);
        ICourt.Said memory other = settlementOf(2, LIE);
        vm.prank(reporter);
        registry.proveTwoSettlements(study, 1, said, other);
        assertConvicted(2);
    }

    function test_twoSettlements_notTheSameTwiceNorOfTwoNodes() public {
        ICourt.Said memory said = settlementOf(2, SET_ROOT);
        vm.expectRevert(ICourt.NoOffence.selector);
        registry.proveTwoSettlements(study, 1, said, said);
        ICourt.Said memory other = settlementOf(3, LIE);
        vm.expectRevert(abi.encodeWithSelector(ICourt.TwoSigners.selector, node(2), node(3)));
        registry.proveTwoSettlements(study, 1, said, other);
    }

    function settlementOf(uint256 j, bytes32 setRoot) private view returns (ICourt.Said memory) {
        bytes32 digest = digests.settlementDigest(study, 1, setRoot, LIE, LIE, LIE);
        return ICourt.Said(setRoot, LIE, LIE, LIE, signCompact(secret(j), digest));
    }

    // -------------------------------------------------------------------------------------------- once, and who

    function test_conviction_happensOnceForWhateverEvidence() public {
        proveTwoFinals(1, 9);
        bytes32[2] memory one = signedFinal(1, SUBJECT, 9, SET_ROOT);
        bytes32[2] memory other = signedFinal(1, SUBJECT, 9, REWARD_ROOT);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotLiable.selector, study, node(1)));
        registry.proveTwoFinals(study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, other);
        bytes32[2] memory share = signedShare(1, outcome.round, outcome.roots.setRoot, 1, LIE);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotLiable.selector, study, node(1)));
        registry.proveWrongShare(study, outcome.round, outcome.roots, 1, LIE, share);
        vm.assertEq(reporter.balance, BOND / 10, "one reward");
    }

    /// Copied from the pool and sent first: the copier is paid, the offender is convicted once, the first finder has
    /// lost gas.
    function test_conviction_aCopiedProofConvictsTheSameNode() public {
        bytes32[2] memory one = signedFinal(1, SUBJECT, 9, SET_ROOT);
        bytes32[2] memory other = signedFinal(1, SUBJECT, 9, REWARD_ROOT);
        address copier = address(0xC0);
        vm.prank(copier);
        registry.proveTwoFinals(study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, other);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotLiable.selector, study, node(1)));
        vm.prank(reporter);
        registry.proveTwoFinals(study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, other);
        vm.assertEq(copier.balance, BOND / 10, "copier");
        assertConvicted(1);
    }

    /// A node about to be convicted convicts itself first, in a study of its own making: that bond is another one.
    function test_conviction_inAStudyOfOnesOwnDoesNotSaveTheBond() public {
        uint64 real = study;
        IRecords.StudyTerms memory terms = defaultTerms();
        consentAll(node(1));
        vm.prank(node(1));
        study = consilium.createStudy(terms, defaultConditions(), nodesFrom(1, 5), sites(ADMITTED));
        proveTwoFinals(1, 9);
        study = real;
        proveTwoFinals(1, 9);
        assertConvicted(1);
    }

    function test_conviction_ofAStrangerIsRefused() public {
        bytes32[2] memory one = signedFinal(20, SUBJECT, 9, SET_ROOT);
        bytes32[2] memory other = signedFinal(20, SUBJECT, 9, REWARD_ROOT);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotLiable.selector, study, node(20)));
        registry.proveTwoFinals(study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, other);
    }

    function test_conviction_asLongAsTheStakeIsLocked() public {
        vm.prank(node(1));
        registry.resign(study);
        vm.prank(node(2));
        registry.resign(study);
        pass(UNBONDING - 1);
        proveTwoFinals(1, 9);
        assertConvicted(1);
        pass(1);
        registry.reclaim(study, node(2));
        bytes32[2] memory one = signedFinal(2, SUBJECT, 9, SET_ROOT);
        bytes32[2] memory other = signedFinal(2, SUBJECT, 9, REWARD_ROOT);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotLiable.selector, study, node(2)));
        registry.proveTwoFinals(study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, other);
    }

    function test_conviction_stopsTheStudyUntilTheNextCommittee() public {
        proveTwoFinals(1, 9);
        bytes memory reason = abi.encodeWithSelector(IRecords.CommitteeVacant.selector, study);
        uint64 deadline = uint64(vm.getBlockTimestamp()) + 10;
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.openRound(study, LIE, deadline, deadline + 10);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeConvicted.selector, study, node(1)));
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(2, 5));
        openNext(study);
        vm.assertEq(registry.nodeOf(node(1)).serving, 0, "its seat is taken");
    }

    // -------------------------------------------------------------------------------------------- former members

    /// Nodes 6 to 10 have taken over: what the earlier committee did costs it its bonds, and today's goes on.
    function takeOver() private {
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
    }

    function assertGoesOn(uint256 j) private {
        assertConvicted(j);
        vm.assertTrue(!consilium.studyOf(study).vacant, "no seat is vacant");
        vm.assertEq(registry.bondOf(study, node(j)).index, 0, "it has none to leave");
        openNext(study);
    }

    function test_formerMember_wrongShareLeavesNoSeatVacant() public {
        takeOver();
        proveWrongShare(2, 2, LIE);
        assertGoesOn(2);
    }

    function test_formerMember_foreignShareLeavesNoSeatVacant() public {
        takeOver();
        bytes32[2] memory signed = signedShare(3, outcome.round, SET_ROOT, 3, LIE);
        vm.prank(reporter);
        registry.proveForeignShare(study, outcome.round, SET_ROOT, 3, LIE, signed);
        assertGoesOn(3);
    }

    function test_formerMember_contradictionsLeaveNoSeatVacant() public {
        takeOver();
        proveTwoFinals(1, 9);
        assertGoesOn(1);
        pass(20);
        (ICourt.Said memory said, ICourt.Said memory again) = (settlementOf(2, SET_ROOT), settlementOf(2, LIE));
        vm.prank(reporter);
        registry.proveTwoSettlements(study, 1, said, again);
        assertGoesOn(2);
        pass(20);
        bytes32[2] memory one = signedShare(4, 1, SET_ROOT, 4, LIE);
        bytes32[2] memory other = signedShare(4, 1, SET_ROOT, 4, REWARD_ROOT);
        vm.prank(reporter);
        registry.proveTwoShares(study, 1, 4, SET_ROOT, LIE, one, SET_ROOT, REWARD_ROOT, other);
        assertGoesOn(4);
    }

    /// In rounds after its service another node may have its index.
    function test_formerMember_hasNoIndexInLaterRounds() public {
        takeOver();
        uint64 later = outcome.round + 1;
        bytes32[2] memory one = signedShare(4, later, SET_ROOT, 4, LIE);
        bytes32[2] memory other = signedShare(4, later, SET_ROOT, 4, REWARD_ROOT);
        bytes memory reason = abi.encodeWithSelector(ICourt.NotItsIndex.selector, study, later, 4, node(4));
        vm.expectRevert(reason);
        registry.proveTwoShares(study, later, 4, SET_ROOT, LIE, one, SET_ROOT, REWARD_ROOT, other);
        openNext(study);
        vm.expectRevert(reason);
        registry.proveTwoShares(study, later, 4, SET_ROOT, LIE, one, SET_ROOT, REWARD_ROOT, other);
    }

    /// Who was taken again has a seat today, whatever the round of its offence.
    function test_formerMember_whoServesAgainLeavesASeat() public {
        takeOver();
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        proveWrongShare(2, 2, LIE);
        assertConvicted(2);
        vm.assertTrue(consilium.studyOf(study).vacant, "its seat is vacant");
    }

    // -------------------------------------------------------------------------------------------- signatures

    /// The two words leave no room for a second form of a signature: s of the upper half reads as another v and another
    /// s, which are somebody else's or nobody's.
    function test_signature_hasOneForm() public {
        bytes32[2] memory one = signedFinal(1, SUBJECT, 9, SET_ROOT);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret(1), digests.finalDigest(study, SUBJECT, 9, REWARD_ROOT));
        uint256 highest = 1 << 255;
        uint256 negative = CURVE_ORDER - uint256(s);
        refuseFinals(one, [r, bytes32(negative)]);
        refuseFinals(one, [r, bytes32(negative & (highest - 1))]);
        refuseFinals(one, [r, bytes32(uint256(s) | (v == 27 ? highest : 0))]);
        uint256[3] memory upper = [CURVE_ORDER / 2 + 1, highest - 1, type(uint256).max];
        for (uint256 i = 0; i < upper.length; i++) {
            vm.expectRevert(SignedStatements.UnreadableSignature.selector);
            registry.proveTwoFinals(study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, [r, bytes32(upper[i])]);
        }
        proveTwoFinals(1, 9);
        assertConvicted(1);
    }

    function test_signature_ofAnotherChainOrContractIsNoEvidence() public {
        bytes32[2] memory one = signedFinal(1, SUBJECT, 9, SET_ROOT);
        bytes32[2] memory other = signedFinal(1, SUBJECT, 9, REWARD_ROOT);
        vm.chainId(99);
        refuseFinals(one, other);
        vm.chainId(31337);
        uint64 ours = study;
        INodeRegistry here = registry;
        prepare(1, 5);
        vm.assertTrue(address(here) != address(registry) && ours == study, "a second deployment");
        refuseFinals(one, other);
    }

    function refuseFinals(bytes32[2] memory one, bytes32[2] memory other) private {
        (bool proved,) = address(registry)
            .call(abi.encodeCall(ICourt.proveTwoFinals, (study, SUBJECT, 9, SET_ROOT, one, 9, REWARD_ROOT, other)));
        vm.assertTrue(!proved, "replayed");
    }
}
