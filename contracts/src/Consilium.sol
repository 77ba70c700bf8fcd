// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Studies} from "./Studies.sol";
import {Archive} from "./libraries/Archive.sol";
import {Committees} from "./libraries/Committees.sol";
import {Statements} from "./libraries/Statements.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Studies, their committees and their rounds
/// @dev The committee runs no consensus: what must be unique is a transaction here. Nothing loops over sites, and no
/// contribution takes storage. The rounds of a study take turns in its ring of slots; a round whose slot is used again
/// leaves, if it was settled, one leaf in the study's archive.
contract Consilium is Studies {
    using Archive for Archive.Log;
    using Committees for Committees.Stored;
    using SafeCast for uint256;

    constructor(Parts memory parts, Rules memory rules_) Studies(parts, rules_) {}

    // ------------------------------------------------------------------------------------------------ rounds

    function openRound(uint64 study, bytes32 subject, uint64 deadline, uint64 settleBy)
        external
        returns (uint64 round)
    {
        StoredStudy storage stored = _sponsored(study);
        require(subject != 0, InvalidSubject());
        (Desk memory desk, uint64 lastCertified) = _closeNewest(study);
        require(!desk.vacant, CommitteeVacant(study));
        require(
            block.timestamp < deadline && deadline < settleBy && settleBy <= type(uint40).max
                && uint256(settleBy) + desk.challengeWindow + disputeTime <= block.timestamp + _unbondingDelay,
            InvalidDeadlines(deadline, settleBy)
        );
        require(
            lastCertified == 0 || _subjectOf(study, desk, lastCertified) != subject, SubjectCertified(study, subject)
        );

        round = uint64(desk.rounds) + 1;
        _clearSlot(study, desk, round, lastCertified);
        uint80 budget = stored.budget;
        require(budget <= desk.free, FundsMissing(study, desk.free, budget));
        desk.free -= budget;
        desk.rounds = uint256(round).toUint32();
        desk.lastCertifiedRound = uint256(lastCertified).toUint32();
        _keepDesk(stored, desk);
        _freeze(study, round, stored, desk, subject, deadline, settleBy);
    }

    function certify(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint32 size,
        uint256 signers,
        bytes calldata signatures
    ) external {
        (StoredRound storage stored, Head memory head,) = _requireState(study, round, State.Open);
        require(size >= head.minimumCohort, CohortTooSmall(size, head.minimumCohort));
        require(setRoot != 0, InvalidSetRoot());
        bytes32 digest = _hashTypedDataV4(Statements.vote(study, round, setRoot, size));
        _committees[study][head.epoch].requireQuorum(digest, signers, signatures);

        head.state = State.Certified;
        head.size = uint256(size).toUint24();
        head.voters = signers.toUint32();
        _keepHead(stored, head);
        stored.setRoot = setRoot;
        emit RoundCertified(study, round, setRoot, size, signers, signatures);
    }

    function settle(
        uint64 study,
        uint64 round,
        bytes32[] calldata shareRoots,
        bytes32 aggregateRoot,
        bytes32 rewardRoot,
        uint256 signers,
        bytes calldata signatures
    ) external {
        (StoredRound storage stored, Head memory head, Desk memory desk) = _requireState(study, round, State.Certified);
        Committees.Stored storage committee = _committees[study][head.epoch];
        uint256 n = committee.count;
        require(shareRoots.length == n, ShareRootCount(shareRoots.length, n));
        bytes32 setRoot = stored.setRoot;
        bytes32 shareRootsHash = keccak256(abi.encodePacked(shareRoots));
        bytes32 settlement = Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot);
        committee.requireQuorum(_hashTypedDataV4(settlement), signers, signatures);

        head.state = State.Settled;
        head.settledBefore = (uint256(head.deadline) + head.settleWithin - block.timestamp).toUint32();
        head.signers = signers.toUint32();
        _keepHead(stored, head);
        stored.settlement = settlement;
        emit RoundSettled(study, round, setRoot, shareRoots, aggregateRoot, rewardRoot, signers);

        // The slot that the next round will use: archived here, where there is gas to spare, and not at its opening.
        uint256 next = uint256(round) + 1;
        if (next > desk.ring) _archiveIfDue(study, uint64(next - desk.ring), desk);
    }

    function voidRound(uint64 study, uint64 round) external {
        _requireState(study, round, State.Void);
        require(_recordLapse(study, round), WrongState(study, round, State.Void));
    }

    function abandonRound(uint64 study, uint64 round) external {
        _requireState(study, round, State.Abandoned);
        require(_recordLapse(study, round), WrongState(study, round, State.Abandoned));
    }

    function refute(uint64 study, uint64 round, bytes32 settlement) external returns (Accused memory accused) {
        _onlyJudge(study);
        (StoredRound storage stored, Head memory head, Desk memory desk) = _requireState(study, round, State.Settled);
        if (stored.settlement != settlement) return accused;
        Committees.Stored storage committee = _committees[study][head.epoch];
        accused.termsHash = _studies[study].termsHash;
        accused.threshold = committee.threshold;
        accused.size = head.size;
        accused.voters = head.voters;
        accused.signers = head.signers;
        accused.nodes = committee.members();
        _disown(study, round, stored, head, desk);
    }

    function disown(uint64 study, uint64 round) external returns (Certified memory certified) {
        _onlyJudge(study);
        Desk memory desk = _desk(study);
        if (!_onRecord(desk, round)) return certified;
        StoredRound storage stored = _slot(study, desk, round);
        Head memory head = _head(stored);
        if (head.state < State.Certified) return certified;
        certified.setRoot = stored.setRoot;
        certified.sitesRoot = _policies[study][head.policy].sitesRoot;
        certified.size = head.size;
        certified.voters = head.voters;
        certified.nodes = _committees[study][head.epoch].members();
        _disown(study, round, stored, head, desk);
    }

    function convictBySettlement(uint64 study, uint64 round, bytes32 settlement, bool vacates)
        external
        returns (bool stands)
    {
        (uint64 rounds, uint64 ring) = _deskForProof(study, vacates);
        if (!_isOnRecord(round, rounds, ring)) return false;
        StoredRound storage stored = _ring[study][round % ring];
        return stored.head.state == State.Settled && stored.settlement == settlement;
    }

    function convictByCertificate(uint64 study, uint64 round, bool vacates)
        external
        returns (bytes32 setRoot, uint64 epoch)
    {
        (uint64 rounds, uint64 ring) = _deskForProof(study, vacates);
        if (!_isOnRecord(round, rounds, ring)) return (0, 0);
        StoredRound storage stored = _ring[study][round % ring];
        if (stored.head.state >= State.Certified) return (stored.setRoot, stored.head.epoch);
    }

    // ------------------------------------------------------------------------------------------------ views

    function stateOf(uint64 study, uint64 round) public view override returns (State) {
        Desk memory desk = _desk(study);
        return _onRecord(desk, round) ? _stateNow(_head(_slot(study, desk, round))) : State.None;
    }

    function roundOf(uint64 study, uint64 round) external view returns (Round memory told) {
        Desk memory desk = _desk(study);
        if (!_onRecord(desk, round)) return told;
        StoredRound storage stored = _slot(study, desk, round);
        Head memory head = _head(stored);
        told.state = head.state;
        told.epoch = head.epoch;
        told.minimumCohort = head.minimumCohort;
        told.deadline = head.deadline;
        told.settleBy = uint64(head.deadline) + head.settleWithin;
        told.subject = stored.subject;
        told.frozen = stored.frozen;
        told.policy = head.policy;
        // What follows is left over from the slot's previous round until it is written.
        if (head.state < State.Certified) return told;
        told.setRoot = stored.setRoot;
        told.size = head.size;
        told.voters = head.voters;
        if (head.state == State.Certified || head.state == State.Abandoned) return told;
        told.signers = head.signers;
        told.settlement = stored.settlement;
        told.challengeEnds = uint64(_challengeEnds(head, desk));
    }

    function studyOf(uint64 study) external view returns (Study memory) {
        StoredStudy storage stored = _studies[study];
        Desk memory desk = _desk(study);
        uint64 lastCertified = _lastCertified(study, desk);
        return Study({
            sponsor: stored.sponsor,
            kind: stored.kind,
            epoch: desk.epoch,
            rounds: desk.rounds,
            lastCertifiedRound: lastCertified,
            lastCertifiedSubject: lastCertified == 0 ? bytes32(0) : _subjectOf(study, desk, lastCertified),
            minimumCohort: desk.minimumCohort,
            finality: stored.finality,
            sitesRoot: _policies[study][desk.policy].sitesRoot,
            termsHash: stored.termsHash,
            ring: desk.ring,
            challengeWindow: desk.challengeWindow,
            vacant: desk.vacant,
            free: desk.free,
            budget: stored.budget,
            nodeShare: stored.nodeShare,
            archived: _archive[study].totals.count
        });
    }

    function settledSites(uint64 study, uint64 round, Settled calldata settled) external view returns (bytes32) {
        Desk memory desk = _desk(study);
        bytes32 settlement = Statements.settlement(
            study, round, settled.setRoot, settled.shareRootsHash, settled.aggregateRoot, settled.rewardRoot
        );
        uint16 policy = settled.policy;
        if (_onRecord(desk, round)) {
            StoredRound storage stored = _slot(study, desk, round);
            Head memory head = _head(stored);
            policy = head.policy;
            bool stands = stored.settlement == settlement && head.size == settled.sites && _isFinal(head, desk);
            require(stands, NotFinal(study, round));
        } else {
            bytes32 leaf = Archive.leaf(study, round, settlement, settled.sites, settled.nodes, policy);
            require(_archive[study].contains(settled.position, leaf, settled.path), NotFinal(study, round));
        }
        return _policies[study][policy].sitesRoot;
    }

    function requireQuorum(uint64 study, uint64 epoch, bytes32 digest, uint256 signers, bytes calldata signatures)
        external
        view
    {
        _committees[study][epoch].requireQuorum(digest, signers, signatures);
    }

    function memberOf(uint64 study, uint64 round, uint8 index) external view returns (address) {
        Desk memory desk = _desk(study);
        if (!_onRecord(desk, round)) return address(0);
        return _committees[study][_slot(study, desk, round).head.epoch].member(index);
    }

    function finalPay(
        uint64 study,
        uint64 round,
        bytes32 settlement,
        uint32 sites,
        uint32 nodes,
        uint16 policy,
        uint32 position,
        bytes32[] calldata path
    ) external view returns (uint256 perSite, uint256 perNode) {
        Desk memory desk = _desk(study);
        if (_onRecord(desk, round)) {
            StoredRound storage stored = _slot(study, desk, round);
            Head memory head = _head(stored);
            require(
                stored.settlement == settlement && head.size == sites && Committees.ones(head.voters) == nodes
                    && _pays(head, desk),
                NotFinal(study, round)
            );
            policy = head.policy;
        } else {
            bytes32 leaf = Archive.leaf(study, round, settlement, sites, nodes, policy);
            require(_archive[study].contains(position, leaf, path), NotFinal(study, round));
        }
        return _pay(_policies[study][policy], sites, nodes);
    }

    function unitsOf(uint64 study)
        external
        view
        returns (uint256 siteUnits, uint256 nodeUnits, uint64 through, uint16 nodeShare)
    {
        Desk memory desk = _desk(study);
        Archive.Log storage log = _archive[study];
        (siteUnits, nodeUnits, through) = (log.totals.siteUnits, log.totals.nodeUnits, log.totals.through);
        nodeShare = _studies[study].nodeShare;
        // What left the ring is over, and was archived if it was settled.
        if (desk.rounds > desk.ring && through < desk.rounds - desk.ring) through = desk.rounds - desk.ring;
        for (uint64 round = through + 1; round <= desk.rounds; round++) {
            Head memory head = _head(_slot(study, desk, round));
            if (_isInProgress(_stateNow(head))) break;
            if (head.state == State.Settled || head.state == State.Refuted) {
                if (!_pays(head, desk)) break;
                siteUnits += head.size;
                nodeUnits += Committees.ones(head.voters);
            }
            through = round;
        }
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _freeze(
        uint64 study,
        uint64 round,
        StoredStudy storage study_,
        Desk memory desk,
        bytes32 subject,
        uint64 deadline,
        uint64 settleBy
    ) private {
        bytes32 sitesRoot = _policies[study][desk.policy].sitesRoot;
        string memory finality = study_.finality;
        uint64 opened = block.timestamp.toUint64();
        bytes32 frozen = keccak256(
            abi.encode(
                study, round, subject, desk.epoch, desk.minimumCohort, sitesRoot, finality, opened, deadline, settleBy
            )
        );

        StoredRound storage stored = _slot(study, desk, round);
        Head memory head = Head({
            state: State.Open,
            epoch: desk.epoch,
            policy: desk.policy,
            minimumCohort: desk.minimumCohort,
            size: 0,
            deadline: uint256(deadline).toUint40(),
            settleWithin: uint256(settleBy - deadline).toUint32(),
            settledBefore: 0,
            voters: 0,
            signers: 0
        });
        _keepHead(stored, head);
        stored.subject = subject;
        stored.frozen = frozen;
        emit RoundOpened(
            study,
            round,
            subject,
            desk.epoch,
            desk.minimumCohort,
            sitesRoot,
            finality,
            opened,
            deadline,
            settleBy,
            frozen
        );
    }

    /// Makes way for a new round in its slot of the ring.
    function _clearSlot(uint64 study, Desk memory desk, uint64 round, uint64 lastCertified) private {
        if (round <= desk.ring) return;
        uint64 leaving = round - desk.ring;
        if (leaving == lastCertified) _studies[study].carriedSubject = _slot(study, desk, leaving).subject;
        // Mostly its successor's settlement has archived it.
        if (_archive[study].totals.through >= leaving) return;
        uint256 until = _archiveIfDue(study, leaving, desk);
        require(until == 0, RingFull(study, uint64(until)));
    }

    /// Archives a round of the ring if it is settled for good and was not archived yet. Rounds come here in order, so
    /// that the place of one is the number of those settled for good before it.
    /// @return until When its slot may be used again, if it may not yet; else 0.
    function _archiveIfDue(uint64 study, uint64 round, Desk memory desk) private returns (uint256 until) {
        StoredRound storage stored = _slot(study, desk, round);
        Head memory head = _head(stored);
        // Whatever was certified may be evidence, as long as results can be challenged.
        if (head.state < State.Certified) return 0;
        if (block.timestamp < _challengeEnds(head, desk)) return _challengeEnds(head, desk);
        if (!_pays(head, desk)) return 0;
        Archive.Log storage log = _archive[study];
        Archive.Totals memory totals = log.load();
        if (totals.through >= round) return 0;

        (uint256 sites, uint256 nodes) = (head.size, Committees.ones(head.voters));
        log.append(totals.count, Archive.leaf(study, round, stored.settlement, sites, nodes, head.policy));
        totals.siteUnits += sites.toUint48();
        totals.nodeUnits += nodes.toUint48();
        totals.count += 1;
        totals.through = uint256(round).toUint32();
        log.store(totals);
    }

    /// A round was proved to be false. In time it pays nothing, and no share is wrong for differing from it; too late, it
    /// goes on paying, since it may have paid already, and is no evidence any more.
    function _disown(uint64 study, uint64 round, StoredRound storage stored, Head memory head, Desk memory desk)
        private
    {
        if (head.state == State.Settled && block.timestamp >= _challengeEnds(head, desk)) {
            stored.head.state = State.Refuted;
            emit RoundRefuted(study, round);
            return;
        }
        bool reserved = head.state == State.Settled || _stateNow(head) == State.Certified;
        if (!reserved) return;
        stored.head.state = State.Fraudulent;
        stored.settlement = 0;
        _studies[study].desk.free += _policies[study][head.policy].budget;
        emit RoundFraudulent(study, round);
    }

    /// The formula: the nodes' share of the budget in equal parts to the voters, the rest in equal parts to the sites,
    /// both rounded down. A settled round has at least two sites and four voters.
    function _pay(Policy storage policy, uint256 sites, uint256 nodes)
        private
        view
        returns (uint256 perSite, uint256 perNode)
    {
        (uint256 budget, uint256 nodeShare) = (policy.budget, policy.nodeShare);
        uint256 forNodes = budget * nodeShare / WHOLE;
        return ((budget - forNodes) / sites, forNodes / nodes);
    }

    /// Reverts if the newest round is still in progress, and records its lapse if nobody did.
    /// @return desk Of the study, with what the lapse gave back.
    /// @return lastCertified The newest certified round.
    function _closeNewest(uint64 study) private returns (Desk memory desk, uint64 lastCertified) {
        desk = _desk(study);
        (uint64 newest, State state) = (desk.rounds, State.None);
        if (newest != 0) state = _stateNow(_head(_slot(study, desk, newest)));
        require(!_isInProgress(state), RoundInProgress(study, newest));
        bool lapsed = state == State.Void || state == State.Abandoned;
        if (lapsed && _recordLapse(study, newest)) desk = _desk(study);
        lastCertified = state >= State.Certified ? newest : desk.lastCertifiedRound;
    }

    /// Records that a deadline passed, and gives the sponsor the round's budget back.
    /// @return recorded False if no deadline passed, or somebody recorded it before.
    function _recordLapse(uint64 study, uint64 round) private returns (bool recorded) {
        StoredRound storage stored = _slot(study, _desk(study), round);
        Head memory head = _head(stored);
        State actual = _stateNow(head);
        recorded = actual != head.state;
        if (!recorded) return false;
        stored.head.state = actual;
        uint80 budget = _policies[study][head.policy].budget;
        if (budget != 0) _studies[study].desk.free += budget;
        if (actual == State.Void) emit RoundVoided(study, round);
        else emit RoundAbandoned(study, round);
    }

    function _requireState(uint64 study, uint64 round, State expected)
        private
        view
        returns (StoredRound storage stored, Head memory head, Desk memory desk)
    {
        desk = _desk(study);
        stored = _slot(study, desk, round);
        head = _head(stored);
        State actual = _onRecord(desk, round) ? _stateNow(head) : State.None;
        require(actual == expected, WrongState(study, round, actual));
    }

    /// A deadline that passed counts although nobody recorded it.
    function _stateNow(Head memory head) private view returns (State state) {
        state = head.state;
        if (state == State.Open && block.timestamp >= head.deadline) return State.Void;
        if (state == State.Certified && block.timestamp >= uint256(head.deadline) + head.settleWithin) {
            return State.Abandoned;
        }
    }

    /// The slot of a round, whether it is on record or not. Without a study there is no ring, and nothing is stored.
    function _slot(uint64 study, Desk memory desk, uint64 round) private view returns (StoredRound storage) {
        return _ring[study][desk.ring == 0 ? 0 : round % desk.ring];
    }

    function _onRecord(Desk memory desk, uint64 round) private pure returns (bool) {
        return _isOnRecord(round, desk.rounds, desk.ring);
    }

    function _isOnRecord(uint64 round, uint256 rounds, uint256 ring) private pure returns (bool) {
        return round != 0 && round <= rounds && uint256(round) + ring > rounds;
    }

    /// Settled for good, and never proved wrong.
    function _isFinal(Head memory head, Desk memory desk) private view returns (bool) {
        return head.state == State.Settled && block.timestamp >= _challengeEnds(head, desk);
    }

    /// What is proved wrong too late has begun to pay.
    function _pays(Head memory head, Desk memory desk) private view returns (bool) {
        return head.state == State.Refuted || _isFinal(head, desk);
    }

    function _challengeEnds(Head memory head, Desk memory desk) private pure returns (uint256) {
        return uint256(head.deadline) + head.settleWithin - head.settledBefore + desk.challengeWindow;
    }

    /// Everything from Certified on has used its subject.
    function _lastCertified(uint64 study, Desk memory desk) private view returns (uint64) {
        uint64 newest = desk.rounds;
        bool certified = newest != 0 && _slot(study, desk, newest).head.state >= State.Certified;
        return certified ? newest : desk.lastCertifiedRound;
    }

    /// Of a certified round.
    function _subjectOf(uint64 study, Desk memory desk, uint64 round) private view returns (bytes32) {
        return _onRecord(desk, round) ? _slot(study, desk, round).subject : _studies[study].carriedSubject;
    }
}
