// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICommitteeSource} from "./interfaces/ICommitteeSource.sol";
import {IConsilium} from "./interfaces/IConsilium.sol";
import {ICourt} from "./interfaces/ICourt.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {ISetCourt} from "./interfaces/ISetCourt.sol";
import {IStudyToken} from "./interfaces/IStudyToken.sol";
import {ITreasury} from "./interfaces/ITreasury.sol";
import {IKind} from "./kinds/IKind.sol";
import {Archive} from "./libraries/Archive.sol";
import {Committees} from "./libraries/Committees.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Studies: what they store, and what their sponsors decide
abstract contract Studies is IConsilium, EIP712 {
    using Archive for Archive.Log;
    using Committees for Committees.Stored;
    using SafeCast for uint256;

    uint256 private constant MAX_DIMENSION = 2 ** 32;
    uint256 private constant MAX_NAME = 32;
    uint256 private constant MAX_PARAMETERS = 256;
    uint256 private constant MAX_RING = 1024;
    // Time to look at a result, where stake is at risk.
    uint256 private constant SHORTEST_WINDOW = 1 hours;
    // Free money, and the budgets of all rounds that may give theirs back, fit into 88 bits together.
    uint256 private constant MAX_FREE = 2 ** 87;
    uint256 internal constant WHOLE = 10_000;

    // What every step of a round needs, in one slot.
    struct Desk {
        // What no round has reserved of the study's currency.
        uint88 free;
        uint32 rounds;
        // The newest certified round before the newest round, whose own state tells the rest: `certify` need not write.
        uint32 lastCertifiedRound;
        uint16 epoch;
        // Version of budget, node share and admitted sites.
        uint16 policy;
        uint16 ring;
        uint24 challengeWindow;
        uint24 minimumCohort;
        bool vacant;
    }

    struct StoredStudy {
        Desk desk;
        // Sponsor, and what the next round will pay: one slot.
        address sponsor;
        uint80 budget;
        uint16 nodeShare;
        uint8 kind;
        string finality;
        bytes32 termsHash;
        // The last certified subject, once its round has left the ring.
        bytes32 carriedSubject;
        address guardian;
        uint96 bond;
        ICommitteeSource source;
        bool newcomers;
        address currency;
    }

    // What a round is opened under and needs when it is over.
    struct Policy {
        uint80 budget;
        uint16 nodeShare;
        bytes32 sitesRoot;
    }

    // One slot.
    struct Head {
        State state;
        uint16 epoch;
        uint16 policy;
        uint24 minimumCohort;
        uint24 size;
        uint40 deadline;
        // settleBy - deadline
        uint32 settleWithin;
        // settleBy - time of settlement
        uint32 settledBefore;
        uint32 voters;
        uint32 signers;
    }

    struct StoredRound {
        Head head;
        bytes32 subject;
        bytes32 frozen;
        bytes32 setRoot;
        bytes32 settlement;
    }

    INodeRegistry public immutable registry;
    ITreasury public immutable treasury;
    IStudyToken public immutable token;
    /// @inheritdoc IConsilium
    uint64 public immutable disputeTime;
    /// @inheritdoc IConsilium
    uint32 public immutable minimumWindow;
    /// @inheritdoc IConsilium
    bool public immutable trial;
    uint64 internal immutable _unbondingDelay;
    // A bond lost over a settlement that is proved wrong later must not be shared out before.
    uint64 private immutable _longestWindow;

    /// @inheritdoc IConsilium
    ISetCourt public immutable setCourt;

    /// @inheritdoc IConsilium
    mapping(uint8 kind => IKind) public kinds;
    uint64 public studies;
    mapping(uint64 study => mapping(address account => bool)) public isAuditor;

    mapping(uint64 study => StoredStudy) internal _studies;
    mapping(uint64 study => mapping(uint64 epoch => Committees.Stored)) internal _committees;
    mapping(uint64 study => mapping(uint16 version => Policy)) internal _policies;
    mapping(uint64 study => mapping(uint256 slot => StoredRound)) internal _ring;
    mapping(uint64 study => Archive.Log) internal _archive;

    constructor(Parts memory parts, Rules memory rules_) EIP712("Consilium", "1") {
        require(block.chainid <= type(uint64).max, ChainIdTooLarge(block.chainid));
        for (uint256 i = 0; i < parts.kinds.length; i++) {
            kinds[parts.kinds[i].kind()] = parts.kinds[i];
            _requireOurs(parts.kinds[i].consilium(), address(parts.kinds[i]));
        }
        _requireOurs(parts.setCourt.consilium(), address(parts.setCourt));
        _requireOurs(parts.registry.consilium(), address(parts.registry));
        _requireOurs(parts.token.consilium(), address(parts.token));
        _requireOurs(parts.treasury.consilium(), address(parts.treasury));
        require(rules_.trial || rules_.minimumWindow >= SHORTEST_WINDOW, WindowTooShort(rules_.minimumWindow));
        (registry, token, treasury, setCourt) = (parts.registry, parts.token, parts.treasury, parts.setCourt);
        (disputeTime, minimumWindow, trial) = (rules_.disputeTime, rules_.minimumWindow, rules_.trial);
        _unbondingDelay = parts.registry.unbondingDelay();
        _longestWindow = ICourt(address(parts.registry)).compensationDelay();
    }

    // ------------------------------------------------------------------------------------------------ sponsor

    function createStudy(
        StudyTerms calldata terms,
        Conditions calldata conditions,
        address[] calldata nodes,
        address[] calldata sites
    ) external returns (uint64 study) {
        require(address(kinds[terms.kind]) != address(0), UnknownKind(terms.kind));
        require(terms.outputLength != 0 && terms.outputLength <= MAX_DIMENSION, InvalidOutputLength(terms.outputLength));
        require(bytes(terms.weightUnit).length <= MAX_NAME, InvalidWeightUnit());
        require(_isWithin(bytes(terms.program).length, MAX_NAME), InvalidProgram());
        require(_isWithin(terms.parameters.length, MAX_PARAMETERS), InvalidParameters());
        require(
            conditions.challengeWindow >= minimumWindow && conditions.challengeWindow <= _longestWindow,
            InvalidWindow(conditions.challengeWindow, minimumWindow, _longestWindow)
        );
        require(conditions.ring >= 2 && conditions.ring <= MAX_RING, InvalidRing(conditions.ring));

        study = ++studies;
        StoredStudy storage stored = _studies[study];
        stored.sponsor = msg.sender;
        stored.kind = terms.kind;
        stored.termsHash = keccak256(
            abi.encode(
                terms.kind, terms.program, terms.parameters, terms.outputLength, terms.weightUnit, terms.description
            )
        );
        emit StudyCreated(study, msg.sender, terms);
        _setConditions(study, stored, conditions, terms.sitesRoot);
        _setPolicy(stored, terms.minimumCohort, terms.finality);
        _formCommittee(study, stored, terms.threshold, nodes);
        emit SitesAdmitted(study, stored.desk.policy, terms.sitesRoot, sites);
        if (conditions.currency != address(0)) treasury.openPurse(study, conditions.currency);
        token.mint(msg.sender, study);
    }

    function setCommittee(uint64 study, uint8 threshold, address[] calldata nodes) external {
        StoredStudy storage stored = _sponsored(study);
        uint64 newest = stored.desk.rounds;
        require(!_isInProgress(stateOf(study, newest)), RoundInProgress(study, newest));

        registry.discharge(study, newest, _committees[study][stored.desk.epoch].members());
        stored.desk.vacant = false;
        _formCommittee(study, stored, threshold, nodes);
    }

    function setSites(uint64 study, bytes32 sitesRoot, address[] calldata sites) external {
        StoredStudy storage stored = _sponsored(study);
        uint16 version = _newPolicy(study, stored, stored.budget, stored.nodeShare, sitesRoot);
        emit SitesAdmitted(study, version, sitesRoot, sites);
    }

    function setPolicy(uint64 study, uint32 minimumCohort, string calldata finality) external {
        _setPolicy(_sponsored(study), minimumCohort, finality);
        emit PolicySet(study, minimumCohort, finality);
    }

    function setRewards(uint64 study, uint96 budget, uint16 nodeShare) external {
        StoredStudy storage stored = _sponsored(study);
        _setRewards(study, stored, budget, nodeShare, _policies[study][stored.desk.policy].sitesRoot);
    }

    function setAuditor(uint64 study, address auditor, bool allowed) external {
        _sponsored(study);
        isAuditor[study][auditor] = allowed;
        emit AuditorSet(study, auditor, allowed);
    }

    // ------------------------------------------------------------------------------------------------ other contracts

    function credit(uint64 study, uint128 amount) external {
        _onlyFrom(address(treasury));
        uint256 free = uint256(_studies[study].desk.free) + amount;
        require(free <= MAX_FREE, FundsTooLarge(free));
        _studies[study].desk.free = free.toUint88();
    }

    function debit(uint64 study, address sponsor, uint128 amount) external {
        _onlyFrom(address(treasury));
        StoredStudy storage stored = _studies[study];
        require(sponsor == stored.sponsor, NotSponsor(study, sponsor));
        uint256 free = stored.desk.free;
        require(amount <= free, FundsMissing(study, free, amount));
        stored.desk.free = (free - amount).toUint88();
    }

    function vacate(uint64 study) external returns (uint64 newest) {
        (newest,) = _deskForProof(study, true);
    }

    function sponsorChanged(uint64 study, address sponsor) external {
        _onlyFrom(address(token));
        StoredStudy storage stored = _studies[study];
        stored.sponsor = sponsor;
        // Nodes agreed to serve the one before.
        stored.desk.vacant = true;
        emit SponsorChanged(study, sponsor);
    }

    // ------------------------------------------------------------------------------------------------ views

    function stateOf(uint64 study, uint64 round) public view virtual returns (State);

    function sponsorOf(uint64 study) external view returns (address) {
        return _studies[study].sponsor;
    }

    function guardianOf(uint64 study) external view returns (address) {
        return _studies[study].guardian;
    }

    function conditionsOf(uint64 study) external view returns (Conditions memory) {
        StoredStudy storage stored = _studies[study];
        Desk memory desk = stored.desk;
        return Conditions({
            currency: stored.currency,
            budget: stored.budget,
            nodeShare: stored.nodeShare,
            bond: stored.bond,
            newcomers: stored.newcomers,
            challengeWindow: desk.challengeWindow,
            ring: desk.ring,
            guardian: stored.guardian,
            source: stored.source
        });
    }

    /// @inheritdoc IConsilium
    function mayJudge(uint64 study, address judge) public view returns (bool) {
        return judge == address(setCourt) || (judge != address(0) && judge == address(kinds[_studies[study].kind]));
    }

    function committeeOf(uint64 study, uint64 epoch) external view returns (Committee memory) {
        Committees.Stored storage stored = _committees[study][epoch];
        return Committee({threshold: stored.threshold, nodes: stored.members()});
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _setConditions(uint64 study, StoredStudy storage stored, Conditions calldata conditions, bytes32 sitesRoot)
        private
    {
        stored.currency = conditions.currency;
        stored.bond = conditions.bond;
        stored.newcomers = conditions.newcomers;
        stored.desk.challengeWindow = uint256(conditions.challengeWindow).toUint24();
        stored.desk.ring = conditions.ring;
        stored.guardian = conditions.guardian;
        stored.source = conditions.source;
        emit ConditionsSet(study, conditions);
        _setRewards(study, stored, conditions.budget, conditions.nodeShare, sitesRoot);
    }

    function _setRewards(uint64 study, StoredStudy storage stored, uint96 budget, uint16 nodeShare, bytes32 sitesRoot)
        private
    {
        require(nodeShare <= WHOLE && (budget == 0 || stored.currency != address(0)), InvalidRewards());
        require(budget <= type(uint80).max && uint256(budget) * stored.desk.ring < MAX_FREE, InvalidRewards());
        uint16 version = _newPolicy(study, stored, uint256(budget).toUint80(), nodeShare, sitesRoot);
        emit RewardsSet(study, version, budget, nodeShare);
    }

    /// Rounds that were opened before keep the version that they were opened under.
    function _newPolicy(uint64 study, StoredStudy storage stored, uint80 budget, uint16 nodeShare, bytes32 sitesRoot)
        private
        returns (uint16 version)
    {
        require(sitesRoot != 0, InvalidSitesRoot());
        require(stored.desk.policy < type(uint16).max, TooManyPolicies());
        version = ++stored.desk.policy;
        (stored.budget, stored.nodeShare) = (budget, nodeShare);
        _policies[study][version] = Policy({budget: budget, nodeShare: nodeShare, sitesRoot: sitesRoot});
    }

    function _formCommittee(uint64 study, StoredStudy storage stored, uint8 threshold, address[] calldata proposal)
        private
    {
        uint16 epoch = ++stored.desk.epoch;
        ICommitteeSource source = stored.source;
        address[] memory nodes =
            address(source) == address(0) ? proposal : source.committeeFor(study, stored.sponsor, threshold, proposal);
        _committees[study][epoch].form(threshold, nodes);
        INodeRegistry.Service memory service = INodeRegistry.Service({
            study: study,
            since: stored.desk.rounds,
            sponsor: stored.sponsor,
            source: address(source),
            bond: stored.bond,
            challengeWindow: stored.desk.challengeWindow,
            newcomers: stored.newcomers
        });
        bytes32[] memory kemKeyHashes = registry.enlist(service, nodes);
        emit CommitteeFormed(study, epoch, threshold, nodes, kemKeyHashes);
    }

    function _setPolicy(StoredStudy storage stored, uint32 minimumCohort, string calldata finality) private {
        uint32 least = kinds[stored.kind].leastCohort();
        require(minimumCohort >= least && minimumCohort <= type(uint24).max, InvalidCohort(minimumCohort, least));
        require(_isWithin(bytes(finality).length, MAX_NAME), InvalidFinality());
        stored.desk.minimumCohort = uint256(minimumCohort).toUint24();
        stored.finality = finality;
    }

    // The compiler reads and writes a packed struct member by member. These do it a slot at a time, in its layout: first
    // member lowest.

    function _desk(uint64 study) internal view returns (Desk memory desk) {
        StoredStudy storage stored = _studies[study];
        uint256 word;
        assembly ("memory-safe") {
            word := sload(stored.slot)
        }
        desk.free = uint88(word);
        desk.rounds = uint32(word >> 88);
        desk.lastCertifiedRound = uint32(word >> 120);
        desk.epoch = uint16(word >> 152);
        desk.policy = uint16(word >> 168);
        desk.ring = uint16(word >> 184);
        desk.challengeWindow = uint24(word >> 200);
        desk.minimumCohort = uint24(word >> 224);
        desk.vacant = word >> 248 != 0;
    }

    function _keepDesk(StoredStudy storage stored, Desk memory desk) internal {
        uint256 word = uint256(desk.free) | (uint256(desk.rounds) << 88) | (uint256(desk.lastCertifiedRound) << 120)
            | (uint256(desk.epoch) << 152) | (uint256(desk.policy) << 168) | (uint256(desk.ring) << 184)
            | (uint256(desk.challengeWindow) << 200) | (uint256(desk.minimumCohort) << 224)
            | (desk.vacant ? 1 << 248 : 0);
        assembly ("memory-safe") {
            sstore(stored.slot, word)
        }
    }

    function _head(StoredRound storage stored) internal view returns (Head memory head) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(stored.slot)
        }
        head.state = State(uint8(word));
        head.epoch = uint16(word >> 8);
        head.policy = uint16(word >> 24);
        head.minimumCohort = uint24(word >> 40);
        head.size = uint24(word >> 64);
        head.deadline = uint40(word >> 88);
        head.settleWithin = uint32(word >> 128);
        head.settledBefore = uint32(word >> 160);
        head.voters = uint32(word >> 192);
        head.signers = uint32(word >> 224);
    }

    function _keepHead(StoredRound storage stored, Head memory head) internal {
        uint256 word = uint256(head.state) | (uint256(head.epoch) << 8) | (uint256(head.policy) << 24)
            | (uint256(head.minimumCohort) << 40) | (uint256(head.size) << 64) | (uint256(head.deadline) << 88)
            | (uint256(head.settleWithin) << 128) | (uint256(head.settledBefore) << 160) | (uint256(head.voters) << 192)
            | (uint256(head.signers) << 224);
        assembly ("memory-safe") {
            sstore(stored.slot, word)
        }
    }

    /// For the registry. One read and at most one write of the desk, and of what is in it no more than proofs need.
    function _deskForProof(uint64 study, bool vacates) internal returns (uint64 rounds, uint64 ring) {
        _onlyFrom(address(registry));
        StoredStudy storage stored = _studies[study];
        uint256 word;
        assembly ("memory-safe") {
            word := sload(stored.slot)
            if vacates { sstore(stored.slot, or(word, shl(248, 1))) }
        }
        return (uint32(word >> 88), uint16(word >> 184));
    }

    function _sponsored(uint64 study) internal view returns (StoredStudy storage stored) {
        stored = _studies[study];
        address sponsor = stored.sponsor;
        require(sponsor != address(0), UnknownStudy(study));
        require(msg.sender == sponsor, NotSponsor(study, msg.sender));
    }

    function _requireOurs(address told, address part) private view {
        require(told == address(this), NotOurs(part));
    }

    /// For those who are shown proofs about the results and sets of a study.
    function _onlyJudge(uint64 study) internal view {
        require(mayJudge(study, msg.sender), NotPermitted(msg.sender));
    }

    function _onlyFrom(address other) internal view {
        require(msg.sender == other, NotPermitted(msg.sender));
    }

    function _isInProgress(State state) internal pure returns (bool) {
        return state == State.Open || state == State.Certified;
    }

    function _isWithin(uint256 length, uint256 limit) private pure returns (bool) {
        return length != 0 && length <= limit;
    }
}
