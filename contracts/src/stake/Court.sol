// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "../SignedStatements.sol";
import {IConsilium} from "../interfaces/IConsilium.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {Settlements} from "../libraries/Settlements.sol";
import {Statements} from "../libraries/Statements.sol";
import {Compensations} from "./Compensations.sol";

/// @title The proofs of section 6.12 by what a node signed
/// @dev Whose word is shown is whose signature it is: a node is accused by what it signed, and liable if it has a bond
/// in that study. Evidence is not bound to its sender: whoever copies it from the pool may collect the reward, and the
/// offender is convicted all the same. A commitment first would cost a second transaction and give the offender its
/// delay; the reward is a tenth of the bond so that it is worth filing and not worth being one's own accuser.
abstract contract Court is Compensations, SignedStatements {
    // ------------------------------------------------------------------------------------------------ one signature

    /// @inheritdoc ICourt
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
        bytes32 settlement = Settlements.hashOf(study, round, roots);
        (uint256 found,) = _ask(IRounds.convictBySettlement.selector, study, round, uint256(settlement), _vacates(bond));
        require(found != 0, NotTheSettlement(study, round));
        _requireOwnIndex(study, round, index, node, bond);
        require(roots.shareRoots[index - 1] != root, NoOffence());
        _convictOne(study, node, slot, bond, round, Offence.WrongShare);
    }

    /// @inheritdoc ICourt
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
        (uint256 certified, uint256 epoch) =
            _ask(IRounds.convictByCertificate.selector, study, round, _vacates(bond), 0);
        require(certified != 0, NotCertified(study, round));
        require(uint256(setRoot) != certified, NoOffence());
        _requireOwnIndex(study, round, index, node, bond);
        _convictStray(study, node, slot, bond, round, setRoot, epoch);
    }

    /// @inheritdoc ICourt
    function answerForeignShare(uint64 study, address node, Answer calldata answer) external {
        Bond memory bond = _bond(study, node);
        require(bond.standing == Standing.Strayed && !_isReported(bond), NoCompensation(study, node));
        // The first 128 bits of the accused set.
        uint256 accused = (uint256(bond.since) << 96) | _bonds[study][node].backing.amount;
        require(accused == uint256(answer.setRoot) >> 128, NoOffence());
        bytes32 share = Statements.shareRoot(study, bond.round, answer.setRoot, answer.index, answer.root);
        address signer = _signerOf(share, answer.signature);
        require(signer == node, TwoSigners(signer, node));
        IConsilium(consilium)
            .requireStrayQuorum(
                study,
                bond.round,
                bond.ended,
                answer.setRoot,
                answer.size,
                answer.index,
                node,
                answer.voters,
                answer.votes
            );
        _discharged(study, node, bond.amount, bond.round);
    }

    // ------------------------------------------------------------------------------------------------ two signatures

    /// @inheritdoc ICourt
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
        _ask(IRounds.convictByCertificate.selector, study, 0, _vacates(bond), 0);
        _convictOne(study, node, slot, bond, round, Offence.TwoFinals);
    }

    /// @inheritdoc ICourt
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
        _ask(IRounds.convictByCertificate.selector, study, 0, _vacates(bond), 0);
        _convictOne(study, node, slot, bond, round, Offence.TwoShares);
    }

    /// @inheritdoc ICourt
    function proveTwoSettlements(uint64 study, uint64 round, Said calldata said, Said calldata otherSaid) external {
        (bytes32 statement, bytes32 otherStatement) =
            (_statementOf(study, round, said), _statementOf(study, round, otherSaid));
        require(statement != otherStatement, NoOffence());
        address node = _signerOf(statement, said.signature);
        address other = _signerOf(otherStatement, otherSaid.signature);
        require(node == other, TwoSigners(node, other));
        (uint256 slot, uint256 bond) = _bondAt(study, node);
        _ask(IRounds.convictByCertificate.selector, study, 0, _vacates(bond), 0);
        _convictOne(study, node, slot, bond, round, Offence.TwoSettlements);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// Asks Consilium, and takes its answer, without the copies that the compiler makes. It refuses others than the registry,
    /// and all while the study is paused; words that it does not ask for it does not read.
    function _ask(bytes4 selector, uint256 study, uint256 round, uint256 third, uint256 fourth)
        private
        returns (uint256 answer, uint256 more)
    {
        address to = consilium;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, selector)
            mstore(add(buffer, 0x04), study)
            mstore(add(buffer, 0x24), round)
            mstore(add(buffer, 0x44), third)
            mstore(add(buffer, 0x64), fourth)
            mstore(0x20, 0)
            let told := call(gas(), to, 0, buffer, 0x84, 0, 0x40)
            if iszero(told) {
                returndatacopy(buffer, 0, returndatasize())
                revert(buffer, returndatasize())
            }
            if lt(returndatasize(), 0x20) { revert(0, 0) }
            answer := mload(0)
            more := mload(0x20)
        }
    }

    /// 1 if the committee loses a member by this bond, as the word of a call. Who served earlier leaves no seat.
    function _vacates(uint256 bond) private pure returns (uint256 word) {
        bool serving = _isServing(bond);
        assembly ("memory-safe") {
            word := serving
        }
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
