// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../../interfaces/ICourt.sol";
import {IRecords} from "../../interfaces/IRecords.sol";
import {MerkleTrees} from "../../libraries/MerkleTrees.sol";
import {IKind} from "../IKind.sol";
import {Judge} from "../Judge.sol";
import {Goldilocks} from "./Goldilocks.sol";
import {ISumKind} from "./ISumKind.sol";
import {Vectors} from "./Vectors.sol";

/// @title Kind 1: private sums
/// @dev It knows no program by name: the length of its results stands in a study's terms.
contract SumKind is ISumKind, Judge {
    /// @inheritdoc IKind
    uint8 public constant kind = 1;
    /// @inheritdoc IKind
    uint32 public constant leastCohort = 2;
    /// @inheritdoc IKind
    bool public constant endsAtCertificate = false;

    constructor(address consilium_, ICourt registry_) Judge(consilium_, registry_) {}

    /// @inheritdoc ISumKind
    function proveWrongSettlement(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        Program calldata program,
        uint64 element,
        Opening[] calldata openings
    ) external {
        IRecords.Accused memory accused = _accuseOf(study, round, roots, program);
        require(element < program.outputLength && openings.length == uint256(accused.threshold) + 2, OpeningPoints());
        (uint256[] memory points, uint256[] memory values) = _valuesAt(roots, program.outputLength, element, openings);
        require(!Goldilocks.fits(points, values), ICourt.NoOffence());
        _convictSigners(study, round, accused, ICourt.Offence.WrongSettlement);
    }

    /// @inheritdoc ISumKind
    function proveMalformedLeaf(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        Program calldata program,
        uint64 leaf,
        Opening calldata opening
    ) external {
        IRecords.Accused memory accused = _accuseOf(study, round, roots, program);
        _requireLeaf(_rootAt(roots, opening.point), program.outputLength, leaf, opening);
        require(!Vectors.isLeaf(opening.content, program.outputLength, leaf), ICourt.NoOffence());
        _convictSigners(study, round, accused, ICourt.Offence.WrongSettlement);
    }

    /// @inheritdoc ISumKind
    function proveMalformedRoot(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        Program calldata program,
        uint8 point,
        bytes calldata preimage
    ) external {
        IRecords.Accused memory accused = _accuseOf(study, round, roots, program);
        require(sha256(preimage) == _rootAt(roots, point), ICourt.NotTheLeaf(point));
        require(!MerkleTrees.isTop(preimage, MerkleTrees.VECTOR, program.outputLength), ICourt.NoOffence());
        _convictSigners(study, round, accused, ICourt.Offence.WrongSettlement);
    }

    /// @inheritdoc IKind
    function vectorRoot(bytes32 signed, bytes calldata evidence) external pure returns (bytes32) {
        require(evidence.length == 0, NothingToUnwrap());
        return signed;
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _accuseOf(uint64 study, uint64 round, ICourt.Roots calldata roots, Program calldata program)
        private
        returns (IRecords.Accused memory accused)
    {
        accused = _accuse(study, round, roots);
        bytes32 terms = keccak256(
            abi.encode(
                program.kind,
                program.name,
                program.parameters,
                program.outputLength,
                program.weightUnit,
                program.description
            )
        );
        require(accused.termsHash == terms, NotTheProgram(study));
    }

    /// The values of an element at points of their own, as the settled roots have them.
    function _valuesAt(ICourt.Roots calldata roots, uint64 length, uint64 element, Opening[] calldata openings)
        private
        view
        returns (uint256[] memory points, uint256[] memory values)
    {
        (points, values) = (new uint256[](openings.length), new uint256[](openings.length));
        for (uint256 i = 0; i < openings.length; i++) {
            uint8 point = openings[i].point;
            require(i == 0 || point > points[i - 1], OpeningPoints());
            (points[i], values[i]) = (point, _valueAt(_rootAt(roots, point), length, element, openings[i]));
        }
    }

    function _valueAt(bytes32 root, uint64 length, uint64 element, Opening calldata opening)
        private
        view
        returns (uint256 value)
    {
        _requireLeaf(root, length, element / uint64(Vectors.LEAF_ELEMENTS), opening);
        require(opening.content.length == Vectors.LEAF_BYTES, OpeningPoints());
        value = Goldilocks.element(opening.content, element % Vectors.LEAF_ELEMENTS);
        // A value that is none is an offence of its own, with a proof of one opening.
        require(value < Goldilocks.P, OpeningPoints());
    }

    function _requireLeaf(bytes32 root, uint64 length, uint64 leaf, Opening calldata opening) private view {
        bytes32 hash = MerkleTrees.leafHashOf(opening.content);
        uint256 leaves = Vectors.leaves(length);
        bytes32 found = MerkleTrees.rootOf(MerkleTrees.VECTOR, length, leaves, leaf, hash, opening.path);
        require(found == root, ICourt.NotTheLeaf(opening.point));
    }

    function _rootAt(ICourt.Roots calldata roots, uint8 point) private pure returns (bytes32) {
        if (point == 0) return roots.aggregateRoot;
        require(point <= roots.shareRoots.length, OpeningPoints());
        return roots.shareRoots[point - 1];
    }
}
