// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICommitteeSource} from "../src/interfaces/ICommitteeSource.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev As the sponsor proposed.
contract Agreeing is ICommitteeSource {
    function committeeFor(uint64, address, uint8, address[] calldata proposal)
        external
        pure
        returns (address[] memory)
    {
        return proposal;
    }
}

/// @dev What a node agrees to: how much of its stake, for whom, for how long, and what counts towards it until when.
contract ConsentTest is Trial {
    /// Node 1 alone is limited here; all others agree to anything.
    uint256 private constant ONE = 1;

    function setUp() public {
        deploy();
    }

    // -------------------------------------------------------------------------------------------- its bounds

    function testFuzz_consent_boundsABond(uint96 bond, uint96 most) public {
        bond = uint96(bound(bond, 0, STAKE));
        most = uint96(bound(most, 0, STAKE));
        agree(ONE, sponsor, consentOf(most, type(uint96).max, 0, type(uint40).max));
        for (uint256 j = 2; j <= 5; j++) {
            agree(j, sponsor, consentOf(type(uint96).max, type(uint96).max, 0, type(uint40).max));
        }
        if (bond > most) refuse(abi.encodeWithSelector(beyond(), node(ONE), sponsor, bond, WINDOW));
        uint64 made = create(bond, WINDOW);
        if (bond <= most) vm.assertEq(registry.bondOf(made, node(ONE)).amount, bond, "bond");
    }

    function testFuzz_consent_boundsTheChallengeWindow(uint24 window, uint24 least) public {
        window = uint24(bound(window, 1 minutes, LONGEST));
        least = uint24(bound(least, 0, 2 * COMPENSATION));
        agree(ONE, sponsor, consentOf(BOND, BOND, least, type(uint40).max));
        if (window < least) refuse(abi.encodeWithSelector(beyond(), node(ONE), sponsor, BOND, window));
        create(BOND, window);
    }

    function test_consent_boundsTheTotalOverAllStudiesOfItsParty() public {
        agree(ONE, sponsor, consentOf(BOND, 2 * BOND, 0, type(uint40).max));
        create(BOND, WINDOW);
        assertBonded(ONE, sponsor, BOND);
        create(BOND, WINDOW);
        assertBonded(ONE, sponsor, 2 * BOND);
        refuse(
            abi.encodeWithSelector(INodeRegistry.ConsentExhausted.selector, node(ONE), sponsor, 2 * BOND + 1, 2 * BOND)
        );
        create(1, WINDOW);
        create(0, WINDOW); // what asks for nothing has room
        // Another sponsor's studies count towards what it agreed to with that one.
        address other = address(0x0715);
        consentAll(other);
        vm.prank(other);
        consilium.createStudy(defaultTerms(), defaultConditions(), nodesFrom(1, 5), sites(ADMITTED));
        assertBonded(ONE, sponsor, 2 * BOND);
        assertBonded(ONE, other, BOND);
    }

    function test_consent_expires() public {
        uint40 expires = uint40(START + 1 hours);
        agree(ONE, sponsor, consentOf(BOND, 4 * BOND, 0, expires));
        vm.warp(expires - 1);
        uint64 made = create(BOND, WINDOW);
        vm.warp(expires);
        bytes memory reason = abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(ONE), sponsor);
        refuse(reason);
        create(BOND, WINDOW);
        // Nor into the next committee of the study that it serves.
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.setCommittee(made, 1, nodesFrom(1, 5));
    }

    // -------------------------------------------------------------------------------------------- sources

    /// A node may agree to who chooses, whoever sponsors.
    function test_consent_toASourceOfCommittees() public {
        Agreeing source = new Agreeing();
        address stranger = address(0x0715);
        for (uint256 j = 1; j <= 5; j++) {
            agree(j, address(source), consentOf(BOND, 2 * BOND, 0, type(uint40).max));
        }
        IRecords.Conditions memory conditions = defaultConditions();
        // Without that source nobody has agreed to this sponsor.
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(1), stranger));
        vm.prank(stranger);
        consilium.createStudy(defaultTerms(), conditions, nodesFrom(1, 5), sites(ADMITTED));
        conditions.source = source;
        vm.prank(stranger);
        uint64 made = consilium.createStudy(defaultTerms(), conditions, nodesFrom(1, 5), sites(ADMITTED));
        assertBonded(ONE, address(source), BOND);
        assertBonded(ONE, stranger, 0);
        vm.assertEq(registry.backingOf(made, node(ONE)).party, address(source), "by whose consent");
        // The source's bounds hold.
        conditions.bond = BOND + 1;
        vm.expectRevert(abi.encodeWithSelector(beyond(), node(1), address(source), BOND + 1, WINDOW));
        vm.prank(stranger);
        consilium.createStudy(defaultTerms(), conditions, nodesFrom(1, 5), sites(ADMITTED));
    }

    /// Where a node agreed to both, the sponsor's consent counts while it lasts.
    function test_consent_toTheSponsorComesBeforeTheSources() public {
        Agreeing source = new Agreeing();
        IRecords.Conditions memory conditions = defaultConditions();
        conditions.source = source;
        uint40 expires = uint40(START + 1 hours);
        for (uint256 j = 1; j <= 5; j++) {
            agree(j, sponsor, consentOf(BOND, 4 * BOND, 0, expires));
            agree(j, address(source), consentOf(BOND, 4 * BOND, 0, type(uint40).max));
        }
        uint64 made = createStudyWith(defaultTerms(), conditions, 5);
        assertBonded(ONE, sponsor, BOND);
        vm.warp(expires);
        vm.prank(sponsor);
        consilium.setCommittee(made, 1, nodesFrom(1, 5));
        // The same bond, counted by the other.
        assertBonded(ONE, sponsor, 0);
        assertBonded(ONE, address(source), BOND);
    }

    // -------------------------------------------------------------------------------------------- what counts until when

    function test_consent_countsABondUntilItIsReclaimed() public {
        uint64 made = create(BOND, WINDOW);
        vm.prank(sponsor);
        consilium.setCommittee(made, 1, nodesFrom(6, 5));
        assertBonded(ONE, sponsor, BOND);
        pass(UNBONDING);
        assertBonded(ONE, sponsor, BOND);
        registry.reclaim(made, node(ONE));
        assertBonded(ONE, sponsor, 0);
        agree(ONE, sponsor, consentOf(BOND, BOND, 0, type(uint40).max));
        create(BOND, WINDOW);
    }

    function test_consent_countsABondOnceThatServesAgain() public {
        uint64 made = create(BOND, WINDOW);
        for (uint256 i = 0; i < 3; i++) {
            vm.prank(sponsor);
            consilium.setCommittee(made, 1, nodesFrom(6, 5));
            vm.prank(sponsor);
            consilium.setCommittee(made, 1, nodesFrom(1, 5));
            assertBonded(ONE, sponsor, BOND);
        }
    }

    /// What was put up stays and counts, whatever is agreed to later.
    function test_consent_takenBackStillCountsWhatIsPutUp() public {
        uint64 made = create(BOND, WINDOW);
        INodeRegistry.Consent memory none;
        agree(ONE, sponsor, none);
        assertBonded(ONE, sponsor, BOND);
        vm.assertEq(registry.bondOf(made, node(ONE)).amount, BOND, "it answers");
        agree(ONE, sponsor, consentOf(BOND, 2 * BOND - 1, 0, type(uint40).max));
        refuse(
            abi.encodeWithSelector(INodeRegistry.ConsentExhausted.selector, node(ONE), sponsor, 2 * BOND, 2 * BOND - 1)
        );
        create(BOND, WINDOW);
    }

    function test_consent_goesOnCountingALostBond() public {
        agree(ONE, sponsor, consentOf(BOND, BOND, 0, type(uint40).max));
        study = create(BOND, WINDOW);
        proveTwoFinals(ONE, 1);
        assertBonded(ONE, sponsor, BOND);
        pass(2 * COMPENSATION);
        registry.forfeit(study, node(ONE));
        assertBonded(ONE, sponsor, BOND);
        refuse(abi.encodeWithSelector(INodeRegistry.ConsentExhausted.selector, node(ONE), sponsor, 2 * BOND, BOND));
        create(BOND, WINDOW);
    }

    /// A study that changes hands: the next committee serves the new sponsor, by what it agreed to with that one.
    function test_consent_doesNotGoWithTheStudy() public {
        study = create(BOND, WINDOW);
        address next = address(0x2222);
        vm.prank(sponsor);
        studyToken.approve(next, study);
        vm.prank(next);
        studyToken.transferFrom(sponsor, next, study);
        vm.assertTrue(consilium.studyOf(study).vacant, "its committee serves no more");
        vm.expectRevert(abi.encodeWithSelector(IRecords.CommitteeVacant.selector, study));
        vm.prank(next);
        consilium.openRound(study, SUBJECT, DEADLINE, SETTLE_BY);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(ONE), next));
        vm.prank(next);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        for (uint256 j = 1; j <= 5; j++) {
            agree(j, next, consentOf(BOND, BOND, 0, type(uint40).max));
        }
        vm.prank(next);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        assertBonded(ONE, sponsor, 0);
        assertBonded(ONE, next, BOND);
        vm.prank(next);
        consilium.openRound(study, SUBJECT, DEADLINE, SETTLE_BY);
    }

    // --------------------------------------------------------------------------------------------

    function beyond() private pure returns (bytes4) {
        return INodeRegistry.BeyondConsent.selector;
    }

    function consentOf(uint96 maxBond, uint96 maxTotal, uint24 window, uint40 expires)
        private
        pure
        returns (INodeRegistry.Consent memory)
    {
        return INodeRegistry.Consent(maxBond, maxTotal, window, expires);
    }

    function agree(uint256 j, address party, INodeRegistry.Consent memory consent) private {
        vm.prank(node(j));
        registry.setConsent(party, consent);
        (INodeRegistry.Consent memory stored,) = registry.consentOf(node(j), party);
        vm.assertEq(keccak256(abi.encode(stored)), keccak256(abi.encode(consent)), "as it was given");
    }

    function assertBonded(uint256 j, address party, uint256 expected) private view {
        (, uint96 bonded) = registry.consentOf(node(j), party);
        vm.assertEq(bonded, expected, "counted");
    }

    function create(uint96 bond, uint32 window) private returns (uint64) {
        IRecords.Conditions memory conditions = defaultConditions();
        (conditions.bond, conditions.challengeWindow) = (bond, window);
        return createStudyWith(defaultTerms(), conditions, 5);
    }

    /// @dev The next call.
    function refuse(bytes memory reason) private {
        vm.expectRevert(reason);
    }
}
