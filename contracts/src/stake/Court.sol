// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "../SignedStatements.sol";
import {IConsilium} from "../interfaces/IConsilium.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {Goldilocks} from "../libraries/Goldilocks.sol";
import {MerkleTrees} from "../libraries/MerkleTrees.sol";
import {Statements} from "../libraries/Statements.sol";
import {Vectors} from "../libraries/Vectors.sol";
import {Compensations} from "./Compensations.sol";

/// @title The proofs of section 6.12
/// @dev Whose word is shown is whose signature it is: a node is accused by what it signed, and liable if it has a bond
/// in that study. Evidence is not bound to its sender: whoever copies it from the pool may collect the reward, and the
/// offender is convicted all the same. A commitment first would cost a second transaction and give the offender its
/// delay; the reward is a tenth of the bond so that it is worth filing and not worth being one's own accuser.
abstract contract Court is Compensations, SignedStatements {
    // ------------------------------------------------------------------------------------------------ one signature

    function proveWrongShare(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        uint8 index,
        bytes32 root,
        bytes calldata signature
    ) external {
        _requireSettlement(study, round, roots);
        address node = _signerOf(Statements.shareRoot(study, round, roots.setRoot, index, root), signature);
        _requireOwnIndex(study, round, index, node);
        require(roots.shareRoots[index - 1] != root, NoOffence());
        _convictOne(study, node, round, Offence.WrongShare);
    }

    function proveForeignShare(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint8 index,
        bytes32 root,
        bytes calldata signature
    ) external {
        bytes32 certified = IConsilium(consilium).setRootOf(study, round);
        require(certified != 0, NotCertified(study, round));
        require(setRoot != certified, NoOffence());
        address node = _signerOf(Statements.shareRoot(study, round, setRoot, index, root), signature);
        _requireOwnIndex(study, round, index, node);
        _convictOne(study, node, round, Offence.ForeignShare);
    }

    // ------------------------------------------------------------------------------------------------ two signatures

    function proveTwoFinals(
        uint64 study,
        bytes32 subject,
        uint64 round,
        bytes32 setRoot,
        bytes calldata signature,
        uint64 otherRound,
        bytes32 otherSetRoot,
        bytes calldata otherSignature
    ) external {
        require(round != otherRound || setRoot != otherSetRoot, NoOffence());
        address node = _signerOf(Statements.finality(study, subject, round, setRoot), signature);
        address other = _signerOf(Statements.finality(study, subject, otherRound, otherSetRoot), otherSignature);
        require(node == other, TwoSigners(node, other));
        _convictOne(study, node, round, Offence.TwoFinals);
    }

    function proveTwoShares(
        uint64 study,
        uint64 round,
        uint8 index,
        bytes32 setRoot,
        bytes32 root,
        bytes calldata signature,
        bytes32 otherSetRoot,
        bytes32 otherRoot,
        bytes calldata otherSignature
    ) external {
        require(setRoot != otherSetRoot || root != otherRoot, NoOffence());
        address node = _signerOf(Statements.shareRoot(study, round, setRoot, index, root), signature);
        address other = _signerOf(Statements.shareRoot(study, round, otherSetRoot, index, otherRoot), otherSignature);
        require(node == other, TwoSigners(node, other));
        _requireOwnIndex(study, round, index, node);
        _convictOne(study, node, round, Offence.TwoShares);
    }

    function proveTwoSettlements(uint64 study, uint64 round, Said calldata said, Said calldata otherSaid) external {
        (bytes32 statement, bytes32 otherStatement) =
            (_statementOf(study, round, said), _statementOf(study, round, otherSaid));
        require(statement != otherStatement, NoOffence());
        address node = _signerOf(statement, said.signature);
        address other = _signerOf(otherStatement, otherSaid.signature);
        require(node == other, TwoSigners(node, other));
        _convictOne(study, node, round, Offence.TwoSettlements);
    }

    // ------------------------------------------------------------------------------------------------ openings

    function proveWrongSettlement(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint64 element,
        Opening[] calldata openings
    ) external {
        _requireSettlement(study, round, roots);
        uint64 length = _lengthOf(study, program);
        IConsilium.Round memory settled = IConsilium(consilium).roundOf(study, round);
        IConsilium.Committee memory committee = IConsilium(consilium).committeeOf(study, settled.epoch);
        uint256 count = openings.length;
        require(element < length && count == uint256(committee.threshold) + 2, OpeningPoints());

        (uint256[] memory points, uint256[] memory values) = (new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; i++) {
            points[i] = openings[i].point;
            require(i == 0 || points[i] > points[i - 1], OpeningPoints());
            _requireLeaf(roots, length, element / uint64(Vectors.LEAF_ELEMENTS), openings[i]);
            require(openings[i].content.length == Vectors.LEAF_BYTES, OpeningPoints());
            values[i] = Goldilocks.element(openings[i].content, element % Vectors.LEAF_ELEMENTS);
            // A value that is none is an offence of its own, with a proof of one opening.
            require(values[i] < Goldilocks.P, OpeningPoints());
        }
        require(!Goldilocks.fits(points, values), NoOffence());
        _convictSigners(study, round, settled.signers, committee.nodes);
    }

    function proveMalformedLeaf(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint64 leaf,
        Opening calldata opening
    ) external {
        _requireSettlement(study, round, roots);
        uint64 length = _lengthOf(study, program);
        _requireLeaf(roots, length, leaf, opening);
        require(!Vectors.isLeaf(opening.content, length, leaf), NoOffence());
        _convictSignersOf(study, round);
    }

    function proveMalformedRoot(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint8 point,
        bytes calldata preimage
    ) external {
        _requireSettlement(study, round, roots);
        require(sha256(preimage) == _rootAt(roots, point), NotTheLeaf(point));
        require(!Vectors.isTop(preimage, _lengthOf(study, program)), NoOffence());
        _convictSignersOf(study, round);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// The settlement's hash is on record only while the round counts as settled.
    function _requireSettlement(uint64 study, uint64 round, Roots calldata roots) private view {
        bytes32 settlement = Statements.settlement(
            study,
            round,
            roots.setRoot,
            keccak256(abi.encodePacked(roots.shareRoots)),
            roots.aggregateRoot,
            roots.rewardRoot
        );
        require(IConsilium(consilium).isSettlement(study, round, settlement), NotTheSettlement(study, round));
    }

    /// Nodes rebuild each other's statements with the signer's own number, so that one under another's number counts
    /// for nothing, here neither.
    function _requireOwnIndex(uint64 study, uint64 round, uint8 index, address node) private view {
        Bond memory bond = _bond(study, node);
        // The bond knows the index of the current service; of earlier ones the committee itself does.
        bool current = index == bond.index && round > bond.since
            && (bond.standing == Standing.Serving || (bond.standing == Standing.Discharged && round <= bond.ended));
        require(
            current || IConsilium(consilium).memberOf(study, round, index) == node,
            NotItsIndex(study, round, index, node)
        );
    }

    function _requireLeaf(Roots calldata roots, uint64 length, uint64 leaf, Opening calldata opening) private view {
        bytes32 found = MerkleTrees.rootOf(
            MerkleTrees.VECTOR,
            length,
            Vectors.leaves(length),
            leaf,
            MerkleTrees.leafHash(opening.content),
            opening.path
        );
        require(found == _rootAt(roots, opening.point), NotTheLeaf(opening.point));
    }

    function _rootAt(Roots calldata roots, uint8 point) private pure returns (bytes32) {
        if (point == 0) return roots.aggregateRoot;
        require(point <= roots.shareRoots.length, OpeningPoints());
        return roots.shareRoots[point - 1];
    }

    function _lengthOf(uint64 study, Program calldata program) private view returns (uint64 length) {
        bytes32 terms = keccak256(abi.encode(program.kind, program.name, program.parameters));
        require(IConsilium(consilium).termsHashOf(study) == terms, NotTheProgram(study));
        length = Vectors.lengthOf(program.name, program.parameters);
        require(length != 0, NotTheProgram(study));
    }

    function _statementOf(uint64 study, uint64 round, Said calldata said) private pure returns (bytes32) {
        return
            Statements.settlement(study, round, said.setRoot, said.shareRootsHash, said.aggregateRoot, said.rewardRoot);
    }

    function _convictSignersOf(uint64 study, uint64 round) private {
        IConsilium.Round memory settled = IConsilium(consilium).roundOf(study, round);
        IConsilium.Committee memory committee = IConsilium(consilium).committeeOf(study, settled.epoch);
        _convictSigners(study, round, settled.signers, committee.nodes);
    }
}
