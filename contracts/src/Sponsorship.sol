// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Records} from "./Records.sol";
import {ICommitteeSource} from "./interfaces/ICommitteeSource.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {ISponsorship} from "./interfaces/ISponsorship.sol";
import {Archive} from "./libraries/Archive.sol";
import {Committees} from "./libraries/Committees.sol";
import {Layout} from "./libraries/Layout.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What sponsors decide about their studies, and what anyone may look up about those
/// @dev Consilium's code has two parts, since it does not fit into one contract. Consilium runs this part on its own
/// storage, for every function that it does not have itself; which contract that is never changes. Called directly, this
/// contract has no kinds and no studies, and nobody listens to it.
contract Sponsorship is Records, ISponsorship {
    using Archive for Archive.Log;
    using Committees for Committees.Stored;
    using Layout for Layout.Study;
    using Layout for Layout.Round;
    using SafeCast for uint256;

    uint256 private constant MAX_LENGTH = 2 ** 32;
    uint256 private constant MAX_NAME = 32;
    uint256 private constant MAX_PARAMETERS = 256;
    uint256 private constant MAX_URI = 256;
    uint256 private constant MAX_RING = 1024;
    // Free money, and the budgets of all rounds that may give theirs back, fit into 88 bits together.
    uint256 private constant MAX_FREE = 2 ** 87;
    bytes8 private constant HTTPS = "https://";

    /// @notice Hash of what it was deployed with, for Consilium to compare.
    bytes32 public immutable configuration;

    /// @param parts The contracts that it works with, as Consilium has them.
    /// @param rules What holds for all studies, as Consilium has them.
    constructor(Parts memory parts, Rules memory rules) Records(parts, rules) {
        configuration = keccak256(abi.encode(parts, rules));
    }

    // ------------------------------------------------------------------------------------------------ sponsor

    /// @inheritdoc ISponsorship
    function createStudy(
        StudyTerms calldata terms,
        Conditions calldata conditions,
        address[] calldata nodes,
        address[] calldata sites
    ) external returns (uint64 study) {
        _checkTerms(terms);
        _checkConditions(conditions);
        study = ++studies;
        Layout.Study storage stored = _studies[study];
        (stored.sponsor, stored.operator) = (msg.sender, msg.sender);
        stored.kind = terms.kind;
        stored.termsHash = keccak256(
            abi.encode(
                terms.kind, terms.program, terms.parameters, terms.outputLength, terms.weightUnit, terms.description
            )
        );
        if (kinds[terms.kind].endsAtCertificate()) stored.desk.flags = Layout.CERTIFIED_ONLY;
        emit StudyCreated(study, msg.sender, terms);
        _setConditions(study, stored, conditions, terms.sitesRoot);
        _setPolicy(stored, terms.minimumCohort, terms.finality);
        _formCommittee(study, stored, terms.threshold, nodes);
        _publishSites(study, stored.desk.policy, terms.sitesRoot, sites, terms.sitesUri);
        if (conditions.currency != address(0)) treasury.openPurse(study, conditions.currency);
        token.mint(msg.sender, study, conditions.guardian);
    }

    /// @inheritdoc ISponsorship
    function setCommittee(uint64 study, uint8 threshold, address[] calldata nodes) external {
        Layout.Study storage stored = _sponsored(study);
        _dischargeAll(study, stored);
        stored.desk.flags &= ~Layout.VACANT;
        _formCommittee(study, stored, threshold, nodes);
    }

    /// @inheritdoc ISponsorship
    function setSites(uint64 study, bytes32 sitesRoot, address[] calldata sites, string calldata uri) external {
        Layout.Study storage stored = _sponsored(study);
        uint16 version = _newPolicy(study, stored, stored.budget, stored.nodeShare, sitesRoot);
        _publishSites(study, version, sitesRoot, sites, uri);
    }

    /// @inheritdoc ISponsorship
    function setPolicy(uint64 study, uint32 minimumCohort, string calldata finality) external {
        _setPolicy(_sponsored(study), minimumCohort, finality);
        emit PolicySet(study, minimumCohort, finality);
    }

    /// @inheritdoc ISponsorship
    function setRewards(uint64 study, uint96 budget, uint16 nodeShare) external {
        Layout.Study storage stored = _sponsored(study);
        _setRewards(study, stored, budget, nodeShare, _policies[study][stored.desk.policy].sitesRoot);
    }

    /// @inheritdoc ISponsorship
    function endStudy(uint64 study) external {
        Layout.Study storage stored = _sponsored(study);
        _dischargeAll(study, stored);
        (Layout.Desk memory desk,) = _closeNewest(study);
        desk.flags |= Layout.ENDED;
        stored.keep(desk);
        emit StudyEnded(study);
    }

    // ------------------------------------------------------------------------------------------------ other contracts

    /// @inheritdoc ISponsorship
    function credit(uint64 study, uint128 amount) external {
        _onlyFrom(address(treasury));
        uint256 free = uint256(_studies[study].desk.free) + amount;
        require(free <= MAX_FREE, FundsTooLarge(free));
        _studies[study].desk.free = free.toUint88();
    }

    /// @inheritdoc ISponsorship
    function debit(uint64 study, address caller, uint128 amount) external {
        _onlyFrom(address(treasury));
        Layout.Study storage stored = _studies[study];
        require(caller == stored.sponsor || caller == token.treasurerOf(study), NotTreasurer(study, caller));
        _requireRunning(study, stored.desk.flags);
        uint256 free = stored.desk.free;
        require(amount <= free, FundsMissing(study, free, amount));
        stored.desk.free = (free - amount).toUint88();
    }

    /// @inheritdoc ISponsorship
    function sell(uint64 study) external returns (uint256 weight, uint16 period) {
        _onlyFrom(address(treasury));
        Archive.Log storage log = _archive[study];
        Archive.Totals memory totals = log.load();
        if (totals.changed && totals.weight != 0) {
            (totals.periods, totals.changed) = ((uint256(totals.periods) + 1).toUint16(), false);
            log.store(totals);
        }
        return (totals.weight, totals.periods);
    }

    /// @inheritdoc ISponsorship
    function sponsorChanged(uint64 study, address sponsor) external {
        _onlyFrom(address(token));
        Layout.Study storage stored = _studies[study];
        (stored.sponsor, stored.operator) = (sponsor, sponsor);
        // Nodes agreed to serve the one before.
        stored.desk.flags |= Layout.VACANT;
        emit SponsorChanged(study, sponsor);
    }

    /// @inheritdoc ISponsorship
    function operatorChanged(uint64 study, address operator) external {
        _onlyFrom(address(token));
        _studies[study].operator = operator;
        emit OperatorChanged(study, operator);
    }

    /// @inheritdoc ISponsorship
    function pause(uint64 study, uint64 until) external {
        _onlyFrom(address(token));
        Layout.Study storage stored = _studies[study];
        Layout.Pause storage last = _pauses[study];
        uint64 from = block.timestamp.toUint64();
        if (_pausedUntil(study, stored.desk.flags) != 0) {
            // To end it, and nothing else.
            require(until <= from, PauseNotAllowed(study, until, from));
            last.until = uint256(from).toUint40();
        } else {
            // By then no window is open that the last one made longer.
            uint256 nextFrom = stored.desk.flags & Layout.PAUSED == 0 ? 0 : uint256(last.until) + _unbondingDelay;
            bool allowed = from >= nextFrom && until > from && until <= uint256(from) + longestPause;
            require(allowed, PauseNotAllowed(study, until, nextFrom));
            (last.from, last.until) = (uint256(from).toUint40(), uint256(until).toUint40());
            stored.desk.flags |= Layout.PAUSED;
        }
        emit Paused(study, last.from, last.until);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc ISponsorship
    function studyOf(uint64 study) external view returns (Study memory) {
        Layout.Study storage stored = _studies[study];
        Layout.Desk memory desk = stored.deskOf();
        uint64 lastCertified = _lastCertified(study, desk);
        return Study({
            sponsor: stored.sponsor,
            operator: stored.operator,
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
            vacant: desk.flags & Layout.VACANT != 0,
            ended: desk.flags & Layout.ENDED != 0,
            free: desk.free,
            budget: stored.budget,
            nodeShare: stored.nodeShare,
            archived: _archive[study].totals.count
        });
    }

    /// @inheritdoc ISponsorship
    function roundOf(uint64 study, uint64 round) external view returns (Round memory told) {
        Layout.Desk memory desk = _studies[study].deskOf();
        if (!_onRecord(desk, round)) return told;
        Layout.Round storage stored = _slot(study, desk, round);
        Layout.Head memory head = stored.headOf();
        told.state = head.state;
        told.epoch = head.epoch;
        told.deadline = head.deadline;
        told.settleBy = uint64(head.deadline) + head.settleWithin;
        told.subject = stored.subject;
        told.frozen = stored.frozen;
        told.policy = head.policy;
        // What follows is left over from the slot's previous round until it is written.
        if (head.state < State.Certified) return told;
        told.setRoot = stored.setRoot;
        told.size = head.cohort;
        told.voters = head.voters;
        told.lateVoters = _late[study][round].voters;
        if (head.state == State.Certified || head.state == State.Abandoned) return told;
        told.signers = head.signers;
        told.settlement = stored.settlement;
        told.challengeEnds = uint64(_challengeEnds(study, head, desk));
        told.period = head.period;
    }

    /// @inheritdoc ISponsorship
    function conditionsOf(uint64 study) external view returns (Conditions memory) {
        Layout.Study storage stored = _studies[study];
        Layout.Desk memory desk = stored.deskOf();
        return Conditions({
            currency: stored.currency,
            budget: stored.budget,
            nodeShare: stored.nodeShare,
            bond: stored.bond,
            newcomers: stored.newcomers,
            challengeWindow: desk.challengeWindow,
            ring: desk.ring,
            guardian: token.guardianOf(study),
            source: stored.source,
            privacyAccount: privacyBudget.drawOf(study).account,
            privacyCost: privacyBudget.drawOf(study).cost
        });
    }

    /// @inheritdoc ISponsorship
    function committeeOf(uint64 study, uint64 epoch) external view returns (Committee memory) {
        Committees.Stored storage stored = _committees[study][epoch];
        return Committee({threshold: stored.threshold, nodes: stored.members()});
    }

    /// @inheritdoc ISponsorship
    function sponsorOf(uint64 study) external view returns (address) {
        return _studies[study].sponsor;
    }

    /// @inheritdoc ISponsorship
    function guardianOf(uint64 study) external view returns (address) {
        return token.guardianOf(study);
    }

    // ------------------------------------------------------------------------------------------------ checks

    function _checkTerms(StudyTerms calldata terms) private view {
        require(address(kinds[terms.kind]) != address(0), UnknownKind(terms.kind));
        require(terms.outputLength != 0 && terms.outputLength <= MAX_LENGTH, InvalidOutputLength(terms.outputLength));
        require(bytes(terms.weightUnit).length <= MAX_NAME, InvalidWeightUnit());
        require(_isWithin(bytes(terms.program).length, MAX_NAME), InvalidProgram());
        require(_isWithin(terms.parameters.length, MAX_PARAMETERS), InvalidParameters());
    }

    function _checkConditions(Conditions calldata conditions) private view {
        require(
            conditions.challengeWindow >= minimumWindow && conditions.challengeWindow <= _longestWindow,
            InvalidWindow(conditions.challengeWindow, minimumWindow, _longestWindow)
        );
        require(conditions.ring >= 2 && conditions.ring <= MAX_RING, InvalidRing(conditions.ring));
        require((conditions.privacyAccount == 0) == (conditions.privacyCost == 0), InvalidPrivacyCost());
    }

    function _isWithin(uint256 length, uint256 limit) private pure returns (bool) {
        return length != 0 && length <= limit;
    }

    function _sponsored(uint64 study) private view returns (Layout.Study storage stored) {
        stored = _studies[study];
        address sponsor = stored.sponsor;
        require(sponsor != address(0), UnknownStudy(study));
        require(msg.sender == sponsor, NotSponsor(study, msg.sender));
    }

    // ------------------------------------------------------------------------------------------------ setting

    function _setConditions(
        uint64 study,
        Layout.Study storage stored,
        Conditions calldata conditions,
        bytes32 sitesRoot
    ) private {
        stored.currency = conditions.currency;
        stored.bond = conditions.bond;
        stored.newcomers = conditions.newcomers;
        stored.desk.challengeWindow = uint256(conditions.challengeWindow).toUint24();
        stored.desk.ring = conditions.ring;
        stored.source = conditions.source;
        emit ConditionsSet(study, conditions);
        _setRewards(study, stored, conditions.budget, conditions.nodeShare, sitesRoot);
        if (conditions.privacyAccount == 0) return;
        stored.desk.flags |= Layout.DRAWS;
        privacyBudget.join(study, msg.sender, conditions.privacyAccount, conditions.privacyCost);
    }

    function _setRewards(uint64 study, Layout.Study storage stored, uint96 budget, uint16 nodeShare, bytes32 sitesRoot)
        private
    {
        require(nodeShare <= WHOLE && (budget == 0 || stored.currency != address(0)), InvalidRewards());
        require(budget <= type(uint80).max && uint256(budget) * stored.desk.ring < MAX_FREE, InvalidRewards());
        uint16 version = _newPolicy(study, stored, uint256(budget).toUint80(), nodeShare, sitesRoot);
        emit RewardsSet(study, version, budget, nodeShare);
    }

    /// Rounds that were opened before keep the version that they were opened under.
    function _newPolicy(uint64 study, Layout.Study storage stored, uint80 budget, uint16 nodeShare, bytes32 sitesRoot)
        private
        returns (uint16 version)
    {
        require(sitesRoot != 0, InvalidSitesRoot());
        require(stored.desk.policy < type(uint16).max, TooManyPolicies());
        version = ++stored.desk.policy;
        (stored.budget, stored.nodeShare) = (budget, nodeShare);
        _policies[study][version] = Layout.Policy({budget: budget, nodeShare: nodeShare, sitesRoot: sitesRoot});
    }

    function _publishSites(
        uint64 study,
        uint16 version,
        bytes32 sitesRoot,
        address[] calldata sites,
        string calldata uri
    ) private {
        bytes calldata place = bytes(uri);
        if (place.length != 0) {
            bool secure = place.length > HTTPS.length && bytes8(place[:HTTPS.length]) == HTTPS;
            require(sites.length == 0 && secure && place.length <= MAX_URI, InvalidSitesUri());
        }
        emit SitesAdmitted(study, version, sitesRoot, sites, uri);
    }

    function _setPolicy(Layout.Study storage stored, uint32 minimumCohort, string calldata finality) private {
        uint32 least = kinds[stored.kind].leastCohort();
        require(minimumCohort >= least && minimumCohort <= type(uint24).max, InvalidCohort(minimumCohort, least));
        require(_isWithin(bytes(finality).length, MAX_NAME), InvalidFinality());
        stored.desk.minimumCohort = uint256(minimumCohort).toUint24();
        stored.finality = finality;
    }

    /// Before another committee forms, or none.
    function _dischargeAll(uint64 study, Layout.Study storage stored) private {
        require(stored.desk.flags & Layout.ENDED == 0, Ended(study));
        uint64 newest = stored.desk.rounds;
        require(!_isInProgress(stateOf(study, newest)), RoundInProgress(study, newest));
        registry.discharge(study, newest, _committees[study][stored.desk.epoch].members());
    }

    function _formCommittee(uint64 study, Layout.Study storage stored, uint8 threshold, address[] calldata proposal)
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
}
