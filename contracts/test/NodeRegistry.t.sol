// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {NodeRegistry} from "../src/NodeRegistry.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
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

    function test_consilium_aloneLocksAndUnlocks() public {
        address[] memory nodes = nodesFrom(1, 5);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotConsilium.selector, address(this)));
        registry.enlist(INodeRegistry.Service(1, 0, sponsor, BOND, true), nodes);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotConsilium.selector, address(this)));
        registry.discharge(1, 0, nodes);
    }

    function test_consilium_mustBeNamed() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidConsilium.selector));
        new NodeRegistry(STAKE, UNBONDING, PROBATION, COMPENSATION, address(0));
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
