// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Treasury} from "../src/Treasury.sol";
import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {TrialToken} from "../src/tokens/TrialToken.sol";
import {MoneyHandler} from "./setup/MoneyHandler.sol";
import {Test} from "./setup/Test.sol";

/// @dev Random money in two studies of one coin (setup/MoneyHandler.sol). Always:
///  1. What was paid in is what was paid out and what the treasury holds, to the unit.
///  2. Free money and undistributed revenue of all studies are covered by what it holds.
///  3. A round never pays more than its budget, a period never more than the revenue it shared out.
///  4. A claim pays exactly when it is due, once, by the formula; a sponsor gets exactly what is free (in the handler).
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
