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
        bytes32[2] calldata signature
    ) external {
        address node = _signerOf(Statements.shareRoot(study, round, roots.setRoot, index, root), signature);
        (uint256 slot, uint256 bond) = _bondAt(study, node);
        bytes32 settlement = _settlement(study, round, roots);
        bytes32 found = _ask(IConsilium.isSettledAs.selector, study, round, uint256(settlement), _vacates(bond));
        require(found != 0, NotTheSettlement(study, round));
        _requireOwnIndex(study, round, index, node, bond);
        require(roots.shareRoots[index - 1] != root, NoOffence());
        _convictOne(study, node, slot, bond, round, Offence.WrongShare);
    }

    function proveForeignShare(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint8 index,
        bytes32 root,
        bytes32[2] calldata signature
    ) external {
        address node = _signerOf(Statements.shareRoot(study, round, setRoot, index, root), signature);
        (uint256 slot, uint256 bond) = _bondAt(study, node);
        bytes32 certified = _ask(IConsilium.certifiedSetIn.selector, study, round, _vacates(bond), 0);
        require(certified != 0, NotCertified(study, round));
        require(setRoot != certified, NoOffence());
        _requireOwnIndex(study, round, index, node, bond);
        _convictOne(study, node, slot, bond, round, Offence.ForeignShare);
    }

    // ------------------------------------------------------------------------------------------------ two signatures

    function proveTwoFinals(
        uint64 study,
        bytes32 subject,
        uint64 round,
        bytes32 setRoot,
        bytes32[2] calldata signature,
        uint64 otherRound,
        bytes32 otherSetRoot,
        bytes32[2] calldata otherSignature
    ) external {
        require(round != otherRound || setRoot != otherSetRoot, NoOffence());
        address node = _signerOf(Statements.finality(study, subject, round, setRoot), signature);
        address other = _signerOf(Statements.finality(study, subject, otherRound, otherSetRoot), otherSignature);
        require(node == other, TwoSigners(node, other));
        (uint256 slot, uint256 bond) = _bondAt(study, node);
        if (_isServing(bond)) _ask(IConsilium.setVacant.selector, study, 0, 0, 0);
        _convictOne(study, node, slot, bond, round, Offence.TwoFinals);
    }

    function proveTwoShares(
        uint64 study,
        uint64 round,
        uint8 index,
        bytes32 setRoot,
        bytes32 root,
        bytes32[2] calldata signature,
        bytes32 otherSetRoot,
        bytes32 otherRoot,
        bytes32[2] calldata otherSignature
    ) external {
        require(setRoot != otherSetRoot || root != otherRoot, NoOffence());
        address node = _signerOf(Statements.shareRoot(study, round, setRoot, index, root), signature);
        address other = _signerOf(Statements.shareRoot(study, round, otherSetRoot, index, otherRoot), otherSignature);
        require(node == other, TwoSigners(node, other));
        (uint256 slot, uint256 bond) = _bondAt(study, node);
        _requireOwnIndex(study, round, index, node, bond);
        if (_isServing(bond)) _ask(IConsilium.setVacant.selector, study, 0, 0, 0);
        _convictOne(study, node, slot, bond, round, Offence.TwoShares);
    }

    function proveTwoSettlements(uint64 study, uint64 round, Said calldata said, Said calldata otherSaid) external {
        (bytes32 statement, bytes32 otherStatement) =
            (_statementOf(study, round, said), _statementOf(study, round, otherSaid));
        require(statement != otherStatement, NoOffence());
        address node = _signerOf(statement, said.signature);
        address other = _signerOf(otherStatement, otherSaid.signature);
        require(node == other, TwoSigners(node, other));
        (uint256 slot, uint256 bond) = _bondAt(study, node);
        if (_isServing(bond)) _ask(IConsilium.setVacant.selector, study, 0, 0, 0);
        _convictOne(study, node, slot, bond, round, Offence.TwoSettlements);
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
        (IConsilium.Accused memory accused, uint64 length) = _accuse(study, round, roots, program);
        uint256 count = openings.length;
        require(element < length && count == uint256(accused.threshold) + 2, OpeningPoints());

        (uint256[] memory points, uint256[] memory values) = (new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; i++) {
            Opening calldata opening = openings[i];
            bytes calldata content = opening.content;
            uint8 point = opening.point;
            require(i == 0 || point > points[i - 1], OpeningPoints());
            _requireLeaf(roots, length, element / uint64(Vectors.LEAF_ELEMENTS), point, content, opening.path);
            require(content.length == Vectors.LEAF_BYTES, OpeningPoints());
            uint256 value = Goldilocks.element(content, element % Vectors.LEAF_ELEMENTS);
            // A value that is none is an offence of its own, with a proof of one opening.
            require(value < Goldilocks.P, OpeningPoints());
            (points[i], values[i]) = (point, value);
        }
        require(!Goldilocks.fits(points, values), NoOffence());
        _convictSigners(study, round, accused);
    }

    function proveMalformedLeaf(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint64 leaf,
        Opening calldata opening
    ) external {
        (IConsilium.Accused memory accused, uint64 length) = _accuse(study, round, roots, program);
        _requireLeaf(roots, length, leaf, opening.point, opening.content, opening.path);
        require(!Vectors.isLeaf(opening.content, length, leaf), NoOffence());
        _convictSigners(study, round, accused);
    }

    function proveMalformedRoot(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint8 point,
        bytes calldata preimage
    ) external {
        (IConsilium.Accused memory accused, uint64 length) = _accuse(study, round, roots, program);
        require(sha256(preimage) == _rootAt(roots, point), NotTheLeaf(point));
        require(!Vectors.isTop(preimage, length), NoOffence());
        _convictSigners(study, round, accused);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// As `Statements.settlement`, hashed from the calldata in one buffer. It is on record only while the round counts as
    /// settled.
    function _settlement(uint64 study, uint64 round, Roots calldata roots) private pure returns (bytes32 statement) {
        bytes32[] calldata shareRoots = roots.shareRoots;
        (bytes32 kind, uint256 ofStudy, uint256 ofRound) = (Statements.SETTLEMENT, study, round);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let size := shl(5, shareRoots.length)
            calldatacopy(buffer, shareRoots.offset, size)
            let shareRootsHash := keccak256(buffer, size)
            mstore(buffer, kind)
            mstore(add(buffer, 0x20), ofStudy)
            mstore(add(buffer, 0x40), ofRound)
            // Of `roots`, the set's comes first, the aggregate's and the rewards' third and fourth.
            mstore(add(buffer, 0x60), calldataload(roots))
            mstore(add(buffer, 0x80), shareRootsHash)
            calldatacopy(add(buffer, 0xa0), add(roots, 0x40), 0x40)
            statement := keccak256(buffer, 0xe0)
        }
    }

    /// Asks Consilium, and takes its answer, without the copies that the compiler makes. It refuses nobody but others than
    /// the registry, and words that it does not ask for it does not read.
    function _ask(bytes4 selector, uint256 study, uint256 round, uint256 third, uint256 fourth)
        private
        returns (bytes32 answer)
    {
        address to = consilium;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, selector)
            mstore(add(buffer, 0x04), study)
            mstore(add(buffer, 0x24), round)
            mstore(add(buffer, 0x44), third)
            mstore(add(buffer, 0x64), fourth)
            let told := call(gas(), to, 0, buffer, 0x84, 0, 0x20)
            if iszero(and(told, gt(returndatasize(), 0x1f))) { revert(0, 0) }
            answer := mload(0)
        }
    }

    /// 1 if the committee loses a member by this bond, as the word of a call. Who served earlier leaves no seat.
    function _vacates(uint256 bond) private pure returns (uint256 word) {
        bool serving = _isServing(bond);
        assembly ("memory-safe") {
            word := serving
        }
    }

    /// What there is to know about a wrong settlement, in one call, which also marks it: whatever fails afterwards
    /// undoes that.
    function _accuse(uint64 study, uint64 round, Roots calldata roots, Program calldata program)
        private
        returns (IConsilium.Accused memory accused, uint64 length)
    {
        accused = IConsilium(consilium).defraud(study, round, _settlement(study, round, roots));
        require(accused.threshold != 0, NotTheSettlement(study, round));
        bytes32 terms = keccak256(abi.encode(program.kind, program.name, program.parameters));
        require(accused.termsHash == terms, NotTheProgram(study));
        length = Vectors.lengthOf(program.name, program.parameters);
        require(length != 0, NotTheProgram(study));
    }

    /// Nodes rebuild each other's statements with the signer's own number, so that one under another's number counts
    /// for nothing, here neither.
    function _requireOwnIndex(uint64 study, uint64 round, uint8 index, address node, uint256 bond) private view {
        uint256 standing = uint8(bond >> STANDING);
        // The bond knows the index of the current service; of earlier ones the committee itself does.
        bool current = index == uint8(bond >> INDEX) && round > uint32(bond >> SINCE)
            && (standing == uint256(Standing.Serving)
                || (standing == uint256(Standing.Discharged) && round <= uint32(bond >> ENDED)));
        require(
            current || IConsilium(consilium).memberOf(study, round, index) == node,
            NotItsIndex(study, round, index, node)
        );
    }

    function _requireLeaf(
        Roots calldata roots,
        uint64 length,
        uint64 leaf,
        uint8 point,
        bytes calldata content,
        bytes32[] calldata path
    ) private view {
        bytes32 found = MerkleTrees.rootOf(
            MerkleTrees.VECTOR, length, Vectors.leaves(length), leaf, MerkleTrees.leafHashOf(content), path
        );
        require(found == _rootAt(roots, point), NotTheLeaf(point));
    }

    function _rootAt(Roots calldata roots, uint8 point) private pure returns (bytes32) {
        if (point == 0) return roots.aggregateRoot;
        require(point <= roots.shareRoots.length, OpeningPoints());
        return roots.shareRoots[point - 1];
    }

    /// As `Statements.settlement`: what a node said begins with the statement's last four members, in order.
    function _statementOf(uint64 study, uint64 round, Said calldata said) private pure returns (bytes32 statement) {
        (bytes32 kind, uint256 ofStudy, uint256 ofRound) = (Statements.SETTLEMENT, study, round);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, kind)
            mstore(add(buffer, 0x20), ofStudy)
            mstore(add(buffer, 0x40), ofRound)
            calldatacopy(add(buffer, 0x60), said, 0x80)
            statement := keccak256(buffer, 0xe0)
        }
    }
}
