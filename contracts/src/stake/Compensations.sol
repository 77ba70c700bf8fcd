// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {MerkleTrees} from "../libraries/MerkleTrees.sol";
import {Stakes} from "./Stakes.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What becomes of a bond that a proof has taken
/// @dev A conviction writes the bond's slot and the study's `vacant`, nothing else: proofs must stay cheap. Whose the
/// rest is, is written down in a step of its own.
abstract contract Compensations is Stakes, ICourt {
    using SafeCast for uint256;

    /// @dev A tenth: worth a transaction, and a bad bargain for a node that accuses itself.
    uint256 private constant REPORTER_PART = 10;
    /// @dev Many times what a contract wallet uses to take money, and little to whoever pays a hundred sites.
    uint256 private constant SITE_ALLOWANCE = 50_000;
    // Of a bond: since, ended and index.
    uint256 private constant SERVICE = (uint256(type(uint64).max) << SINCE) | (uint256(type(uint8).max) << INDEX);

    uint64 public immutable compensationDelay;

    mapping(uint64 study => mapping(address node => Pot)) private _pots;
    mapping(uint64 study => mapping(address node => mapping(uint256 word => uint256))) private _compensated;

    constructor(uint64 compensationDelay_) {
        compensationDelay = compensationDelay_;
    }

    function acquit(uint64 study, address node) external {
        Bond memory bond = _bond(study, node);
        require(bond.standing == Standing.Misreported, NoCompensation(study, node));
        require(_isRefuted(study, bond), NoOffence());
        if (bond.index != 0) _leaveSeat(study, node);
        emit Acquitted(study, node, bond.amount);
        delete _pots[study][node];
        _free(study, node, bond.amount);
    }

    function assignCompensation(uint64 study, address node) external {
        Bond memory bond = _guilty(study, node);
        require(_pots[study][node].setRoot == 0, NoCompensation(study, node));
        (uint64 round, bytes32 setRoot, uint32 size) = IConsilium(consilium).cohortOf(study, bond.round);
        require(setRoot != 0, NotCertified(study, bond.round));
        _pots[study][node] = Pot({setRoot: setRoot, size: size, each: bond.amount / size});
        emit CompensationAssigned(study, node, round, setRoot, size);
    }

    function compensate(uint64 study, address node, uint32 index, address site, bytes32 digest, bytes32[] calldata path)
        external
    {
        Bond memory bond = _guilty(study, node);
        require(!bond.frozen && block.timestamp >= bond.until, CompensationLocked(study, node, bond.until));
        Pot memory pot = _pots[study][node];
        require(pot.setRoot != 0, NoCompensation(study, node));
        bytes32 leaf = MerkleTrees.leafHash(abi.encodePacked(site, digest));
        bytes32 found = MerkleTrees.rootOf(MerkleTrees.SET, pot.size, pot.size, index, leaf, path);
        require(found == pot.setRoot, NoCompensation(study, node));

        (uint256 word, uint256 bit) = (index / 256, 1 << (index % 256));
        require(_compensated[study][node][word] & bit == 0, AlreadyCompensated(site));
        _compensated[study][node][word] |= bit;
        _bonds[study][node].amount -= pot.each;
        emit Compensated(study, node, site, pot.each);
        if (pot.each != 0) _pay(site, pot.each, SITE_ALLOWANCE);
    }

    function freezeCompensation(uint64 study, address node, bool frozen) external {
        Bond memory bond = _convicted(study, node);
        bool allowed =
            msg.sender == IConsilium(consilium).guardianOf(study) && (!frozen || block.timestamp < bond.until);
        require(allowed, NotGuardian(study, msg.sender));
        _bonds[study][node].frozen = frozen;
        emit CompensationFrozen(study, node, frozen);
    }

    function potOf(uint64 study, address node) external view returns (Pot memory) {
        return _pots[study][node];
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// @param slot Of the bond, with its word, as `_bondAt` has them. Consilium knows already if that leaves a seat vacant.
    function _convictOne(uint64 study, address node, uint256 slot, uint256 word, uint64 round, Offence offence)
        internal
    {
        require(_isLiable(word), NotLiable(study, node));
        _pay(msg.sender, _convict(study, node, slot, word, round, offence), gasleft());
    }

    /// All who signed a settlement and have not lost their bonds yet; at least one of them, or the round was not marked
    /// before.
    function _convictSigners(uint64 study, uint64 round, IConsilium.Accused memory accused) internal {
        (uint256 reward, uint256 convicted, bool vacates) = (0, 0, false);
        for (uint256 i = 0; i < accused.nodes.length; i++) {
            if ((accused.signers >> i) & 1 == 0) continue;
            address node = accused.nodes[i];
            (uint256 slot, uint256 word) = _bondAt(study, node);
            if (uint8(word >> STANDING) == uint256(Standing.Misreported)) {
                _condemn(study, node, slot, word, round);
                convicted++;
                continue;
            }
            if (!_isLiable(word)) continue;
            vacates = vacates || _isServing(word);
            reward += _convict(study, node, slot, word, round, Offence.WrongSettlement);
            convicted++;
        }
        require(accused.inTime || convicted != 0, NoOffence());
        if (vacates) IConsilium(consilium).setVacant(study);
        _pay(msg.sender, reward, gasleft());
    }

    /// Whether the bond is that of a member of the current committee whom nobody has convicted.
    function _isServing(uint256 word) internal pure returns (bool) {
        return uint8(word >> STANDING) == uint256(Standing.Serving);
    }

    function _isLiable(uint256 word) private pure returns (bool) {
        return _isServing(word) || uint8(word >> STANDING) == uint256(Standing.Discharged);
    }

    /// Writes the bond's new word at once: the times of service stay as they were.
    function _convict(uint64 study, address node, uint256 slot, uint256 word, uint64 round, Offence offence)
        private
        returns (uint256 reward)
    {
        uint256 kept = uint96(word);
        uint256 until;
        // A part is no more than the whole, and both times have at most 64 bits.
        unchecked {
            reward = kept / REPORTER_PART;
            kept -= reward;
            until = (block.timestamp + compensationDelay).toUint40();
        }
        bool serving = _isServing(word);
        Standing standing = offence == Offence.WrongShare ? Standing.Misreported : Standing.Convicted;
        word &= SERVICE;
        // A node that sits in the committee keeps its index until the seat is vacated.
        if (!serving) word &= ~(uint256(type(uint8).max) << INDEX);
        // A statement may name any round; one that does not fit has no certificate, and its number does not matter.
        if (round <= type(uint32).max) word |= uint256(round) << ROUND;
        word |= kept | (until << UNTIL) | (uint256(standing) << STANDING);
        assembly ("memory-safe") {
            sstore(slot, word)
        }
        emit Convicted(study, node, round, offence, msg.sender, reward, kept);
    }

    /// Who lost its bond for a share that differs, and has signed a wrong settlement, this one or another, is acquitted no
    /// more: else a signer would have a friend convict it for the share, and be let off by the proof of the settlement.
    function _condemn(uint64 study, address node, uint256 slot, uint256 word, uint64 round) private {
        word = (word & ~(uint256(type(uint8).max) << STANDING)) | (uint256(Standing.Convicted) << STANDING);
        assembly ("memory-safe") {
            sstore(slot, word)
        }
        emit Convicted(study, node, round, Offence.WrongSettlement, msg.sender, 0, uint96(word));
    }

    /// A bond that may be shared out: not one that `acquit` gives back.
    function _guilty(uint64 study, address node) private view returns (Bond memory bond) {
        bond = _convicted(study, node);
        require(!_isRefuted(study, bond), AcquittalDue(study, node, bond.round));
    }

    /// Whether the share was called wrong by a settlement that was proved wrong itself.
    function _isRefuted(uint64 study, Bond memory bond) private view returns (bool) {
        return bond.standing == Standing.Misreported
            && IConsilium(consilium).stateOf(study, bond.round) == IConsilium.State.Fraudulent;
    }

    function _convicted(uint64 study, address node) private view returns (Bond memory bond) {
        bond = _bond(study, node);
        require(bond.standing >= Standing.Misreported, NoCompensation(study, node));
    }
}
