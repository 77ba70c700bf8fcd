// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Consilium} from "../../src/Consilium.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {PrivacyBudget} from "../../src/PrivacyBudget.sol";
import {SetCourt} from "../../src/SetCourt.sol";
import {Sponsorship} from "../../src/Sponsorship.sol";
import {Treasury} from "../../src/Treasury.sol";
import {ICommitteeSource} from "../../src/interfaces/ICommitteeSource.sol";
import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {IKind} from "../../src/kinds/IKind.sol";
import {SumKind} from "../../src/kinds/sum/SumKind.sol";
import {Licences} from "../../src/tokens/Licences.sol";
import {StudyToken} from "../../src/tokens/StudyToken.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";
import {Digests} from "./Digests.sol";
import {Test} from "./Test.sol";

/// @dev All contracts, 32 registered nodes with known keys, a sponsor, and ways to sign as nodes.
abstract contract Deployment is Test {
    /// Where Records keeps the number of studies.
    uint256 private constant STUDIES_SLOT = 1;
    uint64 private constant OTHERS = 6;
    uint256 internal constant STAKE = 1 ether;
    uint96 internal constant BOND = 0.25 ether;
    uint64 internal constant UNBONDING = 6 hours;
    uint64 internal constant PROBATION = 1 hours;
    uint64 internal constant COMPENSATION = 1 hours;
    uint64 internal constant DISPUTE = 1 hours;
    uint32 internal constant PAUSE = 20 minutes;
    /// No window is longer, so that a bond is not paid out before.
    uint64 internal constant LONGEST = COMPENSATION - PAUSE;
    uint64 internal constant ESCHEAT = 5 * 365 days;
    uint64 internal constant CLAIM_TIME = 730 days;
    uint32 internal constant WINDOW = 30 minutes;
    uint16 internal constant RING = 4;
    uint96 internal constant BUDGET = 1000;
    uint16 internal constant NODE_SHARE = 2500;
    uint256 internal constant NODES = 32;
    /// Sites on the list of a study: of these, `sites(n)` are the first.
    uint256 internal constant ADMITTED = 8;
    uint64 internal constant START = 1_800_000_000;
    uint64 internal constant DEADLINE = START + 1 hours;
    uint64 internal constant SETTLE_BY = START + 2 hours;
    uint256 internal constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    bytes32 internal constant SUBJECT = keccak256("base model");
    bytes32 internal constant SET_ROOT = keccak256("set");
    /// Of the list of `sites(ADMITTED)`.
    bytes32 internal constant SITES_ROOT = 0x7e606f57a7253824e96732f32c377e3961f5e3d0318132afffceb7e98a82cc55;
    bytes32 internal constant AGGREGATE_ROOT = keccak256("aggregate");
    bytes32 internal constant REWARD_ROOT = keccak256("reward");

    NodeRegistry internal registry;
    IConsilium internal consilium;
    Sponsorship internal sponsorship;
    PrivacyBudget internal privacyBudget;
    StudyToken internal studyToken;
    Treasury internal treasury;
    Licences internal licences;
    SetCourt internal setCourt;
    SumKind internal sumKind;
    Digests internal digests;
    TrialToken internal coin;
    address internal sponsor = address(0x5905);
    address internal guardian = address(0x64A2D);
    address internal sink = address(0x51AC);

    /// @dev Others have had studies before: no study has the number of its round.
    function deploy() internal {
        deployAlone();
        vm.store(address(consilium), bytes32(STUDIES_SLOT), bytes32(uint256(OTHERS)));
        vm.assertEq(consilium.studies(), OTHERS, "studies of others");
    }

    /// @dev Before the first study.
    function deployAlone() internal {
        vm.warp(START);
        deployWith(rules());
        digests = new Digests(address(consilium));
        coin = new TrialToken();
        registerAll();
    }

    function deployWith(IRecords.Rules memory wanted) internal {
        deployParts();
        sponsorship = new Sponsorship(parts(), wanted);
        consilium = IConsilium(address(new Consilium(parts(), wanted, sponsorship)));
    }

    /// @dev All but the last two, for a Consilium that is the second next contract.
    function deployParts() internal virtual {
        uint64 nonce = vm.getNonce(address(this));
        address later = vm.computeCreateAddress(address(this), nonce + 8);
        registry = new NodeRegistry(STAKE, UNBONDING, PROBATION, COMPENSATION, CLAIM_TIME, sink, later);
        studyToken = new StudyToken(later);
        treasury = new Treasury(later, vm.computeCreateAddress(address(this), nonce + 3), ESCHEAT, sink);
        licences = new Licences(IConsilium(later), treasury, studyToken);
        setCourt = new SetCourt(later, registry);
        sumKind = new SumKind(later, registry);
        privacyBudget = new PrivacyBudget(later);
    }

    function registerAll() internal {
        for (uint256 j = 1; j <= NODES; j++) {
            register(j);
        }
    }

    function parts() internal view returns (IRecords.Parts memory) {
        return IRecords.Parts(registry, studyToken, treasury, setCourt, privacyBudget, judges());
    }

    /// @dev Who judges which kind.
    function judges() internal view virtual returns (IKind[] memory kinds) {
        kinds = new IKind[](1);
        kinds[0] = sumKind;
    }

    /// @dev A trial: windows are shorter here than stake should have.
    function rules() internal pure returns (IRecords.Rules memory) {
        return IRecords.Rules({disputeTime: DISPUTE, minimumWindow: 1 minutes, longestPause: PAUSE, trial: true});
    }

    function register(uint256 j) internal {
        vm.deal(node(j), STAKE);
        vm.prank(node(j));
        registry.register{value: STAKE}(kemKey(j), "University Hospital", "CH");
        vm.prank(node(j));
        registry.setConsent(sponsor, consentTo(4 * BOND));
    }

    /// @dev Bonds of this much in all, of a quarter of it each.
    function consentTo(uint96 total) internal pure returns (INodeRegistry.Consent memory) {
        return INodeRegistry.Consent({
            maxBond: total / 4, maxTotal: total, minimumWindow: 1 minutes, expires: type(uint40).max
        });
    }

    /// @dev All nodes agree to serve another sponsor too, or a committee source.
    function consentAll(address party) internal {
        for (uint256 j = 1; j <= NODES; j++) {
            vm.prank(node(j));
            registry.setConsent(party, consentTo(4 * BOND));
        }
    }

    // -------------------------------------------------------------------------------------------- who is who

    function secret(uint256 j) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("node", j)));
    }

    function node(uint256 j) internal pure returns (address) {
        return vm.addr(secret(j));
    }

    /// @dev Nodes first, first+1, ... of the registry.
    function nodesFrom(uint256 first, uint256 n) internal pure returns (address[] memory nodes) {
        nodes = new address[](n);
        for (uint256 i = 0; i < n; i++) {
            nodes[i] = node(first + i);
        }
    }

    function kemKey(uint256 j) internal pure returns (bytes memory key) {
        key = new bytes(1216);
        key[0] = bytes1(uint8(j));
    }

    function sites(uint256 count) internal pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            list[i] = address(uint160(0x51000 + i));
        }
    }

    // -------------------------------------------------------------------------------------------- studies and rounds

    function defaultTerms() internal pure returns (IRecords.StudyTerms memory) {
        return IRecords.StudyTerms({
            kind: 1,
            program: "weighted-mean",
            parameters: hex"0102030405060708",
            outputLength: 100,
            weightUnit: "patients",
            description: keccak256("a study"),
            threshold: 1,
            minimumCohort: 3,
            finality: "instant",
            sitesRoot: SITES_ROOT,
            sitesUri: ""
        });
    }

    /// @dev A study that pays nothing and asks for a bond: what a permissioned consortium would have.
    function defaultConditions() internal view returns (IRecords.Conditions memory) {
        return IRecords.Conditions({
            currency: address(0),
            budget: 0,
            nodeShare: NODE_SHARE,
            bond: BOND,
            newcomers: true,
            challengeWindow: WINDOW,
            ring: RING,
            guardian: guardian,
            source: ICommitteeSource(address(0)),
            privacyAccount: 0,
            privacyCost: 0
        });
    }

    function payingConditions() internal view returns (IRecords.Conditions memory conditions) {
        conditions = defaultConditions();
        (conditions.currency, conditions.budget) = (address(coin), BUDGET);
    }

    /// @dev Nodes 1..n.
    function createStudyWith(IRecords.StudyTerms memory terms, IRecords.Conditions memory conditions, uint256 n)
        internal
        returns (uint64)
    {
        vm.prank(sponsor);
        return consilium.createStudy(terms, conditions, nodesFrom(1, n), sites(ADMITTED));
    }

    function fund(uint64 study, uint256 amount) internal {
        coin.mint(sponsor, amount);
        vm.prank(sponsor);
        coin.approve(address(treasury), amount);
        vm.prank(sponsor);
        treasury.fund(study, amount);
    }

    function createStudy(uint8 threshold, uint256 n) internal returns (uint64) {
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.threshold = threshold;
        vm.prank(sponsor);
        return consilium.createStudy(terms, defaultConditions(), nodesFrom(1, n), sites(ADMITTED));
    }

    function open(uint64 study, bytes32 subject) internal returns (uint64) {
        vm.prank(sponsor);
        return consilium.openRound(study, subject, DEADLINE, SETTLE_BY);
    }

    function certify(uint64 study, uint64 round, uint256 signers) internal {
        bytes32 digest = digests.voteDigest(study, round, SET_ROOT, 5);
        consilium.certify(study, round, SET_ROOT, 5, signers, signatures(digest, signers));
    }

    function settle(uint64 study, uint64 round, uint256 n, uint256 signers) internal {
        bytes32[] memory roots = shareRoots(n);
        bytes memory signed = signatures(settlementDigest(study, round, SET_ROOT, roots), signers);
        consilium.settle(study, round, roots, AGGREGATE_ROOT, REWARD_ROOT, signers, signed);
    }

    function settlementDigest(uint64 study, uint64 round, bytes32 setRoot, bytes32[] memory roots)
        internal
        view
        returns (bytes32)
    {
        bytes32 rootsHash = keccak256(abi.encodePacked(roots));
        return digests.settlementDigest(study, round, setRoot, rootsHash, AGGREGATE_ROOT, REWARD_ROOT);
    }

    function shareRoots(uint256 n) internal pure returns (bytes32[] memory roots) {
        roots = new bytes32[](n);
        for (uint256 i = 0; i < n; i++) {
            roots[i] = keccak256(abi.encode("share", i));
        }
    }

    // -------------------------------------------------------------------------------------------- signatures

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The same in two words (EIP-2098), as proofs take it.
    function signCompact(uint256 key, bytes32 digest) internal pure returns (bytes32[2] memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return [r, bytes32(uint256(s) | (v == 28 ? 1 << 255 : 0))];
    }

    /// @dev One signature for each set bit: bit j-1 is node j of the registry.
    function signatures(bytes32 digest, uint256 signers) internal pure returns (bytes memory all) {
        for (uint256 j = 1; j <= NODES; j++) {
            if ((signers >> (j - 1)) & 1 == 1) all = bytes.concat(all, sign(secret(j), digest));
        }
    }

    // -------------------------------------------------------------------------------------------- expectations

    function assertState(uint64 study, uint64 round, IRecords.State expected) internal view {
        vm.assertEq(uint256(consilium.stateOf(study, round)), uint256(expected), "state");
    }

    function expectWrongState(uint64 study, uint64 round, IRecords.State actual) internal {
        vm.expectRevert(abi.encodeWithSelector(IRecords.WrongState.selector, study, round, actual));
    }
}
