// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {Deployment} from "./setup/Deployment.sol";

/// @dev What a sender pays for a round, intrinsic gas included: snapshots/rounds.json. The number of sites and the
/// length of the updates do not enter.
contract GasTest is Deployment {
    function test_gas_committeeOf5() public {
        measure(1, 5, "n=5");
    }

    function test_gas_committeeOf9() public {
        measure(2, 9, "n=9");
    }

    function measure(uint8 threshold, uint256 n, string memory size) private {
        deploy();
        IConsilium.StudyTerms memory terms = defaultTerms();
        terms.threshold = threshold;
        vm.prank(sponsor);
        uint64 study = consilium.createStudy(terms, nodesFrom(1, n), sites(100));
        snapshot("createStudy, 100 sites, ", size);
        uint256 signers = 2 ** (3 * uint256(threshold) + 1) - 1;

        // The second round is the typical one: the study's own slots are in use.
        for (uint64 round = 1; round <= 2; round++) {
            vm.prank(sponsor);
            consilium.openRound(study, keccak256(abi.encode(round)), DEADLINE, SETTLE_BY);
            snapshot("open, ", size);
            bytes memory votes = signatures(consilium.voteDigest(study, round, SET_ROOT, 100), signers);
            consilium.certify(study, round, SET_ROOT, 100, signers, votes);
            snapshot("certify, ", size);
            bytes memory signed = signatures(settlementDigest(study, round, SET_ROOT, shareRoots(n)), signers);
            consilium.settle(study, round, shareRoots(n), AGGREGATE_ROOT, REWARD_ROOT, signers, signed);
            snapshot("settle, ", size);
        }
    }

    function snapshot(string memory step, string memory size) private {
        vm.snapshotGasLastCall("rounds", string.concat(step, size));
    }
}
