// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {IStudyToken} from "../src/interfaces/IStudyToken.sol";
import {Play} from "./setup/Play.sol";
import {Relay} from "./setup/Receivers.sol";

/// @dev Who may do what: sponsor, operator of rounds, treasurer, guardian; and how a study changes hands, or ends.
contract RolesTest is Play {
    address private operator = address(0x0BE7);
    address private cashier = address(0xCA54);
    address private next = address(0x2222);
    uint64 private study;

    function setUp() public {
        deploy();
        study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, 50 * uint256(BUDGET));
    }

    function give(IStudyToken.Role role, address account) private {
        vm.prank(sponsor);
        studyToken.setRole(study, role, account);
    }

    function openAs(address account) private returns (uint64) {
        uint64 now_ = uint64(vm.getBlockTimestamp());
        vm.prank(account);
        return consilium.openRound(study, keccak256(abi.encode(now_)), now_ + 10, now_ + 20);
    }

    function refuseToOpen(address account) private {
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotOperator.selector, study, account));
        openAs(account);
    }

    function sell() private {
        vm.prank(sponsor);
        studyToken.approve(next, study);
        vm.prank(next);
        studyToken.transferFrom(sponsor, next, study);
    }

    // -------------------------------------------------------------------------------------------- roles

    function test_roles_areTheSponsorsAtFirst() public view {
        vm.assertEq(studyToken.holderOf(study, IStudyToken.Role.Operator), sponsor, "operator");
        vm.assertEq(studyToken.treasurerOf(study), sponsor, "treasurer");
        vm.assertEq(studyToken.guardianOf(study), guardian, "guardian, by the conditions");
        vm.assertEq(consilium.guardianOf(study), guardian, "and as Consilium tells it");
        vm.assertEq(consilium.studyOf(study).operator, sponsor, "and the operator");
    }

    function test_operator_opensRoundsAndDoesNothingElse() public {
        refuseToOpen(operator);
        vm.expectEmit(address(studyToken));
        emit IStudyToken.RoleSet(study, IStudyToken.Role.Operator, operator);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.OperatorChanged(study, operator);
        give(IStudyToken.Role.Operator, operator);
        openAs(operator);
        pass(10);
        openAs(sponsor); // who may still
        pass(10);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotTreasurer.selector, study, operator));
        vm.prank(operator);
        treasury.withdraw(study, 1, operator);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotSponsor.selector, study, operator));
        vm.prank(operator);
        consilium.setPolicy(study, 3, "instant");
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotSponsor.selector, study, operator));
        vm.prank(operator);
        consilium.endStudy(study);
        give(IStudyToken.Role.Operator, address(0));
        refuseToOpen(operator);
        refuseToOpen(address(1));
        openAs(sponsor);
    }

    /// A contract may be the operator: a schedule, or a vote.
    function test_operator_mayBeAContract() public {
        Relay relay = new Relay();
        give(IStudyToken.Role.Operator, address(relay));
        uint64 now_ = uint64(vm.getBlockTimestamp());
        relay.pass(address(consilium), abi.encodeCall(consilium.openRound, (study, SUBJECT, now_ + 10, now_ + 20)));
        assertState(study, 1, IRecords.State.Open);
    }

    function test_treasurer_takesOutFreeMoneyAndSetsPrices() public {
        give(IStudyToken.Role.Treasurer, cashier);
        refuseToOpen(cashier);
        vm.prank(cashier);
        treasury.withdraw(study, 7, address(7));
        vm.assertEq(coin.balanceOf(address(7)), 7, "taken out");
        vm.prank(cashier);
        licences.setOffer(study, 5, 0);
        vm.assertEq(licences.offerOf(study).price, 5, "price");
        vm.prank(sponsor);
        treasury.withdraw(study, 1, sponsor); // who may still
        give(IStudyToken.Role.Treasurer, address(0));
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotTreasurer.selector, study, cashier));
        vm.prank(cashier);
        treasury.withdraw(study, 1, cashier);
    }

    function test_roles_areNobodysToTake() public {
        address[3] memory others = [operator, cashier, guardian];
        give(IStudyToken.Role.Operator, operator);
        give(IStudyToken.Role.Treasurer, cashier);
        for (uint256 i = 0; i < 3; i++) {
            vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotSponsor.selector, study, others[i]));
            vm.prank(others[i]);
            studyToken.setRole(study, IStudyToken.Role.Treasurer, others[i]);
            vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotSponsor.selector, study, others[i]));
            vm.prank(others[i]);
            studyToken.setAuditor(study, others[i], true);
        }
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotSponsor.selector, 99, sponsor));
        vm.prank(sponsor);
        studyToken.setRole(99, IStudyToken.Role.Treasurer, sponsor);
        bytes memory reason = abi.encodeWithSelector(IRecords.NotPermitted.selector, sponsor);
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.operatorChanged(study, sponsor);
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.sponsorChanged(study, sponsor);
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.pause(study, type(uint64).max);
    }

    // -------------------------------------------------------------------------------------------- changing hands

    /// In two steps: nobody is made a sponsor, and no approval for all studies exists.
    function test_transfer_isTakenByItsReceiver() public {
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotTheReceiver.selector, sponsor, next));
        vm.prank(sponsor);
        studyToken.transferFrom(sponsor, next, study);
        vm.expectRevert(IStudyToken.NoApprovalForAll.selector);
        vm.prank(sponsor);
        studyToken.setApprovalForAll(next, true);
        vm.expectRevert(abi.encodeWithSignature("ERC721InsufficientApproval(address,uint256)", next, study));
        vm.prank(next);
        studyToken.transferFrom(sponsor, next, study);
        // Who is approved takes it for itself and for nobody else.
        vm.prank(sponsor);
        studyToken.approve(next, study);
        vm.expectRevert(abi.encodeWithSelector(IStudyToken.NotTheReceiver.selector, next, operator));
        vm.prank(next);
        studyToken.transferFrom(sponsor, operator, study);
        vm.prank(sponsor);
        studyToken.approve(address(0), study); // it changes its mind
        vm.expectRevert(abi.encodeWithSignature("ERC721InsufficientApproval(address,uint256)", next, study));
        vm.prank(next);
        studyToken.transferFrom(sponsor, next, study);
        sell();
        vm.assertEq(studyToken.ownerOf(study), next, "owner");
        vm.assertEq(studyToken.tenureOf(study), 1, "tenure");
    }

    /// P15: what the seller arranged ends with the sale: roles, auditors, prices.
    function test_transfer_endsWhatTheSellerArranged() public {
        give(IStudyToken.Role.Operator, operator);
        give(IStudyToken.Role.Treasurer, cashier);
        vm.prank(sponsor);
        studyToken.setAuditor(study, operator, true);
        vm.prank(sponsor);
        licences.setOffer(study, 1, 100);
        sell();
        refuseToOpen(operator);
        refuseToOpen(sponsor);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotTreasurer.selector, study, cashier));
        vm.prank(cashier);
        treasury.withdraw(study, 1, cashier);
        vm.assertEq(studyToken.treasurerOf(study), next, "treasurer");
        vm.assertEq(studyToken.holderOf(study, IStudyToken.Role.Operator), next, "operator");
        vm.assertEq(studyToken.guardianOf(study), address(0), "guardian");
        vm.assertTrue(!studyToken.isAuditor(study, operator), "auditor");
        vm.assertEq(licences.offerOf(study).price, 0, "price");
        (address receiver, uint256 royalty) = licences.royaltyInfo(study, 10_000);
        vm.assertTrue(receiver == next && royalty == 0, "royalty");
        vm.prank(next);
        treasury.withdraw(study, 1, next);
    }

    // -------------------------------------------------------------------------------------------- the end

    function test_end_dischargesCommitteeAndMoney() public {
        Outcome memory one = play(study, 1, 5, 5);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.StudyEnded(study);
        vm.prank(sponsor);
        consilium.endStudy(study);
        vm.assertTrue(consilium.studyOf(study).ended, "ended");
        for (uint256 j = 1; j <= 5; j++) {
            INodeRegistry.Bond memory bond = registry.bondOf(study, node(j));
            vm.assertTrue(bond.standing == INodeRegistry.Standing.Discharged, "discharged");
            vm.assertEq(bond.until, vm.getBlockTimestamp() + UNBONDING, "liable as ever");
        }
        bytes memory ended = abi.encodeWithSelector(IRecords.Ended.selector, study);
        vm.expectRevert(ended);
        openAs(sponsor);
        vm.expectRevert(ended);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        vm.expectRevert(ended);
        vm.prank(sponsor);
        consilium.endStudy(study);
        // All but the round's pay, rounding included.
        uint128 free = consilium.studyOf(study).free;
        vm.assertEq(free, 49 * BUDGET + 2, "free");
        vm.prank(sponsor);
        treasury.withdraw(study, free, sponsor);
        pass(WINDOW);
        for (uint32 i = 0; i < 9; i++) {
            claimAlone(claimOf(one, i));
        }
        vm.assertEq(coin.balanceOf(address(treasury)), 0, "nothing is left behind");
        pass(UNBONDING);
        registry.reclaim(study, node(1));
        vm.assertEq(registry.nodeOf(node(1)).stake, STAKE, "the stake is its own");
    }

    function test_end_waitsForTheRoundInProgress() public {
        uint64 round = openNext(study);
        bytes memory reason = abi.encodeWithSelector(IRecords.RoundInProgress.selector, study, round);
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.endStudy(study);
        certifyAs(outcomeOf(study, round, 1, 5, 5));
        vm.expectRevert(reason);
        vm.prank(sponsor);
        consilium.endStudy(study);
        pass(20);
        vm.prank(sponsor);
        consilium.endStudy(study);
        assertState(study, round, IRecords.State.Abandoned);
        vm.assertEq(consilium.studyOf(study).free, 50 * BUDGET, "its budget is back");
    }

    /// A lie that is proved after the end gives back its budget, and the rounding not twice.
    function test_end_aLateProofGivesBackWhatIsLeft() public {
        Outcome memory lie = outcomeOf(study, openNext(study), 1, 5, 5);
        lie.roots.rewardRoot = sha256("no rewards");
        certifyAs(lie);
        settleAs(lie);
        vm.prank(sponsor);
        consilium.endStudy(study);
        vm.assertEq(consilium.studyOf(study).free, 49 * BUDGET + 2, "the rounding");
        vm.prank(address(0xBEE));
        setCourt.proveMalformedRewards(study, lie.round, lie.roots, "no rewards");
        vm.assertEq(consilium.studyOf(study).free, 50 * BUDGET, "all of it");
    }

    // -------------------------------------------------------------------------------------------- roundings

    /// P16: what the formula leaves of a budget is the sponsor's again when the next round opens, once.
    function test_roundings_comeBack() public {
        play(study, 1, 5, 5);
        vm.assertEq(consilium.studyOf(study).free, 49 * BUDGET, "reserved as yet");
        Outcome memory lie = outcomeOf(study, openNext(study), 1, 5, 5);
        vm.assertEq(consilium.studyOf(study).free, 48 * BUDGET + 2, "1000 - 5 * 150 - 4 * 62");
        lie.roots.rewardRoot = sha256("no rewards");
        certifyAs(lie);
        settleAs(lie);
        vm.prank(address(0xBEE));
        setCourt.proveMalformedRewards(study, lie.round, lie.roots, "no rewards");
        vm.assertEq(consilium.studyOf(study).free, 49 * BUDGET + 2, "a lie gives all of its budget back");
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodesFrom(6, 5));
        openNext(study);
        vm.assertEq(consilium.studyOf(study).free, 48 * BUDGET + 2, "and no rounding");
    }
}
