// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {IKind} from "../src/kinds/IKind.sol";
import {EmptyKind} from "./setup/EmptyKind.sol";
import {Play} from "./setup/Play.sol";
import {Trees} from "./setup/Trees.sol";

/// @dev A second kind beside the sums, whose rounds end at the certificate: they are paid, never abandoned, and their
/// judge may convict and hold.
contract KindsTest is Play {
    bytes32 private constant VOTE = keccak256("Vote(uint64 study,uint64 round,bytes32 setRoot,uint32 size)");
    EmptyKind private emptyKind;
    uint64 private study;

    function setUp() public {
        // Its address follows those of the deployment's own parts.
        deploy();
        study = createStudyWith(termsOf(7), payingConditions(), 5);
        fund(study, 50 * uint256(BUDGET));
    }

    function judges() internal view override returns (IKind[] memory kinds) {
        kinds = new IKind[](2);
        (kinds[0], kinds[1]) = (sumKind, emptyKind);
    }

    function deployParts() internal override {
        // Two creations more than the deployment: this kind and the registry's address that it needs.
        uint64 nonce = vm.getNonce(address(this));
        address registry_ = vm.computeCreateAddress(address(this), nonce + 1);
        address later = vm.computeCreateAddress(address(this), nonce + 9);
        emptyKind = new EmptyKind(later, ICourt(registry_));
        super.deployParts();
    }

    function termsOf(uint8 kind) private pure returns (IRecords.StudyTerms memory terms) {
        terms = defaultTerms();
        (terms.kind, terms.minimumCohort) = (kind, 1);
    }

    function certifyOnly(uint256 cohort) private returns (Outcome memory one) {
        one = outcomeOf(study, openNext(study), 1, 5, cohort);
        certifyAs(one);
        one.record = recordOf(study, one.round);
    }

    function siteClaim(Outcome memory one, uint32 index) private pure returns (ITreasury.Claim memory claim) {
        (claim.study, claim.account) = (one.study, one.cohort[index]);
        claim.shares = new ITreasury.Share[](1);
        ITreasury.Share memory share = claim.shares[0];
        (share.round, share.index, share.sites) = (one.round, index, uint32(one.cohort.length));
        share.aggregateRoot = Trees.digestOf(one.cohort[index]);
        share.length = uint64(one.cohort.length);
        share.path = Trees.open(Trees.setLeaves(one.cohort), index);
    }

    function voterClaim(Outcome memory one, uint32 j) private pure returns (ITreasury.Claim memory claim) {
        (claim.study, claim.account) = (one.study, node(j));
        claim.shares = new ITreasury.Share[](1);
        ITreasury.Share memory share = claim.shares[0];
        (share.round, share.sites) = (one.round, uint32(one.cohort.length));
        share.index = share.sites + j - 1;
        share.setRoot = one.roots.setRoot;
    }

    // -------------------------------------------------------------------------------------------- rounds

    function test_certificate_endsTheRoundAndPaysIt() public {
        Outcome memory one = certifyOnly(3);
        assertState(study, one.round, IRecords.State.Settled);
        IRecords.Round memory told = consilium.roundOf(study, one.round);
        vm.assertEq(told.challengeEnds, vm.getBlockTimestamp() + WINDOW, "a window as any");
        vm.assertTrue(told.voters == 15 && told.signers == 15 && told.lateVoters == 15, "voters");
        ITreasury.Claim memory claim = siteClaim(one, 1);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, one.round));
        claimAlone(claim);
        pass(WINDOW);
        assertState(study, one.round, IRecords.State.Settled); // also when it had to be settled by
        claimAlone(claim);
        vm.assertEq(coin.balanceOf(one.cohort[1]), 250, "a third of 750");
        claimAlone(voterClaim(one, 4));
        vm.assertEq(coin.balanceOf(node(4)), 62, "a quarter of 250");
        claim = voterClaim(one, 5);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotALateVoter.selector, study, one.round, node(5)));
        claimAlone(claim);
        claim = siteClaim(one, 2);
        claim.shares[0].aggregateRoot = SUBJECT;
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, one.round));
        claimAlone(claim);
        claim = siteClaim(one, 2);
        claim.account = address(0xBAD);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, one.round));
        claimAlone(claim);
    }

    function test_certificate_takesNoVotesAndNoSettlement() public {
        Outcome memory one = certifyOnly(3);
        bytes memory reason =
            abi.encodeWithSelector(IRecords.WrongState.selector, study, one.round, IRecords.State.Settled);
        bytes memory signed = signatures(digestOf(one), 15);
        vm.expectRevert(reason);
        consilium.settle(study, one.round, one.roots.shareRoots, 0, 0, 15, signed);
        vm.expectRevert(reason);
        consilium.addVotes(study, one.round, 16, signed);
    }

    /// Rounds of such a kind leave the ring as others do, and are paid from the archive.
    function test_certificate_isPaidOffTheRecord() public {
        Outcome[] memory all = new Outcome[](2 * RING);
        for (uint256 i = 0; i < all.length; i++) {
            all[i] = certifyOnly(2);
            pass(WINDOW);
        }
        bytes32[] memory leaves = new bytes32[](consilium.studyOf(study).archived);
        for (uint256 i = 0; i < leaves.length; i++) {
            bytes32 vote = keccak256(abi.encode(VOTE, study, all[i].round, all[i].roots.setRoot, uint32(2)));
            leaves[i] = keccak256(abi.encode(study, all[i].round, vote, 2, 0, all[i].record));
        }
        ITreasury.Claim memory claim = siteClaim(all[1], 0);
        claim.shares[0].record = all[1].record;
        claim.shares[0].position = 1;
        claim.shares[0].archivePath = archivePath(leaves, 1);
        claimAlone(claim);
        vm.assertEq(coin.balanceOf(all[1].cohort[0]), 375, "half of 750");
    }

    /// The kind allows a set of one, and nobody an empty one.
    function test_certificate_leastCohortIsTheKinds() public {
        certifyOnly(1);
        uint64 round = openNext(study);
        bytes memory votes = signatures(digests.voteDigest(study, round, SET_ROOT, 0), 15);
        vm.expectRevert(abi.encodeWithSelector(IRecords.CohortTooSmall.selector, 0, 1));
        consilium.certify(study, round, SET_ROOT, 0, 15, votes);
        IRecords.StudyTerms memory terms = termsOf(1);
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidCohort.selector, 1, 2));
        this.create(terms);
        terms.kind = 2;
        vm.expectRevert(abi.encodeWithSelector(IRecords.UnknownKind.selector, 2));
        this.create(terms);
    }

    function create(IRecords.StudyTerms memory terms) external {
        createStudyWith(terms, defaultConditions(), 5);
    }

    // -------------------------------------------------------------------------------------------- its judge

    function test_judge_strikesARoundOutAndConvictsItsVoters() public {
        uint256 free = consilium.studyOf(study).free;
        Outcome memory one = certifyOnly(3);
        vm.prank(address(0xBEE));
        emptyKind.convictVoters(study, one.round);
        assertState(study, one.round, IRecords.State.Fraudulent);
        vm.assertEq(consilium.studyOf(study).free, free, "its budget is back");
        for (uint256 j = 1; j <= 5; j++) {
            bool guilty = registry.bondOf(study, node(j)).standing == INodeRegistry.Standing.Convicted;
            vm.assertTrue(guilty == (j <= 4), "the four who voted");
        }
        pass(WINDOW);
        ITreasury.Claim memory claim = siteClaim(one, 1);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, one.round));
        claimAlone(claim);
    }

    function test_judge_convictsOutsideRoundsAndHolds() public {
        emptyKind.hold(study, node(1), uint64(vm.getBlockTimestamp() + UNBONDING));
        vm.assertEq(registry.bondOf(study, node(1)).until, vm.getBlockTimestamp() + UNBONDING, "held");
        vm.prank(address(0xBEE));
        emptyKind.convictOne(study, node(2));
        vm.assertTrue(
            registry.bondOf(study, node(2)).standing == INodeRegistry.Standing.Convicted, "convicted by its judge"
        );
        // Of its kind alone.
        uint64 sums = createStudyWith(defaultTerms(), defaultConditions(), 5);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheJudge.selector, sums, address(emptyKind)));
        emptyKind.convictOne(sums, node(3));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheJudge.selector, sums, address(emptyKind)));
        emptyKind.hold(sums, node(3), 1);
        uint64 round = openNext(sums);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotPermitted.selector, address(emptyKind)));
        emptyKind.convictVoters(sums, round);
    }

    function test_judge_unwrapsSignedRoots() public {
        bytes32 signed = sha256(abi.encodePacked(uint8(7), SET_ROOT));
        vm.assertEq(consilium.kinds(7).vectorRoot(signed, abi.encode(SET_ROOT)), SET_ROOT, "the vector's");
        vm.expectRevert(EmptyKind.NothingToUnwrap.selector);
        emptyKind.vectorRoot(signed, abi.encode(SUBJECT));
    }
}
