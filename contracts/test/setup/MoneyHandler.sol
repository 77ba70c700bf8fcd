// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Treasury} from "../../src/Treasury.sol";
import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";
import {BlockingToken} from "./BadTokens.sol";
import {RoundHandler} from "./RoundHandler.sol";

/// @dev Random money: two studies, the second in a coin with a blocklist, and their rounds (RoundHandler.sol); claims of
/// right and wrong leaves on record and in the archive, licences, payees, withdrawals, sites that contradict themselves,
/// money that nobody claims for years, and the bonds that proofs took (HarmHandler.sol, EvidenceHandler.sol). Books of its
/// own say what every step must do.
contract MoneyHandler is RoundHandler {
    address private constant NOBODY = address(0);
    uint256 private constant QUARTER = 91 days;

    mapping(uint64 study => uint256) public paidIn;
    mapping(uint64 study => uint256) public paidOut;
    /// What each round has paid so far.
    mapping(uint64 study => mapping(uint64 round => uint256)) public roundPaid;
    mapping(bytes32 leaf => bool) private _claimed;
    mapping(bytes32 leaf => bool) private _shown;
    // Of the site with a key: where its leaf of a round stands in the books, from 1; and whether it was taken away.
    mapping(uint64 study => mapping(uint64 round => uint256)) private _place;
    mapping(uint64 study => mapping(uint64 round => bool)) private _taken;
    mapping(uint64 study => mapping(uint64 round => bool)) private _struck;
    /// It is also out of the study until its sponsor takes it back, with one mark for eighty rounds.
    mapping(uint64 study => mapping(uint64 eighty => bool)) private _isOut;
    /// What the coin refused to pay.
    mapping(uint64 study => uint256) public unpaid;
    mapping(uint64 study => mapping(address account => uint256)) private _unpaid;
    mapping(uint64 study => mapping(address account => address)) private _payee;

    constructor() {
        deployAlone();
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
            (_terms[study], _operator[study]) = (Terms(BUDGET, NODE_SHARE), sponsor);
            address[] memory nodes = _nodesOf(_seats[study]);
            vm.prank(sponsor);
            consilium.createStudy(terms, conditions, nodes, _cohort(ADMITTED));
            vm.prank(sponsor);
            licences.setOffer(study, PRICE, 0);
        }
    }

    // -------------------------------------------------------------------------------------------- funds

    function donate(uint256 which, uint256 amount) external {
        uint64 study = _study(which);
        amount = bound(amount, 0, 5000);
        _bring(study, amount);
        treasury.fund(study, amount);
        free[study] += amount;
    }

    /// @dev Of somebody with a key, who signs a permit.
    function donateByPermit(uint256 which, uint256 amount) external {
        (uint64 study, address payer) = (_study(which), vm.addr(SITE_KEY));
        amount = bound(amount, 0, 5000);
        TrialToken token = _coins[study];
        token.mint(payer, amount);
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 permit = keccak256(abi.encode(kind, payer, treasury, amount, token.nonces(payer), type(uint256).max));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), permit));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SITE_KEY, digest);
        vm.prank(payer);
        treasury.fundWithPermit(study, amount, type(uint256).max, v, r, s);
        (paidIn[study], free[study]) = (paidIn[study] + amount, free[study] + amount);
        _count("permit");
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

    function _bring(uint64 study, uint256 amount) private {
        _coins[study].mint(address(this), amount);
        _coins[study].approve(address(treasury), amount);
        paidIn[study] += amount;
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

    function claim(uint256 which, uint256 what, uint256 leaf) public {
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
        bool refused = !lost && !done && !_isPayable(held, index);
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

    /// @dev It is blocked when its money comes.
    function claimBlocked(uint256 what) external {
        address site = _cohort(2)[1];
        BlockingToken(address(_coins[2])).setBlocked(site, true);
        claim(1, what, 1);
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
            (_struck[study][number], _isOut[study][number / 80]) = (true, true);
        } catch {
            _expect(allowed, false, "equivocate");
        }
    }

    /// @dev Its sponsor forgives it; what it lost stays lost.
    function restore(uint256 which, uint256 about) external {
        uint64 study = _study(which);
        uint64 number = uint64(bound(about, 1, uint256(_rounds[study]) + 1));
        bool allowed = _isOut[study][number / 80];
        vm.prank(_sponsor[study]);
        try treasury.restore(study, vm.addr(SITE_KEY), number) {
            _expect(allowed, true, "restore");
            _isOut[study][number / 80] = false;
        } catch {
            _expect(allowed, false, "restore");
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
        bool refused = lost && !_isPayable(held, 0);
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
        if (!_isPayable(held, index) || _isDone(study, number, index)) return;
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
}
