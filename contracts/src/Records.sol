// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "./interfaces/ICourt.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IPrivacyBudget} from "./interfaces/IPrivacyBudget.sol";
import {IRecords} from "./interfaces/IRecords.sol";
import {ISetCourt} from "./interfaces/ISetCourt.sol";
import {IStudyEvents} from "./interfaces/IStudyEvents.sol";
import {IStudyToken} from "./interfaces/IStudyToken.sol";
import {ITreasury} from "./interfaces/ITreasury.sol";
import {IKind} from "./kinds/IKind.sol";
import {Archive} from "./libraries/Archive.sol";
import {Committees} from "./libraries/Committees.sol";
import {Layout} from "./libraries/Layout.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What is stored about studies and rounds, and what follows from it
/// @dev Consilium and Sponsorship share it: Sponsorship's code runs in Consilium's storage. The rounds of a study take turns
/// in its ring of slots; a round whose slot is used again leaves, if it was settled, one leaf in the study's archive.
abstract contract Records is IStudyEvents {
    using Archive for Archive.Log;
    using Layout for Layout.Study;
    using Layout for Layout.Round;
    using SafeCast for uint256;

    uint256 internal constant WHOLE = 10_000;

    /// @inheritdoc IRecords
    INodeRegistry public immutable registry;
    /// @inheritdoc IRecords
    ITreasury public immutable treasury;
    /// @inheritdoc IRecords
    IStudyToken public immutable token;
    /// @inheritdoc IRecords
    ISetCourt public immutable setCourt;
    /// @inheritdoc IRecords
    IPrivacyBudget public immutable privacyBudget;
    /// @inheritdoc IRecords
    uint64 public immutable disputeTime;
    /// @inheritdoc IRecords
    uint32 public immutable minimumWindow;
    /// @inheritdoc IRecords
    uint32 public immutable longestPause;
    /// @inheritdoc IRecords
    bool public immutable trial;
    uint64 internal immutable _unbondingDelay;
    // A bond lost over a settlement that is proved wrong later must not be shared out before.
    uint64 internal immutable _longestWindow;

    /// @inheritdoc IRecords
    mapping(uint8 kind => IKind) public kinds;
    /// @inheritdoc IRecords
    uint64 public studies;
    mapping(uint64 study => Layout.Study) internal _studies;
    mapping(uint64 study => mapping(uint64 epoch => Committees.Stored)) internal _committees;
    mapping(uint64 study => mapping(uint16 version => Layout.Policy)) internal _policies;
    mapping(uint64 study => mapping(uint256 slot => Layout.Round)) internal _ring;
    mapping(uint64 study => Archive.Log) internal _archive;
    mapping(uint64 study => mapping(uint64 round => Layout.Late)) internal _late;
    mapping(uint64 study => Layout.Pause) internal _pauses;
    /// Rounds that were proved wrong too late to undo what they pay: their sites are none to compensate, on record or off.
    mapping(uint64 study => mapping(uint64 round => bool)) internal _refuted;

    constructor(Parts memory parts, Rules memory rules) {
        (registry, token, treasury) = (parts.registry, parts.token, parts.treasury);
        (setCourt, privacyBudget) = (parts.setCourt, parts.privacyBudget);
        (disputeTime, minimumWindow) = (rules.disputeTime, rules.minimumWindow);
        (longestPause, trial) = (rules.longestPause, rules.trial);
        _unbondingDelay = parts.registry.unbondingDelay();
        uint64 due = ICourt(address(parts.registry)).compensationDelay();
        require(due > rules.longestPause, InvalidWindow(0, rules.minimumWindow, 0));
        _longestWindow = due - rules.longestPause;
    }

    // ------------------------------------------------------------------------------------------------ states

    /// The slot of a round, whether it is on record or not. Without a study there is no ring, and nothing is stored.
    function _slot(uint64 study, Layout.Desk memory desk, uint64 round) internal view returns (Layout.Round storage) {
        return _ring[study][desk.ring == 0 ? 0 : round % desk.ring];
    }

    function _onRecord(Layout.Desk memory desk, uint64 round) internal pure returns (bool) {
        return _isOnRecord(round, desk.rounds, desk.ring);
    }

    function _isOnRecord(uint64 round, uint256 rounds, uint256 ring) internal pure returns (bool) {
        return round != 0 && round <= rounds && uint256(round) + ring > rounds;
    }

    function _isInProgress(State state) internal pure returns (bool) {
        return state == State.Open || state == State.Certified;
    }

    /// A deadline that passed counts although nobody recorded it.
    function _stateNow(Layout.Head memory head) internal view returns (State state) {
        state = head.state;
        if (state == State.Open && block.timestamp >= head.deadline) return State.Void;
        if (state == State.Certified && block.timestamp >= uint256(head.deadline) + head.settleWithin) {
            return State.Abandoned;
        }
    }

    /// Settled for good, and never proved wrong.
    function _isFinal(uint64 study, Layout.Head memory head, Layout.Desk memory desk) internal view returns (bool) {
        return head.state == State.Settled && block.timestamp >= _challengeEnds(study, head, desk);
    }

    /// What is proved wrong too late has begun to pay.
    function _pays(uint64 study, Layout.Head memory head, Layout.Desk memory desk) internal view returns (bool) {
        return head.state == State.Refuted || _isFinal(study, head, desk);
    }

    /// A pause makes the windows that it meets longer by what it took of them.
    function _challengeEnds(uint64 study, Layout.Head memory head, Layout.Desk memory desk)
        internal
        view
        returns (uint256 ends)
    {
        uint256 settled = uint256(head.deadline) + head.settleWithin - head.settledBefore;
        ends = settled + desk.challengeWindow;
        if (desk.flags & Layout.PAUSED == 0) return ends;
        (uint256 from, uint256 until) = (_pauses[study].from, _pauses[study].until);
        if (settled > from) from = settled;
        if (from < ends && from < until) ends += until - from;
    }

    /// @return until 0 if nothing is stopped.
    function _pausedUntil(uint64 study, uint8 flags) internal view returns (uint64 until) {
        if (flags & Layout.PAUSED == 0) return 0;
        until = _pauses[study].until;
        if (block.timestamp >= until) return 0;
    }

    function _requireRunning(uint64 study, uint8 flags) internal view {
        uint64 until = _pausedUntil(study, flags);
        require(until == 0, PausedUntil(study, until));
    }

    /// Everything from Certified on has used its subject.
    function _lastCertified(uint64 study, Layout.Desk memory desk) internal view returns (uint64) {
        uint64 newest = desk.rounds;
        bool certified = newest != 0 && _slot(study, desk, newest).head.state >= State.Certified;
        return certified ? newest : desk.lastCertifiedRound;
    }

    /// Of a certified round.
    function _subjectOf(uint64 study, Layout.Desk memory desk, uint64 round) internal view returns (bytes32) {
        return _onRecord(desk, round) ? _slot(study, desk, round).subject : _studies[study].carriedSubject;
    }

    // ------------------------------------------------------------------------------------------------ money

    /// The formula: the nodes' share of the budget in equal parts to the voters, the rest in equal parts to the sites,
    /// both rounded down. A settled round has a site and four voters, at the least.
    function _payOf(uint256 budget, uint256 nodeShare, uint256 sites, uint256 nodes)
        internal
        pure
        returns (uint256 perSite, uint256 perNode)
    {
        uint256 forNodes = budget * nodeShare / WHOLE;
        return ((budget - forNodes) / sites, forNodes / nodes);
    }

    /// Of licence revenue a round gets by the number of its sites, and shares that as it shares its budget.
    function _weights(uint256 nodeShare, uint256 sites, uint256 nodes)
        internal
        pure
        returns (uint256 perSite, uint256 perNode)
    {
        return (WHOLE - nodeShare, nodeShare * sites / nodes);
    }

    function _weightOf(uint256 nodeShare, uint256 sites, uint256 nodes) internal pure returns (uint64) {
        (uint256 perSite, uint256 perNode) = _weights(nodeShare, sites, nodes);
        return (perSite * sites + perNode * nodes).toUint64();
    }

    /// Voters that the rewards tree lists.
    function _listed(Layout.Head memory head, Layout.Desk memory desk) internal pure returns (uint256) {
        return desk.flags & Layout.CERTIFIED_ONLY == 0 ? Committees.ones(head.voters) : 0;
    }

    /// All voters.
    function _paid(Layout.Head memory head, Layout.Desk memory desk) internal pure returns (uint256) {
        return _listed(head, desk) + head.late;
    }

    /// What rounding leaves of the budget of a settled round.
    function _rest(uint64 study, Layout.Head memory head, Layout.Desk memory desk) internal view returns (uint256) {
        Layout.Policy storage policy = _policies[study][head.policy];
        (uint256 budget, uint256 sites, uint256 nodes) = (policy.budget, head.cohort, _paid(head, desk));
        (uint256 perSite, uint256 perNode) = _payOf(budget, policy.nodeShare, sites, nodes);
        return budget - perSite * sites - perNode * nodes;
    }

    // ------------------------------------------------------------------------------------------------ closing

    /// Reverts if the newest round is still in progress. Records its lapse if nobody did; if it was settled, the sponsor has
    /// back what rounding left. Called once a round, before the next one or the study's end.
    /// @return desk Of the study, with what came back: the caller writes it.
    /// @return lastCertified The newest certified round.
    function _closeNewest(uint64 study) internal returns (Layout.Desk memory desk, uint64 lastCertified) {
        desk = _studies[study].deskOf();
        uint64 newest = desk.rounds;
        if (newest == 0) return (desk, 0);
        Layout.Round storage stored = _slot(study, desk, newest);
        Layout.Head memory head = stored.headOf();
        State state = _stateNow(head);
        require(!_isInProgress(state), RoundInProgress(study, newest));
        lastCertified = state >= State.Certified ? newest : desk.lastCertifiedRound;
        uint256 back = 0;
        if (state != head.state) back = _lapse(study, newest, stored, head, desk.flags);
        else if (state == State.Settled || state == State.Refuted) back = _rest(study, head, desk);
        if (back != 0) desk.free = (desk.free + back).toUint88();
    }

    /// Records that a deadline passed.
    /// @return back The round's budget.
    function _lapse(uint64 study, uint64 round, Layout.Round storage stored, Layout.Head memory head, uint8 flags)
        internal
        returns (uint256 back)
    {
        State actual = _stateNow(head);
        stored.head.state = actual;
        if (actual == State.Void) {
            emit RoundVoided(study, round);
            if (flags & Layout.DRAWS != 0) privacyBudget.giveBack(study);
        } else {
            emit RoundAbandoned(study, round);
        }
        return _policies[study][head.policy].budget;
    }

    // ------------------------------------------------------------------------------------------------ who may

    function _onlyFrom(address other) internal view {
        require(msg.sender == other, NotPermitted(msg.sender));
    }

    /// @inheritdoc IRecords
    function stateOf(uint64 study, uint64 round) public view returns (State) {
        Layout.Desk memory desk = _studies[study].deskOf();
        return _onRecord(desk, round) ? _stateNow(_slot(study, desk, round).headOf()) : State.None;
    }
}
