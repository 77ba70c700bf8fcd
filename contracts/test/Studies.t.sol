// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICommitteeSource} from "../src/interfaces/ICommitteeSource.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {IStudyToken} from "../src/interfaces/IStudyToken.sol";
import {Deployment} from "./setup/Deployment.sol";

/// @dev Creating a study, and what its sponsor may change and when.
contract StudiesTest is Deployment {
    function setUp() public {
        deployAlone();
    }

    // -------------------------------------------------------------------------------------------- creation

    function test_createStudy_publishesAllAndStoresWhatCounts() public {
        IRecords.StudyTerms memory terms = defaultTerms();
        bytes32[] memory keyHashes = new bytes32[](5);
        for (uint256 i = 0; i < 5; i++) {
            keyHashes[i] = keccak256(kemKey(i + 1));
        }
        vm.expectEmit(address(consilium));
        emit IStudyEvents.StudyCreated(1, sponsor, terms);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.CommitteeFormed(1, 1, 1, nodesFrom(1, 5), keyHashes);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.SitesAdmitted(1, 1, SITES_ROOT, sites(ADMITTED), "");
        uint64 study = createStudy(1, 5);

        IRecords.Study memory stored = consilium.studyOf(study);
        vm.assertEq(study, 1, "first study");
        vm.assertEq(stored.sponsor, sponsor, "sponsor");
        vm.assertEq(stored.kind, 1, "kind");
        vm.assertEq(stored.epoch, 1, "epoch");
        vm.assertEq(stored.rounds, 0, "rounds");
        vm.assertEq(stored.minimumCohort, 3, "minimum cohort");
        vm.assertEq(stored.finality, "instant", "finality");
        vm.assertEq(stored.sitesRoot, SITES_ROOT, "sites");
        vm.assertEq(stored.termsHash, termsHashOf(terms), "terms hash");
        vm.assertEq(createStudy(1, 5), 2, "second study");
        vm.assertEq(consilium.studies(), 2, "studies");
    }

    function termsHashOf(IRecords.StudyTerms memory terms) private pure returns (bytes32) {
        return keccak256(
            abi.encode(uint8(1), "weighted-mean", terms.parameters, uint64(100), "patients", keccak256("a study"))
        );
    }

    function test_createStudy_keepsTheNodesInTheGivenOrder() public {
        address[] memory nodes = new address[](4);
        (nodes[0], nodes[1], nodes[2], nodes[3]) = (node(9), node(2), node(30), node(5));
        vm.prank(sponsor);
        uint64 study = consilium.createStudy(defaultTerms(), defaultConditions(), nodes, sites(ADMITTED));
        IRecords.Committee memory committee = consilium.committeeOf(study, 1);
        vm.assertEq(committee.threshold, 1, "threshold");
        vm.assertEq(keccak256(abi.encode(committee.nodes)), keccak256(abi.encode(nodes)), "order");
    }

    function testFuzz_createStudy_acceptsExactlyTheCommitteeSizesOfTheProtocol(uint8 threshold, uint8 size) public {
        uint256 t = bound(threshold, 0, 11);
        uint256 n = bound(size, 0, NODES);
        bool allowed = t >= 1 && 3 * t + 1 <= n && n <= 5 * t + 1;
        if (!allowed) vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidCommittee.selector, n, t));
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.threshold = uint8(t);
        vm.prank(sponsor);
        consilium.createStudy(terms, defaultConditions(), nodesFrom(1, n), sites(ADMITTED));
    }

    function test_createStudy_refusesMoreThan32Nodes() public {
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.threshold = 10;
        register(33);
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidCommittee.selector, 33, 10));
        vm.prank(sponsor);
        consilium.createStudy(terms, defaultConditions(), nodesFrom(1, 33), sites(ADMITTED));
    }

    function testFuzz_createStudy_refusesADuplicateNode(uint8 one, uint8 other) public {
        address[] memory nodes = nodesFrom(1, 6);
        uint256 i = bound(one, 0, 5);
        uint256 k = (i + bound(other, 1, 5)) % 6;
        nodes[i] = nodes[k];
        vm.expectRevert(abi.encodeWithSelector(IRecords.DuplicateNode.selector, nodes[k]));
        vm.prank(sponsor);
        consilium.createStudy(defaultTerms(), defaultConditions(), nodes, sites(ADMITTED));
    }

    function test_createStudy_refusesUnknownAndLeavingNodes() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeNotActive.selector, node(33)));
        vm.prank(sponsor);
        consilium.createStudy(defaultTerms(), defaultConditions(), nodesFrom(29, 5), sites(ADMITTED));

        vm.prank(node(5));
        registry.beginUnbond();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeNotActive.selector, node(5)));
        createStudy(1, 5);
    }

    function test_createStudy_refusesBadTerms() public {
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.kind = 2;
        refuse(terms, abi.encodeWithSelector(IRecords.UnknownKind.selector, 2));
        terms = defaultTerms();
        terms.program = "";
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidProgram.selector));
        terms.program = string(new bytes(33));
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidProgram.selector));
        terms = defaultTerms();
        terms.parameters = "";
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidParameters.selector));
        terms.parameters = new bytes(257);
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidParameters.selector));
        terms = defaultTerms();
        terms.minimumCohort = 1;
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidCohort.selector, 1, 2));
        terms = defaultTerms();
        terms.finality = "";
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidFinality.selector));
        terms.finality = string(new bytes(33));
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidFinality.selector));
        terms = defaultTerms();
        terms.outputLength = 0;
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidOutputLength.selector, 0));
        terms.outputLength = 2 ** 32 + 1;
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidOutputLength.selector, 2 ** 32 + 1));
        terms = defaultTerms();
        terms.weightUnit = string(new bytes(33));
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidWeightUnit.selector));
        terms = defaultTerms();
        terms.sitesRoot = 0;
        refuse(terms, abi.encodeWithSelector(IRecords.InvalidSitesRoot.selector));
    }

    function refuse(IRecords.StudyTerms memory terms, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.createStudy(terms, defaultConditions(), nodesFrom(1, 5), sites(ADMITTED));
    }

    // -------------------------------------------------------------------------------------------- changes

    function test_setCommittee_beginsTheNextEpochWithRotatedKeys() public {
        uint64 study = createStudy(1, 5);
        vm.prank(node(2));
        registry.rotateKemKey(kemKey(200));
        bytes32[] memory keyHashes = new bytes32[](4);
        for (uint256 i = 0; i < 4; i++) {
            keyHashes[i] = keccak256(kemKey(i == 1 ? 200 : i + 1));
        }
        vm.expectEmit(address(consilium));
        emit IStudyEvents.CommitteeFormed(study, 2, 1, nodesFrom(1, 4), keyHashes);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 4));

        vm.assertEq(consilium.studyOf(study).epoch, 2, "epoch");
        vm.assertEq(consilium.committeeOf(study, 1).nodes.length, 5, "the old epoch stays on record");
        vm.assertEq(consilium.committeeOf(study, 2).nodes.length, 4, "the new epoch");
        vm.assertEq(registry.nodeOf(node(1)).serving, 1, "still serving");
        vm.assertEq(registry.nodeOf(node(5)).serving, 0, "free again");
    }

    function test_setCommittee_refusedWhileARoundIsInProgress() public {
        uint64 study = createStudy(1, 5);
        open(study, SUBJECT);
        bytes memory reason = abi.encodeWithSelector(IRecords.RoundInProgress.selector, study, 1);
        refuseCommittee(study, reason);
        certify(study, 1, 15);
        refuseCommittee(study, reason);
        settle(study, 1, 5, 15);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
    }

    function refuseCommittee(uint64 study, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
    }

    function test_setCommittee_allowedOnceTheRoundLapsed() public {
        uint64 study = createStudy(1, 5);
        open(study, SUBJECT);
        vm.warp(DEADLINE);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        vm.assertEq(consilium.studyOf(study).epoch, 2, "epoch");
    }

    function test_setPolicyAndSites_countFromTheNextRound() public {
        uint64 study = createStudy(1, 5);
        open(study, SUBJECT);
        bytes32 otherSites = keccak256("other sites");
        vm.expectEmit(address(consilium));
        emit IStudyEvents.PolicySet(study, 6, "depth:12");
        vm.prank(sponsor);
        consilium.setPolicy(study, 6, "depth:12");
        vm.expectEmit(address(consilium));
        emit IStudyEvents.SitesAdmitted(study, 2, otherSites, sites(9), "");
        vm.prank(sponsor);
        consilium.setSites(study, otherSites, sites(9), "");
        certify(study, 1, 15); // size 5: the frozen minimum of 3 holds
        settle(study, 1, 5, 15);

        bytes32 subject = keccak256("next model");
        open(study, subject);
        bytes32 frozen = keccak256(
            abi.encode(
                study,
                uint64(2),
                subject,
                uint64(1),
                uint32(6),
                otherSites,
                "depth:12",
                uint64(vm.getBlockTimestamp()),
                DEADLINE,
                SETTLE_BY
            )
        );
        vm.assertEq(consilium.roundOf(study, 2).frozen, frozen, "frozen");
        bytes memory signed = signatures(digests.voteDigest(study, 2, SET_ROOT, 5), 15);
        vm.expectRevert(abi.encodeWithSelector(IRecords.CohortTooSmall.selector, 5, 6));
        consilium.certify(study, 2, SET_ROOT, 5, 15, signed);
    }

    function test_setPolicyAndSites_refuseWhatCreationRefuses() public {
        uint64 study = createStudy(1, 5);
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidCohort.selector, 1, 2));
        vm.prank(sponsor);
        consilium.setPolicy(study, 1, "instant");
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidFinality.selector));
        vm.prank(sponsor);
        consilium.setPolicy(study, 2, "");
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidSitesRoot.selector));
        vm.prank(sponsor);
        consilium.setSites(study, 0, sites(ADMITTED), "");
    }

    function test_setAuditor_letsInAndOut() public {
        uint64 study = createStudy(1, 5);
        address auditor = address(0xA0D1);
        vm.expectEmit(address(studyToken));
        emit IStudyToken.AuditorSet(study, auditor, true);
        vm.prank(sponsor);
        studyToken.setAuditor(study, auditor, true);
        vm.assertTrue(studyToken.isAuditor(study, auditor), "let in");
        vm.prank(sponsor);
        studyToken.setAuditor(study, auditor, false);
        vm.assertTrue(!studyToken.isAuditor(study, auditor), "let out");
    }

    function test_sponsorSteps_refuseEverybodyElse() public {
        uint64 study = createStudy(1, 5);
        bytes memory reason = abi.encodeWithSelector(IRecords.NotSponsor.selector, study, address(this));
        vm.expectRevert(reason);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        vm.expectRevert(reason);
        consilium.setSites(study, SITES_ROOT, sites(ADMITTED), "");
        vm.expectRevert(reason);
        consilium.setPolicy(study, 2, "instant");
        vm.expectRevert(reason);
        consilium.endStudy(study);
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotSponsor.selector, study, address(this)));
        studyToken.setAuditor(study, address(this), true);
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotSponsor.selector, study, address(this)));
        studyToken.setRole(study, IStudyToken.Role.Operator, address(this));
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotOperator.selector, study, address(this)));
        consilium.openRound(study, SUBJECT, DEADLINE, SETTLE_BY);
    }

    function test_sponsorSteps_refuseStudiesThatDoNotExist() public {
        vm.expectRevert(abi.encodeWithSelector(IRecords.UnknownStudy.selector, 9));
        open(9, SUBJECT);
        vm.expectRevert(abi.encodeWithSelector(IRecords.UnknownStudy.selector, 0));
        open(0, SUBJECT);
    }

    // -------------------------------------------------------------------------------------------- the ring

    function test_ring_keepsTheNewestRoundsAndWaitsForWindows() public {
        uint64 study = createStudy(1, 5);
        for (uint64 round = 1; round <= RING; round++) {
            open(study, keccak256(abi.encode(round)));
            certify(study, round, 15);
            settle(study, round, 5, 15);
        }
        vm.expectRevert(abi.encodeWithSelector(IRecords.RingFull.selector, study, START + WINDOW));
        open(study, SUBJECT);
        assertState(study, 1, IRecords.State.Settled);
        vm.warp(START + WINDOW);
        open(study, SUBJECT);
        assertState(study, 1, IRecords.State.None);
        vm.assertEq(consilium.roundOf(study, 1).frozen, 0, "off the record");
        assertState(study, 2, IRecords.State.Settled);
        IRecords.Round memory fresh = consilium.roundOf(study, RING + 1);
        vm.assertTrue(fresh.setRoot == 0 && fresh.settlement == 0 && fresh.voters == 0, "nothing left over");
    }

    /// A round that left its slot to another cannot be certified in the other's place with the votes it had.
    function test_ring_oldVotesDoNotCountForTheSlotsNextRound() public {
        uint64 study = createStudy(1, 5);
        bytes memory votes = signatures(digests.voteDigest(study, 1, SET_ROOT, 5), 15);
        for (uint64 round = 1; round <= RING + 1; round++) {
            vm.warp(START + 10 * round);
            vm.prank(sponsor);
            consilium.openRound(study, SUBJECT, START + 10 * round + 5, START + 10 * round + 6);
        }
        expectWrongState(study, 1, IRecords.State.None);
        consilium.certify(study, 1, SET_ROOT, 5, 15, votes);
    }

    /// Also when so many void rounds followed that the last certified one has left the ring.
    function test_ring_theLastCertifiedSubjectStaysUsed() public {
        uint64 study = createStudy(1, 5);
        open(study, SUBJECT);
        certify(study, 1, 15);
        settle(study, 1, 5, 15);
        for (uint64 i = 1; i <= 2 * RING; i++) {
            uint64 time = START + WINDOW + 10 * i;
            vm.warp(time);
            vm.expectRevert(abi.encodeWithSelector(IRecords.SubjectCertified.selector, study, SUBJECT));
            vm.prank(sponsor);
            consilium.openRound(study, SUBJECT, time + 5, time + 6);
            vm.prank(sponsor);
            consilium.openRound(study, keccak256(abi.encode(i)), time + 5, time + 6);
            vm.assertEq(consilium.studyOf(study).lastCertifiedSubject, SUBJECT, "last certified subject");
        }
    }

    function test_conditions_haveLimits() public {
        IRecords.Conditions memory conditions = defaultConditions();
        conditions.ring = 1;
        refuseConditions(conditions, abi.encodeWithSelector(IRecords.InvalidRing.selector, 1));
        conditions.ring = 1025;
        refuseConditions(conditions, abi.encodeWithSelector(IRecords.InvalidRing.selector, 1025));
        conditions = defaultConditions();
        bytes4 window = IRecords.InvalidWindow.selector;
        conditions.challengeWindow = uint32(LONGEST) + 1;
        refuseConditions(conditions, abi.encodeWithSelector(window, LONGEST + 1, 1 minutes, LONGEST));
        conditions.challengeWindow = 1 minutes - 1;
        refuseConditions(conditions, abi.encodeWithSelector(window, 1 minutes - 1, 1 minutes, LONGEST));
    }

    /// The budgets of a full ring may all come back: they fit beside the free money.
    function test_conditions_budgetsOfAFullRingHaveALimit() public {
        IRecords.Conditions memory conditions = payingConditions();
        bytes memory reason = abi.encodeWithSelector(IRecords.InvalidRewards.selector);
        (conditions.ring, conditions.budget) = (1024, 2 ** 77 + 1);
        refuseConditions(conditions, reason);
        conditions.budget = 2 ** 77 - 1;
        uint64 study = createStudyWith(defaultTerms(), conditions, 5);
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.setRewards(study, 2 ** 77 + 1, 0);
        (conditions.ring, conditions.budget) = (4, 2 ** 80);
        refuseConditions(conditions, reason);
        conditions.budget = 2 ** 80 - 1;
        createStudyWith(defaultTerms(), conditions, 5);
    }

    function refuseConditions(IRecords.Conditions memory conditions, bytes memory reason) private {
        vm.expectRevert(reason);
        createStudyWith(defaultTerms(), conditions, 5);
    }

    // -------------------------------------------------------------------------------------------- other sources

    function test_source_choosesTheCommittee() public {
        IRecords.Conditions memory conditions = defaultConditions();
        conditions.source = new Backwards();
        uint64 study = createStudyWith(defaultTerms(), conditions, 5);
        address[] memory chosen = consilium.committeeOf(study, 1).nodes;
        for (uint256 i = 0; i < 5; i++) {
            vm.assertEq(chosen[i], node(5 - i), "the source's order");
        }
    }
}

/// @dev Turns the sponsor's proposal round.
contract Backwards is ICommitteeSource {
    function committeeFor(uint64, address, uint8, address[] calldata proposal)
        external
        pure
        returns (address[] memory nodes)
    {
        nodes = new address[](proposal.length);
        for (uint256 i = 0; i < proposal.length; i++) {
            nodes[i] = proposal[proposal.length - 1 - i];
        }
    }
}
