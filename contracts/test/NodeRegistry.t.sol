// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {NodeRegistry} from "../src/NodeRegistry.sol";
import {ICourt} from "../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Deployment} from "./setup/Deployment.sol";

/// @dev Registration, key rotation, and that stake stays while a node serves and leaves only after the delay.
contract NodeRegistryTest is Deployment {
    address private newcomer = address(0xA11CE);

    function setUp() public {
        deploy();
        vm.deal(newcomer, 10 ether);
    }

    function test_register_locksStakeAndPublishesKey() public {
        bytes memory key = kemKey(77);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeRegistered(newcomer, "Clinic", "DE", 2 ether);
        vm.expectEmit(address(registry));
        emit INodeRegistry.KemKeySet(newcomer, keccak256(key), key);
        vm.prank(newcomer);
        registry.register{value: 2 ether}(key, "Clinic", "DE");

        INodeRegistry.Node memory stored = registry.nodeOf(newcomer);
        vm.assertTrue(registry.isActive(newcomer), "active");
        vm.assertEq(stored.keyHash, keccak256(key), "key hash");
        vm.assertEq(stored.stake, 2 ether, "stake");
        vm.assertEq(address(registry).balance, NODES * STAKE + 2 ether, "balance");
    }

    function test_register_refusesSmallStake() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StakeTooSmall.selector, STAKE - 1, STAKE));
        vm.prank(newcomer);
        registry.register{value: STAKE - 1}(kemKey(77), "Clinic", "DE");
    }

    function test_register_refusesASecondTime() public {
        vm.deal(node(1), STAKE);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.AlreadyRegistered.selector, node(1)));
        vm.prank(node(1));
        registry.register{value: STAKE}(kemKey(1), "Clinic", "DE");
    }

    function testFuzz_register_refusesKeysOfOtherLengths(uint16 length) public {
        uint256 actual = length == 1216 ? 1217 : length;
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidKemKey.selector, actual));
        vm.prank(newcomer);
        registry.register{value: STAKE}(new bytes(actual), "Clinic", "DE");
    }

    function test_register_refusesNamesMissingOrTooLong() public {
        string memory tooLong = string(new bytes(129));
        string[2][4] memory cases = [["", "DE"], ["Clinic", ""], [tooLong, "DE"], ["Clinic", tooLong]];
        for (uint256 i = 0; i < cases.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidIdentity.selector));
            vm.prank(newcomer);
            registry.register{value: STAKE}(kemKey(77), cases[i][0], cases[i][1]);
        }
    }

    function test_rotateKemKey_replacesTheKey() public {
        bytes memory key = kemKey(99);
        vm.expectEmit(address(registry));
        emit INodeRegistry.KemKeySet(node(1), keccak256(key), key);
        vm.prank(node(1));
        registry.rotateKemKey(key);
        vm.assertEq(registry.nodeOf(node(1)).keyHash, keccak256(key), "key hash");
    }

    function test_rotateKemKey_refusesStrangersAndWrongLengths() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeNotActive.selector, newcomer));
        vm.prank(newcomer);
        registry.rotateKemKey(kemKey(99));

        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidKemKey.selector, 32));
        vm.prank(node(1));
        registry.rotateKemKey(new bytes(32));
    }

    function test_exit_returnsTheStakeAfterTheDelay() public {
        vm.expectEmit(address(registry));
        emit INodeRegistry.UnbondingBegun(node(1), START + UNBONDING);
        vm.prank(node(1));
        registry.beginUnbond();
        vm.assertTrue(!registry.isActive(node(1)), "not active while unbonding");

        vm.warp(START + UNBONDING - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StakeLocked.selector, node(1), START + UNBONDING));
        vm.prank(node(1));
        registry.withdraw();

        vm.warp(START + UNBONDING);
        vm.expectEmit(address(registry));
        emit INodeRegistry.Withdrawn(node(1), STAKE);
        vm.prank(node(1));
        registry.withdraw();
        vm.assertEq(node(1).balance, STAKE, "paid back");
    }

    function test_exit_happensOnce() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StakeLocked.selector, node(1), 0));
        vm.prank(node(1));
        registry.withdraw();

        vm.prank(node(1));
        registry.beginUnbond();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeNotActive.selector, node(1)));
        vm.prank(node(1));
        registry.beginUnbond();

        vm.warp(START + UNBONDING);
        vm.prank(node(1));
        registry.withdraw();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StakeLocked.selector, node(1), 0));
        vm.prank(node(1));
        registry.withdraw();
    }

    function test_exit_aNodeThatLeftDoesNotComeBack() public {
        vm.prank(node(1));
        registry.beginUnbond();
        vm.warp(START + UNBONDING);
        vm.prank(node(1));
        registry.withdraw();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.AlreadyRegistered.selector, node(1)));
        vm.prank(node(1));
        registry.register{value: STAKE}(kemKey(1), "Clinic", "DE");
    }

    function test_exit_refusedWhileServingAnyStudy() public {
        uint64 first = createStudy(1, 5);
        uint64 second = createStudy(1, 5);

        vm.prank(sponsor);
        consilium.setCommittee(first, 1, nodesFrom(6, 5));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeServing.selector, node(1), 1));
        vm.prank(node(1));
        registry.beginUnbond();

        vm.prank(sponsor);
        consilium.setCommittee(second, 1, nodesFrom(6, 5));
        vm.prank(node(1));
        registry.beginUnbond();
    }

    function test_exit_keepsTheStakeOfANodeThatCannotTakeIt() public {
        Unpayable unpayable = new Unpayable{value: STAKE}(registry, kemKey(1));
        unpayable.beginUnbond();
        vm.warp(START + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.TransferFailed.selector, address(unpayable)));
        unpayable.withdraw();
        vm.assertEq(registry.nodeOf(address(unpayable)).stake, STAKE, "stake");
    }

    function test_exit_paysOnceToANodeThatReenters() public {
        Reentrant reentrant = new Reentrant{value: STAKE}(registry, kemKey(1));
        reentrant.beginUnbond();
        vm.warp(START + UNBONDING);
        reentrant.withdraw();
        vm.assertTrue(reentrant.refused(), "the inner withdrawal is refused");
        vm.assertEq(address(reentrant).balance, STAKE, "paid once");
        vm.assertEq(address(registry).balance, NODES * STAKE, "others untouched");
    }

    // -------------------------------------------------------------------------------------------- bonds and consent

    function test_consent_withoutItNobodyServes() public {
        INodeRegistry.Consent memory none;
        vm.expectEmit(address(registry));
        emit INodeRegistry.ConsentSet(node(3), sponsor, none);
        vm.prank(node(3));
        registry.setConsent(sponsor, none);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(3), sponsor));
        createStudy(1, 5);
        vm.prank(node(3));
        registry.setConsent(sponsor, consentTo(4 * BOND));
        uint64 study = createStudy(1, 5);
        // Taken back, it counts for the next committee.
        vm.prank(node(3));
        registry.setConsent(sponsor, none);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(3), sponsor));
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
    }

    /// Nobody agrees to serve everybody.
    function test_consent_namesAParty() public {
        vm.expectRevert(INodeRegistry.NoParty.selector);
        vm.prank(node(3));
        registry.setConsent(address(0), consentTo(BOND));
    }

    function test_newcomers_serveOnlyStudiesThatAllowThem() public {
        IRecords.Conditions memory conditions = defaultConditions();
        conditions.newcomers = false;
        vm.warp(START + PROBATION - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.Newcomer.selector, node(1), START));
        createStudyWith(defaultTerms(), conditions, 5);
        vm.warp(START + PROBATION);
        createStudyWith(defaultTerms(), conditions, 5);
    }

    function test_bond_isTakenFromFreeStakeAndComesBack() public {
        uint64 study = createStudy(1, 5);
        vm.assertEq(registry.nodeOf(node(1)).stake, STAKE - BOND, "free");
        vm.assertEq(registry.bondOf(study, node(1)).amount, BOND, "bond");
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        uint64 until = START + UNBONDING;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BondLocked.selector, study, node(1), until));
        registry.reclaim(study, node(1));
        vm.warp(until);
        registry.reclaim(study, node(1));
        vm.assertEq(registry.nodeOf(node(1)).stake, STAKE, "free again");
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BondLocked.selector, study, node(1), 0));
        registry.reclaim(study, node(1));
    }

    function test_bond_ofANodeThatServesAgainAnswersAgain() public {
        uint64 study = createStudy(1, 5);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(2, 5));
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        vm.assertEq(registry.bondOf(study, node(1)).amount, BOND, "one bond");
        vm.warp(START + 2 * UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BondLocked.selector, study, node(1), 0));
        registry.reclaim(study, node(1));
    }

    function test_bond_mustBeCoveredAndCanBeToppedUp() public {
        for (uint256 i = 0; i < 4; i++) {
            createStudy(1, 5);
        }
        for (uint256 j = 1; j <= 5; j++) {
            vm.prank(node(j));
            registry.setConsent(sponsor, consentTo(8 * BOND));
        }
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BondMissing.selector, node(1), 0, BOND));
        createStudy(1, 5);
        for (uint256 j = 1; j <= 5; j++) {
            vm.deal(node(j), BOND);
            vm.prank(node(j));
            registry.deposit{value: BOND}();
        }
        createStudy(1, 5);
    }

    /// No sponsor can keep a node: it leaves by itself, stays liable for the delay, and the study waits for another.
    function test_resign_freesANodeWithoutItsSponsor() public {
        uint64 study = createStudy(1, 5);
        uint64 round = open(study, SUBJECT);
        vm.prank(node(2));
        registry.resign(study);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotServing.selector, study, node(2)));
        vm.prank(node(2));
        registry.resign(study);
        // The round in progress goes on.
        certify(study, round, 15);
        settle(study, round, 5, 15);
        vm.expectRevert(abi.encodeWithSelector(IRecords.CommitteeVacant.selector, study));
        open(study, keccak256("next model"));
        vm.prank(node(2));
        registry.beginUnbond();
        vm.warp(START + UNBONDING);
        vm.prank(node(2));
        registry.withdraw();
        registry.reclaim(study, node(2));
        vm.prank(node(2));
        registry.withdraw();
        vm.assertEq(node(2).balance, STAKE, "all of it");
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
    }

    /// Whoever leaves at the moment a round opens is liable until its challenge window and the time to dispute are over.
    function testFuzz_resign_stakeOutlastsEveryRound(uint32 length) public {
        uint64 study = createStudy(1, 5);
        uint64 settleBy = START + 2 + length % (2 * UNBONDING);
        bool fits = settleBy + WINDOW + PAUSE + DISPUTE <= START + UNBONDING;
        if (!fits) {
            vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidDeadlines.selector, START + 1, settleBy));
        }
        vm.prank(sponsor);
        consilium.openRound(study, SUBJECT, START + 1, settleBy);
        vm.prank(node(1));
        registry.resign(study);
        vm.assertTrue(
            !fits || registry.bondOf(study, node(1)).until >= settleBy + WINDOW + PAUSE + DISPUTE, "liable to the end"
        );
    }

    function test_consilium_aloneLocksAndUnlocks() public {
        address[] memory nodes = nodesFrom(1, 5);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotConsilium.selector, address(this)));
        registry.enlist(INodeRegistry.Service(1, 0, sponsor, address(0), BOND, WINDOW, true), nodes);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotConsilium.selector, address(this)));
        registry.discharge(1, 0, nodes);
    }

    function test_consilium_mustBeNamed() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidConsilium.selector));
        new NodeRegistry(STAKE, UNBONDING, PROBATION, COMPENSATION, CLAIM_TIME, sink, address(0));
    }

    function test_sink_mustBeNamed() public {
        vm.expectRevert(abi.encodeWithSelector(ICourt.InvalidSink.selector));
        new NodeRegistry(STAKE, UNBONDING, PROBATION, COMPENSATION, CLAIM_TIME, address(0), address(consilium));
    }
}

/// @dev A node that is a contract and takes no coins.
contract Unpayable {
    NodeRegistry internal immutable registry;

    constructor(NodeRegistry registry_, bytes memory key) payable {
        registry = registry_;
        registry_.register{value: msg.value}(key, "Clinic", "DE");
    }

    function beginUnbond() external {
        registry.beginUnbond();
    }

    function withdraw() external {
        registry.withdraw();
    }
}

/// @dev A node that asks for its stake again while it is being paid.
contract Reentrant is Unpayable {
    bool public refused;

    constructor(NodeRegistry registry_, bytes memory key) payable Unpayable(registry_, key) {}

    receive() external payable {
        try registry.withdraw() {}
        catch {
            refused = true;
        }
    }
}
