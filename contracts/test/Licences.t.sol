// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILicences} from "../src/interfaces/ILicences.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {IStudyEvents} from "../src/interfaces/IStudyEvents.sol";
import {Play} from "./setup/Play.sol";

/// @dev The study as a token, licences to it, and who gets what they bring.
contract LicencesTest is Play {
    uint64 private study;
    address private buyer = address(0xB0B);
    uint96 private constant PRICE = 4003;

    function setUp() public {
        deploy();
        study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, 50 * uint256(BUDGET));
        vm.prank(sponsor);
        licences.setOffer(study, PRICE, 500);
    }

    function buy(uint32 quantity) private {
        coin.mint(buyer, uint256(PRICE) * quantity);
        vm.prank(buyer);
        coin.approve(address(treasury), uint256(PRICE) * quantity);
        vm.prank(buyer);
        licences.buy(study, quantity, PRICE, buyer);
    }

    // -------------------------------------------------------------------------------------------- the study

    function test_token_movesTheSponsorship() public {
        vm.assertEq(studyToken.ownerOf(study), sponsor, "owner");
        address next = address(0x2222);
        vm.prank(sponsor);
        studyToken.approve(next, study);
        vm.expectEmit(address(consilium));
        emit IStudyEvents.SponsorChanged(study, next);
        vm.prank(next);
        studyToken.transferFrom(sponsor, next, study);
        vm.assertEq(consilium.sponsorOf(study), next, "sponsor");
        uint64 deadline = uint64(vm.getBlockTimestamp()) + 10;
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotOperator.selector, study, sponsor));
        vm.prank(sponsor);
        consilium.openRound(study, SUBJECT, deadline, deadline + 1);
        // The nodes agreed to serve the one before.
        vm.expectRevert(abi.encodeWithSelector(IRecords.CommitteeVacant.selector, study));
        vm.prank(next);
        consilium.openRound(study, SUBJECT, deadline, deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoConsent.selector, node(1), next));
        vm.prank(next);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        consentAll(next);
        vm.prank(next);
        consilium.setCommittee(study, 1, nodesFrom(1, 5));
        vm.prank(next);
        consilium.openRound(study, SUBJECT, deadline, deadline + 1);
        vm.prank(next);
        treasury.withdraw(study, 1, next);
    }

    function test_token_isMintedByConsiliumAlone() public {
        (bool minted,) = address(studyToken).call(abi.encodeCall(studyToken.mint, (address(this), 99, address(this))));
        vm.assertTrue(!minted, "minted");
    }

    // -------------------------------------------------------------------------------------------- licences

    function test_licence_letsItsHolderDownload() public {
        vm.assertTrue(!licences.mayDownload(study, buyer), "not yet");
        buy(1);
        vm.assertTrue(licences.mayDownload(study, buyer), "holder");
        vm.assertTrue(licences.mayDownload(study, sponsor), "sponsor");
        vm.assertTrue(!licences.mayDownload(study, address(0)), "nobody");
        vm.prank(buyer);
        licences.safeTransferFrom(buyer, address(0xD1), study, 1, "");
        vm.assertTrue(!licences.mayDownload(study, buyer), "sold on");
        vm.assertTrue(licences.mayDownload(study, address(0xD1)), "new holder");
        vm.prank(sponsor);
        studyToken.setAuditor(study, buyer, true);
        vm.assertTrue(licences.mayDownload(study, buyer), "auditor");
    }

    function test_licence_offersAndPrices() public {
        vm.expectRevert(abi.encodeWithSelector(ILicences.NotTreasurer.selector, study, address(this)));
        licences.setOffer(study, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(ILicences.RoyaltyTooHigh.selector, 1001, 1000));
        vm.prank(sponsor);
        licences.setOffer(study, 1, 1001);
        vm.expectRevert(abi.encodeWithSelector(ILicences.PriceRisen.selector, PRICE, PRICE - 1));
        licences.buy(study, 1, PRICE - 1, buyer);
        vm.prank(sponsor);
        licences.setOffer(study, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ILicences.NotOffered.selector, study));
        licences.buy(study, 1, PRICE, buyer);
    }

    function test_licence_answersMarketplaces() public view {
        (address receiver, uint256 amount) = licences.royaltyInfo(study, 10_000);
        vm.assertEq(receiver, sponsor, "receiver");
        vm.assertEq(amount, 500, "five hundredths");
        vm.assertTrue(licences.supportsInterface(0x2a55205a) && licences.supportsInterface(0xd9b67a26), "2981, 1155");
    }
}
