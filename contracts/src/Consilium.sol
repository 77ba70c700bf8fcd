// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Studies} from "./Studies.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IStudyToken} from "./interfaces/IStudyToken.sol";
import {ITreasury} from "./interfaces/ITreasury.sol";
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

    /// @param registry_ The registry of nodes, deployed for this contract, as the other two.
    /// @param disputeTime_ Seconds by which stake outlasts every challenge window.
    constructor(INodeRegistry registry_, IStudyToken token_, ITreasury treasury_, uint64 disputeTime_)
        Studies(registry_, token_, treasury_, disputeTime_)
    {}

    // ------------------------------------------------------------------------------------------------ rounds

    function openRound(uint64 study, bytes32 subject, uint64 deadline, uint64 settleBy)
        external
        returns (uint64 round)
    {
        StoredStudy storage stored = _sponsored(study);
        require(subject != 0, InvalidSubject());
        require(!stored.vacant, CommitteeVacant(study));
        require(
            block.timestamp < deadline && deadline < settleBy && settleBy <= type(uint40).max
                && uint256(settleBy) + stored.challengeWindow + disputeTime <= block.timestamp + _unbondingDelay,
            InvalidDeadlines(deadline, settleBy)
        );
        uint64 lastCertified = _closeNewest(study, stored);
        require(
            lastCertified == 0 || _subjectOf(study, stored, lastCertified) != subject, SubjectCertified(study, subject)
        );

        round = stored.rounds + 1;
        _clearSlot(study, stored, round, lastCertified);
        uint96 budget = _rewards[study][stored.rewards].budget;
        uint128 free = stored.free;
        require(budget <= free, FundsMissing(study, free, budget));
        stored.free = free - budget;
        stored.rounds = uint256(round).toUint32();
        stored.lastCertifiedRound = uint256(lastCertified).toUint32();
        _freeze(study, round, stored, subject, deadline, settleBy);
    }

    function certify(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint32 size,
        uint256 signers,
        bytes calldata signatures
    ) external {
        StoredRound storage stored = _requireState(study, round, State.Open);
        require(size >= stored.minimumCohort, CohortTooSmall(size, stored.minimumCohort));
        require(setRoot != 0, InvalidSetRoot());
        bytes32 digest = _hashTypedDataV4(Statements.vote(study, round, setRoot, size));
        _committees[study][stored.epoch].requireQuorum(digest, signers, signatures);

        stored.state = State.Certified;
        stored.size = uint256(size).toUint24();
        stored.voters = signers.toUint32();
        stored.setRoot = setRoot;
        emit RoundCertified(study, round, setRoot, size, signers);
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
        StoredRound storage stored = _requireState(study, round, State.Certified);
        Committees.Stored storage committee = _committees[study][stored.epoch];
        require(shareRoots.length == committee.count, ShareRootCount(shareRoots.length, committee.count));
        bytes32 setRoot = stored.setRoot;
        bytes32 shareRootsHash = keccak256(abi.encodePacked(shareRoots));
        bytes32 settlement = Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot);
        committee.requireQuorum(_hashTypedDataV4(settlement), signers, signatures);

        stored.state = State.Settled;
        stored.settledBefore = (uint256(stored.deadline) + stored.settleWithin - block.timestamp).toUint32();
        stored.signers = signers.toUint32();
        stored.settlement = settlement;
        emit RoundSettled(study, round, setRoot, shareRoots, aggregateRoot, rewardRoot, signers);

        // The slot that the next round will use: archived here, where there is gas to spare, and not at its opening.
        StoredStudy storage owner = _studies[study];
        uint256 next = uint256(round) + 1;
        if (next > owner.ring) _archiveIfDue(study, uint64(next - owner.ring), owner.challengeWindow);
    }

    function voidRound(uint64 study, uint64 round) external {
        _requireState(study, round, State.Void);
        require(_recordLapse(study, round), WrongState(study, round, State.Void));
    }

    function abandonRound(uint64 study, uint64 round) external {
        _requireState(study, round, State.Abandoned);
        require(_recordLapse(study, round), WrongState(study, round, State.Abandoned));
    }

    function defraud(uint64 study, uint64 round) external returns (bool inTime) {
        _onlyFrom(address(registry));
        StoredRound storage stored = _requireState(study, round, State.Settled);
        if (block.timestamp >= _challengeEnds(stored, _studies[study].challengeWindow)) return false;
        stored.state = State.Fraudulent;
        // No output share is wrong because it differs from a wrong settlement.
        stored.settlement = 0;
        _studies[study].free += _rewards[study][stored.rewards].budget;
        emit RoundFraudulent(study, round);
        return true;
    }

    // ------------------------------------------------------------------------------------------------ views

    function stateOf(uint64 study, uint64 round) public view override returns (State) {
        if (!_onRecord(study, round)) return State.None;
        StoredRound storage stored = _slot(study, round);
        State state = stored.state;
        if (state == State.Open && block.timestamp >= stored.deadline) return State.Void;
        if (state == State.Certified && block.timestamp >= uint256(stored.deadline) + stored.settleWithin) {
            return State.Abandoned;
        }
        return state;
    }

    function roundOf(uint64 study, uint64 round) external view returns (Round memory told) {
        if (!_onRecord(study, round)) return told;
        StoredRound storage stored = _slot(study, round);
        told.state = stored.state;
        told.epoch = stored.epoch;
        told.minimumCohort = stored.minimumCohort;
        told.deadline = stored.deadline;
        told.settleBy = uint64(stored.deadline) + stored.settleWithin;
        told.subject = stored.subject;
        told.frozen = stored.frozen;
        told.rewards = stored.rewards;
        // What follows is left over from the slot's previous round until it is written.
        if (stored.state < State.Certified) return told;
        told.setRoot = stored.setRoot;
        told.size = stored.size;
        told.voters = stored.voters;
        if (stored.state != State.Settled && stored.state != State.Fraudulent) return told;
        told.signers = stored.signers;
        told.settlement = stored.settlement;
        told.challengeEnds = uint64(_challengeEnds(stored, _studies[study].challengeWindow));
    }

    function studyOf(uint64 study) external view returns (Study memory) {
        StoredStudy storage stored = _studies[study];
        uint64 lastCertified = _lastCertified(study, stored);
        Rewards storage rewards = _rewards[study][stored.rewards];
        return Study({
            sponsor: stored.sponsor,
            kind: stored.kind,
            epoch: stored.epoch,
            rounds: stored.rounds,
            lastCertifiedRound: lastCertified,
            lastCertifiedSubject: lastCertified == 0 ? bytes32(0) : _subjectOf(study, stored, lastCertified),
            minimumCohort: stored.minimumCohort,
            finality: stored.finality,
            sitesRoot: stored.sitesRoot,
            termsHash: stored.termsHash,
            ring: stored.ring,
            challengeWindow: stored.challengeWindow,
            vacant: stored.vacant,
            free: stored.free + _archive[study].dust,
            budget: rewards.budget,
            nodeShare: rewards.nodeShare,
            archived: _archive[study].count
        });
    }

    function isSettlement(uint64 study, uint64 round, bytes32 settlement) external view returns (bool) {
        // The hash binds study and round, so that what a slot's previous round left passes for no other round's; and
        // no statement hashes to zero.
        return settlement != 0 && _slot(study, round).settlement == settlement;
    }

    function memberOf(uint64 study, uint64 round, uint8 index) external view returns (address) {
        if (!_onRecord(study, round)) return address(0);
        return _committees[study][_slot(study, round).epoch].member(index);
    }

    function setRootOf(uint64 study, uint64 round) public view returns (bytes32) {
        if (!_onRecord(study, round)) return 0;
        StoredRound storage stored = _slot(study, round);
        return stored.state >= State.Certified ? stored.setRoot : bytes32(0);
    }

    function cohortOf(uint64 study, uint64 round) external view returns (uint64 actual, bytes32 setRoot, uint32 size) {
        (actual, setRoot) = (round, setRootOf(study, round));
        if (setRoot == 0) {
            actual = _lastCertified(study, _studies[study]);
            setRoot = setRootOf(study, actual);
        }
        if (setRoot != 0) size = _slot(study, actual).size;
    }

    function payOf(uint64 study, Proof calldata proof) external view returns (uint256 perSite, uint256 perNode) {
        uint16 version;
        if (_onRecord(study, proof.round)) {
            StoredRound storage stored = _slot(study, proof.round);
            require(
                stored.settlement == proof.settlement && stored.size == proof.sites
                    && Committees.ones(stored.voters) == proof.nodes
                    && _isFinal(stored, _studies[study].challengeWindow),
                NotFinal(study, proof.round)
            );
            version = stored.rewards;
        } else {
            version = proof.rewards;
            bytes32 leaf =
                Archive.leaf(study, proof.round, proof.settlement, proof.sites, proof.nodes, version);
            require(_archive[study].contains(proof.position, leaf, proof.path), NotFinal(study, proof.round));
        }
        return _pay(_rewards[study][version], proof.sites, proof.nodes);
    }

    function unitsOf(uint64 study)
        external
        view
        returns (uint256 siteUnits, uint256 nodeUnits, uint64 through, uint16 nodeShare)
    {
        StoredStudy storage owner = _studies[study];
        Archive.Log storage log = _archive[study];
        (siteUnits, nodeUnits, through) = (log.siteUnits, log.nodeUnits, log.through);
        nodeShare = _rewards[study][owner.rewards].nodeShare;
        (uint64 newest, uint64 ring) = (owner.rounds, owner.ring);
        // What left the ring is over, and was archived if it was settled.
        if (newest > ring && through < newest - ring) through = newest - ring;
        for (uint64 round = through + 1; round <= newest; round++) {
            StoredRound storage stored = _slot(study, round);
            if (_isInProgress(stateOf(study, round))) break;
            if (stored.state == State.Settled) {
                if (!_isFinal(stored, owner.challengeWindow)) break;
                siteUnits += stored.size;
                nodeUnits += Committees.ones(stored.voters);
            }
            through = round;
        }
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _freeze(
        uint64 study,
        uint64 round,
        StoredStudy storage policy,
        bytes32 subject,
        uint64 deadline,
        uint64 settleBy
    ) private {
        (uint64 epoch, uint32 minimumCohort) = (policy.epoch, policy.minimumCohort);
        (bytes32 sitesRoot, string memory finality) = (policy.sitesRoot, policy.finality);
        bytes32 frozen =
            keccak256(abi.encode(study, round, subject, epoch, minimumCohort, sitesRoot, finality, deadline, settleBy));

        StoredRound storage stored = _ring[study][round % policy.ring];
        stored.state = State.Open;
        stored.epoch = policy.epoch;
        stored.rewards = policy.rewards;
        stored.minimumCohort = policy.minimumCohort;
        stored.size = 0;
        stored.deadline = uint256(deadline).toUint40();
        stored.settleWithin = uint256(settleBy - deadline).toUint32();
        stored.settledBefore = 0;
        stored.voters = 0;
        stored.signers = 0;
        stored.subject = subject;
        stored.frozen = frozen;
        emit RoundOpened(
            study,
            round,
            subject,
            epoch,
            minimumCohort,
            sitesRoot,
            finality,
            deadline,
            settleBy,
            block.timestamp.toUint64(),
            frozen
        );
    }

    /// Makes way for a new round in its slot of the ring.
    function _clearSlot(uint64 study, StoredStudy storage owner, uint64 round, uint64 lastCertified) private {
        uint64 ring = owner.ring;
        if (round <= ring) return;
        uint64 leaving = round - ring;
        if (leaving == lastCertified) owner.carriedSubject = _slot(study, leaving).subject;
        uint256 until = _archiveIfDue(study, leaving, owner.challengeWindow);
        require(until == 0, RingFull(study, uint64(until)));
    }

    /// Archives a round of the ring if it is settled for good and was not archived yet.
    /// @return until When its challenge window ends, if it is still open; else 0.
    function _archiveIfDue(uint64 study, uint64 round, uint32 window) private returns (uint256 until) {
        StoredRound storage stored = _slot(study, round);
        if (stored.state != State.Settled) return 0;
        if (!_isFinal(stored, window)) return _challengeEnds(stored, window);
        Archive.Log storage log = _archive[study];
        if (log.through >= round) return 0;

        (uint256 sites, uint256 nodes, uint32 position) = (stored.size, Committees.ones(stored.voters), log.count);
        Rewards memory rewards = _rewards[study][stored.rewards];
        (uint256 perSite, uint256 perNode) = _pay(rewards, sites, nodes);
        bytes32 leaf = Archive.leaf(study, round, stored.settlement, sites, nodes, stored.rewards);
        log.append(position, leaf);
        log.siteUnits += sites.toUint48();
        log.nodeUnits += nodes.toUint48();
        log.count = position + 1;
        log.through = uint256(round).toUint32();
        log.dust += (uint256(rewards.budget) - perSite * sites - perNode * nodes).toUint96();
        emit RoundArchived(study, round, position, leaf);
    }

    /// The formula: the nodes' share of the budget in equal parts to the voters, the rest in equal parts to the sites,
    /// both rounded down. A settled round has at least two sites and four voters.
    function _pay(Rewards memory rewards, uint256 sites, uint256 nodes)
        private
        pure
        returns (uint256 perSite, uint256 perNode)
    {
        uint256 forNodes = uint256(rewards.budget) * rewards.nodeShare / WHOLE;
        return ((rewards.budget - forNodes) / sites, forNodes / nodes);
    }

    /// Reverts if the newest round is still in progress, and records its lapse if nobody did.
    /// @return The newest certified round.
    function _closeNewest(uint64 study, StoredStudy storage stored) private returns (uint64) {
        uint64 newest = stored.rounds;
        require(!_isInProgress(stateOf(study, newest)), RoundInProgress(study, newest));
        _recordLapse(study, newest);
        return _lastCertified(study, stored);
    }

    /// Records that a deadline passed, and gives the sponsor the round's budget back.
    /// @return recorded False if no deadline passed, or somebody recorded it before.
    function _recordLapse(uint64 study, uint64 round) private returns (bool recorded) {
        State actual = stateOf(study, round);
        if (actual != State.Void && actual != State.Abandoned) return false;
        StoredRound storage stored = _slot(study, round);
        recorded = actual != stored.state;
        if (!recorded) return false;
        stored.state = actual;
        uint96 budget = _rewards[study][stored.rewards].budget;
        if (budget != 0) _studies[study].free += budget;
        if (actual == State.Void) emit RoundVoided(study, round);
        else emit RoundAbandoned(study, round);
    }

    function _requireState(uint64 study, uint64 round, State expected)
        private
        view
        returns (StoredRound storage stored)
    {
        State actual = stateOf(study, round);
        require(actual == expected, WrongState(study, round, actual));
        return _slot(study, round);
    }

    function _slot(uint64 study, uint64 round) private view returns (StoredRound storage) {
        uint256 ring = _studies[study].ring;
        return _ring[study][ring == 0 ? 0 : round % ring];
    }

    function _onRecord(uint64 study, uint64 round) private view returns (bool) {
        StoredStudy storage owner = _studies[study];
        uint256 newest = owner.rounds;
        return round != 0 && round <= newest && uint256(round) + owner.ring > newest;
    }

    function _isFinal(StoredRound storage stored, uint32 window) private view returns (bool) {
        return stored.state == State.Settled && block.timestamp >= _challengeEnds(stored, window);
    }

    function _challengeEnds(StoredRound storage stored, uint32 window) private view returns (uint256) {
        return uint256(stored.deadline) + stored.settleWithin - stored.settledBefore + window;
    }

    /// Everything from Certified on has used its subject.
    function _lastCertified(uint64 study, StoredStudy storage stored) private view returns (uint64) {
        uint64 newest = stored.rounds;
        return newest != 0 && _slot(study, newest).state >= State.Certified ? newest : stored.lastCertifiedRound;
    }

    /// Of a certified round.
    function _subjectOf(uint64 study, StoredStudy storage stored, uint64 round) private view returns (bytes32) {
        return _onRecord(study, round) ? _slot(study, round).subject : stored.carriedSubject;
    }
}
