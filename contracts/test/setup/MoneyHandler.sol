// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Treasury} from "../../src/Treasury.sol";
import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {IStudyToken} from "../../src/interfaces/IStudyToken.sol";
import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";
import {BlockingToken} from "./BadTokens.sol";
import {RevenueBooks} from "./RevenueBooks.sol";

/// @dev Random money: two studies, the second in a coin with a blocklist, whose sponsors change, and with them budgets,
/// node shares and lists; rounds that settle, lapse or lie; votes that come late; claims of right and wrong leaves on
/// record and in the archive, licences, payees, withdrawals, sites that contradict themselves, money that nobody claims
/// for years, and the bonds that proofs took (HarmHandler.sol). Books of its own say what every step must do.
contract MoneyHandler is RevenueBooks {
    uint96 private constant PRICE = 701;
    address private constant OTHER_SPONSOR = address(0x0715);
    address private constant NOBODY = address(0);
    uint256 private constant QUARTER = 91 days;

    struct Terms {
        uint256 budget;
        uint16 nodeShare;
    }

    mapping(uint64 study => TrialToken) private _coins;
    mapping(uint64 study => uint256) public paidIn;
    mapping(uint64 study => uint256) public paidOut;
    /// What is the sponsor's.
    mapping(uint64 study => uint256) public free;
    mapping(uint64 study => Terms) private _terms;
    /// What each round was opened under, and what it has paid so far. A round that gave its budget back has none.
    mapping(uint64 study => mapping(uint64 round => Terms)) private _of;
    mapping(uint64 study => mapping(uint64 round => uint256)) public roundPaid;
    mapping(uint64 study => mapping(uint64 round => uint256)) private _reserved;
    mapping(bytes32 leaf => bool) private _claimed;
    mapping(bytes32 leaf => bool) private _shown;
    // Of the site with a key: where its leaf of a round stands in the books, from 1; and whether it was taken away.
    mapping(uint64 study => mapping(uint64 round => uint256)) private _place;
    mapping(uint64 study => mapping(uint64 round => bool)) private _taken;
    mapping(uint64 study => mapping(uint64 round => bool)) private _struck;
    mapping(uint64 study => mapping(uint64 round => bool)) private _late;
    /// What the coin refused to pay.
    mapping(uint64 study => uint256) public unpaid;
    mapping(uint64 study => mapping(address account => uint256)) private _unpaid;
    mapping(uint64 study => mapping(address account => address)) private _payee;
    mapping(uint64 study => uint256) private _nextPause;

    constructor() {
        deploy();
        vm.deal(REPORTER, 0);
        vm.deal(sink, 0);
        consentAll(OTHER_SPONSOR);
        IRecords.StudyTerms memory terms = defaultTerms();
        terms.sitesRoot = _listRoot();
        for (uint256 j = 1; j <= NODES; j++) {
            stake[j] = STAKE;
        }
        (_coins[1], _coins[2]) = (coin, new BlockingToken());
        for (uint64 study = 1; study <= STUDIES; study++) {
            _begin(study);
            _openBooks(study);
            IRecords.Conditions memory conditions = payingConditions();
            conditions.currency = address(_coins[study]);
            _terms[study] = Terms(BUDGET, NODE_SHARE);
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
        _bring(study, amount);
        treasury.fund(study, amount);
        free[study] += amount;
    }

    function _bring(uint64 study, uint256 amount) private {
        _coins[study].mint(address(this), amount);
        _coins[study].approve(address(treasury), amount);
        paidIn[study] += amount;
    }

    // -------------------------------------------------------------------------------------------- sponsors

    function setRewards(uint256 which, uint256 budget, uint256 nodeShare) external {
        _setRewards(_study(which), budget, nodeShare);
    }

    function _setRewards(uint64 study, uint256 budget, uint256 nodeShare) private {
        Terms storage terms = _terms[study];
        (terms.budget, terms.nodeShare) = (bound(budget, 0, 2000), uint16(bound(nodeShare, 0, 10_000)));
        vm.prank(_sponsor[study]);
        consilium.setRewards(study, uint96(terms.budget), terms.nodeShare);
    }

    /// @dev The same sites: another version of the policy all the same.
    function setSites(uint256 which) external {
        uint64 study = _study(which);
        bytes32 root = _listRoot();
        vm.prank(_sponsor[study]);
        consilium.setSites(study, root, _cohort(ADMITTED), "");
    }

    /// @dev The next sponsor forms the same committee anew: it agreed to serve both. It sells at the same price.
    function transfer(uint256 which) external {
        uint64 study = _study(which);
        if (_vacant[study]) return;
        (address from, address to) = (_sponsor[study], OTHER_SPONSOR);
        if (from == to) to = sponsor;
        vm.prank(from);
        studyToken.approve(to, study);
        vm.prank(to);
        studyToken.transferFrom(from, to, study);
        _sponsor[study] = to;
        vm.assertTrue(consilium.studyOf(study).vacant, "nobody agreed to serve the new one by the old one's leave");
        _form(study);
        vm.prank(to);
        licences.setOffer(study, PRICE, 0);
        vm.prank(to);
        studyToken.setRole(study, IStudyToken.Role.Guardian, guardian);
    }

    function withdraw(uint256 which, uint256 amount) external {
        uint64 study = _study(which);
        amount = bound(amount, 0, free[study] + 1);
        vm.prank(_sponsor[study]);
        try treasury.withdraw(study, uint128(amount), _sponsor[study]) {
            _expect(amount <= free[study], true, "withdraw");
            paidOut[study] += amount;
            free[study] -= amount;
        } catch {
            _expect(amount <= free[study], false, "withdraw");
        }
    }

    /// @dev Nothing is paid while it lasts; it ends at once, so that no window is longer for it.
    function pause(uint256 which) external {
        uint64 study = _study(which);
        uint64 now_ = uint64(vm.getBlockTimestamp());
        bool allowed = now_ >= _nextPause[study];
        vm.prank(guardian);
        try studyToken.pause(study, now_ + PAUSE) {
            _expect(allowed, true, "pause");
            bytes memory reason = abi.encodeWithSelector(IRecords.PausedUntil.selector, study, now_ + PAUSE);
            vm.expectRevert(reason);
            treasury.returnForfeits(study, new ITreasury.Claim[](0));
            vm.prank(guardian);
            studyToken.resume(study);
            _nextPause[study] = uint256(now_) + UNBONDING;
        } catch {
            _expect(allowed, false, "pause");
        }
    }

    // -------------------------------------------------------------------------------------------- rounds

    function round(uint256 which, uint256 ending, uint256 size) external {
        uint64 study = _study(which);
        bool allowed = _mayOpen(study);
        bytes32 subject = keccak256(abi.encode(vm.getBlockTimestamp(), ending, size, _rounds[study]));
        uint64 time = uint64(vm.getBlockTimestamp());
        vm.prank(_sponsor[study]);
        try consilium.openRound(study, subject, time + 10, time + 20) returns (uint64 opened) {
            _expect(allowed, true, "open");
            vm.assertEq(opened, _rounds[study] + 1, "number");
            _opened(study, opened);
            _conclude(study, opened, bound(ending, 0, 7), bound(size, 3, 7));
        } catch {
            _expect(allowed, false, "open");
        }
    }

    function _mayOpen(uint64 study) private view returns (bool) {
        uint64 number = _rounds[study] + 1;
        bool held = number > RING && vm.getBlockTimestamp() < _heldUntil[study][number - RING];
        return !_vacant[study] && !held && free[study] + _roundingOf(study, number - 1) >= _terms[study].budget;
    }

    /// @dev The round before gives back what the formula left of it, and the new one reserves its budget.
    function _opened(uint64 study, uint64 number) private {
        uint256 back = _roundingOf(study, number - 1);
        _reserved[study][number - 1] -= back;
        _rounds[study] = number;
        _of[study][number] = _terms[study];
        _reserved[study][number] = _terms[study].budget;
        free[study] = free[study] + back - _terms[study].budget;
    }

    /// @dev What the formula leaves of a settled round's budget: the sponsor's when the next round opens.
    function _roundingOf(uint64 study, uint64 number) private view returns (uint256) {
        (bool certified, uint256 place) = _find(study, number);
        if (!certified || !_counts(_held[study][place])) return 0;
        (uint256 perSite, uint256 perNode) = _payOf(study, number);
        uint256 sitesCount = _held[study][place].outcome.cohort.length;
        return _of[study][number].budget - perSite * sitesCount - perNode * _votersOf(study, number);
    }

    function _votersOf(uint64 study, uint64 number) private view returns (uint256) {
        return _late[study][number] ? 5 : 4;
    }

    function _conclude(uint64 study, uint64 number, uint256 how, uint256 size) private {
        // Before it lapses, its sponsor may promise something else for the next.
        if (how <= 1 && size > 4) _setRewards(study, 331 * size, 2000 * size);
        if (how == 0) {
            pass(10);
            consilium.voidRound(study, number);
            _void[study][number] = true;
            return _giveBackBudget(study, number);
        }
        Outcome memory outcome = _outcome(study, number, size, how >= 6);
        _certify(outcome, how >= 6);
        if (how == 1) {
            pass(20);
            consilium.abandonRound(study, number);
            return _giveBackBudget(study, number);
        }
        if (how % 2 == 1) _voteLate(outcome);
        _settle(outcome);
        _counted(study, number, _weightOfRound(study, number, size));
    }

    /// @dev The fifth seat, whose vote was not in the certificate.
    function _voteLate(Outcome memory outcome) private {
        (uint64 study, uint64 number) = (outcome.study, outcome.round);
        bytes32 vote = digests.voteDigest(study, number, outcome.roots.setRoot, uint32(outcome.cohort.length));
        consilium.addVotes(study, number, 16, sign(secret(_seats[study][4]), vote));
        _late[study][number] = true;
    }

    function _giveBackBudget(uint64 study, uint64 number) private {
        free[study] += _reserved[study][number];
        _reserved[study][number] = 0;
    }

    function _refunded(uint64 study, uint64 number) internal override {
        _giveBackBudget(study, number);
        (, uint256 place) = _find(study, number);
        _struckOut(study, number, _weightOfRound(study, number, _held[study][place].outcome.cohort.length));
    }

    // -------------------------------------------------------------------------------------------- formulas

    function _payOf(uint64 study, uint64 number) private view returns (uint256 perSite, uint256 perNode) {
        (, uint256 place) = _find(study, number);
        Terms storage terms = _of[study][number];
        uint256 forNodes = terms.budget * terms.nodeShare / 10_000;
        uint256 sitesCount = _held[study][place].outcome.cohort.length;
        return ((terms.budget - forNodes) / sitesCount, forNodes / _votersOf(study, number));
    }

    function _weightsOf(uint64 study, uint64 number, uint256 size) private view returns (uint256, uint256) {
        uint256 nodeShare = _of[study][number].nodeShare;
        return (10_000 - nodeShare, nodeShare * size / _votersOf(study, number));
    }

    function _weightOfRound(uint64 study, uint64 number, uint256 size) private view returns (uint256) {
        (uint256 perSite, uint256 perNode) = _weightsOf(study, number, size);
        return perSite * size + perNode * _votersOf(study, number);
    }

    function _isFinal(Held storage held) private view returns (bool) {
        return _counts(held) && vm.getBlockTimestamp() >= held.finalAt;
    }

    // -------------------------------------------------------------------------------------------- claims

    /// @dev A leaf: that of a site, of a voter of the certificate, or of the late one.
    function _claimOf(Held storage held, uint32 index) private view returns (ITreasury.Claim memory one) {
        Outcome memory outcome = held.outcome;
        uint32 leaves = uint32(outcome.cohort.length + 4);
        one = claimOf(outcome, index < leaves ? index : 0);
        if (index >= leaves) _asLate(one, node(held.seats[4]), leaves, outcome.roots.rewardRoot);
        if (!_onRecord(outcome.study, outcome.round)) _asArchived(one, outcome);
    }

    function _asLate(ITreasury.Claim memory one, address account, uint32 leaves, bytes32 rewardRoot) private pure {
        one.account = account;
        one.shares[0].index = leaves + 4;
        one.shares[0].path = new bytes32[](1);
        one.shares[0].path[0] = rewardRoot;
    }

    function _asArchived(ITreasury.Claim memory one, Outcome memory outcome) private view {
        one.shares[0].record = outcome.record;
        (one.shares[0].position, one.shares[0].archivePath) = _archived(outcome.study, outcome.round);
    }

    /// @dev The books' side of a claim of one leaf, for an account: itself, or the sink.
    /// @return amount What it brings.
    function _book(Held storage held, uint32 index, address account) private returns (uint256 amount) {
        (uint64 study, uint64 number) = (held.outcome.study, held.outcome.round);
        bytes32 key = keccak256(abi.encode(study, number, index));
        uint256 size = held.outcome.cohort.length;
        (uint256 perSite, uint256 perNode) = _payOf(study, number);
        if (!_claimed[key]) {
            amount = index < size ? perSite : perNode;
            roundPaid[study][number] += amount;
            _claimed[key] = true;
        }
        if (!_sells(study)) return amount;
        if (!_shown[key]) {
            (uint256 ofSite, uint256 ofNode) = _weightsOf(study, number, size);
            _show(study, account, number, index < size ? ofSite : ofNode);
            if (index == 0) _place[study][number] = _leavesOf(study, account);
            _shown[key] = true;
        }
        return amount;
    }

    function claim(uint256 which, uint256 what, uint256 leaf) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _held[study][what % _held[study].length];
        uint64 number = held.outcome.round;
        uint32 index = uint32(bound(leaf, 0, held.outcome.cohort.length + 3 + (_late[study][number] ? 1 : 0)));
        // Twice in one call: it pays once or reverts.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](2);
        claims[0] = _claimOf(held, index);
        claims[1] = claims[0];
        (bool lost, bool done) = (index == 0 && _struck[study][number], _isDone(study, number, index));
        bool refused = !lost && !done && !_isFinal(held);
        uint256 amount = refused || lost ? 0 : _tryBook(held, index, claims[0].account, done);
        if (!refused && _sells(study)) amount += _draw(study, claims[0].account);
        try treasury.claim(claims) {
            _expect(amount != 0, true, "claim");
            if (!_onRecord(study, number)) _count("archived claim");
            if (index >= held.outcome.cohort.length + 4) _count("late vote paid");
            _paid(study, claims[0].account, amount);
        } catch {
            _expect(amount != 0, false, "claim");
        }
    }

    function _tryBook(Held storage held, uint32 index, address account, bool done) private returns (uint256) {
        return done ? 0 : _book(held, index, account);
    }

    function _isDone(uint64 study, uint64 number, uint32 index) private view returns (bool) {
        bytes32 key = keccak256(abi.encode(study, number, index));
        return _claimed[key] && (_shown[key] || !_sells(study));
    }

    /// @dev To the account or its payee; or it waits, if the coin refuses.
    function _paid(uint64 study, address account, uint256 amount) private {
        address to = _payee[study][account] == NOBODY ? account : _payee[study][account];
        if (!_refuses(study, to)) return _gone(study, amount);
        _count("refused payment");
        _unpaid[study][account] += amount;
        unpaid[study] += amount;
        vm.assertEq(treasury.unpaidOf(study, account).amount, _unpaid[study][account], "it waits");
    }

    function _gone(uint64 study, uint256 amount) private {
        paidOut[study] += amount;
        vm.assertEq(paidIn[study] - paidOut[study], _coins[study].balanceOf(address(treasury)), "by the formula");
    }

    function _refuses(uint64 study, address to) private view returns (bool) {
        return study == 2 && BlockingToken(address(_coins[2])).blocked(to);
    }

    /// @dev The second study's coin, and its second site.
    function toggleBlock() external {
        address site = _cohort(2)[1];
        BlockingToken(address(_coins[2])).setBlocked(site, !_refuses(2, site));
    }

    function payUnpaid() external {
        address site = _cohort(2)[1];
        address to = _payee[2][site] == NOBODY ? site : _payee[2][site];
        uint256 amount = _unpaid[2][site];
        bool allowed = amount != 0 && !_refuses(2, to);
        try treasury.payUnpaid(2, site) {
            _expect(allowed, true, "payUnpaid");
            _unpaid[2][site] = 0;
            unpaid[2] -= amount;
            _gone(2, amount);
        } catch {
            _expect(allowed, false, "payUnpaid");
        }
    }

    function setPayee(uint256 which, uint256 place, bool itself) external {
        uint64 study = _study(which);
        address site = _cohort(3)[bound(place, 1, 2)];
        address payee = itself ? NOBODY : address(0xBA4);
        vm.prank(site);
        treasury.setPayee(study, payee);
        _payee[study][site] = payee;
    }

    // -------------------------------------------------------------------------------------------- strikes

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
            vm.prank(_sponsor[study]);
            treasury.restore(study, site, number);
        } catch {
            _expect(allowed, false, "equivocate");
        }
    }

    function returnForfeits(uint256 which, uint256 what) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _held[study][what % _held[study].length];
        uint64 number = held.outcome.round;
        ITreasury.Claim[] memory forfeits = new ITreasury.Claim[](1);
        forfeits[0] = _claimOf(held, 0);
        bool lost = _struck[study][number];
        bool refused = lost && !_isFinal(held);
        (uint256 amount, bool moved) = (0, false);
        if (!refused) {
            uint256 kept = rest[study];
            (rest[study], amount) = (0, kept);
            revenueOut[study] += kept;
            if (lost) (amount, moved) = _bookForfeit(held, amount);
            amount += _draw(study, NOBODY);
        }
        bool allowed = !refused && (amount != 0 || moved);
        try treasury.returnForfeits(study, forfeits) {
            _expect(allowed, true, "returnForfeits");
            free[study] += amount;
        } catch {
            _expect(allowed, false, "returnForfeits");
        }
    }

    function _bookForfeit(Held storage held, uint256 before) private returns (uint256 amount, bool moved) {
        (uint64 study, uint64 number) = (held.outcome.study, held.outcome.round);
        bytes32 key = keccak256(abi.encode(study, number, uint32(0)));
        amount = before;
        if (!_claimed[key]) {
            (uint256 perSite,) = _payOf(study, number);
            (roundPaid[study][number], amount) = (roundPaid[study][number] + perSite, amount + perSite);
            _claimed[key] = true;
        }
        if (!_sells(study) || _taken[study][number]) return (amount, false);
        (uint256 weight,) = _weightsOf(study, number, held.outcome.cohort.length);
        if (_shown[key]) _moveLeaf(study, vm.addr(SITE_KEY), NOBODY, _place[study][number] - 1);
        else _show(study, NOBODY, number, weight);
        (_shown[key], _taken[study][number]) = (true, true);
        return (amount, weight != 0);
    }

    // -------------------------------------------------------------------------------------------- licences

    function buy(uint256 which, uint256 quantity) external {
        uint64 study = _study(which);
        uint32 count = uint32(bound(quantity, 1, 5));
        uint256 price = PRICE * uint256(count);
        _bring(study, price);
        // The seller's offer stands.
        licences.buy(study, count, PRICE, address(0xB0B));
        if (!_sold(study, price)) free[study] += price;
        else _count("sale to rounds");
    }

    // -------------------------------------------------------------------------------------------- after years

    /// @dev A leaf of a round that is settled for good: nobody claims it for years, and it is the sink's.
    function forget(uint256 which, uint256 what, uint256 leaf, uint256 rarely) external {
        uint64 study = _study(which);
        if (rarely % 8 != 0 || _held[study].length == 0) return;
        Held storage held = _held[study][what % _held[study].length];
        uint64 number = held.outcome.round;
        uint32 index = uint32(bound(leaf, 1, held.outcome.cohort.length + 3));
        if (!_isFinal(held) || _isDone(study, number, index)) return;
        pass(ESCHEAT);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](1);
        claims[0] = _claimOf(held, index);
        treasury.announceEscheat(claims);
        pass(QUARTER);
        uint256 amount = _book(held, index, sink);
        if (_sells(study)) amount += _draw(study, sink);
        try treasury.escheat(claims) {
            _expect(amount != 0, true, "escheat");
            _gone(study, amount);
        } catch {
            _expect(amount != 0, false, "escheat");
        }
    }

    /// @dev What the second study's coin refuses to pay its second site goes there too.
    function forgetUnpaid(uint256 rarely) external {
        address site = _cohort(2)[1];
        uint256 amount = _unpaid[2][site];
        if (rarely % 4 != 0 || amount == 0) return;
        pass(ESCHEAT);
        treasury.announceUnpaidEscheat(2, site);
        pass(QUARTER);
        treasury.escheatUnpaid(2, site);
        _count("escheatUnpaid");
        _unpaid[2][site] = 0;
        unpaid[2] -= amount;
        _gone(2, amount);
    }

    // -------------------------------------------------------------------------------------------- the books

    function contracts() external view returns (IConsilium, Treasury) {
        return (consilium, treasury);
    }

    function coinOf(uint64 study) external view returns (TrialToken) {
        return _coins[study];
    }

    function rounds(uint64 study) external view returns (uint64) {
        return _rounds[study];
    }

    /// @dev What a round may pay at most; nothing once it gave its budget back.
    function budgetOf(uint64 study, uint64 number) external view returns (uint256) {
        return _reserved[study][number];
    }

    function stateOf(uint64 study, uint64 number) external view returns (bool onRecord, IRecords.State state) {
        if (!_onRecord(study, number)) return (false, IRecords.State.None);
        if (_void[study][number]) return (true, IRecords.State.Void);
        (, uint256 place) = _find(study, number);
        return (true, _held[study][place].state);
    }
}
