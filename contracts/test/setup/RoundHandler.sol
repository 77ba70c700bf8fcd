// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../../src/interfaces/IRecords.sol";
import {IStudyToken} from "../../src/interfaces/IStudyToken.sol";
import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";
import {RevenueBooks} from "./RevenueBooks.sol";

/// @dev What sponsors decide, and rounds that settle, lapse or lie, with votes that come late: what each was opened under,
/// what it has reserved and what it pays by the formulas.
abstract contract RoundHandler is RevenueBooks {
    uint96 internal constant PRICE = 701;
    address internal constant OTHER_SPONSOR = address(0x0715);
    /// Who opens rounds, takes out money or reads results for a sponsor.
    address internal constant AGENT = address(0xA6E27);

    struct Terms {
        uint256 budget;
        uint16 nodeShare;
    }

    mapping(uint64 study => TrialToken) internal _coins;
    /// What is the sponsor's.
    mapping(uint64 study => uint256) public free;
    mapping(uint64 study => Terms) internal _terms;
    /// What each round was opened under. A round that gave its budget back has reserved nothing.
    mapping(uint64 study => mapping(uint64 round => Terms)) internal _of;
    mapping(uint64 study => mapping(uint64 round => uint256)) internal _reserved;
    mapping(uint64 study => address) internal _operator;
    mapping(uint64 study => uint256) private _nextPause;

    function wait(uint256 time) external {
        pass(bound(time, 1, 40 minutes));
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
        (_sponsor[study], _operator[study]) = (to, to);
        vm.assertTrue(consilium.studyOf(study).vacant, "nobody agreed to serve the new one by the old one's leave");
        _form(study);
        vm.prank(to);
        licences.setOffer(study, PRICE, 0);
        vm.prank(to);
        studyToken.setRole(study, IStudyToken.Role.Guardian, guardian);
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

    /// @dev Somebody else opens the rounds; the study's treasurer takes out its money.
    function appoint(uint256 which, bool another, bool treasurer) external {
        uint64 study = _study(which);
        address account = another ? AGENT : _sponsor[study];
        IStudyToken.Role role = treasurer ? IStudyToken.Role.Treasurer : IStudyToken.Role.Operator;
        vm.prank(_sponsor[study]);
        studyToken.setRole(study, role, account);
        if (!treasurer) _operator[study] = account;
        vm.assertEq(studyToken.holderOf(study, role), account, "appointed");
    }

    function setAuditor(uint256 which, bool allowed) external {
        uint64 study = _study(which);
        vm.prank(_sponsor[study]);
        studyToken.setAuditor(study, AGENT, allowed);
        vm.assertTrue(licences.mayDownload(study, AGENT) == allowed, "auditors read");
    }

    function setOffer(uint256 which, uint256 royalty) external {
        uint64 study = _study(which);
        royalty = bound(royalty, 0, 1200);
        bool allowed = royalty <= 1000;
        vm.prank(_sponsor[study]);
        try licences.setOffer(study, PRICE, uint16(royalty)) {
            _expect(allowed, true, "offer");
        } catch {
            _expect(allowed, false, "offer");
        }
    }

    // -------------------------------------------------------------------------------------------- rounds

    function round(uint256 which, uint256 ending, uint256 size) public {
        uint64 study = _study(which);
        bool allowed = _mayOpen(study);
        bytes32 subject = keccak256(abi.encode(vm.getBlockTimestamp(), ending, size, _rounds[study]));
        uint64 time = uint64(vm.getBlockTimestamp());
        vm.prank(_operator[study]);
        try consilium.openRound(study, subject, time + 10, time + 20) returns (uint64 opened) {
            _expect(allowed, true, "open");
            vm.assertEq(opened, _rounds[study] + 1, "number");
            _opened(study, opened);
            _conclude(study, opened, bound(ending, 0, 7), bound(size, 3, 7));
        } catch {
            _expect(allowed, false, "open");
        }
    }

    /// @dev A round with a fault, or nothing could be proved wrong often enough.
    function lie(uint256 which, uint256 ending, uint256 size) external {
        round(which, 6 + ending % 2, size);
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
        Fault fault = _faultOf(how, size);
        Outcome memory outcome = _outcome(study, number, size, fault);
        _certify(outcome, fault);
        if (how == 1) {
            pass(20);
            consilium.abandonRound(study, number);
            return _giveBackBudget(study, number);
        }
        if (how % 2 == 1) _voteLate(outcome);
        _settle(outcome);
        _counted(study, number, _weightOfRound(study, number, size));
    }

    /// @dev Of two endings in eight, each with every fault; and of some rounds that are never settled.
    function _faultOf(uint256 how, uint256 size) private pure returns (Fault) {
        if (how == 1 && size == 3) return Fault.Site;
        return how < 6 ? Fault.None : Fault(1 + (size + how) % 6);
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

    function _payOf(uint64 study, uint64 number) internal view returns (uint256 perSite, uint256 perNode) {
        (, uint256 place) = _find(study, number);
        Terms storage terms = _of[study][number];
        uint256 forNodes = terms.budget * terms.nodeShare / 10_000;
        uint256 sitesCount = _held[study][place].outcome.cohort.length;
        return ((terms.budget - forNodes) / sitesCount, forNodes / _votersOf(study, number));
    }

    function _weightsOf(uint64 study, uint64 number, uint256 size) internal view returns (uint256, uint256) {
        uint256 nodeShare = _of[study][number].nodeShare;
        return (10_000 - nodeShare, nodeShare * size / _votersOf(study, number));
    }

    function _weightOfRound(uint64 study, uint64 number, uint256 size) internal view returns (uint256) {
        (uint256 perSite, uint256 perNode) = _weightsOf(study, number, size);
        return perSite * size + perNode * _votersOf(study, number);
    }

    function _isFinal(Held storage held) internal view returns (bool) {
        return _counts(held) && vm.getBlockTimestamp() >= held.finalAt;
    }

    /// @dev Whether the leaf of the right rewards tree is one of the settled one. A late vote has none.
    function _isPayable(Held storage held, uint32 index) internal view returns (bool) {
        bool wrong = held.fault == Fault.Reward || held.fault == Fault.Rewards;
        return _isFinal(held) && (!wrong || index >= held.outcome.cohort.length + 4);
    }

    // -------------------------------------------------------------------------------------------- the books

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
