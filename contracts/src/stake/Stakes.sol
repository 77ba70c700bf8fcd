// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Nodes and what they have put up
abstract contract Stakes is INodeRegistry {
    using SafeCast for uint256;

    // Where the members of a bond begin in its word; the amount is lowest.
    uint256 internal constant UNTIL = 96;
    uint256 internal constant SINCE = 136;
    uint256 internal constant ENDED = 168;
    uint256 internal constant ROUND = 200;
    uint256 internal constant INDEX = 232;
    uint256 internal constant STANDING = 240;
    uint256 internal constant MARKS = 248;

    uint256 private constant KEM_KEY_LENGTH = 1216;
    uint256 private constant IDENTITY_LENGTH = 128;

    /// @inheritdoc INodeRegistry
    uint256 public immutable minimumStake;
    /// @inheritdoc INodeRegistry
    uint64 public immutable unbondingDelay;
    /// @inheritdoc INodeRegistry
    uint64 public immutable probation;
    /// @inheritdoc INodeRegistry
    address public immutable consilium;

    // A bond and what backs it, in two slots one after the other.
    struct StoredBond {
        Bond bond;
        Backing backing;
    }

    struct StoredConsent {
        Consent consent;
        // Sum of the bonds that count towards it.
        uint96 bonded;
    }

    mapping(address node => Node) internal _nodes;
    mapping(address node => mapping(address party => StoredConsent)) private _consents;
    mapping(uint64 study => mapping(address node => StoredBond)) internal _bonds;

    modifier onlyConsilium() {
        require(msg.sender == consilium, NotConsilium(msg.sender));
        _;
    }

    constructor(uint256 minimumStake_, uint64 unbondingDelay_, uint64 probation_, address consilium_) {
        require(consilium_ != address(0), InvalidConsilium());
        minimumStake = minimumStake_;
        unbondingDelay = unbondingDelay_;
        probation = probation_;
        consilium = consilium_;
    }

    // ------------------------------------------------------------------------------------------------ nodes

    /// @inheritdoc INodeRegistry
    function register(bytes calldata kemKey, string calldata operator, string calldata jurisdiction) external payable {
        Node storage node = _nodes[msg.sender];
        require(node.status == Status.Absent, AlreadyRegistered(msg.sender));
        require(msg.value >= minimumStake, StakeTooSmall(msg.value, minimumStake));
        require(_isIdentity(operator) && _isIdentity(jurisdiction), InvalidIdentity());

        node.status = Status.Active;
        node.stake = msg.value.toUint96();
        node.registeredAt = block.timestamp.toUint40();
        emit NodeRegistered(msg.sender, operator, jurisdiction, msg.value);
        _setKemKey(node, kemKey);
    }

    /// @inheritdoc INodeRegistry
    function rotateKemKey(bytes calldata kemKey) external {
        _setKemKey(_active(msg.sender), kemKey);
    }

    /// @inheritdoc INodeRegistry
    function setConsent(address party, Consent calldata consent) external {
        require(party != address(0), NoParty());
        _consents[msg.sender][party].consent = consent;
        emit ConsentSet(msg.sender, party, consent);
    }

    /// @inheritdoc INodeRegistry
    function deposit() external payable {
        _active(msg.sender).stake += msg.value.toUint96();
        emit Deposited(msg.sender, msg.value);
    }

    /// @inheritdoc INodeRegistry
    function resign(uint64 study) external {
        Standing standing = _bonds[study][msg.sender].bond.standing;
        require(_sits(study, msg.sender), NotServing(study, msg.sender));
        if (standing == Standing.Serving) _discharge(study, IConsilium(consilium).vacate(study), msg.sender);
        else _leaveSeat(study, msg.sender);
    }

    /// @inheritdoc INodeRegistry
    function reclaim(uint64 study, address node) external {
        Bond memory bond = _bond(study, node);
        require(
            bond.standing == Standing.Discharged && block.timestamp >= bond.until, BondLocked(study, node, bond.until)
        );
        _free(study, node, bond.amount);
    }

    /// @inheritdoc INodeRegistry
    function beginUnbond() external {
        Node storage node = _active(msg.sender);
        require(node.serving == 0, NodeServing(msg.sender, node.serving));

        uint64 withdrawableAt = (block.timestamp + unbondingDelay).toUint64();
        node.status = Status.Unbonding;
        node.withdrawableAt = withdrawableAt;
        emit UnbondingBegun(msg.sender, withdrawableAt);
    }

    /// @inheritdoc INodeRegistry
    function withdraw() external {
        Node storage node = _nodes[msg.sender];
        (uint64 withdrawableAt, uint256 stake) = (node.withdrawableAt, node.stake);
        bool leaving = node.status == Status.Unbonding || (node.status == Status.Withdrawn && stake != 0);
        require(leaving && block.timestamp >= withdrawableAt, StakeLocked(msg.sender, withdrawableAt));

        node.status = Status.Withdrawn;
        node.withdrawableAt = 0;
        node.stake = 0;
        emit Withdrawn(msg.sender, stake);
        _pay(msg.sender, stake, gasleft());
    }

    // ------------------------------------------------------------------------------------------------ committees

    /// @inheritdoc INodeRegistry
    function enlist(Service calldata service, address[] calldata nodes)
        external
        onlyConsilium
        returns (bytes32[] memory keyHashes)
    {
        keyHashes = new bytes32[](nodes.length);
        for (uint256 i = 0; i < nodes.length; i++) {
            // forge-lint: disable-next-line(unsafe-typecast)
            keyHashes[i] = _enlist(service, nodes[i], uint8(i + 1)); // at most 32
        }
    }

    /// @inheritdoc INodeRegistry
    function discharge(uint64 study, uint64 ended, address[] calldata nodes) external onlyConsilium {
        for (uint256 i = 0; i < nodes.length; i++) {
            Standing standing = _bonds[study][nodes[i]].bond.standing;
            if (standing == Standing.Serving) _discharge(study, ended, nodes[i]);
            else if (_sits(study, nodes[i])) _leaveSeat(study, nodes[i]);
        }
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc INodeRegistry
    function isActive(address node) external view returns (bool) {
        return _nodes[node].status == Status.Active;
    }

    /// @inheritdoc INodeRegistry
    function consentOf(address node, address party) external view returns (Consent memory consent, uint96 bonded) {
        StoredConsent storage stored = _consents[node][party];
        return (stored.consent, stored.bonded);
    }

    /// @inheritdoc INodeRegistry
    function nodeOf(address node) external view returns (Node memory) {
        return _nodes[node];
    }

    /// @inheritdoc INodeRegistry
    function bondOf(uint64 study, address node) external view returns (Bond memory) {
        return _bonds[study][node].bond;
    }

    /// @inheritdoc INodeRegistry
    function backingOf(uint64 study, address node) external view returns (Backing memory) {
        return _bonds[study][node].backing;
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _enlist(Service calldata service, address account, uint8 index) private returns (bytes32) {
        Node storage node = _active(account);
        require(
            service.newcomers || block.timestamp >= uint256(node.registeredAt) + probation,
            Newcomer(account, node.registeredAt)
        );
        StoredBond storage stored = _bonds[service.study][account];
        Bond storage bond = stored.bond;
        require(bond.standing <= Standing.Discharged, NodeConvicted(service.study, account));
        // A bond that waits for its release answers again.
        uint96 missing = service.bond > bond.amount ? service.bond - bond.amount : 0;
        // Whoever has no consent is told so, and nothing about the stake.
        stored.backing = _draw(service, account, stored.backing, bond.amount + missing);
        require(missing <= node.stake, BondMissing(account, node.stake, missing));
        node.stake -= missing;
        node.serving += 1;
        bond.amount += missing;
        // An accusation that was answered stays answered.
        (bond.until, bond.since, bond.ended) = (0, service.since, 0);
        (bond.index, bond.standing) = (index, Standing.Serving);
        emit Bonded(service.study, account, bond.amount);
        return node.keyHash;
    }

    /// Counts a bond towards the consent by which it is put up, and no longer towards an earlier one.
    function _draw(Service calldata service, address account, Backing memory before, uint96 amount)
        private
        returns (Backing memory)
    {
        address party = service.sponsor;
        StoredConsent storage stored = _consents[account][party];
        if (block.timestamp >= stored.consent.expires && service.source != address(0)) {
            party = service.source;
            stored = _consents[account][party];
        }
        Consent memory consent = stored.consent;
        require(block.timestamp < consent.expires, NoConsent(account, service.sponsor));
        require(
            amount <= consent.maxBond && service.challengeWindow >= consent.minimumWindow,
            BeyondConsent(account, party, amount, service.challengeWindow)
        );
        if (before.party != address(0)) _consents[account][before.party].bonded -= before.amount;
        uint256 total = uint256(stored.bonded) + amount;
        require(total <= consent.maxTotal, ConsentExhausted(account, party, total, consent.maxTotal));
        stored.bonded = total.toUint96();
        return Backing({party: party, amount: amount});
    }

    function _discharge(uint64 study, uint64 ended, address account) private {
        Bond storage bond = _bonds[study][account].bond;
        uint64 until = (block.timestamp + unbondingDelay).toUint64();
        bond.standing = Standing.Discharged;
        // The study's judge may hold it longer.
        if (until > bond.until) bond.until = uint256(until).toUint40();
        bond.ended = uint256(ended).toUint32();
        _nodes[account].serving -= 1;
        emit Discharged(study, account, bond.until);
    }

    /// Whether the node is in the study's committee: serving, or convicted there and not replaced yet.
    function _sits(uint64 study, address account) internal view returns (bool) {
        Bond memory bond = _bond(study, account);
        return bond.standing == Standing.Serving || (bond.standing >= Standing.Misreported && bond.index != 0);
    }

    /// A conviction leaves the node's own slot alone; what it owes that slot is made good when the seat is vacated.
    function _leaveSeat(uint64 study, address account) internal {
        _bonds[study][account].bond.index = 0;
        _nodes[account].serving -= 1;
    }

    /// Where a bond is stored, and its one word: for proofs, which take no copy of it in memory. What backs it is next.
    function _bondAt(uint64 study, address account) internal view returns (uint256 slot, uint256 word) {
        StoredBond storage stored = _bonds[study][account];
        assembly ("memory-safe") {
            slot := stored.slot
            word := sload(slot)
        }
    }

    /// The compiler reads a packed struct member by member; this does it at once, in its layout: first member lowest.
    function _bond(uint64 study, address account) internal view returns (Bond memory bond) {
        (, uint256 word) = _bondAt(study, account);
        bond.amount = uint96(word);
        bond.until = uint40(word >> UNTIL);
        bond.since = uint32(word >> SINCE);
        bond.ended = uint32(word >> ENDED);
        bond.round = uint32(word >> ROUND);
        bond.index = uint8(word >> INDEX);
        bond.standing = Standing(uint8(word >> STANDING));
        bond.marks = uint8(word >> MARKS);
    }

    function _free(uint64 study, address account, uint96 amount) private {
        Backing memory backing = _bonds[study][account].backing;
        // Of a bond that was given back after a conviction nobody knows whose consent it counted towards.
        if (backing.party != address(0)) _consents[account][backing.party].bonded -= backing.amount;
        delete _bonds[study][account];
        _nodes[account].stake += amount;
        emit Reclaimed(study, account, amount);
    }

    /// @param allowance Gas that the account may use to take it: without a bound for a sender's own money only. Nothing of
    /// what it answers is copied, which could cost the sender as much again.
    function _pay(address account, uint256 amount, uint256 allowance) internal {
        require(_send(account, amount, allowance), TransferFailed(account));
    }

    /// As `_pay`, where an account that does not take its money keeps nobody else from theirs.
    function _send(address account, uint256 amount, uint256 allowance) internal returns (bool taken) {
        assembly ("memory-safe") {
            taken := call(allowance, account, amount, 0, 0, 0, 0)
        }
    }

    function _setKemKey(Node storage node, bytes calldata kemKey) private {
        require(kemKey.length == KEM_KEY_LENGTH, InvalidKemKey(kemKey.length));
        bytes32 keyHash = keccak256(kemKey);
        node.keyHash = keyHash;
        emit KemKeySet(msg.sender, keyHash, kemKey);
    }

    function _active(address node) private view returns (Node storage active) {
        active = _nodes[node];
        require(active.status == Status.Active, NodeNotActive(node));
    }

    function _isIdentity(string calldata text) private pure returns (bool) {
        return bytes(text).length != 0 && bytes(text).length <= IDENTITY_LENGTH;
    }
}
