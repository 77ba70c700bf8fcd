// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Trees} from "./Trees.sol";
import {Trial} from "./Trial.sol";

/// @dev A site whose key is at hand, so that it can sign two contributions to a round.
abstract contract Offender is Trial {
    uint256 internal constant SITE_KEY = 0x517E;

    /// @dev With the site that has a key as the first of its cohort.
    function playWithKey() internal returns (Outcome memory one) {
        one = outcomeOf(study, openNext(study), 1, 5, 5);
        one.cohort[0] = vm.addr(SITE_KEY);
        one.roots.setRoot = Trees.setRoot(one.cohort);
        one.roots.rewardRoot = Trees.rewardRoot(one.cohort, one.voters);
        certifyAs(one);
        settleAs(one);
        pass(WINDOW);
    }

    function strike(uint64 round) internal {
        address site = vm.addr(SITE_KEY);
        bytes32 one = digests.contributionDigest(study, round, site, SUBJECT, SET_ROOT);
        bytes32 other = digests.contributionDigest(study, round, site, REWARD_ROOT, SET_ROOT);
        (bytes32[2] memory first, bytes32[2] memory second) = (signCompact(SITE_KEY, one), signCompact(SITE_KEY, other));
        treasury.proveEquivocation(study, round, site, SUBJECT, SET_ROOT, first, REWARD_ROOT, SET_ROOT, second);
    }
}
