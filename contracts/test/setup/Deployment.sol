// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Consilium} from "../../src/Consilium.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {Test} from "./Test.sol";

/// @dev Both contracts, 32 registered nodes with known keys, a sponsor, and ways to sign as nodes.
abstract contract Deployment is Test {
    uint256 internal constant STAKE = 1 ether;
    uint64 internal constant UNBONDING = 6 hours;
    uint256 internal constant NODES = 32;
    uint64 internal constant START = 1_800_000_000;
    uint64 internal constant DEADLINE = START + 1 hours;
    uint64 internal constant SETTLE_BY = START + 2 hours;
    uint256 internal constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    bytes32 internal constant SUBJECT = keccak256("base model");
    bytes32 internal constant SET_ROOT = keccak256("set");
    bytes32 internal constant SITES_ROOT = keccak256("sites");
    bytes32 internal constant AGGREGATE_ROOT = keccak256("aggregate");
    bytes32 internal constant REWARD_ROOT = keccak256("reward");

    NodeRegistry internal registry;
    Consilium internal consilium;
    address internal sponsor = address(0x5905);

    function deploy() internal {
        vm.warp(START);
        (registry, consilium) = deployPair();
        for (uint256 j = 1; j <= NODES; j++) {
            register(j);
        }
    }

    function deployPair() internal returns (NodeRegistry newRegistry, Consilium newConsilium) {
        address court = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        newRegistry = new NodeRegistry(STAKE, UNBONDING, court);
        newConsilium = new Consilium(newRegistry);
    }

    function register(uint256 j) internal {
        vm.deal(node(j), STAKE);
        vm.prank(node(j));
        registry.register{value: STAKE}(kemKey(j), "University Hospital", "CH");
    }

    // -------------------------------------------------------------------------------------------- who is who

    function secret(uint256 j) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("node", j)));
    }

    function node(uint256 j) internal pure returns (address) {
        return vm.addr(secret(j));
    }

    /// @dev Nodes first, first+1, ... of the registry.
    function nodesFrom(uint256 first, uint256 n) internal pure returns (address[] memory nodes) {
        nodes = new address[](n);
        for (uint256 i = 0; i < n; i++) {
            nodes[i] = node(first + i);
        }
    }

    function kemKey(uint256 j) internal pure returns (bytes memory key) {
        key = new bytes(1216);
        key[0] = bytes1(uint8(j));
    }

    function sites(uint256 count) internal pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            list[i] = address(uint160(0x51000 + i));
        }
    }

    // -------------------------------------------------------------------------------------------- studies and rounds

    function defaultTerms() internal pure returns (IConsilium.StudyTerms memory) {
        return IConsilium.StudyTerms({
            kind: 1,
            program: "weighted-mean",
            parameters: hex"0102030405060708",
            threshold: 1,
            minimumCohort: 3,
            finality: "instant",
            sitesRoot: SITES_ROOT
        });
    }

    function createStudy(uint8 threshold, uint256 n) internal returns (uint64) {
        IConsilium.StudyTerms memory terms = defaultTerms();
        terms.threshold = threshold;
        vm.prank(sponsor);
        return consilium.createStudy(terms, nodesFrom(1, n), sites(5));
    }

    function open(uint64 study, bytes32 subject) internal returns (uint64) {
        vm.prank(sponsor);
        return consilium.openRound(study, subject, DEADLINE, SETTLE_BY);
    }

    function certify(uint64 study, uint64 round, uint256 signers) internal {
        bytes32 digest = consilium.voteDigest(study, round, SET_ROOT, 5);
        consilium.certify(study, round, SET_ROOT, 5, signers, signatures(digest, signers));
    }

    function settle(uint64 study, uint64 round, uint256 n, uint256 signers) internal {
        bytes32[] memory roots = shareRoots(n);
        bytes memory signed = signatures(settlementDigest(study, round, SET_ROOT, roots), signers);
        consilium.settle(study, round, roots, AGGREGATE_ROOT, REWARD_ROOT, signers, signed);
    }

    function settlementDigest(uint64 study, uint64 round, bytes32 setRoot, bytes32[] memory roots)
        internal
        view
        returns (bytes32)
    {
        bytes32 rootsHash = keccak256(abi.encodePacked(roots));
        return consilium.settlementDigest(study, round, setRoot, rootsHash, AGGREGATE_ROOT, REWARD_ROOT);
    }

    function shareRoots(uint256 n) internal pure returns (bytes32[] memory roots) {
        roots = new bytes32[](n);
        for (uint256 i = 0; i < n; i++) {
            roots[i] = keccak256(abi.encode("share", i));
        }
    }

    // -------------------------------------------------------------------------------------------- signatures

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev One signature for each set bit: bit j-1 is node j of the registry.
    function signatures(bytes32 digest, uint256 signers) internal pure returns (bytes memory all) {
        for (uint256 j = 1; j <= NODES; j++) {
            if ((signers >> (j - 1)) & 1 == 1) all = bytes.concat(all, sign(secret(j), digest));
        }
    }

    // -------------------------------------------------------------------------------------------- expectations

    function assertState(uint64 study, uint64 round, IConsilium.State expected) internal view {
        vm.assertEq(uint256(consilium.stateOf(study, round)), uint256(expected), "state");
    }

    function expectWrongState(uint64 study, uint64 round, IConsilium.State actual) internal {
        vm.expectRevert(abi.encodeWithSelector(IConsilium.WrongState.selector, study, round, actual));
    }
}
