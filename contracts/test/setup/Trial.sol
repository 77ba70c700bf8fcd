// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {ISumKind} from "../../src/kinds/sum/ISumKind.sol";
import {Play} from "./Play.sol";
import {Trees} from "./Trees.sol";

/// @dev Rounds over real vectors, with liars, and the evidence against them.
abstract contract Trial is Play {
    uint64 internal constant DIMENSION = 99;
    uint64 internal constant LENGTH = DIMENSION + 1;

    uint64 internal study;
    uint256 internal committee;
    uint8 internal threshold;
    /// Of the newest round: the aggregate, then the output share of each node.
    uint64[][] internal vectors;
    Outcome internal outcome;
    address internal reporter = address(0xBEE);

    function prepare(uint8 t, uint256 n) internal {
        deploy();
        (threshold, committee) = (t, n);
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.threshold = t;
        terms.parameters = parameters(DIMENSION);
        study = createStudyWith(terms, payingConditions(), n);
        fund(study, 100 * uint256(BUDGET));
    }

    /// @dev d as u64, little-endian, and 32 bytes that the contract does not look at.
    function parameters(uint64 dimension) internal pure returns (bytes memory packed) {
        packed = new bytes(40);
        for (uint256 i = 0; i < 8; i++) {
            packed[i] = bytes1(uint8(dimension >> (8 * i)));
        }
    }

    function program() internal pure returns (ISumKind.Program memory) {
        IRecords.StudyTerms memory terms = defaultTerms();
        return ISumKind.Program({
            kind: 1,
            name: terms.program,
            parameters: parameters(DIMENSION),
            outputLength: LENGTH,
            weightUnit: terms.weightUnit,
            description: terms.description
        });
    }

    /// @dev Every coordinate is a polynomial of degree t with coefficients of its own; point 0 is the aggregate.
    function drawVectors(uint256 length) internal {
        delete vectors;
        for (uint256 point = 0; point <= committee; point++) {
            uint64[] memory vector = new uint64[](length);
            for (uint256 k = 0; k < length; k++) {
                vector[k] = value(k, point);
            }
            vectors.push(vector);
        }
    }

    function value(uint256 k, uint256 point) private view returns (uint64) {
        uint256 sum = 0;
        for (uint256 e = threshold + 1; e > 0; e--) {
            uint256 coefficient = uint256(keccak256(abi.encode("coefficient", k, e - 1))) % P;
            sum = addmod(mulmod(sum, point, P), coefficient, P);
        }
        return uint64(sum);
    }

    /// @dev Certifies and settles a new round on what `vectors` says now.
    function conclude() internal {
        uint64 round = openNext(study);
        Outcome memory fresh = outcomeOf(study, round, threshold, committee, 5);
        fresh.roots.aggregateRoot = Trees.vectorRoot(vectors[0]);
        for (uint256 j = 1; j <= committee; j++) {
            fresh.roots.shareRoots[j - 1] = Trees.vectorRoot(vectors[j]);
        }
        concludeAs(fresh);
    }

    function concludeAs(Outcome memory fresh) internal {
        certifyAs(fresh);
        settleAs(fresh);
        outcome = fresh;
    }

    /// @dev An honest round.
    function honest() internal {
        drawVectors(LENGTH);
        conclude();
    }

    // -------------------------------------------------------------------------------------------- evidence

    function opening(uint8 point, uint64 leaf) internal view returns (ISumKind.Opening memory) {
        bytes[] memory pieces = Trees.contents(vectors[point]);
        return
            ISumKind.Opening({point: point, content: pieces[leaf], path: Trees.open(Trees.vectorLeaves(pieces), leaf)});
    }

    function openings(uint8[] memory points, uint64 leaf) internal view returns (ISumKind.Opening[] memory all) {
        all = new ISumKind.Opening[](points.length);
        for (uint256 i = 0; i < points.length; i++) {
            all[i] = opening(points[i], leaf);
        }
    }

    /// @dev Points first, first+1, ...: t+2 of them.
    function pointsFrom(uint8 first) internal view returns (uint8[] memory points) {
        points = new uint8[](uint256(threshold) + 2);
        for (uint256 i = 0; i < points.length; i++) {
            points[i] = uint8(first + i);
        }
    }

    function signedShare(uint256 j, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        internal
        view
        returns (bytes32[2] memory)
    {
        return signCompact(secret(j), digests.shareRootDigest(study, round, setRoot, index, root));
    }

    function signedFinal(uint256 j, bytes32 subject, uint64 round, bytes32 setRoot)
        internal
        view
        returns (bytes32[2] memory)
    {
        return signCompact(secret(j), digests.finalDigest(study, subject, round, setRoot));
    }

    function proveTwoFinals(uint256 j, uint64 round) internal {
        bytes32[2] memory one = signedFinal(j, SUBJECT, round, SET_ROOT);
        bytes32[2] memory other = signedFinal(j, SUBJECT, round, REWARD_ROOT);
        vm.prank(reporter);
        registry.proveTwoFinals(study, SUBJECT, round, SET_ROOT, one, round, REWARD_ROOT, other);
    }

    function proveWrongShare(uint256 j, uint8 index, bytes32 root) internal {
        bytes32[2] memory signed = signedShare(j, outcome.round, outcome.roots.setRoot, index, root);
        vm.prank(reporter);
        registry.proveWrongShare(study, outcome.round, outcome.roots, index, root, signed);
    }

    function proveWrongSettlement(uint64 element, uint8[] memory points) internal {
        ISumKind.Opening[] memory all = openings(points, element / 32);
        vm.prank(reporter);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, program(), element, all);
    }

    // -------------------------------------------------------------------------------------------- expectations

    function assertConvicted(uint256 j) internal view {
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(j));
        vm.assertTrue(bond.standing >= INodeRegistry.Standing.Misreported, "convicted");
        bool forGood = bond.standing == INodeRegistry.Standing.Convicted;
        vm.assertEq(bond.amount, forGood ? BOND - BOND / 10 : BOND, "nine tenths for the harmed, or all of it as yet");
    }

    /// @dev Given back whole, and liable for the unbonding delay from now on.
    function assertAcquitted(uint256 j) internal view {
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(j));
        vm.assertTrue(bond.standing == INodeRegistry.Standing.Discharged, "discharged");
        vm.assertEq(bond.amount, BOND, "all of it");
        vm.assertEq(bond.until, vm.getBlockTimestamp() + UNBONDING, "liable for a while");
        vm.assertEq(bond.index, 0, "without a seat");
    }

    function assertUntouched(uint256 j) internal view {
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(j));
        vm.assertTrue(bond.standing == INodeRegistry.Standing.Serving, "serving");
        vm.assertEq(bond.amount, BOND, "bond");
    }
}
