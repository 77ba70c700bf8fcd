// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Digests} from "./Digests.sol";
import {Test} from "./Test.sol";

/// @dev The digests that viem computed (test/eip712.vectors.json), one after the other.
abstract contract DigestCases is Test {
    uint256 private constant CASES = 21; // seven statements, three samples each

    string internal json;

    function readCases() internal returns (address verifyingContract) {
        json = vm.readFile("test/eip712.vectors.json");
        vm.chainId(vm.parseJsonUint(json, ".domain.chainId"));
        return vm.parseJsonAddress(json, ".domain.verifyingContract");
    }

    function checkCases(Digests statements) internal view {
        for (uint256 i = 0; i < CASES; i++) {
            bytes32 expected = vm.parseJsonBytes32(json, string.concat(path(i), ".digest"));
            vm.assertEq(digest(statements, i), expected, path(i));
        }
        vm.assertTrue(!vm.keyExistsJson(json, path(CASES)), "no case was left out");
    }

    function digest(Digests statements, uint256 i) private view returns (bytes32) {
        bytes32 kind = keccak256(bytes(vm.parseJsonString(json, string.concat(path(i), ".type"))));
        uint64 study = uint64(number(i, "study"));
        uint64 round = uint64(number(i, "round"));
        if (kind == keccak256("Contribution")) {
            return statements.contributionDigest(study, round, account(i, "site"), word(i, "digest"), word(i, "boxes"));
        }
        if (kind == keccak256("Receipt")) {
            return statements.receiptDigest(study, round, account(i, "site"), word(i, "digest"));
        }
        if (kind == keccak256("Vote")) {
            return statements.voteDigest(study, round, word(i, "setRoot"), uint32(number(i, "size")));
        }
        if (kind == keccak256("Final")) {
            return statements.finalDigest(study, word(i, "subject"), round, word(i, "setRoot"));
        }
        if (kind == keccak256("ShareRoot")) {
            return
                statements.shareRootDigest(study, round, word(i, "setRoot"), uint8(number(i, "index")), word(i, "root"));
        }
        if (kind == keccak256("Access")) {
            return statements.accessDigest(study, round, word(i, "object"), uint64(number(i, "expires")));
        }
        vm.assertEq(kind, keccak256("Settlement"), "a statement of the protocol");
        return statements.settlementDigest(
            study, round, word(i, "setRoot"), word(i, "shareRootsHash"), word(i, "aggregateRoot"), word(i, "rewardRoot")
        );
    }

    function path(uint256 i) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]");
    }

    function field(uint256 i, string memory name) private pure returns (string memory) {
        return string.concat(path(i), ".message.", name);
    }

    function number(uint256 i, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, field(i, name));
    }

    function word(uint256 i, string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, field(i, name));
    }

    function account(uint256 i, string memory name) private view returns (address) {
        return vm.parseJsonAddress(json, field(i, name));
    }
}
