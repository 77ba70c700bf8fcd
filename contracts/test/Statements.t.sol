// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Consilium} from "../src/Consilium.sol";
import {Deployment} from "./setup/Deployment.sol";
import {DigestCases} from "./setup/DigestCases.sol";
import {Digests} from "./setup/Digests.sol";

/// @dev The digests that viem computed are those that tests sign, in the domain that the contract tells.
contract StatementsTest is Deployment, DigestCases {
    Consilium private pinned;

    function setUp() public {
        deploy();
        pinned = Consilium(readCases());
        vm.etch(address(pinned), address(consilium).code);
    }

    function test_domain_isThatOfTheVectors() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            pinned.eip712Domain();
        vm.assertEq(name, vm.parseJsonString(json, ".domain.name"), "name");
        vm.assertEq(version, vm.parseJsonString(json, ".domain.version"), "version");
        vm.assertEq(chainId, vm.parseJsonUint(json, ".domain.chainId"), "chain id");
        vm.assertEq(verifyingContract, address(pinned), "contract");
    }

    function test_digests_areThoseOfViem() public {
        checkCases(new Digests(address(pinned)));
    }
}
