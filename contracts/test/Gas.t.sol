// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {Play} from "./setup/Play.sol";

/// @dev What a sender pays, intrinsic gas included: snapshots/. The number of sites and the length of the updates do not
/// enter a round; "first lap" is a study's first use of its ring of slots, after which slots are used again. Every round
/// of these studies pays, and from the second lap on every settlement archives an older round.
contract GasTest is Play {
    function test_gas_committeeOf5() public {
        measure(1, 5, "n=5");
    }

    function test_gas_committeeOf9() public {
        measure(2, 9, "n=9");
    }

    function measure(uint8 threshold, uint256 n, string memory size) private {
        deploy();
        IConsilium.StudyTerms memory terms = defaultTerms();
        terms.threshold = threshold;
        vm.prank(sponsor);
        uint64 study = consilium.createStudy(terms, payingConditions(), nodesFrom(1, n), sites(100));
        snapshot("createStudy, 100 sites, ", size);
        fund(study, 100 * uint256(BUDGET));

        uint256 rounds = 3 * uint256(RING) + 3;
        for (uint256 i = 1; i <= rounds; i++) {
            string memory lap = i == 2 ? "first lap, " : "";
            uint64 round = openNext(study);
            if (i == 2 || i == rounds) snapshot(string.concat("open, ", lap), size);
            Outcome memory outcome = outcomeOf(study, round, threshold, n, 100);
            certifyAs(outcome);
            if (i == 2 || i == rounds) snapshot(string.concat("certify, ", lap), size);
            settleAs(outcome);
            if (i == 2 || i == rounds) snapshot(string.concat("settle, ", lap), size);
            // Two windows of the ring's four: the round that leaves is settled for good.
            pass(WINDOW / 2);
        }
    }

    function test_gas_claims() public {
        deploy();
        uint64 study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, 100 * uint256(BUDGET));
        Outcome memory one = play(study, 1, 5, 5);
        Outcome memory two = play(study, 1, 5, 5);
        Outcome memory three = play(study, 1, 5, 5);
        pass(WINDOW);
        claimAlone(claimOf(one, 0, 0));
        vm.snapshotGasLastCall("claims", "claim, first of an account, 5 sites");
        claimAlone(claimOf(two, 0, 0));
        vm.snapshotGasLastCall("claims", "claim, later, 5 sites");

        // A sponsor pays everyone of a round in one transaction.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](9);
        for (uint32 i = 0; i < 9; i++) {
            claims[i] = claimOf(one, 0, i == 0 ? 0 : i);
        }
        claims[0] = claimOf(three, 0, 0);
        treasury.claim(claims);
        uint256 first = vm.snapshotGasLastCall("claims", "claim, 9 accounts, 8 of them for the first time");
        vm.snapshotValue("claims", "claim, each of these 9", first / 9);
        for (uint32 i = 0; i < 8; i++) {
            claims[i] = claimOf(two, 0, i + 1);
        }
        claims[8] = claimOf(three, 0, 1);
        treasury.claim(claims);
        uint256 later = vm.snapshotGasLastCall("claims", "claim, 9 later claims in one");
        vm.snapshotValue("claims", "claim, each of 9 later ones", later / 9);

        ITreasury.Claim[] memory many = new ITreasury.Claim[](1);
        many[0] = claimOf(three, 0, 2);
        treasury.claim(many);
    }

    function snapshot(string memory step, string memory size) private {
        vm.snapshotGasLastCall("rounds", string.concat(step, size));
    }
}
