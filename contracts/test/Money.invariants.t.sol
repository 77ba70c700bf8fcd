// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {NodeRegistry} from "../src/NodeRegistry.sol";
import {Treasury} from "../src/Treasury.sol";
import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {TrialToken} from "../src/tokens/TrialToken.sol";
import {HarmHandler} from "./setup/HarmHandler.sol";
import {MoneyHandler} from "./setup/MoneyHandler.sol";
import {Test} from "./setup/Test.sol";

/// @dev Random money in two studies of one coin (setup/MoneyHandler.sol). Always:
///  1. What was paid in is what was paid out and what the treasury holds, to the unit.
///  2. Free money and undistributed revenue of all studies are covered by what it holds.
///  3. A round never pays more than its budget, a period never more than the revenue it shared out.
///  4. A claim pays exactly when it is due, once, by the formula, on record or in the archive; a sponsor gets exactly
///     what is free (in the handler).
///  5. Of a lost bond, the sender's tenth, what harmed sites got and what is held make up all of it. It is assigned once,
///     and pays each site once, when it is due and not frozen (in the handler).
///  6. The registry holds all stake but what proofs and compensations paid, to the wei.
contract MoneyInvariants is Test {
    MoneyHandler private handler;
    IConsilium private consilium;
    Treasury private treasury;
    TrialToken private coin;

    function setUp() public {
        handler = new MoneyHandler();
        (consilium, treasury, coin) = handler.contracts();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_moneyIsConserved() public view {
        uint256 held = coin.balanceOf(address(treasury));
        vm.assertEq(handler.paidIn(), handler.paidOut() + held, "1: in = out + held");
        uint256 spoken = 0;
        for (uint64 study = 1; study <= handler.STUDIES(); study++) {
            spoken += consilium.studyOf(study).free + treasury.purseOf(study).revenue;
        }
        vm.assertTrue(spoken <= held, "2: covered");
    }

    function invariant_lostBondsAreConserved() public view {
        NodeRegistry registry = handler.stakes();
        HarmHandler.Lost[] memory lost = handler.lostBonds();
        for (uint256 i = 0; i < lost.length; i++) {
            uint256 left = registry.bondOf(lost[i].study, lost[i].node).amount;
            vm.assertEq(left + paidOf(lost[i]), lost[i].kept, "5: a lost bond");
        }
        uint256 gone = handler.rewarded() + handler.compensated();
        vm.assertEq(address(registry).balance + gone, 32 ether, "6: stake");
    }

    function paidOf(HarmHandler.Lost memory lost) private pure returns (uint256 paid) {
        for (uint256 bits = lost.paid; bits != 0; bits &= bits - 1) {
            paid += lost.each;
        }
    }

    function invariant_nothingPaysMoreThanItHas() public view {
        for (uint64 study = 1; study <= handler.STUDIES(); study++) {
            uint64 newest = consilium.studyOf(study).rounds;
            for (uint64 round = 1; round <= newest; round++) {
                vm.assertTrue(handler.roundPaid(study, round) <= handler.budget(), "3: round");
            }
            for (uint32 period = 1; period <= treasury.periods(study); period++) {
                vm.assertTrue(handler.periodPaid(study, period) <= handler.periodRevenue(study, period), "3: period");
            }
        }
    }
}
