// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Records} from "./Records.sol";
import {Sponsorship} from "./Sponsorship.sol";
import {ICourt} from "./interfaces/ICourt.sol";
import {ILicences} from "./interfaces/ILicences.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IRounds} from "./interfaces/IRounds.sol";
import {IJudge} from "./kinds/IJudge.sol";
import {IKind} from "./kinds/IKind.sol";
import {Archive} from "./libraries/Archive.sol";
import {Committees} from "./libraries/Committees.sol";
import {Layout} from "./libraries/Layout.sol";
import {Statements} from "./libraries/Statements.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Studies, their committees and their rounds
/// @notice Answers all of `IConsilium`: what is not here is in Sponsorship, whose code it runs as its own.
/// @dev The committee runs no consensus: what must be unique is a transaction here. Nothing loops over sites, and no
/// contribution takes storage.
contract Consilium is Records, IRounds, EIP712 {
    using Archive for Archive.Log;
    using Committees for Committees.Stored;
    using Layout for Layout.Study;
    using Layout for Layout.Round;
    using SafeCast for uint256;

    // Time to look at a result, where stake is at risk.
    uint256 private constant SHORTEST_WINDOW = 1 hours;

    /// @notice The other part of the code, for good.
    Sponsorship public immutable sponsorship;

    /// @param parts The contracts that it works with, each deployed for it.
    /// @param rules What holds for all studies.
    /// @param sponsorship_ Deployed with the same parts and rules.
    constructor(Parts memory parts, Rules memory rules, Sponsorship sponsorship_)
        Records(parts, rules)
        EIP712("Consilium", "1")
    {
        require(block.chainid <= type(uint64).max, ChainIdTooLarge(block.chainid));
        require(rules.trial || rules.minimumWindow >= SHORTEST_WINDOW, WindowTooShort(rules.minimumWindow));
        sponsorship = sponsorship_;
        bool same = sponsorship_.configuration() == keccak256(abi.encode(parts, rules));
        require(same, NotOurs(address(sponsorship_)));
        _requireOurs(parts.registry.consilium(), address(parts.registry));
        for (uint256 i = 0; i < parts.kinds.length; i++) {
            IKind kind = parts.kinds[i];
            kinds[kind.kind()] = kind;
            _requireOurJudge(kind, parts.registry);
        }
        _requireOurJudge(parts.setCourt, parts.registry);
        _requireOurs(parts.token.consilium(), address(parts.token));
        _requireOurs(parts.treasury.consilium(), address(parts.treasury));
        _requireOurs(parts.privacyBudget.consilium(), address(parts.privacyBudget));
        // They may take whatever the treasury is allowed to take.
        address licences = parts.treasury.licences();
        _requireOurs(address(ILicences(licences).consilium()), licences);
    }

    /// @dev What is not here runs from there, on what is stored here.
    fallback(bytes calldata input) external returns (bytes memory) {
        return Address.functionDelegateCall(address(sponsorship), input);
    }

    // ------------------------------------------------------------------------------------------------ rounds

    /// @inheritdoc IRounds
    function openRound(uint64 study, bytes32 subject, uint64 deadline, uint64 settleBy)
        external
        returns (uint64 round)
    {
        Layout.Study storage stored = _operated(study);
        require(subject != 0, InvalidSubject());
        (Layout.Desk memory desk, uint64 lastCertified) = _closeNewest(study);
        require(desk.flags & Layout.ENDED == 0, Ended(study));
        require(desk.flags & Layout.VACANT == 0, CommitteeVacant(study));
        uint256 liable = uint256(settleBy) + desk.challengeWindow + longestPause + disputeTime;
        require(
            block.timestamp < deadline && deadline < settleBy && settleBy <= type(uint40).max
                && liable <= block.timestamp + _unbondingDelay,
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
        stored.keep(desk);
        if (desk.flags & Layout.DRAWS != 0) privacyBudget.charge(study);
        _freeze(study, round, stored, desk, subject, deadline, settleBy);
    }

    /// @inheritdoc IRounds
    function certify(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint32 size,
        uint256 signers,
        bytes calldata signatures
    ) external {
        (Layout.Round storage stored, Layout.Head memory head, Layout.Desk memory desk) =
            _requireState(study, round, State.Open);
        require(size != 0 && size >= head.cohort, CohortTooSmall(size, head.cohort));
        require(setRoot != 0, InvalidSetRoot());
        bytes32 vote = Statements.vote(study, round, setRoot, size);
        _committees[study][head.epoch].requireQuorum(_hashTypedDataV4(vote), signers, signatures);

        head.state = State.Certified;
        head.cohort = uint256(size).toUint24();
        head.voters = signers.toUint32();
        stored.setRoot = setRoot;
        emit RoundCertified(study, round, setRoot, size, signers, signatures);
        if (desk.flags & Layout.CERTIFIED_ONLY == 0) {
            stored.keep(head);
            return;
        }
        // Nobody signs a list of rewards: all voters are found by their index, as late ones are.
        head.late = uint256(Committees.ones(signers)).toUint8();
        _late[study][round] = Layout.Late({voters: head.voters, epoch: head.epoch});
        _settle(study, round, stored, head, desk, vote, signers);
    }

    /// @inheritdoc IRounds
    function addVotes(uint64 study, uint64 round, uint256 signers, bytes calldata signatures) external {
        (Layout.Round storage stored, Layout.Head memory head,) = _requireState(study, round, State.Certified);
        Layout.Late storage late = _late[study][round];
        uint256 before = late.voters;
        require(signers & (before | head.voters) == 0, AlreadyVoted(signers & (before | head.voters)));
        bytes32 vote = Statements.vote(study, round, stored.setRoot, head.cohort);
        _committees[study][head.epoch].requireSigned(_hashTypedDataV4(vote), signers, signatures);

        (late.voters, late.epoch) = ((before | signers).toUint32(), head.epoch);
        head.late = Committees.ones(before | signers).toUint8();
        stored.keep(head);
        emit VotesAdded(study, round, signers, signatures);
    }

    /// @inheritdoc IRounds
    function settle(
        uint64 study,
        uint64 round,
        bytes32[] calldata shareRoots,
        bytes32 aggregateRoot,
        bytes32 rewardRoot,
        uint256 signers,
        bytes calldata signatures
    ) external {
        (Layout.Round storage stored, Layout.Head memory head, Layout.Desk memory desk) =
            _requireState(study, round, State.Certified);
        Committees.Stored storage committee = _committees[study][head.epoch];
        uint256 n = committee.count;
        require(shareRoots.length == n, ShareRootCount(shareRoots.length, n));
        bytes32 setRoot = stored.setRoot;
        bytes32 shareRootsHash = keccak256(abi.encodePacked(shareRoots));
        bytes32 settlement = Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot);
        committee.requireQuorum(_hashTypedDataV4(settlement), signers, signatures);
        emit RoundSettled(study, round, setRoot, shareRoots, aggregateRoot, rewardRoot, signers);
        _settle(study, round, stored, head, desk, settlement, signers);
    }

    /// @inheritdoc IRounds
    function voidRound(uint64 study, uint64 round) external {
        _recordLapse(study, round, State.Void);
    }

    /// @inheritdoc IRounds
    function abandonRound(uint64 study, uint64 round) external {
        _recordLapse(study, round, State.Abandoned);
    }

    // ------------------------------------------------------------------------------------------------ other contracts

    /// @inheritdoc IRounds
    function refute(uint64 study, uint64 round, bytes32 settlement) external returns (Accused memory accused) {
        _onlyJudge(study);
        Layout.Desk memory desk = _studies[study].deskOf();
        _requireRunning(study, desk.flags);
        require(_onRecord(desk, round), WrongState(study, round, State.None));
        Layout.Round storage stored = _slot(study, desk, round);
        Layout.Head memory head = stored.headOf();
        // Of a set that was proved false the settlement is kept: who signed it need not have voted for the set.
        bool disowned = head.state == State.Fraudulent;
        bool same = stored.settlement == settlement;
        require(head.state == State.Settled || (disowned && same), WrongState(study, round, _stateNow(head)));
        if (!same) return accused;
        Committees.Stored storage committee = _committees[study][head.epoch];
        accused.termsHash = _studies[study].termsHash;
        accused.threshold = committee.threshold;
        accused.size = head.cohort;
        accused.voters = head.voters;
        accused.signers = head.signers;
        accused.nodes = committee.members();
        // Once is enough; a round that goes on paying needs it.
        if (disowned || _disown(study, round, stored, head, desk)) stored.settlement = 0;
    }

    /// @inheritdoc IRounds
    function disown(uint64 study, uint64 round) external returns (Certified memory certified) {
        _onlyJudge(study);
        Layout.Desk memory desk = _studies[study].deskOf();
        _requireRunning(study, desk.flags);
        if (!_onRecord(desk, round)) return certified;
        Layout.Round storage stored = _slot(study, desk, round);
        Layout.Head memory head = stored.headOf();
        if (head.state < State.Certified) return certified;
        certified.setRoot = stored.setRoot;
        certified.sitesRoot = _policies[study][head.policy].sitesRoot;
        certified.size = head.cohort;
        certified.voters = head.voters;
        if (head.late != 0) certified.voters |= _late[study][round].voters;
        certified.nodes = _committees[study][head.epoch].members();
        _disown(study, round, stored, head, desk);
    }

    /// @inheritdoc IRounds
    function vacate(uint64 study) external returns (uint64 newest) {
        _onlyFrom(address(registry));
        (newest,,) = _studies[study].forProof(true);
    }

    /// @inheritdoc IRounds
    function convictBySettlement(uint64 study, uint64 round, bytes32 settlement, bool vacates)
        external
        returns (bool stands)
    {
        (uint64 rounds, uint64 ring) = _deskForProof(study, vacates);
        if (!_isOnRecord(round, rounds, ring)) return false;
        Layout.Round storage stored = _ring[study][round % ring];
        return stored.head.state == State.Settled && stored.settlement == settlement;
    }

    /// @inheritdoc IRounds
    function convictByCertificate(uint64 study, uint64 round, bool vacates)
        external
        returns (bytes32 setRoot, uint64 epoch)
    {
        (uint64 rounds, uint64 ring) = _deskForProof(study, vacates);
        if (!_isOnRecord(round, rounds, ring)) return (0, 0);
        Layout.Round storage stored = _ring[study][round % ring];
        if (stored.head.state >= State.Certified) return (stored.setRoot, stored.head.epoch);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IRounds
    function mayJudge(uint64 study, address judge) public view returns (bool) {
        return judge == address(setCourt) || (judge != address(0) && judge == address(kinds[_studies[study].kind]));
    }

    /// @inheritdoc IRounds
    function settledSites(uint64 study, uint64 round, Settled calldata settled) external view returns (bytes32) {
        Layout.Desk memory desk = _studies[study].deskOf();
        bytes32 settlement = Statements.settlement(
            study, round, settled.setRoot, settled.shareRootsHash, settled.aggregateRoot, settled.rewardRoot
        );
        uint80 record = settled.record;
        if (_onRecord(desk, round)) {
            Layout.Round storage stored = _slot(study, desk, round);
            Layout.Head memory head = stored.headOf();
            record = Layout.recordOf(head);
            bool stands = stored.settlement == settlement && head.cohort == settled.sites && _isFinal(study, head, desk);
            require(stands, NotFinal(study, round));
        } else {
            bytes32 leaf = Archive.leaf(study, round, settlement, settled.sites, settled.nodes, record);
            bool stands = _archive[study].contains(settled.position, leaf, settled.path) && !_refuted[study][round];
            require(stands, NotFinal(study, round));
        }
        return _policies[study][Layout.policyIn(record)].sitesRoot;
    }

    /// @inheritdoc IRounds
    function requireStrayQuorum(
        uint64 study,
        uint64 round,
        uint64 epoch,
        bytes32 setRoot,
        uint32 size,
        uint8 index,
        address node,
        uint256 signers,
        bytes calldata signatures
    ) external view {
        Committees.Stored storage committee = _committees[study][epoch];
        // A share under another's index would be no evidence of two shares.
        require(committee.member(index) == node, ICourt.NotItsIndex(study, round, index, node));
        Layout.Desk memory desk = _studies[study].deskOf();
        // Whoever has signed for the certified set too has signed twice, and is not cleared by its votes.
        require(!_onRecord(desk, round) || _slot(study, desk, round).setRoot != setRoot, ICourt.NoOffence());
        bytes32 vote = Statements.vote(study, round, setRoot, size);
        committee.requireQuorum(_hashTypedDataV4(vote), signers, signatures);
    }

    /// @inheritdoc IRounds
    function memberOf(uint64 study, uint64 round, uint8 index) external view returns (address) {
        Layout.Desk memory desk = _studies[study].deskOf();
        if (!_onRecord(desk, round)) return address(0);
        return _committees[study][_slot(study, desk, round).head.epoch].member(index);
    }

    /// @inheritdoc IRounds
    function lateVoterOf(uint64 study, uint64 round, uint8 index) external view returns (address) {
        Layout.Late memory late = _late[study][round];
        bool voted = index != 0 && (uint256(late.voters) << 1) >> index & 1 == 1;
        return voted ? _committees[study][late.epoch].member(index) : address(0);
    }

    /// @inheritdoc IRounds
    function finalPay(
        uint64 study,
        uint64 round,
        bytes32 settlement,
        uint32 sites,
        uint32 nodes,
        uint80 record,
        uint32 position,
        bytes32[] calldata path
    ) external view returns (uint256 perSite, uint256 perNode) {
        Layout.Desk memory desk = _studies[study].deskOf();
        _requireRunning(study, desk.flags);
        if (_onRecord(desk, round)) {
            Layout.Round storage stored = _slot(study, desk, round);
            Layout.Head memory head = stored.headOf();
            bool same = stored.settlement == settlement && head.cohort == sites && _listed(head, desk) == nodes;
            require(same && _pays(study, head, desk), NotFinal(study, round));
            record = Layout.recordOf(head);
        } else {
            bytes32 leaf = Archive.leaf(study, round, settlement, sites, nodes, record);
            require(_archive[study].contains(position, leaf, path), NotFinal(study, round));
        }
        Layout.Policy storage policy = _policies[study][Layout.policyIn(record)];
        return _payOf(policy.budget, policy.nodeShare, sites, uint256(nodes) + Layout.lateIn(record));
    }

    /// @inheritdoc IRounds
    function recordOf(uint64 study, uint64 round, uint80 shown) external view returns (uint80) {
        Layout.Desk memory desk = _studies[study].deskOf();
        return _onRecord(desk, round) ? Layout.recordOf(_slot(study, desk, round).headOf()) : shown;
    }

    /// @inheritdoc IRounds
    function pausedUntil(uint64 study) external view returns (uint64) {
        return _pausedUntil(study, _studies[study].desk.flags);
    }

    /// @inheritdoc IRounds
    function weightsOf(uint64 study, uint16 policy, uint256 sites, uint256 nodes)
        external
        view
        returns (uint256 perSite, uint256 perNode)
    {
        return _weights(_policies[study][policy].nodeShare, sites, nodes);
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _freeze(
        uint64 study,
        uint64 round,
        Layout.Study storage study_,
        Layout.Desk memory desk,
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

        Layout.Round storage stored = _slot(study, desk, round);
        Layout.Head memory head = Layout.Head({
            state: State.Open,
            epoch: desk.epoch,
            policy: desk.policy,
            period: 0,
            late: 0,
            cohort: desk.minimumCohort,
            deadline: uint256(deadline).toUint40(),
            settleWithin: uint256(settleBy - deadline).toUint32(),
            settledBefore: 0,
            voters: 0,
            signers: 0
        });
        stored.keep(head);
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

    /// @param settlement Hash of what was signed.
    function _settle(
        uint64 study,
        uint64 round,
        Layout.Round storage stored,
        Layout.Head memory head,
        Layout.Desk memory desk,
        bytes32 settlement,
        uint256 signers
    ) private {
        Archive.Log storage log = _archive[study];
        Archive.Totals memory totals = log.load();
        head.state = State.Settled;
        head.settledBefore = (uint256(head.deadline) + head.settleWithin - block.timestamp).toUint32();
        head.signers = signers.toUint32();
        head.period = totals.periods;
        stored.keep(head);
        stored.settlement = settlement;

        totals.weight += _weightOfRound(study, head, desk);
        totals.changed = true;
        // The slot that the next round will use: archived here, where there is gas to spare, and not at its opening.
        uint256 next = uint256(round) + 1;
        if (next > desk.ring) _archiveIfDue(study, uint64(next - desk.ring), desk, totals);
        log.store(totals);
    }

    /// Makes way for a new round in its slot of the ring.
    function _clearSlot(uint64 study, Layout.Desk memory desk, uint64 round, uint64 lastCertified) private {
        if (round <= desk.ring) return;
        uint64 leaving = round - desk.ring;
        if (leaving == lastCertified) _studies[study].carriedSubject = _slot(study, desk, leaving).subject;
        Archive.Log storage log = _archive[study];
        Archive.Totals memory totals = log.load();
        // Mostly its successor's settlement has archived it.
        if (totals.through >= leaving) return;
        (bool archived, uint256 until) = _archiveIfDue(study, leaving, desk, totals);
        require(until == 0, RingFull(study, uint64(until)));
        if (archived) log.store(totals);
    }

    /// Archives a round of the ring if it is settled for good and was not archived yet. Rounds come here in order, so
    /// that the place of one is the number of those settled for good before it.
    /// @param totals Of the archive: the caller writes them.
    /// @return archived Whether they have changed.
    /// @return until When its slot may be used again, if it may not yet; else 0.
    function _archiveIfDue(uint64 study, uint64 round, Layout.Desk memory desk, Archive.Totals memory totals)
        private
        returns (bool archived, uint256 until)
    {
        Layout.Round storage stored = _slot(study, desk, round);
        Layout.Head memory head = stored.headOf();
        // Whatever was certified may be evidence, as long as results can be challenged.
        if (head.state < State.Certified) return (false, 0);
        uint256 ends = _challengeEnds(study, head, desk);
        if (block.timestamp < ends) return (false, ends);
        if (!_pays(study, head, desk) || totals.through >= round) return (false, 0);

        bytes32 leaf =
            Archive.leaf(study, round, stored.settlement, head.cohort, _listed(head, desk), Layout.recordOf(head));
        _archive[study].append(totals.count, leaf);
        totals.count += 1;
        totals.through = uint256(round).toUint32();
        return (true, 0);
    }

    function _weightOfRound(uint64 study, Layout.Head memory head, Layout.Desk memory desk)
        private
        view
        returns (uint64)
    {
        return _weightOf(_policies[study][head.policy].nodeShare, head.cohort, _paid(head, desk));
    }

    /// A round was proved to be false. In time it pays nothing, and no share is wrong for differing from it; too late, it
    /// goes on paying, since it may have paid already, and is no evidence any more.
    function _disown(
        uint64 study,
        uint64 round,
        Layout.Round storage stored,
        Layout.Head memory head,
        Layout.Desk memory desk
    ) private returns (bool inTime) {
        if (head.state == State.Settled && block.timestamp >= _challengeEnds(study, head, desk)) {
            stored.head.state = State.Refuted;
            _refuted[study][round] = true;
            emit RoundRefuted(study, round);
            return false;
        }
        bool settled = head.state == State.Settled;
        if (!settled && _stateNow(head) != State.Certified) return false;
        stored.head.state = State.Fraudulent;
        uint256 back = _policies[study][head.policy].budget;
        if (settled) {
            _strikeOut(study, head, desk);
            // Once another round is open, or the study has ended, the rest is the sponsor's already.
            if (round < desk.rounds || desk.flags & Layout.ENDED != 0) back -= _rest(study, head, desk);
        }
        _giveBack(study, desk, back);
        emit RoundFraudulent(study, round);
        return true;
    }

    /// A settled round has no part in licence revenue any more.
    function _strikeOut(uint64 study, Layout.Head memory head, Layout.Desk memory desk) private {
        Archive.Log storage log = _archive[study];
        Archive.Totals memory totals = log.load();
        uint64 weight = _weightOfRound(study, head, desk);
        totals.weight -= weight;
        totals.changed = true;
        log.store(totals);
        if (totals.periods > head.period) treasury.strikeOut(study, head.period, weight);
    }

    function _recordLapse(uint64 study, uint64 round, State expected) private {
        (Layout.Round storage stored, Layout.Head memory head, Layout.Desk memory desk) =
            _requireState(study, round, expected);
        require(head.state != expected, WrongState(study, round, expected));
        _giveBack(study, desk, _lapse(study, round, stored, head, desk.flags));
    }

    /// What a round had reserved is the sponsor's again.
    function _giveBack(uint64 study, Layout.Desk memory desk, uint256 amount) private {
        if (amount != 0) _studies[study].desk.free = (desk.free + amount).toUint88();
    }

    function _requireState(uint64 study, uint64 round, State expected)
        private
        view
        returns (Layout.Round storage stored, Layout.Head memory head, Layout.Desk memory desk)
    {
        desk = _studies[study].deskOf();
        stored = _slot(study, desk, round);
        head = stored.headOf();
        State actual = _onRecord(desk, round) ? _stateNow(head) : State.None;
        require(actual == expected, WrongState(study, round, actual));
    }

    // ------------------------------------------------------------------------------------------------ who may, and when

    function _operated(uint64 study) private view returns (Layout.Study storage stored) {
        stored = _studies[study];
        if (msg.sender == stored.operator) return stored;
        address sponsor = stored.sponsor;
        require(sponsor != address(0), UnknownStudy(study));
        require(msg.sender == sponsor, NotOperator(study, msg.sender));
    }

    /// For those who are shown proofs about the results and sets of a study.
    function _onlyJudge(uint64 study) private view {
        require(mayJudge(study, msg.sender), NotPermitted(msg.sender));
    }

    /// For the registry. One read and at most one write of the desk, and of what is in it no more than proofs need.
    function _deskForProof(uint64 study, bool vacates) private returns (uint64 rounds, uint64 ring) {
        _onlyFrom(address(registry));
        uint8 flags;
        (rounds, ring, flags) = _studies[study].forProof(vacates);
        _requireRunning(study, flags);
    }

    function _requireOurs(address told, address part) private view {
        require(told == address(this), NotOurs(part));
    }

    /// Whoever it convicts must have a bond here.
    function _requireOurJudge(IJudge judge, INodeRegistry registry_) private view {
        _requireOurs(judge.consilium(), address(judge));
        require(address(judge.registry()) == address(registry_), NotOurs(address(judge)));
    }
}
