// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {NodeRegistry} from "../src/NodeRegistry.sol";
import {Treasury} from "../src/Treasury.sol";
import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {HarmHandler} from "./setup/HarmHandler.sol";
import {MoneyHandler} from "./setup/MoneyHandler.sol";
import {Test} from "./setup/Test.sol";

/// @dev Random money and random proofs in two studies of two coins (setup/MoneyHandler.sol, setup/HarmHandler.sol). Always:
///  1. Every step succeeds exactly when the handlers' own books say so, and pays by their formulas (in the handlers).
///  2. What was paid in is what was paid out and what the treasury holds, to the unit.
///  3. That is exactly the sponsors' free money, what rounds and sales have not paid yet, and what a coin refused to pay.
///  4. A round never pays more than the budget it was opened with, and all rounds together no more of a sale than its price.
///  5. Every round on record is in the state of the books.
///  6. Every bond is in the standing of the books and has their amount: nobody has lost what was undone, and nobody has
///     what was lost.
///  7. The registry holds all stake but what reporters, harmed sites and the sink were paid, to the wei.
contract MoneyInvariants is Test {
    MoneyHandler private handler;
    IConsilium private consilium;
    Treasury private treasury;

    function setUp() public {
        handler = new MoneyHandler();
        (consilium, treasury) = handler.contracts();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_moneyIsConserved() public view {
        for (uint64 study = 1; study <= handler.STUDIES(); study++) {
            uint256 held = handler.coinOf(study).balanceOf(address(treasury));
            vm.assertEq(handler.paidIn(study), handler.paidOut(study) + held, "2: in = out + held");
            vm.assertEq(consilium.studyOf(study).free, handler.free(study), "3: free");
            vm.assertEq(treasury.restOf(study), handler.rest(study), "3: rest");
            vm.assertTrue(handler.revenueOut(study) <= handler.revenueIn(study), "4: sales");
            uint256 sold = handler.revenueIn(study) - handler.revenueOut(study);
            vm.assertEq(handler.free(study) + owed(study) + sold + handler.unpaid(study), held, "3: somebody's");
        }
    }

    /// What rounds have not paid yet.
    function owed(uint64 study) private view returns (uint256 sum) {
        for (uint64 round = 1; round <= handler.rounds(study); round++) {
            uint256 budget = handler.budgetOf(study, round);
            vm.assertTrue(handler.roundPaid(study, round) <= budget, "4: round");
            sum += budget - handler.roundPaid(study, round);
        }
    }

    function invariant_stakeIsConserved() public view {
        (NodeRegistry registry, address reporter, address sink) = handler.stakes();
        for (uint256 j = 1; j <= 32; j++) {
            checkNode(registry, j);
        }
        uint256 gone = handler.rewarded() + handler.compensated() + handler.forfeited();
        vm.assertEq(address(registry).balance + gone, 32 ether + handler.deposited(), "7: stake");
        vm.assertEq(reporter.balance, handler.rewarded(), "7: the reporter's");
        vm.assertEq(sink.balance, handler.forfeited(), "7: the sink's");
    }

    function checkNode(NodeRegistry registry, uint256 j) private view {
        address node = vm.addr(uint256(keccak256(abi.encode("node", j))));
        (uint64 study, bool told, bool seated) = handler.seatOf(j);
        HarmHandler.Books memory books = handler.bondOf(j);
        INodeRegistry.Bond memory bond = registry.bondOf(study, node);
        INodeRegistry.Node memory stored = registry.nodeOf(node);
        vm.assertEq(uint256(bond.standing), uint256(books.standing), "6: standing");
        vm.assertEq(bond.amount, books.amount, "6: amount");
        vm.assertEq(stored.stake, handler.stake(j), "6: free stake");
        if (told) vm.assertEq(stored.serving, seated ? 1 : 0, "6: seat");
    }

    function invariant_roundsFollowTheBooks() public view {
        for (uint64 study = 1; study <= handler.STUDIES(); study++) {
            for (uint64 round = 1; round <= handler.rounds(study); round++) {
                (, IRecords.State state) = handler.stateOf(study, round);
                vm.assertEq(uint256(consilium.stateOf(study, round)), uint256(state), "5: state");
            }
        }
    }

    // -------------------------------------------------------------------------------------------- what is performed

    /// Each kind of step takes place: no invariant holds because nothing happens.
    function test_steps_allTakePlace() public {
        string[39] memory steps = [
            "open",
            "claim",
            "withdraw",
            "equivocate",
            "contradict",
            "misreport",
            "stray",
            "answer",
            "refute",
            "acquit",
            "assign",
            "compensate",
            "forfeit",
            "postpone",
            "hold",
            "reclaim",
            "late refute",
            "restitution",
            "archived claim",
            "archived assign",
            "returnForfeits",
            "pause",
            "payUnpaid",
            "refused payment",
            "sale to rounds",
            "late vote paid",
            "escheat",
            "foreign site",
            "wrong reward",
            "malformed rewards",
            "malformed leaf",
            "wrong settlement",
            "judge",
            "two shares",
            "two settlements",
            "restore",
            "offer",
            "permit",
            "escheatUnpaid"
        ];
        uint256[39] memory counts;
        for (uint256 seed = 0; seed < 4; seed++) {
            setUp();
            for (uint256 i = 0; i < 300; i++) {
                step(uint256(keccak256(abi.encode(seed, i))));
                if (i % 50 == 0) invariant_stakeIsConserved();
            }
            count(steps, counts);
        }
        lateRestitution();
        count(steps, counts);
        payOffTheRecord();
        count(steps, counts);
        endService();
        count(steps, counts);
        forgetAll();
        count(steps, counts);
        refuseOne();
        count(steps, counts);
        strikeOne();
        count(steps, counts);
        accuse();
        count(steps, counts);
        lieAboutSets();
        count(steps, counts);
        lieAboutVectors();
        count(steps, counts);
        refuseForYears();
        count(steps, counts);
        for (uint256 i = 0; i < steps.length; i++) {
            vm.assertTrue(counts[i] != 0, steps[i]);
        }
    }

    function count(string[39] memory steps, uint256[39] memory counts) private view {
        invariant_moneyIsConserved();
        invariant_stakeIsConserved();
        invariant_roundsFollowTheBooks();
        for (uint256 i = 0; i < steps.length; i++) {
            counts[i] += handler.happened(keccak256(bytes(steps[i])));
        }
    }

    /// Seldom by chance: a lie convicts its fifth seat, whose bond is shared out in part before the lie is proved.
    function lateRestitution() private {
        setUp();
        handler.donate(0, 5000);
        handler.round(0, 6, 3);
        handler.misreport(0, 0, 9);
        handler.wait(2399);
        handler.wait(2399);
        handler.assignCompensation(0, 1);
        handler.compensate(0, 1, 0);
        handler.refute(0, 0);
    }

    /// Sites are paid, and harmed ones compensated, for a round that has left the ring.
    function payOffTheRecord() private {
        setUp();
        handler.donate(0, 5000);
        handler.round(0, 2, 0);
        handler.contradict(0, 0, 0);
        for (uint256 i = 0; i < 4; i++) {
            handler.wait(2399);
            handler.round(0, 2, i);
        }
        handler.assignCompensation(0, 1);
        handler.compensate(0, 1, 1);
        handler.claim(0, 0, 1);
    }

    /// Nobody claims for years what a round pays.
    function forgetAll() private {
        setUp();
        handler.donate(0, 5000);
        handler.round(0, 3, 0);
        handler.wait(2399);
        handler.claim(0, 0, 7);
        handler.forget(0, 0, 1, 8);
    }

    /// The coin refuses a site, until it does not.
    function refuseOne() private {
        setUp();
        handler.donate(1, 5000);
        handler.round(1, 2, 0);
        handler.wait(2399);
        handler.toggleBlock();
        handler.claim(1, 0, 1);
        handler.toggleBlock();
        handler.payUnpaid();
    }

    /// What a site has lost by two contributions is its sponsor's, also when the sponsor takes it back.
    function strikeOne() private {
        setUp();
        handler.donate(0, 5000);
        handler.round(0, 2, 0);
        handler.equivocate(0, 0);
        handler.restore(0, 0);
        handler.wait(2399);
        handler.returnForfeits(0, 0);
    }

    /// A judge's word, and two statements of one node about a round that nobody disputes.
    function accuse() private {
        setUp();
        handler.setOffer(0, 0);
        handler.donate(0, 5000);
        handler.round(0, 2, 0);
        handler.judge(0, 0, 0);
        handler.proveTwoShares(0, 0, 4);
        handler.proveTwoSettlements(0, 3, 0);
    }

    /// Each fault is proved by its own proof.
    function lieAboutSets() private {
        setUp();
        handler.donate(0, 5000);
        handler.donate(1, 5000);
        handler.round(0, 6, 4);
        handler.proveForeignSite(0, 0, 1);
        handler.round(1, 7, 4);
        handler.proveWrongReward(1, 0, 0);
        handler.round(0, 6, 0);
        handler.proveMalformedRewards(0, 0);
    }

    function lieAboutVectors() private {
        setUp();
        handler.donate(0, 5000);
        handler.donateByPermit(1, 5000);
        handler.round(1, 7, 0);
        handler.proveMalformedLeaf(1, 0, 0);
        handler.round(0, 7, 1);
        handler.proveWrongSettlement(0, 0, 0);
    }

    /// The coin refuses a site until nobody asks any more.
    function refuseForYears() private {
        setUp();
        handler.donate(1, 5000);
        handler.round(1, 2, 0);
        handler.wait(2399);
        handler.toggleBlock();
        handler.claim(1, 0, 1);
        handler.forgetUnpaid(0);
    }

    /// A bond comes back after the delay; another is put off, and goes to the sink.
    function endService() private {
        setUp();
        handler.hold(0, 1, 5);
        handler.rotate(0, 0);
        handler.contradict(0, 1, 0);
        handler.postpone(0, 1);
        for (uint256 i = 0; i < 10; i++) {
            handler.wait(2399);
        }
        handler.reclaim(0, 0);
        handler.forfeit(0, 1);
    }

    function step(uint256 draw) private {
        (uint256 a, uint256 b, uint256 c) = (draw >> 8, draw >> 72, draw >> 136);
        uint256 kind = draw % 28;
        if (kind < 4) return handler.round(a, b, c);
        if (kind == 4) return handler.donate(a, b);
        if (kind == 5) return handler.wait(a);
        if (kind == 6) return handler.claim(a, b, c);
        if (kind == 7) return handler.buy(a, b);
        if (kind == 8) return money(b, a, c);
        if (kind == 9) return handler.withdraw(a, b);
        if (kind == 10) return handler.equivocate(a, b);
        if (kind == 11) return handler.setRewards(a, b, c);
        if (kind == 12) return b % 2 == 0 ? handler.setSites(a) : handler.transfer(a);
        if (kind == 13) return handler.contradict(a, b, c);
        if (kind == 14) return handler.misreport(a, b, c);
        if (kind == 15) return handler.stray(a, b, c);
        if (kind == 16) return handler.answer(a, b);
        if (kind == 17) return handler.refute(a, b);
        if (kind == 18) return handler.assignCompensation(a, b);
        if (kind == 19) return handler.compensate(a, b, c);
        if (kind == 20) return handler.forfeit(a, b);
        if (kind == 21) return handler.postpone(a, b);
        if (kind == 22) return b % 2 == 0 ? handler.rotate(a, b) : handler.hold(a, b, c);
        if (kind == 23) return handler.lie(a, b, c);
        if (kind == 24) return b % 4 == 0 ? handler.reclaim(a, b) : office(b >> 2, a, c);
        evidence(b, a, c);
    }

    /// Of every round, right or wrong, as it comes.
    function evidence(uint256 kind, uint256 a, uint256 b) private {
        kind = kind % 9;
        if (kind == 0) return handler.proveForeignSite(a, b, b >> 8);
        if (kind == 1) return handler.proveWrongReward(a, b, b >> 8);
        if (kind == 2) return handler.proveMalformedRewards(a, b);
        if (kind == 3) return handler.proveMalformedLeaf(a, b, b >> 8);
        if (kind == 4) return handler.proveWrongSettlement(a, b, b >> 8);
        if (kind == 5) return handler.judge(a, b, b >> 8);
        if (kind == 6) return handler.proveTwoShares(a, b, b >> 8);
        if (kind == 7) return handler.proveTwoSettlements(a, b, b >> 8);
        handler.deposit(a, b);
    }

    function office(uint256 kind, uint256 a, uint256 b) private {
        kind = kind % 5;
        if (kind == 0) return handler.restore(a, b);
        if (kind == 1) return handler.donateByPermit(a, b);
        if (kind == 2) return handler.setOffer(a, b);
        if (kind == 3) return handler.appoint(a, b % 2 == 0, b % 4 < 2);
        handler.setAuditor(a, b % 2 == 0);
    }

    function money(uint256 kind, uint256 a, uint256 b) private {
        kind = kind % 8;
        if (kind == 0) return handler.toggleBlock();
        if (kind == 1) return handler.payUnpaid();
        if (kind == 2) return handler.setPayee(a, b, b % 3 != 0);
        if (kind == 3) return handler.pause(a);
        if (kind == 4) return handler.forget(a, b, b >> 32, b >> 8);
        if (kind == 5) return handler.forgetUnpaid(b);
        handler.returnForfeits(a, b);
    }
}
