// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../src/interfaces/IRecords.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {TrialToken} from "../src/tokens/TrialToken.sol";
import {CallingToken, FalseToken, FeeToken, MuteToken} from "./setup/BadTokens.sol";
import {Play} from "./setup/Play.sol";
import {Vm} from "./setup/Test.sol";
import {Trees} from "./setup/Trees.sol";

/// @dev Funding, refunds, claims on record and off, and odd currencies.
contract TreasuryTest is Play {
    uint64 private study;
    uint256 private constant FUNDS = 50 * uint256(BUDGET);
    // BUDGET 1000, a quarter to 4 voters, the rest to 5 sites.
    uint256 private constant PER_SITE = 150;
    uint256 private constant PER_NODE = 62;

    function setUp() public {
        deploy();
        study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, FUNDS);
    }

    function free() private view returns (uint256) {
        return consilium.studyOf(study).free;
    }

    function refuseAsNotOwed(ITreasury.Claim memory one) private {
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(one);
    }

    // -------------------------------------------------------------------------------------------- funds

    function test_funds_areReservedByARoundAndComeBackFromAVoidOne() public {
        vm.assertEq(free(), FUNDS, "funded");
        uint64 round = openNext(study);
        vm.assertEq(free(), FUNDS - BUDGET, "reserved");
        pass(10);
        consilium.voidRound(study, round);
        vm.assertEq(free(), FUNDS, "refunded");
    }

    function test_funds_comeBackFromAnAbandonedRoundAtTheNextOpening() public {
        certifyAs(outcomeOf(study, openNext(study), 1, 5, 5));
        pass(20);
        openNext(study);
        vm.assertEq(free(), FUNDS - BUDGET, "one back, one reserved");
    }

    /// A sponsor that promises more for later rounds gets no more back for this one.
    function test_funds_comeBackAsTheyWereReserved() public {
        uint64 round = openNext(study);
        vm.prank(sponsor);
        consilium.setRewards(study, 2 * BUDGET, 0);
        pass(10);
        consilium.voidRound(study, round);
        vm.assertEq(free(), FUNDS, "of a void round");
        round = openNext(study);
        certifyAs(outcomeOf(study, round, 1, 5, 5));
        vm.prank(sponsor);
        consilium.setRewards(study, 3 * BUDGET, 0);
        pass(20);
        consilium.abandonRound(study, round);
        vm.assertEq(free(), FUNDS, "of an abandoned round");
    }

    function test_funds_areTheSponsorsAlone() public {
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotTreasurer.selector, study, address(this)));
        treasury.withdraw(study, 1, address(this));
        openNext(study);
        uint128 all = uint128(FUNDS - BUDGET);
        vm.expectRevert(abi.encodeWithSelector(IRecords.FundsMissing.selector, study, all, all + 1));
        vm.prank(sponsor);
        treasury.withdraw(study, all + 1, sponsor);
        vm.prank(sponsor);
        treasury.withdraw(study, all, address(7));
        vm.assertEq(coin.balanceOf(address(7)), all, "withdrawn");
        pass(10);
        consilium.voidRound(study, 1);
        vm.prank(sponsor);
        treasury.withdraw(study, uint128(BUDGET), sponsor);
        uint64 deadline = uint64(vm.getBlockTimestamp()) + 10;
        vm.expectRevert(abi.encodeWithSelector(IRecords.FundsMissing.selector, study, 0, BUDGET));
        vm.prank(sponsor);
        consilium.openRound(study, SUBJECT, deadline, deadline + 10);
    }

    function test_funds_byPermit() public {
        uint256 key = 0xF00D;
        address payer = vm.addr(key);
        coin.mint(payer, 77);
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                payer,
                address(treasury),
                77,
                0,
                type(uint256).max
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked(hex"1901", coin.DOMAIN_SEPARATOR(), permit)));
        // Somebody else sends the permit first: the funding goes through all the same.
        coin.permit(payer, address(treasury), 77, type(uint256).max, v, r, s);
        vm.prank(payer);
        treasury.fundWithPermit(study, 77, type(uint256).max, v, r, s);
        vm.assertEq(free(), FUNDS + 77, "funded");
    }

    function test_funds_aStudyWithoutACurrencyRunsAndTakesNone() public {
        uint64 other = createStudy(1, 5);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NoCurrency.selector, other));
        treasury.fund(other, 1);
        Outcome memory done = play(other, 1, 5, 5);
        pass(WINDOW);
        refuseAsNotOwed(claimOf(done, 0));
        vm.expectRevert(IRecords.InvalidRewards.selector);
        vm.prank(sponsor);
        consilium.setRewards(other, 1, 0);
    }

    function test_rewards_changeForLaterRoundsOnly() public {
        Outcome memory first = play(study, 1, 5, 5);
        vm.prank(sponsor);
        consilium.setRewards(study, 500, 0);
        Outcome memory second = play(study, 1, 5, 5);
        pass(WINDOW);
        claimAlone(claimOf(first, 0));
        vm.assertEq(coin.balanceOf(first.cohort[0]), PER_SITE, "as opened");
        claimAlone(claimOf(second, 0));
        vm.assertEq(coin.balanceOf(first.cohort[0]), PER_SITE + 100, "as opened later");
        vm.expectRevert(IRecords.InvalidRewards.selector);
        vm.prank(sponsor);
        consilium.setRewards(study, 1, 10_001);
    }

    // -------------------------------------------------------------------------------------------- claims

    function test_claim_paysEverySiteAndVoterOnceWhoeverSends() public {
        Outcome memory done = play(study, 1, 5, 5);
        pass(WINDOW);
        for (uint32 i = 0; i < 9; i++) {
            vm.prank(address(0xCAFE));
            claimAlone(claimOf(done, i));
            vm.assertEq(coin.balanceOf(accountOf(done, i)), i < 5 ? PER_SITE : PER_NODE, "paid");
            refuseAsNotOwed(claimOf(done, i));
        }
        vm.assertEq(coin.balanceOf(address(treasury)), FUNDS - 5 * PER_SITE - 4 * PER_NODE, "held");
    }

    /// Anyone may pay one leaf first, and no batch that has another stops for that; the account gets each leaf once.
    function test_claim_aLeafPaidMeanwhileIsPassedOver() public {
        Outcome memory first = play(study, 1, 5, 5);
        Outcome memory second = play(study, 1, 5, 5);
        pass(WINDOW);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](3);
        claims[0] = claimOf(first, 0);
        claims[0].shares = new ITreasury.Share[](2);
        (claims[0].shares[0], claims[0].shares[1]) = (shareOf(first, 0), shareOf(second, 0));
        claims[1] = claimOf(first, 1);
        claims[2] = claimOf(first, 8);
        vm.prank(address(0xBAD));
        claimAlone(claimOf(second, 0));
        vm.prank(address(0xBAD));
        claimAlone(claimOf(first, 1));

        vm.recordLogs();
        treasury.claim(claims);
        vm.assertEq(announced(), 2, "no word of what paid nothing");
        vm.assertEq(coin.balanceOf(first.cohort[0]), 2 * PER_SITE, "both rounds, each once");
        vm.assertEq(coin.balanceOf(first.cohort[1]), PER_SITE, "once");
        vm.assertEq(coin.balanceOf(first.voters[3]), PER_NODE, "in the same transaction");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.claim(claims);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.claim(new ITreasury.Claim[](0));
    }

    /// A leaf twice in one batch is paid once; one that is wrong stops the batch.
    function test_claim_twiceInABatchPaysOnce() public {
        Outcome memory done = play(study, 1, 5, 5);
        pass(WINDOW);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](3);
        claims[0] = claimOf(done, 2);
        claims[1] = claimOf(done, 2);
        claims[2] = claimOf(done, 3);
        claims[2].account = address(0xBAD);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, done.round));
        treasury.claim(claims);
        claims[2] = claims[0];
        treasury.claim(claims);
        vm.assertEq(coin.balanceOf(done.cohort[2]), PER_SITE, "once");
    }

    /// @dev How many payments the treasury has told of.
    function announced() private returns (uint256 count) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == ITreasury.Claimed.selector) count++;
        }
    }

    function test_claim_notWithinTheChallengeWindow() public {
        Outcome memory done = play(study, 1, 5, 5);
        ITreasury.Claim memory one = claimOf(done, 0);
        pass(WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, done.round));
        claimAlone(one);
        pass(1);
        claimAlone(one);
    }

    /// Anyone may claim for anyone, so no order of claims may cost anybody anything.
    function test_claim_inAnyOrderOfRounds() public {
        Outcome memory first = play(study, 1, 5, 5);
        Outcome memory second = play(study, 1, 5, 5);
        pass(WINDOW);
        vm.prank(address(0xBAD));
        claimAlone(claimOf(second, 2));
        claimAlone(claimOf(first, 2));
        vm.assertEq(coin.balanceOf(first.cohort[2]), 2 * PER_SITE, "nothing is skipped");
    }

    function test_claim_manyRoundsAtOnceOnRecordAndOff() public {
        uint256 count = 11;
        Outcome[] memory outcomes = new Outcome[](count);
        for (uint256 i = 0; i < count; i++) {
            outcomes[i] = play(study, 1, 5, 5);
            pass(WINDOW / 2);
        }
        pass(WINDOW);
        uint256 archived = consilium.studyOf(study).archived;
        vm.assertTrue(archived >= count - RING, "the older ones left the ring");
        bytes32[] memory leaves = new bytes32[](archived);
        for (uint256 i = 0; i < archived; i++) {
            leaves[i] = archiveLeaf(outcomes[i]);
        }

        ITreasury.Claim memory one;
        (one.study, one.account) = (study, outcomes[0].cohort[1]);
        one.shares = new ITreasury.Share[](count);
        for (uint256 i = 0; i < count; i++) {
            one.shares[i] = shareOf(outcomes[i], 1);
            if (i + RING >= count) continue;
            (one.shares[i].record, one.shares[i].position) = (outcomes[i].record, uint32(i));
            one.shares[i].archivePath = archivePath(leaves, i);
        }
        claimAlone(one);
        vm.assertEq(coin.balanceOf(one.account), count * PER_SITE, "all rounds");
        refuseAsNotOwed(one);
    }

    function testFuzz_claim_offTheRecordNeedsTheExactLeaf(uint256 field) public {
        Outcome memory first = play(study, 1, 5, 5);
        bytes32[] memory leaves = new bytes32[](1);
        for (uint256 i = 0; i < RING; i++) {
            pass(WINDOW / 2);
            play(study, 1, 5, 5);
        }
        leaves[0] = archiveLeaf(first);
        vm.assertTrue(consilium.studyOf(study).archived == 2, "two archived");
        ITreasury.Claim memory one = claimOf(first, 1);
        ITreasury.Share memory share = one.shares[0];
        share.record = first.record;
        share.archivePath = new bytes32[](1);
        uint256 which = bound(field, 0, 5);
        if (which == 0) share.record += 1;
        if (which == 1) share.position = 1;
        if (which == 2) share.aggregateRoot = SUBJECT;
        if (which == 3) share.archivePath = new bytes32[](0);
        if (which == 4) share.archivePath = new bytes32[](2);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, first.round));
        claimAlone(one);
    }

    function testFuzz_claim_needsTheExactLeaf(uint8 field) public {
        Outcome memory done = play(study, 1, 5, 5);
        pass(WINDOW);
        ITreasury.Claim memory one = claimOf(done, 1);
        uint256 which = bound(field, 0, 6);
        if (which == 0) one.account = address(0xBAD);
        if (which == 1) one.shares[0].sites = 6;
        if (which == 2) one.shares[0].setRoot = SUBJECT;
        if (which == 3) one.shares[0].path[1] = SUBJECT;
        if (which == 4) one.shares[0].index = 0;
        if (which == 5) (one.shares[0].sites, one.shares[0].nodes) = (4, 5);
        if (which == 6) one.shares[0].round += RING;
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, one.shares[0].round));
        claimAlone(one);
    }

    /// A committee that signs what it likes pays whom it likes, but never more than the round's budget: the other
    /// study's money is out of reach.
    function test_claim_neverMoreThanTheBudgetWhateverWasSigned() public {
        uint64 victim = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(victim, FUNDS);
        uint64 round = openNext(study);
        Outcome memory crooked = outcomeOf(study, round, 1, 5, 5);
        // One account in all leaves; and a leaf of a thousand units.
        address[] memory friends = new address[](5);
        for (uint256 i = 0; i < 5; i++) {
            friends[i] = address(0xBAD);
        }
        bytes32[] memory leaves = Trees.rewardLeaves(friends, crooked.voters);
        leaves[8] = Trees.leaf(abi.encodePacked(address(0xBAD), uint8(1), uint64(1000)));
        crooked.cohort = friends;
        crooked.roots.rewardRoot = Trees.rootOf(4, 9, leaves);
        certifyAs(crooked);
        settleAs(crooked);
        pass(WINDOW);
        ITreasury.Claim memory one = claimOf(crooked, 0);
        one.shares[0].path = Trees.open(leaves, 0);
        claimAlone(one);
        for (uint32 i = 1; i < 5; i++) {
            one.shares[0].index = i;
            one.shares[0].path = Trees.open(leaves, i);
            refuseAsNotOwed(one);
        }
        one.shares[0].index = 8;
        one.shares[0].path = Trees.open(leaves, 8);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, round));
        claimAlone(one);
        vm.assertEq(coin.balanceOf(address(0xBAD)), PER_SITE, "one leaf's worth");
    }

    // -------------------------------------------------------------------------------------------- odd currencies

    function withCurrency(address currency) private returns (uint64 other) {
        IRecords.Conditions memory conditions = payingConditions();
        conditions.currency = currency;
        return createStudyWith(defaultTerms(), conditions, 5);
    }

    function fundBy(uint64 other, TrialToken token, uint256 amount) private {
        token.mint(sponsor, amount);
        vm.prank(sponsor);
        token.approve(address(treasury), amount);
        vm.prank(sponsor);
        treasury.fund(other, amount);
    }

    function test_currency_thatKeepsAFeeIsRefused() public {
        FeeToken token = new FeeToken();
        uint64 other = withCurrency(address(token));
        token.mint(sponsor, 1000);
        vm.prank(sponsor);
        token.approve(address(treasury), 1000);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.AmountNotReceived.selector, 990, 1000));
        vm.prank(sponsor);
        treasury.fund(other, 1000);
    }

    function test_currency_thatSaysFalseOrIsNoneIsRefused() public {
        FalseToken token = new FalseToken();
        uint64 other = withCurrency(address(token));
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(token)));
        treasury.fund(other, 1);
        other = withCurrency(address(0xE0A));
        (bool funded,) = address(treasury).call(abi.encodeCall(ITreasury.fund, (other, 1)));
        vm.assertTrue(!funded, "an account without code is no currency");
    }

    function test_currency_thatSaysNothingIsTaken() public {
        MuteToken token = new MuteToken();
        uint64 other = withCurrency(address(token));
        token.mint(address(this), 5000);
        treasury.fund(other, 5000);
        Outcome memory done = play(other, 1, 5, 5);
        pass(WINDOW);
        claimAlone(claimOf(done, 0));
        vm.assertEq(token.balanceOf(done.cohort[0]), PER_SITE, "paid");
    }

    function test_currency_thatCallsBackGetsNothingTwice() public {
        CallingToken token = new CallingToken();
        uint64 other = withCurrency(address(token));
        fundBy(other, token, 5000);
        Outcome memory done = play(other, 1, 5, 5);
        pass(WINDOW);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](1);
        claims[0] = claimOf(done, 0);
        token.arm(treasury, abi.encodeCall(ITreasury.claim, (claims)));
        treasury.claim(claims);
        vm.assertTrue(token.refused(), "the inner claim is refused");
        vm.assertEq(token.balanceOf(done.cohort[0]), PER_SITE, "paid once");
        token.arm(treasury, abi.encodeCall(ITreasury.fund, (other, 0)));
        vm.prank(sponsor);
        treasury.withdraw(other, 1, sponsor);
        vm.assertTrue(token.refused(), "no way in while paying out");
    }

    function test_others_mayNotTouchTheBooks() public {
        bytes memory reason = abi.encodeWithSelector(ITreasury.NotPermitted.selector, address(this));
        vm.expectRevert(reason);
        treasury.openPurse(study, address(coin));
        vm.expectRevert(reason);
        treasury.collect(study, sponsor, 1);
        reason = abi.encodeWithSelector(IRecords.NotPermitted.selector, address(this));
        vm.expectRevert(reason);
        consilium.credit(study, 1);
        vm.expectRevert(reason);
        consilium.debit(study, sponsor, 1);
        vm.expectRevert(reason);
        consilium.refute(study, 1, 0);
        vm.expectRevert(reason);
        consilium.disown(study, 1);
        vm.expectRevert(reason);
        consilium.vacate(study);
        vm.expectRevert(reason);
        consilium.convictBySettlement(study, 1, 0, true);
        vm.expectRevert(reason);
        consilium.convictByCertificate(study, 1, true);
        vm.expectRevert(reason);
        consilium.sponsorChanged(study, address(this));
    }
}
