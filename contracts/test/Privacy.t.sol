// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IPrivacyBudget} from "../src/interfaces/IPrivacyBudget.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Play} from "./setup/Play.sol";

/// @dev Rounds that draw on a sponsor's privacy account: no round is opened beyond it, in whichever study.
contract PrivacyTest is Play {
    uint64 private constant COST = 30;
    uint64 private account;
    uint64 private study;

    function setUp() public {
        deploy();
        account = open(100);
        study = studyOn(account, COST);
    }

    function open(uint64 budget) private returns (uint64) {
        vm.prank(sponsor);
        return privacyBudget.openAccount("radiology", budget, 10 ** 13);
    }

    function studyOn(uint64 account_, uint64 cost) private returns (uint64) {
        return createStudyWith(defaultTerms(), conditionsOn(account_, cost), 5);
    }

    function conditionsOn(uint64 account_, uint64 cost) private view returns (IRecords.Conditions memory conditions) {
        conditions = defaultConditions();
        conditions.bond = BOND / 8;
        (conditions.privacyAccount, conditions.privacyCost) = (account_, cost);
    }

    function spent() private view returns (uint64) {
        return privacyBudget.accountOf(account).spent;
    }

    // -------------------------------------------------------------------------------------------- accounts

    function test_account_isOpenedByItsOwner() public {
        vm.expectEmit(address(privacyBudget));
        emit IPrivacyBudget.AccountOpened(2, sponsor, "radiology", 7, 10 ** 13);
        vm.assertEq(open(7), 2, "the second");
        IPrivacyBudget.Account memory told = privacyBudget.accountOf(2);
        vm.assertEq(told.owner, sponsor, "owner");
        vm.assertTrue(told.budget == 7 && told.spent == 0 && told.delta == 10 ** 13, "as it was opened");
        vm.assertEq(privacyBudget.accounts(), 2, "count");
    }

    function test_account_hasLimits() public {
        bytes4 invalid = IPrivacyBudget.InvalidAccount.selector;
        vm.expectRevert(invalid);
        privacyBudget.openAccount("", 1, 1);
        string memory longest = "0123456789012345678901234567890123456789012345678901234567890123";
        vm.expectRevert(invalid);
        privacyBudget.openAccount(string.concat(longest, "4"), 1, 1);
        vm.expectRevert(invalid);
        privacyBudget.openAccount("a", 0, 1);
        vm.expectRevert(invalid);
        privacyBudget.openAccount("a", 1, 0);
        vm.expectRevert(invalid);
        privacyBudget.openAccount("a", 1, 10 ** 18);
        privacyBudget.openAccount(longest, 1, 10 ** 18 - 1);
    }

    function test_account_isDrawnOnByItsOwnersStudiesAlone() public {
        vm.prank(address(0xBAD));
        uint64 theirs = privacyBudget.openAccount("theirs", 100, 1);
        IRecords.Conditions memory conditions = conditionsOn(theirs, 1);
        vm.expectRevert(abi.encodeWithSelector(IPrivacyBudget.NotTheOwner.selector, theirs, sponsor));
        this.create(conditions);
        conditions = conditionsOn(99, 1);
        vm.expectRevert(abi.encodeWithSelector(IPrivacyBudget.NotTheOwner.selector, 99, sponsor));
        this.create(conditions);
        conditions = conditionsOn(account, 0);
        vm.expectRevert(IRecords.InvalidPrivacyCost.selector);
        this.create(conditions);
        conditions = conditionsOn(0, 1);
        vm.expectRevert(IRecords.InvalidPrivacyCost.selector);
        this.create(conditions);
    }

    function create(IRecords.Conditions memory conditions) external {
        createStudyWith(defaultTerms(), conditions, 5);
    }

    function test_account_isChargedByConsiliumAlone() public {
        bytes memory reason = abi.encodeWithSelector(IPrivacyBudget.NotConsilium.selector, address(this));
        vm.expectRevert(reason);
        privacyBudget.join(study, sponsor, account, 1);
        vm.expectRevert(reason);
        privacyBudget.charge(study);
        vm.expectRevert(reason);
        privacyBudget.giveBack(study);
    }

    // -------------------------------------------------------------------------------------------- rounds

    function test_rounds_addUpOverStudies() public {
        vm.expectEmit(address(privacyBudget));
        emit IPrivacyBudget.StudyJoined(account, study + 1, 70);
        uint64 other = studyOn(account, 70);
        vm.assertEq(consilium.conditionsOf(other).privacyAccount, account, "account");
        vm.assertEq(consilium.conditionsOf(other).privacyCost, 70, "cost");
        vm.expectEmit(address(privacyBudget));
        emit IPrivacyBudget.Charged(account, study, 30);
        play(study, 1, 5, 5);
        play(other, 1, 5, 5);
        vm.assertEq(spent(), 100, "all of it");
        vm.expectRevert(abi.encodeWithSelector(IPrivacyBudget.BudgetSpent.selector, account, 0, COST));
        this.openNextOf(study);
        vm.assertEq(consilium.studyOf(study).rounds, 1, "no round");
        // Studies without an account open rounds as ever.
        play(createStudy(1, 5), 1, 5, 5);
    }

    function openNextOf(uint64 which) external {
        openNext(which);
    }

    function test_rounds_aVoidOneGivesBackOnce() public {
        uint64 round = openNext(study);
        pass(10);
        vm.expectEmit(address(privacyBudget));
        emit IPrivacyBudget.GivenBack(account, study, 0);
        consilium.voidRound(study, round);
        vm.expectRevert(abi.encodeWithSelector(IRecords.WrongState.selector, study, round, IRecords.State.Void));
        consilium.voidRound(study, round);
        vm.assertEq(spent(), 0, "back");
        openNext(study);
        pass(10);
        openNext(study); // records the one before as void
        vm.assertEq(spent(), COST, "one is open");
        pass(10);
        vm.prank(sponsor);
        consilium.endStudy(study);
        vm.assertEq(spent(), 0, "none");
    }

    /// Their sum may be known.
    function test_rounds_abandonedAndFalseOnesGiveNothingBack() public {
        certifyAs(outcomeOf(study, openNext(study), 1, 5, 5));
        pass(20);
        consilium.abandonRound(study, 1);
        vm.assertEq(spent(), COST, "abandoned");
        Outcome memory lie = outcomeOf(study, openNext(study), 1, 5, 5);
        lie.roots.rewardRoot = sha256("no rewards");
        certifyAs(lie);
        settleAs(lie);
        vm.prank(address(0xBEE));
        setCourt.proveMalformedRewards(study, lie.round, lie.roots, "no rewards");
        vm.assertEq(spent(), 2 * COST, "fraudulent");
    }

    /// A study that is sold goes on drawing on the account: its patients were promised that.
    function test_rounds_ofASoldStudyDrawOnTheAccount() public {
        address next = address(0x2222);
        vm.prank(sponsor);
        studyToken.approve(next, study);
        vm.prank(next);
        studyToken.transferFrom(sponsor, next, study);
        consentAll(next);
        vm.prank(next);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        uint64 now_ = uint64(vm.getBlockTimestamp());
        vm.prank(next);
        consilium.openRound(study, SUBJECT, now_ + 10, now_ + 20);
        vm.assertEq(spent(), COST, "charged");
    }
}
