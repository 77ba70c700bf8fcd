// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "./interfaces/IConsilium.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Committees} from "./libraries/Committees.sol";
import {Statements} from "./libraries/Statements.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Studies, their committees and their rounds
/// @dev The committee runs no consensus: what must be unique is a transaction here. Nothing loops over sites, and no
/// contribution takes storage.
contract Consilium is IConsilium, EIP712 {
    using Committees for Committees.Stored;
    using SafeCast for uint256;

    uint8 private constant KIND_SUM = 1;
    uint256 private constant MAX_NAME = 32;
    uint256 private constant MAX_PARAMETERS = 256;

    struct StoredStudy {
        address sponsor;
        uint32 epoch;
        uint32 rounds;
        // The newest certified round before the newest round, whose own state tells the rest: `certify` need not write.
        uint32 lastCertifiedRound;
        uint32 minimumCohort;
        uint8 kind;
        string finality;
        bytes32 sitesRoot;
        bytes32 termsHash;
    }

    // The first eight members share a slot.
    struct StoredRound {
        State state;
        uint32 epoch;
        uint32 minimumCohort;
        uint40 deadline;
        uint40 settleBy;
        uint32 size;
        uint32 voters;
        uint32 signers;
        bytes32 subject;
        bytes32 frozen;
        bytes32 setRoot;
        bytes32 settlement;
    }

    /// @inheritdoc IConsilium
    INodeRegistry public immutable registry;
    /// @inheritdoc IConsilium
    uint64 public studies;
    /// @inheritdoc IConsilium
    mapping(uint64 study => mapping(address account => bool)) public isAuditor;

    mapping(uint64 study => StoredStudy) private _studies;
    mapping(uint64 study => mapping(uint64 epoch => Committees.Stored)) private _committees;
    mapping(uint64 study => mapping(uint64 round => StoredRound)) private _rounds;

    /// @param registry_ The registry of nodes, which must have this contract as its court.
    constructor(INodeRegistry registry_) EIP712("Consilium", "1") {
        require(block.chainid <= type(uint64).max, ChainIdTooLarge(block.chainid));
        require(registry_.court() == address(this), NotCourtOf(address(registry_)));
        registry = registry_;
    }

    // ------------------------------------------------------------------------------------------------ studies

    /// @inheritdoc IConsilium
    function createStudy(StudyTerms calldata terms, address[] calldata nodes, address[] calldata sites)
        external
        returns (uint64 study)
    {
        require(terms.kind == KIND_SUM, UnknownKind(terms.kind));
        require(_isWithin(bytes(terms.program).length, MAX_NAME), InvalidProgram());
        require(_isWithin(terms.parameters.length, MAX_PARAMETERS), InvalidParameters());

        study = ++studies;
        StoredStudy storage stored = _studies[study];
        stored.sponsor = msg.sender;
        stored.kind = terms.kind;
        stored.termsHash = keccak256(abi.encode(terms.kind, terms.program, terms.parameters));
        emit StudyCreated(study, msg.sender, terms);
        _setPolicy(stored, terms.minimumCohort, terms.finality);
        _formCommittee(study, terms.threshold, nodes);
        _setSites(study, terms.sitesRoot, sites);
    }

    /// @inheritdoc IConsilium
    function setCommittee(uint64 study, uint8 threshold, address[] calldata nodes) external {
        StoredStudy storage stored = _sponsored(study);
        uint64 newest = stored.rounds;
        require(!_isInProgress(stateOf(study, newest)), RoundInProgress(study, newest));

        registry.discharge(_committees[study][stored.epoch].members());
        _formCommittee(study, threshold, nodes);
    }

    /// @inheritdoc IConsilium
    function setSites(uint64 study, bytes32 sitesRoot, address[] calldata sites) external {
        _sponsored(study);
        _setSites(study, sitesRoot, sites);
    }

    /// @inheritdoc IConsilium
    function setPolicy(uint64 study, uint32 minimumCohort, string calldata finality) external {
        _setPolicy(_sponsored(study), minimumCohort, finality);
        emit PolicySet(study, minimumCohort, finality);
    }

    /// @inheritdoc IConsilium
    function setAuditor(uint64 study, address auditor, bool allowed) external {
        _sponsored(study);
        isAuditor[study][auditor] = allowed;
        emit AuditorSet(study, auditor, allowed);
    }

    // ------------------------------------------------------------------------------------------------ rounds

    /// @inheritdoc IConsilium
    function openRound(uint64 study, bytes32 subject, uint64 deadline, uint64 settleBy)
        external
        returns (uint64 round)
    {
        StoredStudy storage stored = _sponsored(study);
        require(subject != 0, InvalidSubject());
        require(
            block.timestamp < deadline && deadline < settleBy && settleBy <= type(uint40).max,
            InvalidDeadlines(deadline, settleBy)
        );
        uint64 lastCertified = _closeNewest(study, stored);
        require(
            lastCertified == 0 || _rounds[study][lastCertified].subject != subject, SubjectCertified(study, subject)
        );

        round = stored.rounds + 1;
        stored.rounds = uint256(round).toUint32();
        stored.lastCertifiedRound = uint256(lastCertified).toUint32();
        _freeze(study, round, stored, subject, deadline, settleBy);
    }

    /// @inheritdoc IConsilium
    function certify(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint32 size,
        uint256 signers,
        bytes calldata signatures
    ) external {
        _requireState(study, round, State.Open);
        StoredRound storage stored = _rounds[study][round];
        require(size >= stored.minimumCohort, CohortTooSmall(size, stored.minimumCohort));
        require(setRoot != 0, InvalidSetRoot());
        bytes32 digest = _hashTypedDataV4(Statements.vote(study, round, setRoot, size));
        _committees[study][stored.epoch].requireQuorum(digest, signers, signatures);

        stored.state = State.Certified;
        stored.size = size;
        stored.voters = signers.toUint32();
        stored.setRoot = setRoot;
        emit RoundCertified(study, round, setRoot, size, signers);
    }

    /// @inheritdoc IConsilium
    function settle(
        uint64 study,
        uint64 round,
        bytes32[] calldata shareRoots,
        bytes32 aggregateRoot,
        bytes32 rewardRoot,
        uint256 signers,
        bytes calldata signatures
    ) external {
        _requireState(study, round, State.Certified);
        StoredRound storage stored = _rounds[study][round];
        Committees.Stored storage committee = _committees[study][stored.epoch];
        require(shareRoots.length == committee.count, ShareRootCount(shareRoots.length, committee.count));
        bytes32 setRoot = stored.setRoot;
        bytes32 shareRootsHash = keccak256(abi.encodePacked(shareRoots));
        bytes32 settlement = Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot);
        committee.requireQuorum(_hashTypedDataV4(settlement), signers, signatures);

        stored.state = State.Settled;
        stored.signers = signers.toUint32();
        stored.settlement = settlement;
        emit RoundSettled(study, round, setRoot, shareRoots, aggregateRoot, rewardRoot, signers);
    }

    /// @inheritdoc IConsilium
    function voidRound(uint64 study, uint64 round) external {
        _requireState(study, round, State.Void);
        require(_recordLapse(study, round), WrongState(study, round, State.Void));
    }

    /// @inheritdoc IConsilium
    function abandonRound(uint64 study, uint64 round) external {
        _requireState(study, round, State.Abandoned);
        require(_recordLapse(study, round), WrongState(study, round, State.Abandoned));
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IConsilium
    function stateOf(uint64 study, uint64 round) public view returns (State) {
        StoredRound storage stored = _rounds[study][round];
        State state = stored.state;
        if (state == State.Open && block.timestamp >= stored.deadline) return State.Void;
        if (state == State.Certified && block.timestamp >= stored.settleBy) return State.Abandoned;
        return state;
    }

    /// @inheritdoc IConsilium
    function roundOf(uint64 study, uint64 round) external view returns (Round memory) {
        StoredRound storage stored = _rounds[study][round];
        return Round({
            state: stored.state,
            epoch: stored.epoch,
            minimumCohort: stored.minimumCohort,
            deadline: stored.deadline,
            settleBy: stored.settleBy,
            subject: stored.subject,
            frozen: stored.frozen,
            setRoot: stored.setRoot,
            size: stored.size,
            voters: stored.voters,
            signers: stored.signers,
            settlement: stored.settlement
        });
    }

    /// @inheritdoc IConsilium
    function studyOf(uint64 study) external view returns (Study memory) {
        StoredStudy storage stored = _studies[study];
        uint64 lastCertified = _lastCertified(study, stored);
        return Study({
            sponsor: stored.sponsor,
            kind: stored.kind,
            epoch: stored.epoch,
            rounds: stored.rounds,
            lastCertifiedRound: lastCertified,
            lastCertifiedSubject: _rounds[study][lastCertified].subject,
            minimumCohort: stored.minimumCohort,
            finality: stored.finality,
            sitesRoot: stored.sitesRoot,
            termsHash: stored.termsHash
        });
    }

    /// @inheritdoc IConsilium
    function committeeOf(uint64 study, uint64 epoch) external view returns (Committee memory) {
        Committees.Stored storage stored = _committees[study][epoch];
        return Committee({threshold: stored.threshold, nodes: stored.members()});
    }

    // ------------------------------------------------------------------------------------------------ digests

    /// @inheritdoc IConsilium
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IConsilium
    function contributionDigest(uint64 study, uint64 round, address site, bytes32 digest, bytes32 boxes)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Statements.contribution(study, round, site, digest, boxes));
    }

    /// @inheritdoc IConsilium
    function receiptDigest(uint64 study, uint64 round, address site, bytes32 digest) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.receipt(study, round, site, digest));
    }

    /// @inheritdoc IConsilium
    function voteDigest(uint64 study, uint64 round, bytes32 setRoot, uint32 size) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.vote(study, round, setRoot, size));
    }

    /// @inheritdoc IConsilium
    function finalDigest(uint64 study, bytes32 subject, uint64 round, bytes32 setRoot) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.finality(study, subject, round, setRoot));
    }

    /// @inheritdoc IConsilium
    function shareRootDigest(uint64 study, uint64 round, bytes32 setRoot, uint8 index, bytes32 root)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Statements.shareRoot(study, round, setRoot, index, root));
    }

    /// @inheritdoc IConsilium
    function settlementDigest(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        bytes32 shareRootsHash,
        bytes32 aggregateRoot,
        bytes32 rewardRoot
    ) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.settlement(study, round, setRoot, shareRootsHash, aggregateRoot, rewardRoot));
    }

    /// @inheritdoc IConsilium
    function accessDigest(uint64 study, uint64 round, bytes32 object, uint64 expires) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.access(study, round, object, expires));
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _formCommittee(uint64 study, uint8 threshold, address[] calldata nodes) private {
        uint32 epoch = ++_studies[study].epoch;
        _committees[study][epoch].form(threshold, nodes);
        bytes32[] memory kemKeyHashes = registry.enlist(nodes);
        emit CommitteeFormed(study, epoch, threshold, nodes, kemKeyHashes);
    }

    function _setSites(uint64 study, bytes32 sitesRoot, address[] calldata sites) private {
        require(sitesRoot != 0, InvalidSitesRoot());
        _studies[study].sitesRoot = sitesRoot;
        emit SitesAdmitted(study, sitesRoot, sites);
    }

    function _setPolicy(StoredStudy storage stored, uint32 minimumCohort, string calldata finality) private {
        require(minimumCohort >= 2, InvalidCohort(minimumCohort));
        require(_isWithin(bytes(finality).length, MAX_NAME), InvalidFinality());
        stored.minimumCohort = minimumCohort;
        stored.finality = finality;
    }

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

        StoredRound storage stored = _rounds[study][round];
        stored.state = State.Open;
        stored.epoch = policy.epoch;
        stored.minimumCohort = minimumCohort;
        stored.deadline = uint256(deadline).toUint40();
        stored.settleBy = uint256(settleBy).toUint40();
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

    /// Reverts if the newest round is still in progress, and records its lapse if nobody did.
    /// @return The newest certified round.
    function _closeNewest(uint64 study, StoredStudy storage stored) private returns (uint64) {
        uint64 newest = stored.rounds;
        require(!_isInProgress(stateOf(study, newest)), RoundInProgress(study, newest));
        _recordLapse(study, newest);
        return _lastCertified(study, stored);
    }

    /// Records that a deadline passed.
    /// @return recorded False if no deadline passed, or somebody recorded it before.
    function _recordLapse(uint64 study, uint64 round) private returns (bool recorded) {
        StoredRound storage stored = _rounds[study][round];
        State actual = stateOf(study, round);
        recorded = actual != stored.state;
        if (!recorded) return false;
        stored.state = actual;
        if (actual == State.Void) emit RoundVoided(study, round);
        else emit RoundAbandoned(study, round);
    }

    function _requireState(uint64 study, uint64 round, State expected) private view {
        State actual = stateOf(study, round);
        require(actual == expected, WrongState(study, round, actual));
    }

    function _sponsored(uint64 study) private view returns (StoredStudy storage stored) {
        stored = _studies[study];
        require(stored.sponsor != address(0), UnknownStudy(study));
        require(msg.sender == stored.sponsor, NotSponsor(study, msg.sender));
    }

    /// Everything from Certified on has used its subject.
    function _lastCertified(uint64 study, StoredStudy storage stored) private view returns (uint64) {
        uint64 newest = stored.rounds;
        return _rounds[study][newest].state >= State.Certified ? newest : stored.lastCertifiedRound;
    }

    function _isInProgress(State state) private pure returns (bool) {
        return state == State.Open || state == State.Certified;
    }

    function _isWithin(uint256 length, uint256 limit) private pure returns (bool) {
        return length != 0 && length <= limit;
    }
}
