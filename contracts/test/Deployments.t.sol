// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Consilium} from "../src/Consilium.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {PrivacyBudget} from "../src/PrivacyBudget.sol";
import {SetCourt} from "../src/SetCourt.sol";
import {Sponsorship} from "../src/Sponsorship.sol";
import {Treasury} from "../src/Treasury.sol";
import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {SumKind} from "../src/kinds/sum/SumKind.sol";
import {Licences} from "../src/tokens/Licences.sol";
import {StudyToken} from "../src/tokens/StudyToken.sol";
import {Deployment} from "./setup/Deployment.sol";

/// @dev Deployment: which parts fit together, and under which rules.
contract DeploymentsTest is Deployment {
    function setUp() public {
        deploy();
    }

    /// The refusal of larger ids cannot be tried here: forge itself has no chain beyond 2^64 - 1.
    function test_deploy_acceptsTheLargestChainIdOfTheProtocol() public {
        vm.chainId(type(uint64).max);
        deploy();
        (,,, uint256 chainId, address verifyingContract,,) = Consilium(address(consilium)).eip712Domain();
        vm.assertEq(chainId, type(uint64).max, "chain id");
        vm.assertEq(verifyingContract, address(consilium), "contract");
    }

    function test_deploy_refusesContractsOfAnotherConsilium() public {
        // Each part in turn is that of another Consilium, where all others are right.
        IRecords.Parts memory theirs = parts();
        address[6] memory strangers = [
            address(sumKind),
            address(setCourt),
            address(registry),
            address(studyToken),
            address(treasury),
            address(privacyBudget)
        ];
        for (uint256 i = 0; i < strangers.length; i++) {
            deployParts();
            IRecords.Parts memory mixed = parts();
            if (i == 0) mixed.kinds = theirs.kinds;
            if (i == 1) mixed.setCourt = theirs.setCourt;
            if (i == 2) mixed.registry = theirs.registry;
            if (i == 3) mixed.token = theirs.token;
            if (i == 4) mixed.treasury = theirs.treasury;
            if (i == 5) mixed.privacyBudget = theirs.privacyBudget;
            refuseParts(mixed, strangers[i]);
        }
    }

    /// A judge that convicts elsewhere convicts nobody, and a shop of others may not take what buyers allowed.
    function test_deploy_refusesJudgesAndShopsThatWorkForOthers() public {
        (NodeRegistry theirs, address shop) = (registry, address(licences));
        deployPartsWith(theirs, address(0));
        refuseParts(parts(), address(sumKind));
        deployPartsWith(NodeRegistry(address(0)), shop);
        refuseParts(parts(), shop);
    }

    /// @dev As `deployParts`, but for a kind that convicts elsewhere, or a treasury that works for another shop, if one is named.
    function deployPartsWith(NodeRegistry convicts, address shop) private {
        uint64 nonce = vm.getNonce(address(this));
        address place = vm.computeCreateAddress(address(this), nonce + 8);
        registry = new NodeRegistry(STAKE, UNBONDING, PROBATION, COMPENSATION, CLAIM_TIME, sink, place);
        studyToken = new StudyToken(place);
        address own = vm.computeCreateAddress(address(this), nonce + 3);
        treasury = new Treasury(place, shop == address(0) ? own : shop, ESCHEAT, sink);
        licences = new Licences(IConsilium(place), treasury, studyToken);
        setCourt = new SetCourt(place, registry);
        sumKind = new SumKind(place, address(convicts) == address(0) ? registry : convicts);
        privacyBudget = new PrivacyBudget(place);
    }

    /// The other half of its code must know the same contracts and rules.
    function test_deploy_refusesASponsorshipOfOtherRules() public {
        deployParts();
        IRecords.Rules memory other = rules();
        other.disputeTime += 1;
        sponsorship = new Sponsorship(parts(), other);
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotOurs.selector, address(sponsorship)));
        new Consilium(parts(), rules(), sponsorship);
    }

    /// @dev As the next but one contract, for which the parts were deployed.
    function refuseParts(IRecords.Parts memory mixed, address stranger) private {
        sponsorship = new Sponsorship(mixed, rules());
        vm.expectRevert(abi.encodeWithSelector(IRecords.NotOurs.selector, stranger));
        new Consilium(mixed, rules(), sponsorship);
    }

    function test_deploy_onlyATrialHasShorterWindowsThanAnHour() public {
        IRecords.Rules memory strict = rules();
        (strict.trial, strict.minimumWindow) = (false, 1 hours - 1);
        refuseRules(strict, abi.encodeWithSelector(IRecords.WindowTooShort.selector, 1 hours - 1));
        (strict.minimumWindow, strict.longestPause) = (1 hours, 0);
        deployWith(strict);
        vm.assertTrue(!consilium.trial() && consilium.minimumWindow() == 1 hours, "as it was deployed");
        registerAll();
        IRecords.Conditions memory conditions = defaultConditions();
        conditions.challengeWindow = 1 hours - 1;
        refuseConditions(
            conditions, abi.encodeWithSelector(IRecords.InvalidWindow.selector, 1 hours - 1, 1 hours, COMPENSATION)
        );
        conditions.challengeWindow = 1 hours;
        createStudyWith(defaultTerms(), conditions, 5);
    }

    function refuseRules(IRecords.Rules memory wanted, bytes memory reason) private {
        deployParts();
        sponsorship = new Sponsorship(parts(), wanted);
        vm.expectRevert(reason);
        new Consilium(parts(), wanted, sponsorship);
    }

    function refuseConditions(IRecords.Conditions memory conditions, bytes memory reason) private {
        vm.expectRevert(reason);
        createStudyWith(defaultTerms(), conditions, 5);
    }
}
