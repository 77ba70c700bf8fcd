// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Treasury} from "../../src/Treasury.sol";
import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";
import {HarmHandler} from "./HarmHandler.sol";

/// @dev Random money: two studies in one coin, whose sponsors change, and with them budgets, node shares and lists; rounds
/// that settle, lapse or lie; claims of right and wrong leaves on record and in the archive, licences, periods,
/// withdrawals, sites that contradict themselves, and the bonds that proofs took (HarmHandler.sol). Books of its own say
/// what every step must do.
contract MoneyHandler is HarmHandler {
    uint96 private constant PRICE = 701;
    address private constant OTHER_SPONSOR = address(0x0715);

    struct Terms {
        uint256 budget;
        uint16 nodeShare;
        uint16 policy;
    }

    uint256 public paidIn;
    uint256 public paidOut;
    /// What is the sponsor's, and what licences brought in no period yet.
    mapping(uint64 study => uint256) public free;
    mapping(uint64 study => uint256) public revenue;
    mapping(uint64 study => Terms) private _terms;
    /// What each round was opened under, and what it has paid so far. A round that gave its budget back has none.
    mapping(uint64 study => mapping(uint64 round => Terms)) private _of;
    mapping(uint64 study => mapping(uint64 round => uint256)) public roundPaid;
    mapping(uint64 study => mapping(uint64 round => bool)) private _reserves;
    mapping(uint64 study => mapping(uint32 period => uint256)) public periodPaid;
    mapping(uint64 study => mapping(uint32 period => uint256)) public periodRevenue;
    mapping(uint64 study => mapping(uint32 period => ITreasury.Period)) private _periods;
    mapping(uint64 study => uint32) private _period;
    mapping(bytes32 leaf => bool) private _claimed;
    mapping(uint64 study => mapping(uint64 round => bool)) private _struck;

    constructor() {
        deploy();
        vm.deal(REPORTER, 0);
        vm.deal(sink, 0);
        consentAll(OTHER_SPONSOR);
        IConsilium.StudyTerms memory terms = defaultTerms();
        terms.sitesRoot = _listRoot();
        for (uint256 j = 1; j <= NODES; j++) {
            stake[j] = STAKE;
        }
        for (uint64 study = 1; study <= STUDIES; study++) {
            _begin(study);
            IConsilium.Conditions memory conditions = payingConditions();
            _terms[study] = Terms(BUDGET, NODE_SHARE, 1);
            address[] memory nodes = _nodesOf(_seats[study]);
            vm.prank(sponsor);
            consilium.createStudy(terms, conditions, nodes, _cohort(ADMITTED));
            vm.prank(sponsor);
            licences.setOffer(study, PRICE, 0);
        }
    }

    function wait(uint256 time) external {
        pass(bound(time, 1, 40 minutes));
    }

    function donate(uint256 which, uint256 amount) external {
        uint64 study = _study(which);
        amount = bound(amount, 0, 5000);
        fund(study, amount);
        paidIn += amount;
        free[study] += amount;
    }

    // -------------------------------------------------------------------------------------------- sponsors

    function setRewards(uint256 which, uint256 budget, uint256 nodeShare) external {
        _setRewards(_study(which), budget, nodeShare);
    }

    function _setRewards(uint64 study, uint256 budget, uint256 nodeShare) private {
        Terms storage terms = _terms[study];
        (terms.budget, terms.nodeShare) = (bound(budget, 0, 2000), uint16(bound(nodeShare, 0, 10_000)));
        terms.policy += 1;
        vm.prank(_sponsor[study]);
        consilium.setRewards(study, uint96(terms.budget), terms.nodeShare);
    }

    /// @dev The same sites: another version of the policy all the same.
    function setSites(uint256 which) external {
        uint64 study = _study(which);
        _terms[study].policy += 1;
        bytes32 root = _listRoot();
        vm.prank(_sponsor[study]);
        consilium.setSites(study, root, _cohort(ADMITTED));
    }

    /// @dev The next sponsor forms the same committee anew: it agreed to serve both.
    function transfer(uint256 which) external {
        uint64 study = _study(which);
        if (_vacant[study]) return;
        (address from, address to) = (_sponsor[study], OTHER_SPONSOR);
        if (from == to) to = sponsor;
        vm.prank(from);
        studyToken.transferFrom(from, to, study);
        _sponsor[study] = to;
        vm.assertTrue(consilium.studyOf(study).vacant, "nobody agreed to serve the new one by the old one's leave");
        _form(study);
    }

    function withdraw(uint256 which, uint256 amount) external {
        uint64 study = _study(which);
        amount = bound(amount, 0, free[study] + 1);
        vm.prank(_sponsor[study]);
        try treasury.withdraw(study, uint128(amount), _sponsor[study]) {
            _expect(amount <= free[study], true, "withdraw");
            paidOut += amount;
            free[study] -= amount;
        } catch {
            _expect(amount <= free[study], false, "withdraw");
        }
    }

    // -------------------------------------------------------------------------------------------- rounds

    function round(uint256 which, uint256 ending, uint256 size) external {
        uint64 study = _study(which);
        uint64 number = _rounds[study] + 1;
        Terms memory terms = _terms[study];
        bool held = number > RING && vm.getBlockTimestamp() < _heldUntil[study][number - RING];
        bool allowed = !_vacant[study] && !held && free[study] >= terms.budget;
        bytes32 subject = keccak256(abi.encode(vm.getBlockTimestamp(), ending, size, number));
        uint64 time = uint64(vm.getBlockTimestamp());
        vm.prank(_sponsor[study]);
        try consilium.openRound(study, subject, time + 10, time + 20) returns (uint64 opened) {
            _expect(allowed, true, "open");
            vm.assertEq(opened, number, "number");
            _rounds[study] = number;
            free[study] -= terms.budget;
            (_of[study][number], _reserves[study][number]) = (terms, true);
            _conclude(study, number, bound(ending, 0, 6), bound(size, 3, 7));
        } catch {
            _expect(allowed, false, "open");
        }
    }

    function _conclude(uint64 study, uint64 number, uint256 how, uint256 size) private {
        // Before it lapses, its sponsor may promise something else for the next.
        if (how <= 1 && size > 4) _setRewards(study, 331 * size, 2000 * size);
        if (how == 0) {
            pass(10);
            consilium.voidRound(study, number);
            _void[study][number] = true;
            return _refunded(study, number);
        }
        Outcome memory outcome = _outcome(study, number, size, how >= 5);
        _certify(outcome, how >= 5);
        if (how > 1) return _settle(outcome);
        pass(20);
        consilium.abandonRound(study, number);
        _refunded(study, number);
    }

    function _refunded(uint64 study, uint64 number) internal override {
        free[study] += _of[study][number].budget;
        _reserves[study][number] = false;
    }

    function _policyOf(uint64 study, uint64 number) internal view override returns (uint16) {
        return _of[study][number].policy;
    }

    // -------------------------------------------------------------------------------------------- claims

    function claim(uint256 which, uint256 what, uint256 leaf, uint256 inPeriod) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _held[study][what % _held[study].length];
        uint64 number = held.outcome.round;
        uint32 period = uint32(bound(inPeriod, 0, uint256(_period[study]) + 1));
        uint32 index = uint32(bound(leaf, 0, held.outcome.cohort.length + 3));
        ITreasury.Claim memory one = claimOf(held.outcome, period, index);
        if (!_onRecord(study, number)) {
            one.shares[0].policy = _of[study][number].policy;
            (one.shares[0].position, one.shares[0].archivePath) = _archived(study, number);
        }
        // Twice in one call: it pays once or reverts.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](2);
        (claims[0], claims[1]) = (one, one);
        uint256 before = coin.balanceOf(one.account);
        uint256 worth = _worth(held, period, index);
        bytes32 key = keccak256(abi.encode(study, number, period, index));
        bool due = worth != 0 && !_claimed[key] && !(index == 0 && _struck[study][number]);
        try treasury.claim(claims) {
            _expect(due, true, "claim");
            if (!_onRecord(study, number)) _count("archived claim");
            _claimed[key] = true;
            vm.assertEq(coin.balanceOf(one.account) - before, worth, "by the formula");
            paidOut += worth;
            if (period == 0) roundPaid[study][number] += worth;
            else periodPaid[study][period] += worth;
        } catch {
            _expect(due, false, "claim");
        }
    }

    /// @dev Of a leaf, nothing if it is not payable. A period's revenue may be too little for a coin each.
    function _worth(Held storage held, uint32 period, uint256 index) private view returns (uint256) {
        if (!_counts(held) || vm.getBlockTimestamp() < held.finalAt) return 0;
        (uint64 study, uint64 number) = (held.outcome.study, held.outcome.round);
        uint256 sitesCount = held.outcome.cohort.length;
        bool asNode = index >= sitesCount;
        if (period == 0) {
            Terms storage terms = _of[study][number];
            uint256 forNodes = terms.budget * terms.nodeShare / 10_000;
            return asNode ? forNodes / 4 : (terms.budget - forNodes) / sitesCount;
        }
        ITreasury.Period storage shared = _periods[study][period];
        if (period > _period[study] || number > shared.through) return 0;
        return asNode ? shared.perNode : shared.perSite;
    }

    /// @dev The site with a key signs two contributions to one round.
    function equivocate(uint256 which, uint256 about) external {
        uint64 study = _study(which);
        uint64 number = uint64(bound(about, 1, uint256(_rounds[study]) + 1));
        address site = vm.addr(SITE_KEY);
        bytes32 one = digests.contributionDigest(study, number, site, SUBJECT, SET_ROOT);
        bytes32 other = digests.contributionDigest(study, number, site, REWARD_ROOT, SET_ROOT);
        (bytes32[2] memory first, bytes32[2] memory second) = (signCompact(SITE_KEY, one), signCompact(SITE_KEY, other));
        bool allowed = !_struck[study][number];
        try treasury.proveEquivocation(study, number, site, SUBJECT, SET_ROOT, first, REWARD_ROOT, SET_ROOT, second) {
            _expect(allowed, true, "equivocate");
            _struck[study][number] = true;
        } catch {
            _expect(allowed, false, "equivocate");
        }
    }

    // -------------------------------------------------------------------------------------------- licences

    function buy(uint256 which, uint256 quantity) external {
        uint64 study = _study(which);
        uint32 count = uint32(bound(quantity, 1, 5));
        uint256 price = PRICE * uint256(count);
        coin.mint(address(this), price);
        coin.approve(address(treasury), price);
        // The seller's offer stands.
        licences.buy(study, count, PRICE, address(0xB0B));
        paidIn += price;
        revenue[study] += price;
    }

    function closePeriod(uint256 which, bool late) external {
        uint64 study = _study(which);
        if (late) pass(PERIOD);
        uint32 next = _period[study] + 1;
        (uint256 siteUnits, uint256 nodeUnits, uint64 through) = _units(study);
        bool over = next == 1 || vm.getBlockTimestamp() >= uint256(_periods[study][next - 1].closedAt) + PERIOD;
        bool allowed = over && revenue[study] != 0 && siteUnits != 0;
        try treasury.closePeriod(study) returns (uint32 period) {
            _expect(allowed, true, "close");
            vm.assertEq(period, next, "period");
            uint256 forNodes = revenue[study] * _terms[study].nodeShare / 10_000;
            ITreasury.Period memory shared = ITreasury.Period({
                perSite: uint96((revenue[study] - forNodes) / siteUnits),
                perNode: uint96(forNodes / nodeUnits),
                through: uint32(through),
                closedAt: uint32(vm.getBlockTimestamp())
            });
            vm.assertEq(
                keccak256(abi.encode(treasury.periodOf(study, period))), keccak256(abi.encode(shared)), "by the formula"
            );
            (_periods[study][period], _period[study]) = (shared, period);
            periodRevenue[study][period] = shared.perSite * siteUnits + shared.perNode * nodeUnits;
            revenue[study] -= periodRevenue[study][period];
        } catch {
            _expect(allowed, false, "close");
        }
    }

    /// @dev Sites and voters of all rounds up to the first that can still be proved wrong.
    function _units(uint64 study) private view returns (uint256 siteUnits, uint256 nodeUnits, uint64 through) {
        for (uint64 number = 1; number <= _rounds[study]; number++) {
            (bool certified, uint256 place) = _find(study, number);
            if (certified && _counts(_held[study][place])) {
                if (vm.getBlockTimestamp() < _held[study][place].finalAt) break;
                siteUnits += _held[study][place].outcome.cohort.length;
                nodeUnits += 4;
            }
            through = number;
        }
    }

    // -------------------------------------------------------------------------------------------- the books

    function contracts() external view returns (IConsilium, Treasury, TrialToken) {
        return (consilium, treasury, coin);
    }

    function rounds(uint64 study) external view returns (uint64) {
        return _rounds[study];
    }

    /// @dev What a round may pay at most; nothing once it gave its budget back.
    function budgetOf(uint64 study, uint64 number) external view returns (uint256) {
        return _reserves[study][number] ? _of[study][number].budget : 0;
    }

    function stateOf(uint64 study, uint64 number) external view returns (bool onRecord, IConsilium.State state) {
        if (!_onRecord(study, number)) return (false, IConsilium.State.None);
        if (_void[study][number]) return (true, IConsilium.State.Void);
        (, uint256 place) = _find(study, number);
        return (true, _held[study][place].state);
    }
}
