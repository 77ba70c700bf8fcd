// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../src/interfaces/IRecords.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {MerkleTrees} from "../src/libraries/MerkleTrees.sol";
import {BlockingToken} from "./setup/BadTokens.sol";
import {Play} from "./setup/Play.sol";

/// @dev Where money goes: what a currency refuses, payees, votes that came late, and what nobody claims for years.
contract PaymentsTest is Play {
    uint64 private study;
    BlockingToken private token;
    uint256 private constant PER_SITE = 150;
    uint256 private constant PER_NODE = 62;
    uint256 private constant QUARTER = 91 days;
    // Divided by the weights without a rest.
    uint96 private constant PRICE = 50_000;

    function setUp() public {
        deploy();
        token = new BlockingToken();
        IRecords.Conditions memory conditions = payingConditions();
        conditions.currency = address(token);
        study = createStudyWith(defaultTerms(), conditions, 5);
        token.mint(address(this), 50 * uint256(BUDGET));
        token.approve(address(treasury), type(uint256).max);
        treasury.fund(study, 50 * uint256(BUDGET));
    }

    function asClaims(ITreasury.Claim memory one) private pure returns (ITreasury.Claim[] memory claims) {
        claims = new ITreasury.Claim[](1);
        claims[0] = one;
    }

    // -------------------------------------------------------------------------------------------- blocklists

    /// P8: a currency that refuses one account leaves that one unpaid, and nobody else.
    function test_block_ofOneAccountLeavesTheOthersPaid() public {
        Outcome memory one = play(study, 1, 5, 5);
        pass(WINDOW);
        token.setBlocked(one.cohort[1], true);
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](9);
        for (uint32 i = 0; i < 9; i++) {
            claims[i] = claimOf(one, i);
        }
        vm.expectEmit(address(treasury));
        emit ITreasury.PaymentRefused(study, one.cohort[1], one.cohort[1], PER_SITE);
        treasury.claim(claims);
        for (uint32 i = 0; i < 9; i++) {
            uint256 worth = i == 1 ? 0 : i < 5 ? PER_SITE : PER_NODE;
            vm.assertEq(token.balanceOf(accountOf(one, i)), worth, "all but the blocked one");
        }
        ITreasury.Unpaid memory unpaid = treasury.unpaidOf(study, one.cohort[1]);
        vm.assertEq(unpaid.amount, PER_SITE, "what waits for it");
        vm.assertEq(unpaid.since, vm.getBlockTimestamp(), "since now");

        vm.expectRevert(bytes("blocked"));
        treasury.payUnpaid(study, one.cohort[1]);
        token.setBlocked(one.cohort[1], false);
        vm.expectEmit(address(treasury));
        emit ITreasury.UnpaidSent(study, one.cohort[1], one.cohort[1], PER_SITE);
        treasury.payUnpaid(study, one.cohort[1]);
        vm.assertEq(token.balanceOf(one.cohort[1]), PER_SITE, "paid");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.payUnpaid(study, one.cohort[1]);
    }

    /// Whoever sends a claim with too little gas makes no payment fail: the whole call does.
    function test_block_cannotBeFeignedByLackOfGas() public {
        Outcome memory one = play(study, 1, 5, 5);
        pass(WINDOW);
        bytes memory call = abi.encodeCall(ITreasury.claim, (asClaims(claimOf(one, 1))));
        for (uint256 gas_ = 60_000; gas_ < 400_000; gas_ += 10_000) {
            uint256 before = vm.snapshotState();
            (bool done,) = address(treasury).call{gas: gas_}(call);
            vm.assertEq(treasury.unpaidOf(study, one.cohort[1]).amount, 0, "never unpaid");
            if (done) vm.assertEq(token.balanceOf(one.cohort[1]), PER_SITE, "paid");
            vm.revertToState(before);
        }
    }

    // -------------------------------------------------------------------------------------------- payees

    function test_payee_getsWhatTheAccountEarns() public {
        Outcome memory one = play(study, 1, 5, 5);
        Outcome memory two = play(study, 1, 5, 5);
        pass(WINDOW);
        address purse = address(0xBA4);
        vm.expectEmit(address(treasury));
        emit ITreasury.PayeeSet(study, one.cohort[1], purse);
        vm.prank(one.cohort[1]);
        treasury.setPayee(study, purse);
        treasury.claim(asClaims(claimOf(one, 1)));
        treasury.claim(asClaims(claimOf(one, 2)));
        vm.assertEq(token.balanceOf(purse), PER_SITE, "where it is wanted");
        vm.assertEq(token.balanceOf(one.cohort[2]), PER_SITE, "the others as ever");
        vm.prank(one.cohort[1]);
        treasury.setPayee(study, address(0));
        treasury.claim(asClaims(claimOf(two, 1)));
        vm.assertEq(token.balanceOf(one.cohort[1]), PER_SITE, "to itself again");
    }

    /// An account that the currency refuses names another, and is paid there.
    function test_payee_ofABlockedAccount() public {
        Outcome memory one = play(study, 1, 5, 5);
        pass(WINDOW);
        token.setBlocked(one.cohort[1], true);
        treasury.claim(asClaims(claimOf(one, 1)));
        vm.prank(one.cohort[1]);
        treasury.setPayee(study, address(0xBA4));
        treasury.payUnpaid(study, one.cohort[1]);
        vm.assertEq(token.balanceOf(address(0xBA4)), PER_SITE, "paid");
    }

    // -------------------------------------------------------------------------------------------- late votes

    function addVote(uint64 round, bytes32 setRoot, uint32 size, uint256 j, bytes memory refusal) private {
        bytes memory vote = sign(secret(j), digests.voteDigest(study, round, setRoot, size));
        if (refusal.length != 0) vm.expectRevert(refusal);
        consilium.addVotes(study, round, 1 << (j - 1), vote);
    }

    function lateClaim(Outcome memory one, uint32 j) private pure returns (ITreasury.Claim memory claim) {
        claim = claimOf(one, 5);
        claim.account = node(j);
        claim.shares[0].index = 9 + j - 1;
        claim.shares[0].path = new bytes32[](1);
        claim.shares[0].path[0] = one.roots.rewardRoot;
    }

    /// P7: whoever sends the certificate does not choose whose votes are paid.
    function test_votes_thatComeLateAreBelowNoOther() public {
        Outcome memory one = outcomeOf(study, openNext(study), 1, 5, 5);
        certifyAs(one); // of nodes 1 to 4
        bytes memory vote = sign(secret(5), digests.voteDigest(study, one.round, one.roots.setRoot, 5));
        vm.expectEmit(address(consilium));
        emit IStudyEvents.VotesAdded(study, one.round, 16, vote);
        consilium.addVotes(study, one.round, 16, vote);
        vm.assertEq(consilium.roundOf(study, one.round).lateVoters, 16, "late");
        vm.assertEq(consilium.lateVoterOf(study, one.round, 5), node(5), "node 5");
        vm.assertEq(consilium.lateVoterOf(study, one.round, 1), address(0), "not node 1");
        vm.assertEq(consilium.lateVoterOf(study, one.round, 0), address(0), "nor node 0");
        settleAs(one);
        pass(WINDOW);
        treasury.claim(asClaims(lateClaim(one, 5)));
        vm.assertEq(token.balanceOf(node(5)), 50, "a fifth of the nodes' 250");
        treasury.claim(asClaims(claimOf(one, 5)));
        vm.assertEq(token.balanceOf(node(1)), 50, "as each of the others");
        treasury.claim(asClaims(claimOf(one, 0)));
        vm.assertEq(token.balanceOf(one.cohort[0]), PER_SITE, "sites as ever");
        ITreasury.Claim[] memory again = asClaims(lateClaim(one, 5));
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.claim(again);
        ITreasury.Claim[] memory other = asClaims(lateClaim(one, 4));
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotALateVoter.selector, study, one.round, node(4)));
        treasury.claim(other);
        other[0].shares[0].index = type(uint32).max;
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotALateVoter.selector, study, one.round, node(4)));
        treasury.claim(other);
    }

    /// On record and off it, the path of such a leaf is the reward root and nothing else.
    function test_votes_thatComeLateAreClaimedWithTheRewardRootAlone() public {
        Outcome memory one = outcomeOf(study, openNext(study), 1, 5, 5);
        certifyAs(one);
        addVote(one.round, one.roots.setRoot, 5, 5, "");
        settleAs(one);
        for (uint256 i = 0; i <= RING; i++) {
            pass(WINDOW);
            ITreasury.Claim memory claim = lateClaim(one, 5);
            refusePath(claim, new bytes32[](0));
            bytes32[] memory longer = new bytes32[](2);
            longer[0] = one.roots.rewardRoot;
            refusePath(claim, longer);
            play(study, 1, 5, 5);
        }
    }

    function refusePath(ITreasury.Claim memory claim, bytes32[] memory path) private {
        claim.shares[0].path = path;
        ITreasury.Claim[] memory claims = asClaims(claim);
        uint256 index = claim.shares[0].index;
        vm.expectRevert(abi.encodeWithSelector(MerkleTrees.InvalidPath.selector, index, 9, path.length));
        treasury.claim(claims);
        vm.expectRevert(abi.encodeWithSelector(MerkleTrees.InvalidPath.selector, index, 9, path.length));
        treasury.announceEscheat(claims);
    }

    function test_votes_countOnceAndForTheCertifiedSetAlone() public {
        Outcome memory one = outcomeOf(study, openNext(study), 1, 5, 5);
        addVoteEarly(one);
        certifyAs(one);
        bytes memory wrong = abi.encodeWithSelector(IRecords.InvalidSignature.selector, 5, node(5));
        addVote(one.round, SET_ROOT, 5, 5, wrong);
        addVote(one.round, one.roots.setRoot, 6, 5, wrong);
        addVote(one.round, one.roots.setRoot, 5, 1, abi.encodeWithSelector(IRecords.AlreadyVoted.selector, 1));
        addVote(one.round, one.roots.setRoot, 5, 6, abi.encodeWithSelector(IRecords.UnknownSigner.selector, 32, 5));
        addVote(one.round, one.roots.setRoot, 5, 5, "");
        addVote(one.round, one.roots.setRoot, 5, 5, abi.encodeWithSelector(IRecords.AlreadyVoted.selector, 16));
        vm.expectRevert(abi.encodeWithSelector(IRecords.QuorumMissing.selector, 0, 1));
        consilium.addVotes(study, one.round, 0, "");
        settleAs(one);
        bytes memory late =
            abi.encodeWithSelector(IRecords.WrongState.selector, study, one.round, IRecords.State.Settled);
        addVote(one.round, one.roots.setRoot, 5, 5, late);
    }

    function addVoteEarly(Outcome memory one) private {
        bytes memory reason =
            abi.encodeWithSelector(IRecords.WrongState.selector, study, one.round, IRecords.State.Open);
        addVote(one.round, one.roots.setRoot, 5, 5, reason);
    }

    /// Also when the round has left the ring, and in what licences bring.
    function test_votes_thatCameLateArePaidOffTheRecordToo() public {
        Outcome[] memory all = new Outcome[](RING + 2);
        for (uint256 i = 0; i < all.length; i++) {
            all[i] = outcomeOf(study, openNext(study), 1, 5, 5);
            certifyAs(all[i]);
            if (i == 0) addVote(all[i].round, all[i].roots.setRoot, 5, 5, "");
            settleAs(all[i]);
            pass(WINDOW);
        }
        vm.assertEq(uint8(all[0].record >> 32), 1, "one late vote");
        bytes32[] memory leaves = new bytes32[](consilium.studyOf(study).archived);
        for (uint256 i = 0; i < leaves.length; i++) {
            leaves[i] = archiveLeaf(all[i]);
        }
        ITreasury.Claim memory claim = lateClaim(all[0], 5);
        claim.shares[0].record = all[0].record - (1 << 32);
        claim.shares[0].archivePath = archivePath(leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, all[0].round));
        treasury.claim(asClaims(claim));
        claim.shares[0].record = all[0].record;
        treasury.claim(asClaims(claim));
        vm.assertEq(token.balanceOf(node(5)), 50, "a fifth");
    }

    function test_votes_thatComeLateShareRevenue() public {
        vm.prank(sponsor);
        licences.setOffer(study, PRICE, 0);
        Outcome memory one = outcomeOf(study, openNext(study), 1, 5, 5);
        certifyAs(one);
        addVote(one.round, one.roots.setRoot, 5, 5, "");
        settleAs(one);
        token.mint(address(this), PRICE);
        licences.buy(study, 1, PRICE, address(this));
        pass(WINDOW);
        treasury.claim(asClaims(lateClaim(one, 5)));
        vm.assertEq(token.balanceOf(node(5)), 50 + 2500, "a fifth of a quarter");
    }

    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC1155Received.selector;
    }

    /// Who votes late is liable for the set as the others are.
    function test_votes_thatComeLateAnswerForTheSet() public {
        Outcome memory one = outcomeOf(study, openNext(study), 1, 5, 5);
        certifyAs(one);
        addVote(one.round, one.roots.setRoot, 5, 5, "");
        vm.prank(address(setCourt));
        IRecords.Certified memory told = consilium.disown(study, one.round);
        vm.assertEq(told.voters, 31, "all five");
    }

    // -------------------------------------------------------------------------------------------- after years

    function announce(ITreasury.Claim memory one) private {
        treasury.announceEscheat(asClaims(one));
    }

    function test_escheat_afterYearsAndAQuarterOfNotice() public {
        Outcome memory one = play(study, 1, 5, 5);
        uint256 due = vm.getBlockTimestamp() + 20 + ESCHEAT;
        pass(WINDOW);
        ITreasury.Claim memory claim = claimOf(one, 1);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, due - QUARTER));
        announce(claim);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, type(uint256).max));
        treasury.escheat(asClaims(claim)); // nobody was told
        vm.warp(due - QUARTER);
        vm.expectEmit(address(treasury));
        emit ITreasury.EscheatAnnounced(study, one.round, due);
        announce(claim);
        vm.assertEq(treasury.announcedAt(study, one.round), due - QUARTER, "announced");
        vm.warp(due - 1);
        announce(claim); // once more puts nothing off
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, due));
        treasury.escheat(asClaims(claim));
        // One claims in time.
        treasury.claim(asClaims(claimOf(one, 2)));
        vm.warp(due);
        ITreasury.Claim[] memory all = new ITreasury.Claim[](9);
        for (uint32 i = 0; i < 9; i++) {
            all[i] = claimOf(one, i);
        }
        vm.expectEmit(address(treasury));
        emit ITreasury.Escheated(study, one.cohort[0], PER_SITE);
        treasury.escheat(all);
        vm.assertEq(token.balanceOf(sink), 4 * PER_SITE + 4 * PER_NODE, "the sink's, and never the sponsor's");
        vm.assertEq(token.balanceOf(one.cohort[2]), PER_SITE, "who had claimed has it");
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.escheat(all);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.claim(all);
    }

    /// Nobody's leaf goes to the sink by an announcement about another round, or by a leaf that is not its own.
    function test_escheat_isOfTheAnnouncedRoundAlone() public {
        Outcome memory one = play(study, 1, 5, 5);
        Outcome memory two = play(study, 1, 5, 5);
        vm.warp(vm.getBlockTimestamp() + ESCHEAT + 20);
        announce(claimOf(one, 1));
        pass(QUARTER);
        ITreasury.Claim[] memory other = asClaims(claimOf(two, 1));
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, type(uint256).max));
        treasury.escheat(other);
        other = asClaims(claimOf(one, 1));
        other[0].account = address(0xBAD);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, one.round));
        treasury.escheat(other);
        other = asClaims(claimOf(two, 1));
        other[0].account = address(0xBAD);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotFinal.selector, study, two.round));
        treasury.announceEscheat(other);
    }

    /// The leaf's part in revenue goes with it.
    function test_escheat_takesTheLeafsRevenue() public {
        vm.prank(sponsor);
        licences.setOffer(study, PRICE, 0);
        Outcome memory one = play(study, 1, 5, 5);
        token.mint(address(this), 2 * PRICE);
        licences.buy(study, 1, PRICE, address(this));
        vm.warp(vm.getBlockTimestamp() + ESCHEAT + 20);
        announce(claimOf(one, 1));
        pass(QUARTER);
        treasury.escheat(asClaims(claimOf(one, 1)));
        vm.assertEq(token.balanceOf(sink), PER_SITE + 7500, "a fifth of three quarters");
        licences.buy(study, 1, PRICE, address(this));
        vm.assertEq(treasury.revenueOf(study, sink), 7500, "and of what comes");
        vm.assertEq(treasury.revenueOf(study, one.cohort[1]), 0, "it is the account's no more");
    }

    function test_escheat_ofWhatTheCurrencyRefuses() public {
        Outcome memory one = play(study, 1, 5, 5);
        pass(WINDOW);
        token.setBlocked(one.cohort[1], true);
        treasury.claim(asClaims(claimOf(one, 1)));
        uint256 due = vm.getBlockTimestamp() + ESCHEAT;
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, due - QUARTER));
        treasury.announceUnpaidEscheat(study, one.cohort[1]);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.announceUnpaidEscheat(study, one.cohort[2]);
        vm.warp(due);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, type(uint256).max));
        treasury.escheatUnpaid(study, one.cohort[1]);
        vm.expectEmit(address(treasury));
        emit ITreasury.UnpaidEscheatAnnounced(study, one.cohort[1], due + QUARTER);
        treasury.announceUnpaidEscheat(study, one.cohort[1]);
        vm.expectRevert(ITreasury.NothingOwed.selector);
        treasury.announceUnpaidEscheat(study, one.cohort[1]);
        vm.warp(due + QUARTER - 1);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.EscheatTooEarly.selector, due + QUARTER));
        treasury.escheatUnpaid(study, one.cohort[1]);
        pass(1);
        treasury.escheatUnpaid(study, one.cohort[1]);
        vm.assertEq(token.balanceOf(sink), PER_SITE, "the sink's");
        vm.assertEq(treasury.unpaidOf(study, one.cohort[1]).amount, 0, "and nobody else's");
    }
}
