// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {IRecords} from "../interfaces/IRecords.sol";
import {SetLeaves} from "../libraries/SetLeaves.sol";
import {Stakes} from "./Stakes.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What becomes of a bond that a proof has taken
/// @dev A conviction writes the bond's two slots and the study's `vacant`, nothing else: proofs must stay cheap. Whose
/// the money is, is written down when it is due.
abstract contract Compensations is Stakes, ICourt {
    using SafeCast for uint256;

    /// @dev A tenth: worth a transaction, and a bad bargain for a node that accuses itself.
    uint256 private constant REPORTER_PART = 10;
    /// @dev Many times what a contract wallet uses to take money, and little to whoever pays a hundred sites.
    uint256 private constant ALLOWANCE = 50_000;
    // Marks of a bond that was taken.
    uint256 private constant REPORTED = 1;
    uint256 private constant POSTPONED = 2;

    /// @inheritdoc ICourt
    uint64 public immutable compensationDelay;
    /// @inheritdoc ICourt
    uint64 public immutable claimTime;
    /// @inheritdoc ICourt
    address public immutable sink;

    mapping(uint64 study => mapping(address node => Pot)) private _pots;
    // By the time at which the bond was due: a node may lose a second bond in a study after it was given back the first.
    mapping(uint64 study => mapping(address node => mapping(uint40 due => mapping(uint256 word => uint256)))) private
        _compensated;

    constructor(uint64 compensationDelay_, uint64 claimTime_, address sink_) {
        require(sink_ != address(0), InvalidSink());
        (compensationDelay, claimTime, sink) = (compensationDelay_, claimTime_, sink_);
    }

    // ------------------------------------------------------------------------------------------------ paying out

    /// @inheritdoc ICourt
    function assignCompensation(uint64 study, address node, IRecords.Settled calldata settled) external {
        Bond memory bond = _due(study, node);
        require(bond.round != 0 && _pots[study][node].setRoot == 0, NoCompensation(study, node));
        bytes32 sitesRoot = IConsilium(consilium).settledSites(study, bond.round, settled);
        uint96 rest = _payReporter(study, node, bond);
        uint96 each = rest / settled.sites;
        _pots[study][node] = Pot({setRoot: settled.setRoot, sitesRoot: sitesRoot, size: settled.sites, each: each});
        emit CompensationAssigned(study, node, bond.round, settled.setRoot, settled.sites);
    }

    /// @inheritdoc ICourt
    function compensate(uint64 study, address node, SetMember calldata member, ListMember calldata admitted) external {
        Bond memory bond = _due(study, node);
        Pot memory pot = _pots[study][node];
        require(pot.setRoot != 0 && member.index < pot.size, NoCompensation(study, node));
        require(SetLeaves.rootOf(member) == pot.setRoot, NotInTheSet(member.site));
        require(SetLeaves.listRootOf(member.site, admitted) == pot.sitesRoot, NotAdmitted(member.site));

        (uint256 word, uint256 bit) = (member.index / 256, 1 << (member.index % 256));
        mapping(uint256 => uint256) storage paid = _compensated[study][node][bond.until];
        require(paid[word] & bit == 0, AlreadyCompensated(member.site));
        paid[word] |= bit;
        _bonds[study][node].bond.amount -= pot.each;
        emit Compensated(study, node, member.site, pot.each);
        if (pot.each != 0) _pay(member.site, pot.each, ALLOWANCE);
    }

    /// @inheritdoc ICourt
    function forfeit(uint64 study, address node) external {
        Bond memory bond = _due(study, node);
        bool assigned = _pots[study][node].setRoot != 0;
        uint256 from = assigned ? uint256(bond.until) + claimTime : _forfeitFrom(study, bond);
        require(block.timestamp >= from, CompensationLocked(study, node, from));
        uint96 rest = _payReporter(study, node, bond);
        require(rest != 0, NoCompensation(study, node));
        _bonds[study][node].bond.amount = 0;
        delete _pots[study][node];
        emit Forfeited(study, node, rest);
        _pay(sink, rest, gasleft());
    }

    /// @inheritdoc ICourt
    function postponeCompensation(uint64 study, address node) external {
        Bond memory bond = _taken(study, node);
        require(
            msg.sender == IConsilium(consilium).guardianOf(study) && block.timestamp < bond.until
                && bond.marks & POSTPONED == 0,
            NotGuardian(study, msg.sender)
        );
        StoredBond storage stored = _bonds[study][node];
        uint256 until = uint256(bond.until) + compensationDelay;
        stored.bond.until = until.toUint40();
        stored.bond.marks |= uint8(POSTPONED);
        emit CompensationPostponed(study, node, until);
    }

    /// @inheritdoc ICourt
    function potOf(uint64 study, address node) external view returns (Pot memory) {
        return _pots[study][node];
    }

    // ------------------------------------------------------------------------------------------------ judges

    /// @inheritdoc ICourt
    function convict(
        uint64 study,
        uint64 round,
        address[] calldata nodes,
        uint256 guilty,
        Offence offence,
        address reporter
    ) external {
        require(IConsilium(consilium).mayJudge(study, msg.sender), NotTheJudge(study, msg.sender));
        _requireRunning(study);
        // Beyond any doubt: what a judge has seen convicts for good.
        require(!_isUndoable(offence), NoOffence());
        _convictAll(study, round, nodes, guilty, offence, reporter);
    }

    /// @inheritdoc ICourt
    function hold(uint64 study, address node, uint64 until) external {
        require(IConsilium(consilium).mayJudge(study, msg.sender), NotTheJudge(study, msg.sender));
        Bond storage bond = _bonds[study][node].bond;
        require(bond.standing == Standing.Serving || bond.standing == Standing.Discharged, NotLiable(study, node));
        require(until <= block.timestamp + unbondingDelay, HoldTooLong(until));
        if (until > bond.until) bond.until = uint256(until).toUint40();
        emit Held(study, node, until);
    }

    // ------------------------------------------------------------------------------------------------ convicting

    /// @param slot Of the bond, with its word, as `_bondAt` has them. Consilium knows already if that leaves a seat vacant.
    function _convictOne(uint64 study, address node, uint256 slot, uint256 word, uint64 round, Offence offence)
        internal
    {
        require(_isLiable(word, offence), NotLiable(study, node));
        uint256 reward = _convict(study, node, slot, word, round, offence, msg.sender);
        if (reward != 0) _pay(msg.sender, reward, gasleft());
    }

    /// @dev Of a node whose share is of another set than the certified one: it may still show votes for its set.
    /// @param epoch Of the committee whose votes those would be.
    function _convictStray(
        uint64 study,
        address node,
        uint256 slot,
        uint256 word,
        uint64 round,
        bytes32 setRoot,
        uint256 epoch
    ) internal {
        require(!_isAnswered(word, round), NoOffence());
        _convictOne(study, node, slot, word, round, Offence.ForeignShare);
        // The times of service are over. In their place stand, for `answerForeignShare`, the epoch and what tells the set.
        uint256 accused = (uint256(uint32(bytes4(setRoot))) << SINCE) | (epoch << ENDED);
        assembly ("memory-safe") {
            sstore(slot, or(sload(slot), accused))
            // The bond's amount stands in the bond: in its second place stand 96 bits more of the set.
            let backing := add(slot, 1)
            sstore(backing, or(shl(160, shr(128, setRoot)), shr(96, shl(96, sload(backing)))))
        }
    }

    /// @dev All members in `guilty` who have not lost their bonds for good. Whoever lost its bond because it differed from
    /// what they signed has it back, with what was paid out of it already.
    /// @param guilty Bit j-1 is node j.
    function _convictAll(
        uint64 study,
        uint64 round,
        address[] calldata nodes,
        uint256 guilty,
        Offence offence,
        address reporter
    ) private {
        (uint256 framed, uint256 lost) = _framed(study, round, nodes, guilty);
        (uint256 reward, uint256 regained, bool vacates) = (0, 0, false);
        for (uint256 i = 0; i < nodes.length; i++) {
            if ((guilty >> i) & 1 == 0) continue;
            (uint256 slot, uint256 word) = _bondAt(study, nodes[i]);
            if (!_isLiable(word, offence)) continue;
            vacates = vacates || _isServing(word);
            // No site has a part in it: the round that they lied about is not one of undisputed sets.
            reward += _convict(study, nodes[i], slot, word, 0, offence, reporter);
            if (regained < lost) regained += _take(slot, lost - regained);
        }
        if (framed != 0) _acquit(study, nodes, framed, regained);
        if (vacates) IConsilium(consilium).vacate(study);
        if (reward != 0) _pay(reporter, reward, gasleft());
    }

    /// @dev Back to whoever was convicted by what turns out to be false, or was answered: discharged, with all it had.
    /// @param answered The round that it has answered for; 0 if any.
    function _discharged(uint64 study, address node, uint256 amount, uint256 answered) internal {
        StoredBond storage stored = _bonds[study][node];
        if (stored.bond.index != 0) _leaveSeat(study, node);
        delete _pots[study][node];
        uint256 until = block.timestamp + unbondingDelay;
        stored.bond = Bond({
            amount: amount.toUint96(),
            until: until.toUint40(),
            since: 0,
            ended: 0,
            round: answered.toUint32(),
            index: 0,
            standing: Standing.Discharged,
            marks: 0
        });
        // Whose consent it counted towards is not known any more: there it goes on counting.
        stored.backing = Backing({party: address(0), amount: amount.toUint96()});
        emit Acquitted(study, node, amount);
    }

    /// @dev Whether what could be undone has been paid out by now.
    function _isReported(Bond memory bond) internal pure returns (bool) {
        return bond.marks & REPORTED != 0;
    }

    /// @dev Whether the bond is that of a member of the current committee whom nobody has convicted.
    function _isServing(uint256 word) internal pure returns (bool) {
        return uint8(word >> STANDING) == uint256(Standing.Serving);
    }

    /// @dev A bond that was taken for what may still be undone, and not paid out, answers for all that cannot.
    function _isLiable(uint256 word, Offence offence) internal view returns (bool) {
        uint256 standing = uint8(word >> STANDING);
        if (standing == uint256(Standing.Serving) || standing == uint256(Standing.Discharged)) return true;
        bool held = standing == uint256(Standing.Misreported) || standing == uint256(Standing.Strayed);
        if (held) return !_isUndoable(offence) && (word >> MARKS) & REPORTED == 0;
        // Who had itself convicted of less, for the sites of a round that it named, loses what it meant to get back.
        return standing == uint256(Standing.Convicted) && _isJudges(offence) && uint32(word >> ROUND) != 0
            && block.timestamp < uint40(word >> UNTIL);
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _isUndoable(Offence offence) private pure returns (bool) {
        return offence == Offence.WrongShare || offence == Offence.ForeignShare;
    }

    function _isJudges(Offence offence) private pure returns (bool) {
        return offence == Offence.WrongSettlement || offence >= Offence.ForeignSite;
    }

    function _isAnswered(uint256 word, uint64 round) private pure returns (bool) {
        return uint8(word >> STANDING) <= uint256(Standing.Discharged) && uint32(word >> ROUND) == round;
    }

    /// Writes the bond's new word at once.
    /// @return reward What the reporter gets now: nothing while the conviction can be undone.
    function _convict(
        uint64 study,
        address node,
        uint256 slot,
        uint256 word,
        uint64 round,
        Offence offence,
        address reporter
    ) private returns (uint256 reward) {
        uint256 amount = uint96(word);
        bool undoable = _isUndoable(offence);
        uint256 standing = uint256(Standing.Convicted);
        if (undoable) {
            standing = uint256(offence == Offence.WrongShare ? Standing.Misreported : Standing.Strayed);
        }
        uint256 part = amount / REPORTER_PART;
        // A node that sits in the committee keeps its index until the seat is vacated; its times of service are over.
        bool seated = uint8(word >> STANDING) != uint256(Standing.Discharged);
        uint256 fresh = seated ? word & (uint256(type(uint8).max) << INDEX) : 0;
        // A statement may name any round; one that does not fit has no certificate, and its number does not matter.
        if (round <= type(uint32).max) fresh |= uint256(round) << ROUND;
        fresh |= (undoable ? amount : amount - part)
            | (uint256((block.timestamp + compensationDelay).toUint40()) << UNTIL) | (standing << STANDING)
            | (undoable ? 0 : REPORTED << MARKS);
        uint256 backing = uint256(uint160(reporter)) | (amount << 160);
        assembly ("memory-safe") {
            sstore(slot, fresh)
            if undoable { sstore(add(slot, 1), backing) }
        }
        emit Convicted(study, node, round, offence, reporter, part, amount - part);
        return undoable ? 0 : part;
    }

    /// Members outside of `guilty` who were convicted by this round's settlement, and what they have lost by now.
    function _framed(uint64 study, uint64 round, address[] calldata nodes, uint256 guilty)
        private
        view
        returns (uint256 framed, uint256 lost)
    {
        for (uint256 i = 0; i < nodes.length; i++) {
            if ((guilty >> i) & 1 == 1) continue;
            (, uint256 word) = _bondAt(study, nodes[i]);
            if (uint8(word >> STANDING) != uint256(Standing.Misreported) || uint32(word >> ROUND) != round) continue;
            framed |= 1 << i;
            lost += _bonds[study][nodes[i]].backing.amount - uint96(word);
        }
    }

    /// Takes up to so much out of a bond that was just taken from a liar.
    function _take(uint256 slot, uint256 wanted) private returns (uint256 taken) {
        assembly ("memory-safe") {
            let word := sload(slot)
            taken := and(word, 0xffffffffffffffffffffffff)
            if gt(taken, wanted) { taken := wanted }
            sstore(slot, sub(word, taken))
        }
    }

    /// @param regained Out of the liars' bonds, to those who had lost something, in node order.
    function _acquit(uint64 study, address[] calldata nodes, uint256 framed, uint256 regained) private {
        for (uint256 i = 0; i < nodes.length; i++) {
            if ((framed >> i) & 1 == 0) continue;
            StoredBond storage stored = _bonds[study][nodes[i]];
            uint256 amount = stored.bond.amount;
            uint256 missing = stored.backing.amount - amount;
            if (missing > regained) missing = regained;
            regained -= missing;
            _discharged(study, nodes[i], amount + missing, 0);
        }
    }

    /// The part of who proved what could still be undone, now that it cannot. An account that does not take it loses it.
    /// @return rest What is left of the bond, as it is stored once the reporter's code has run.
    function _payReporter(uint64 study, address node, Bond memory bond) private returns (uint96 rest) {
        StoredBond storage stored = _bonds[study][node];
        if (bond.marks & REPORTED == 0) {
            uint96 part = uint96(uint256(bond.amount) / REPORTER_PART); // no more than the whole
            address reporter = stored.backing.party;
            stored.bond.marks |= uint8(REPORTED);
            stored.bond.amount -= part;
            // Whoever sends this may not starve the reporter of gas.
            require(gasleft() > 2 * ALLOWANCE, GasMissing());
            if (_send(reporter, part, ALLOWANCE)) emit ReporterPaid(study, node, reporter, part);
            else stored.bond.amount += part;
        }
        return stored.bond.amount;
    }

    /// When a bond that no set is assigned to goes to the sink. At once if no sites are to be paid; otherwise there is
    /// time to show that its round was settled for good.
    function _forfeitFrom(uint64 study, Bond memory bond) private view returns (uint256) {
        if (bond.round == 0) return bond.until;
        IRecords.State state = IConsilium(consilium).stateOf(study, bond.round);
        bool hopeless = state == IRecords.State.Void || state == IRecords.State.Abandoned
            || state == IRecords.State.Fraudulent || state == IRecords.State.Refuted;
        return hopeless ? bond.until : uint256(bond.until) + compensationDelay;
    }

    /// A bond whose money may move now.
    function _due(uint64 study, address node) private view returns (Bond memory bond) {
        bond = _taken(study, node);
        require(block.timestamp >= bond.until, CompensationLocked(study, node, bond.until));
        _requireRunning(study);
    }

    function _requireRunning(uint64 study) private view {
        uint64 until = IConsilium(consilium).pausedUntil(study);
        require(until == 0, IRecords.PausedUntil(study, until));
    }

    function _taken(uint64 study, address node) private view returns (Bond memory bond) {
        bond = _bond(study, node);
        require(bond.standing >= Standing.Misreported, NoCompensation(study, node));
    }
}
