// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Treasury} from "../../src/Treasury.sol";
import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";
import {HarmHandler} from "./HarmHandler.sol";

/// @dev Random money: two studies in one coin, rounds that settle or lapse, claims of right and wrong leaves on record
/// and in the archive, licences, periods, withdrawals, and the bonds that proofs took (HarmHandler.sol). Books of its own
/// say what every claim must pay.
contract MoneyHandler is HarmHandler {
    uint256 private constant RIGHT_BUDGET = 1003;
    /// The version of budget and node share that a study is created with.
    uint16 private constant REWARDS = 1;

    uint256 public paidIn;
    uint256 public paidOut;
    /// What each round has paid so far.
    mapping(uint64 study => mapping(uint64 round => uint256)) public roundPaid;
    mapping(uint64 study => mapping(uint32 period => uint256)) public periodPaid;
    mapping(uint64 study => mapping(uint32 period => uint256)) public periodRevenue;
    mapping(uint64 study => uint256) public sold;

    mapping(uint64 study => Outcome[]) private _settled;
    /// What the archive keeps of them, in the same order.
    mapping(uint64 study => bytes32[]) private _leaves;
    mapping(uint64 study => mapping(uint64 round => uint256)) private _finalAt;
    mapping(bytes32 leaf => bool) private _claimed;

    constructor() {
        deploy();
        for (uint64 study = 1; study <= STUDIES; study++) {
            IConsilium.Conditions memory conditions = payingConditions();
            conditions.budget = uint96(RIGHT_BUDGET);
            createStudyWith(defaultTerms(), conditions, 5);
            vm.prank(sponsor);
            licences.setOffer(study, 701, 0);
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
    }

    function round(uint256 which, uint256 ending, uint256 size) external {
        uint64 study = _study(which);
        bool affordable = consilium.studyOf(study).free >= RIGHT_BUDGET;
        uint64 opened;
        vm.prank(sponsor);
        try consilium.openRound(
            study,
            keccak256(abi.encode(vm.getBlockTimestamp(), ending, size)),
            uint64(vm.getBlockTimestamp()) + 10,
            uint64(vm.getBlockTimestamp()) + 20
        ) returns (
            uint64 number
        ) {
            vm.assertTrue(affordable, "a round that cannot pay does not open");
            opened = number;
        } catch {
            return;
        }
        uint256 how = bound(ending, 0, 4);
        if (how == 0) return _voidIt(study, opened);
        Outcome memory outcome = outcomeOf(study, opened, 1, 5, bound(size, 3, 7));
        certifyAs(outcome);
        _certifiedOf(study, opened, outcome.cohort.length);
        if (how == 1) return _abandonIt(study, opened);
        settleAs(outcome);
        _settled[study].push(outcome);
        _leaves[study].push(archiveLeaf(outcome, REWARDS));
        _finalAt[study][opened] = vm.getBlockTimestamp() + WINDOW;
    }

    function claim(uint256 which, uint256 what, uint256 leaf, uint256 inPeriod) external {
        uint64 study = _study(which);
        if (_settled[study].length == 0) return;
        Outcome memory outcome = _settled[study][what % _settled[study].length];
        uint32 period = uint32(bound(inPeriod, 0, uint256(treasury.periods(study)) + 1));
        uint32 index = uint32(bound(leaf, 0, outcome.cohort.length + 3));
        ITreasury.Claim memory one = claimOf(outcome, period, index);
        if (outcome.round + RING <= consilium.studyOf(study).rounds) {
            _showArchived(study, what % _settled[study].length, one.shares[0]);
        }
        bytes32 key = keccak256(abi.encode(study, outcome.round, period, index));
        // Twice in one call: it pays once or reverts.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](2);
        (claims[0], claims[1]) = (one, one);
        uint256 before = coin.balanceOf(one.account);
        bool due = vm.getBlockTimestamp() >= _finalAt[study][outcome.round] && !_claimed[key]
            && (period == 0 || outcome.round <= treasury.periodOf(study, period).through)
            && _worth(study, period, index, outcome.cohort.length) != 0;
        try treasury.claim(claims) {
            vm.assertTrue(due, "paid though not due");
            _claimed[key] = true;
            uint256 got = coin.balanceOf(one.account) - before;
            paidOut += got;
            vm.assertEq(got, _worth(study, period, index, outcome.cohort.length), "by the formula");
            if (period == 0) roundPaid[study][outcome.round] += got;
            else periodPaid[study][period] += got;
        } catch {
            vm.assertTrue(!due, "due though not paid");
        }
    }

    function buy(uint256 which, uint256 quantity) external {
        uint64 study = _study(which);
        uint32 count = uint32(bound(quantity, 1, 5));
        coin.mint(address(this), 701 * uint256(count));
        coin.approve(address(treasury), 701 * uint256(count));
        licences.buy(study, count, 701, address(0xB0B));
        paidIn += 701 * uint256(count);
        sold[study] += 701 * uint256(count);
    }

    function closePeriod(uint256 which, bool late) external {
        uint64 study = _study(which);
        if (late) pass(PERIOD);
        uint256 revenue = treasury.purseOf(study).revenue;
        try treasury.closePeriod(study) returns (uint32 period) {
            periodRevenue[study][period] = revenue - treasury.purseOf(study).revenue;
        } catch {}
    }

    function withdraw(uint256 which, uint256 amount) external {
        uint64 study = _study(which);
        uint128 free = consilium.studyOf(study).free;
        amount = bound(amount, 0, uint256(free) + 1);
        vm.prank(sponsor);
        try treasury.withdraw(study, uint128(amount), sponsor) {
            vm.assertTrue(amount <= free, "only what is free");
            paidOut += amount;
        } catch {
            vm.assertTrue(amount > free, "what is free is the sponsor's");
        }
    }

    function contracts() external view returns (IConsilium, Treasury, TrialToken) {
        return (consilium, treasury, coin);
    }

    function budget() external pure returns (uint256) {
        return RIGHT_BUDGET;
    }

    /// @dev Of a leaf. A period's revenue may be too little for a coin each.
    function _worth(uint64 study, uint32 period, uint256 index, uint256 sitesCount) private view returns (uint256) {
        uint256 forNodes = RIGHT_BUDGET * NODE_SHARE / 10_000;
        if (period == 0) return index < sitesCount ? (RIGHT_BUDGET - forNodes) / sitesCount : forNodes / 4;
        ITreasury.Period memory terms = treasury.periodOf(study, period);
        return index < sitesCount ? terms.perSite : terms.perNode;
    }

    /// @dev Recorded at once, so that the books know what is free.
    function _voidIt(uint64 study, uint64 number) private {
        pass(10);
        consilium.voidRound(study, number);
    }

    function _abandonIt(uint64 study, uint64 number) private {
        pass(20);
        consilium.abandonRound(study, number);
    }

    /// @dev The path from a round that left the ring to its peak.
    function _showArchived(uint64 study, uint256 position, ITreasury.Share memory share) private view {
        bytes32[] memory leaves = new bytes32[](consilium.studyOf(study).archived);
        for (uint256 i = 0; i < leaves.length; i++) {
            leaves[i] = _leaves[study][i];
        }
        (share.rewards, share.position) = (REWARDS, uint32(position));
        share.archivePath = archivePath(leaves, position);
    }
}
