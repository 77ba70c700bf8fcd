// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {Play} from "./setup/Play.sol";
import {Vm} from "./setup/Test.sol";
import {Trees} from "./setup/Trees.sol";

/// @dev What a site loses that signed two contributions to one round, and what proves it.
contract EquivocationTest is Play {
    // BUDGET 1000, a quarter to 4 voters, the rest to 5 sites.
    uint256 private constant PER_SITE = 150;
    uint256 private constant SITE_KEY = 0x517E;

    struct Said {
        bytes32 digest;
        bytes32 boxes;
        bytes32[2] signature;
    }

    uint64 private study;

    function setUp() public {
        deploy();
        study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, 50 * uint256(BUDGET));
    }

    function refuseAsNotOwed(ITreasury.Claim memory one) private {
        vm.expectRevert(ITreasury.NothingOwed.selector);
        claimAlone(one);
    }

    function equivocate(uint64 round, bytes32 one, bytes32 other, bytes memory refusal) private {
        address site = vm.addr(SITE_KEY);
        bytes32[2] memory first = signCompact(SITE_KEY, digests.contributionDigest(study, round, site, one, SET_ROOT));
        bytes32[2] memory second =
            signCompact(SITE_KEY, digests.contributionDigest(study, round, site, other, SET_ROOT));
        if (refusal.length != 0) vm.expectRevert(refusal);
        treasury.proveEquivocation(study, round, site, one, SET_ROOT, first, other, SET_ROOT, second);
    }

    function test_equivocation_costsTheRoundAndThePlace() public {
        uint64 round = openNext(study);
        Outcome memory done = outcomeOf(study, round, 1, 5, 5);
        done.cohort[0] = vm.addr(SITE_KEY);
        done.roots.rewardRoot = Trees.rewardRoot(done.cohort, done.voters);
        done.roots.setRoot = Trees.setRoot(done.cohort);
        certifyAs(done);
        settleAs(done);
        equivocate(round, SUBJECT, REWARD_ROOT, "");
        vm.assertTrue(treasury.isStruck(study, done.cohort[0], round), "off the list");
        pass(WINDOW);
        refuseAsNotOwed(claimOf(done, 0));
        // The others are paid, in the same batch too.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](2);
        (claims[0], claims[1]) = (claimOf(done, 0), claimOf(done, 1));
        treasury.claim(claims);
        vm.assertEq(coin.balanceOf(done.cohort[0]), 0, "nothing for the struck one");
        vm.assertEq(coin.balanceOf(done.cohort[1]), PER_SITE, "all for the other");

        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotPermitted.selector, address(this)));
        treasury.restore(study, done.cohort[0], round);
        vm.prank(sponsor);
        treasury.restore(study, done.cohort[0], round);
        vm.assertTrue(!treasury.isStruck(study, done.cohort[0], round), "on the list");
        refuseAsNotOwed(claimOf(done, 0)); // what it lost stays lost
        bytes memory again = abi.encodeWithSelector(ITreasury.AlreadyStruck.selector, study, round, done.cohort[0]);
        equivocate(round, SUBJECT, REWARD_ROOT, again);
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NotStruck.selector, study, round, done.cohort[0]));
        vm.prank(sponsor);
        treasury.restore(study, done.cohort[0], round);
    }

    function test_equivocation_needsTwoDifferentStatementsOfTheSite() public {
        address site = vm.addr(SITE_KEY);
        equivocate(1, SUBJECT, SUBJECT, abi.encodeWithSelector(ITreasury.NoEquivocation.selector, site, site));
        bytes32[2] memory first = signCompact(SITE_KEY, digests.contributionDigest(study, 1, site, SUBJECT, SET_ROOT));
        bytes32[2] memory second = signCompact(7, digests.contributionDigest(study, 1, site, REWARD_ROOT, SET_ROOT));
        vm.expectRevert(abi.encodeWithSelector(ITreasury.NoEquivocation.selector, site, vm.addr(7)));
        treasury.proveEquivocation(study, 1, site, SUBJECT, SET_ROOT, first, REWARD_ROOT, SET_ROOT, second);
    }

    function said(uint64 round, bytes32 digest, bytes32 boxes) private view returns (Said memory) {
        bytes32 signed = digests.contributionDigest(study, round, vm.addr(SITE_KEY), digest, boxes);
        return Said(digest, boxes, signCompact(SITE_KEY, signed));
    }

    /// @dev Statements have no part of their own length: they are encoded as their four words.
    function proofOf(uint64 round, Said memory one, Said memory other) private view returns (bytes memory) {
        bytes4 selector = ITreasury.proveEquivocation.selector;
        return abi.encodeWithSelector(selector, study, round, vm.addr(SITE_KEY), one, other);
    }

    /// Whoever reads the event can verify the strike without the contract.
    function testFuzz_equivocation_tellsTheEvidenceAsItWasShown(uint64 round, bytes32[4] calldata words) public {
        if (words[0] == words[2] && words[1] == words[3]) return;
        Said memory one = said(round, words[0], words[1]);
        Said memory other = said(round, words[2], words[3]);
        vm.recordLogs();
        (bool proved,) = address(treasury).call(proofOf(round, one, other));
        vm.assertTrue(proved, "two contributions");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1, "one event");
        vm.assertEq(logs[0].topics.length, 2, "name and study");
        vm.assertEq(logs[0].topics[0], ITreasury.SiteStruck.selector, "its name");
        vm.assertEq(uint256(logs[0].topics[1]), study, "study");
        bytes memory expected = abi.encode(round, vm.addr(SITE_KEY), one, other);
        vm.assertEq(keccak256(logs[0].data), keccak256(expected), "round, site and both statements");
    }

    /// One digest with two lists of boxes is two contributions.
    function test_equivocation_inTheBoxesAlone() public {
        (bool proved,) =
            address(treasury).call(proofOf(1, said(1, SUBJECT, SET_ROOT), said(1, SUBJECT, keccak256("others"))));
        vm.assertTrue(proved && treasury.isStruck(study, vm.addr(SITE_KEY), 1), "struck");
    }

    /// The arguments are the event's data: none may have bits that its type has not.
    function test_equivocation_refusesArgumentsOutOfTheirRange() public {
        bytes memory proof = proofOf(1, said(1, SUBJECT, SET_ROOT), said(1, REWARD_ROOT, SET_ROOT));
        // The highest byte of study, round and site.
        for (uint256 place = 4; place < 4 + 3 * 32; place += 32) {
            proof[place] = 0x01;
            (bool accepted,) = address(treasury).call(proof);
            vm.assertTrue(!accepted, "dirty");
            proof[place] = 0x00;
        }
        (bool proved,) = address(treasury).call(proof);
        vm.assertTrue(proved, "clean");
    }
}
