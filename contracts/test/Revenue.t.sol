// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../src/interfaces/IRecords.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {Offender} from "./setup/Offender.sol";

/// @dev Licence revenue: a price belongs, from its payment on, to the rounds settled before it, by terms that were theirs.
contract RevenueTest is Offender {
    // Divided by the weights without a rest.
    uint96 private constant PRICE = 50_000;
    address private buyer = address(0xB0B);

    function setUp() public {
        prepare(1, 5);
        vm.prank(sponsor);
        licences.setOffer(study, PRICE, 500);
    }

    function buy() private {
        allow();
        order();
    }

    function allow() private {
        coin.mint(buyer, PRICE);
        vm.prank(buyer);
        coin.approve(address(treasury), PRICE);
    }

    function order() private {
        vm.prank(buyer);
        licences.buy(study, 1, PRICE, buyer);
    }

    function free() private view returns (uint256) {
        return consilium.studyOf(study).free;
    }

    /// @dev Without what the round itself pays.
    function revenueFrom(Outcome memory one, uint32 index, uint256 pay) private returns (uint256) {
        address account = accountOf(one, index);
        uint256 before = coin.balanceOf(account);
        claimAlone(claimOf(one, index));
        return coin.balanceOf(account) - before - pay;
    }

    // -------------------------------------------------------------------------------------------- whose it is

    function test_revenue_isOfTheRoundsSettledBeforeTheSale() public {
        Outcome memory first = play(study, 1, 5, 5);
        allow();
        vm.expectEmit(address(treasury));
        emit ITreasury.RevenueReceived(study, buyer, PRICE, 1);
        order();
        Outcome memory second = play(study, 1, 5, 5);
        pass(WINDOW);
        // A quarter to four voters, the rest to five sites.
        vm.assertEq(revenueFrom(first, 0, 150), 7500, "a site of the first round");
        vm.assertEq(revenueFrom(first, 5, 62), 3125, "a voter of the first round");
        vm.assertEq(revenueFrom(second, 1, 150), 0, "the second round came after the sale");
        buy();
        vm.assertEq(treasury.revenueOf(study, first.cohort[0]), 3750, "half of the next");
        vm.assertEq(treasury.revenueOf(study, second.cohort[1]), 3750, "and half for the second round");
        vm.assertEq(consilium.roundOf(study, second.round).period, 1, "settled in the first period");
        vm.assertEq(treasury.purseOf(study).periods, 2, "a settlement lies between the sales");
    }

    /// Accounts that claimed before anything was sold show their leaves once more, and from then on nothing.
    function test_revenue_needsALeafOnceAndThenNone() public {
        Outcome memory first = play(study, 1, 5, 5);
        pass(WINDOW);
        claimAlone(claimOf(first, 0));
        vm.assertTrue(!treasury.isEnrolled(study, first.cohort[0], 1, false), "nothing was sold");
        buy();
        vm.assertEq(revenueFrom(first, 0, 0), 7500, "shown again");
        vm.assertTrue(treasury.isEnrolled(study, first.cohort[0], 1, false), "enrolled");
        ITreasury.Claim memory again = claimOf(first, 0);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(again);
        buy();
        again.shares = new ITreasury.Share[](0);
        claimAlone(again);
        vm.assertEq(coin.balanceOf(first.cohort[0]), 150 + 15_000, "by the account alone");
        ITreasury.Holding memory holding = treasury.holdingOf(study, first.cohort[0]);
        vm.assertEq(holding.weight, 7500, "three quarters of ten thousand");
        vm.assertEq(uint256(int256(holding.debt)), 15_000 << 40, "all that it has earned");
    }

    /// P6: a sponsor that sets the nodes' share to everything, before a sale or after it, takes nothing from the sites.
    function test_revenue_noChangeOfTermsReachesBack() public {
        Outcome memory first = play(study, 1, 5, 5);
        vm.prank(sponsor);
        consilium.setRewards(study, BUDGET, 10_000);
        buy();
        Outcome memory second = play(study, 1, 5, 5);
        vm.prank(sponsor);
        consilium.setRewards(study, BUDGET, 0);
        buy();
        pass(WINDOW);
        vm.assertEq(revenueFrom(first, 0, 150), 7500 + 3750, "three quarters, as when it opened");
        vm.assertEq(revenueFrom(second, 5, 250), 6250, "all of the second round's half to its four voters");
        ITreasury.Claim memory none = claimOf(second, 1);
        vm.expectRevert(ITreasury.NothingOwed.selector); // none to its sites, as when it opened
        claimAlone(none);
        vm.assertEq(revenueFrom(first, 1, 150), 7500 + 3750, "the second site of the first round");
    }

    /// P17: rounds that a sponsor runs with sites of its own after a sale have no part in it.
    function test_revenue_laterRoundsDiluteNothing() public {
        vm.prank(sponsor);
        consilium.setPolicy(study, 2, "instant");
        Outcome[] memory all = new Outcome[](11);
        all[0] = play(study, 1, 5, 5);
        buy();
        for (uint256 i = 1; i <= 10; i++) {
            all[i] = play(study, 1, 5, 2);
            pass(WINDOW);
        }
        bytes32[] memory leaves = new bytes32[](consilium.studyOf(study).archived);
        for (uint256 i = 0; i < leaves.length; i++) {
            leaves[i] = archiveLeaf(all[i]);
        }
        ITreasury.Claim memory one = claimOf(all[0], 2);
        one.shares[0].record = all[0].record;
        one.shares[0].archivePath = archivePath(leaves, 0);
        claimAlone(one);
        vm.assertEq(coin.balanceOf(all[0].cohort[2]), 150 + 7500, "all of it");
    }

    /// A sale so early that no round was settled brings the sponsor its price.
    function test_revenue_isTheSponsorsWhileNobodyHasEarnedIt() public {
        uint256 before = free();
        allow();
        vm.expectEmit(address(treasury));
        emit ITreasury.RevenueReceived(study, buyer, PRICE, 0);
        order();
        vm.assertEq(free(), before + PRICE, "free money");
        vm.assertEq(treasury.purseOf(study).periods, 0, "no period");
    }

    /// P19: what a sale costs does not depend on how many rounds there were.
    function test_revenue_aSaleLooksAtNoRound() public {
        play(study, 1, 5, 5);
        buy();
        buy();
        uint256 before = gasleft();
        buy();
        uint256 early = before - gasleft();
        for (uint256 i = 0; i < 8; i++) {
            play(study, 1, 5, 5);
            pass(WINDOW);
        }
        buy();
        before = gasleft();
        buy();
        vm.assertTrue(before - gasleft() < early + 2000, "as cheap as before");
    }

    function test_revenue_isBookedByTheShopAlone() public {
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotPermitted.selector, address(this)));
        treasury.strikeOut(study, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotPermitted.selector, address(this)));
        consilium.sell(study);
    }

    /// A sponsor's pay is what rounding leaves, no more than a unit a weight: the books add up to the coin.
    function testFuzz_revenue_isSharedToTheUnit(uint96 price, uint16 nodeShare, uint8 count) public {
        price = uint96(bound(price, 1, 2 ** 80));
        nodeShare = uint16(bound(nodeShare, 0, 10_000));
        uint256 cohort = bound(count, 3, ADMITTED);
        vm.prank(sponsor);
        consilium.setRewards(study, 0, nodeShare);
        vm.prank(sponsor);
        licences.setOffer(study, price, 0);
        Outcome memory one = play(study, 1, 5, cohort);
        coin.mint(address(this), price);
        coin.approve(address(treasury), price);
        licences.buy(study, 1, price, buyer);
        pass(WINDOW);
        uint256 paid = 0;
        for (uint32 i = 0; i < cohort + 4; i++) {
            ITreasury.Claim[] memory claims = new ITreasury.Claim[](1);
            claims[0] = claimOf(one, i);
            try treasury.claim(claims) {
                paid += coin.balanceOf(accountOf(one, i));
            } catch (bytes memory reason) {
                vm.assertEq(bytes32(reason), bytes32(ITreasury.NothingOwed.selector), "less than a unit");
            }
        }
        vm.assertTrue(paid <= price && price - paid <= cohort + 4, "a unit an account, at the most");
    }

    // -------------------------------------------------------------------------------------------- lies, strikes

    /// What a false round has earned until its proof is nobody's: the sponsor's, and no site of the lie is paid.
    function test_revenue_ofARoundThatIsStruckOut() public {
        Outcome memory first = play(study, 1, 5, 5);
        pass(WINDOW);
        Outcome memory lie = lieOf();
        certifyAs(lie);
        settleAs(lie);
        buy();
        vm.assertEq(treasury.restOf(study), 0, "not yet");
        proveLie(lie);
        vm.assertEq(treasury.restOf(study), 25_000, "half of the sale");
        buy();
        vm.assertEq(revenueFrom(first, 0, 150), 3750 + 7500, "half of the first sale, all of the second");
        uint256 before = free();
        treasury.returnForfeits(study, new ITreasury.Claim[](0));
        vm.assertEq(free(), before + 25_000, "the sponsor's again");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.returnForfeits(study, new ITreasury.Claim[](0));
    }

    /// Of a round that was struck out before anything was sold nothing is left in the books.
    function test_revenue_aRoundStruckOutBeforeTheSaleHasNoPart() public {
        Outcome memory lie = lieOf();
        certifyAs(lie);
        settleAs(lie);
        proveLie(lie);
        uint256 before = free();
        buy();
        vm.assertEq(free(), before + PRICE, "no round has earned it");
    }

    function returnOne(ITreasury.Claim memory one) private {
        ITreasury.Claim[] memory forfeits = new ITreasury.Claim[](1);
        forfeits[0] = one;
        treasury.returnForfeits(study, forfeits);
    }

    /// A site that contradicted itself gets nothing of its round, nor of what it earns; both are the sponsor's again.
    function test_revenue_ofAStruckSiteIsTheSponsors() public {
        Outcome memory one = playWithKey();
        Outcome memory clean = playWithKey();
        buy();
        ITreasury.Claim memory lost = claimOf(one, 0);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        returnOne(lost); // nobody was struck
        strike(one.round);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(lost);
        uint256 before = free();
        returnOne(lost);
        vm.assertEq(free(), before + 150 + 3750, "what the round pays it, and its half of the sale");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        returnOne(lost); // once
        buy();
        ITreasury.Claim memory nobodys = ITreasury.Claim(study, address(0), new ITreasury.Share[](0));
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(nobodys); // the sponsor's part is not sent away either
        returnOne(lost);
        vm.assertEq(free(), before + 150 + 7500, "and of the next sale");
        claimAlone(claimOf(clean, 0));
        vm.assertEq(coin.balanceOf(one.cohort[0]), 150 + 7500, "the other round's, and its half of both sales");
    }

    /// A strike takes from then on: what the site was paid and has earned by then is its own.
    function test_revenue_ofASiteThatIsStruckLate() public {
        Outcome memory one = playWithKey();
        buy();
        claimAlone(claimOf(one, 0));
        buy();
        strike(one.round);
        uint256 before = free();
        ITreasury.Claim memory lost = claimOf(one, 0);
        returnOne(lost);
        vm.assertEq(free(), before, "the leaf is the sponsor's, and has earned it nothing yet");
        vm.assertTrue(!treasury.isEnrolled(study, one.cohort[0], one.round, false), "enrolled no more");
        buy();
        returnOne(lost);
        vm.assertEq(free(), before + 7500, "what the leaf earned since");
        lost.shares = new ITreasury.Share[](0);
        claimAlone(lost);
        vm.assertEq(coin.balanceOf(one.cohort[0]), 150 + 15_000, "a sale that was paid, and the one before the strike");
    }

    // -------------------------------------------------------------------------------------------- a lie

    /// @dev One of whose share roots is the top of nothing.
    function lieOf() private returns (Outcome memory lie) {
        lie = outcomeOf(study, openNext(study), 1, 5, 5);
        lie.roots.shareRoots[4] = sha256("the top of nothing");
    }

    function proveLie(Outcome memory lie) private {
        vm.prank(reporter);
        sumKind.proveMalformedRoot(study, lie.round, lie.roots, program(), 5, "the top of nothing");
    }
}
