// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {Play} from "./Play.sol";
import {Trees} from "./Trees.sol";

/// @dev Bonds on their way to harmed sites: the node of a study's fifth seat contradicts itself, the next node takes
/// the seat, and anyone assigns, pays and freezes at random. Books of its own say what each step must do.
abstract contract HarmHandler is Play {
    uint64 public constant STUDIES = 2;

    struct Lost {
        uint64 study;
        address node;
        /// The round that the evidence named, and the one whose sites are paid (0: not assigned).
        uint64 harmed;
        uint64 source;
        uint256 kept;
        uint256 until;
        uint256 each;
        /// Bit i: site i of the set was paid.
        uint256 paid;
        bool frozen;
    }

    address private constant REPORTER = address(0xBEE);

    Lost[] private _lost;
    mapping(uint64 study => uint256) private _seat;
    /// Sites of each certified round, and the newest such round.
    mapping(uint64 study => mapping(uint64 round => uint256)) private _size;
    mapping(uint64 study => uint64) private _newest;
    /// What proofs paid to their sender, and lost bonds to sites.
    uint256 public rewarded;
    uint256 public compensated;

    // -------------------------------------------------------------------------------------------- steps

    function contradict(uint256 which, uint256 about) external {
        uint64 study = _study(which);
        uint256 j = _fifth(study);
        // Rarely, or nobody is left.
        if (about % 4 != 0 || j == NODES) return;
        uint64 round = uint64(bound(about / 4, 1, uint256(consilium.studyOf(study).rounds) + 1));
        bytes32[2] memory one = signCompact(secret(j), consilium.finalDigest(study, SUBJECT, round, SET_ROOT));
        bytes32[2] memory other = signCompact(secret(j), consilium.finalDigest(study, SUBJECT, round, REWARD_ROOT));
        vm.prank(REPORTER);
        registry.proveTwoFinals(study, SUBJECT, round, SET_ROOT, one, round, REWARD_ROOT, other);
        rewarded += BOND / 10;
        vm.assertEq(REPORTER.balance, rewarded, "a tenth at once");

        Lost storage lost = _lost.push();
        (lost.study, lost.node, lost.harmed) = (study, node(j), round);
        (lost.kept, lost.until) = (BOND - BOND / 10, vm.getBlockTimestamp() + COMPENSATION);
        address[] memory nodes = nodesFrom(1, 5);
        nodes[4] = node(j + 1);
        vm.prank(sponsor);
        consilium.setCommittee(study, 1, nodes);
        _seat[study] = j + 1;
    }

    function assignCompensation(uint256 which) external {
        if (_lost.length == 0) return;
        Lost storage lost = _lost[which % _lost.length];
        uint64 source = _isCertified(lost.study, lost.harmed) ? lost.harmed : _newest[lost.study];
        bool allowed = lost.source == 0 && _isCertified(lost.study, source);
        try registry.assignCompensation(lost.study, lost.node) {
            vm.assertTrue(allowed, "assign: must be refused");
            (lost.source, lost.each) = (source, lost.kept / _size[lost.study][source]);
        } catch {
            vm.assertTrue(!allowed, "assign: must succeed");
        }
    }

    function compensate(uint256 which, uint256 place) external {
        if (_lost.length == 0) return;
        Lost storage lost = _lost[which % _lost.length];
        uint256 size = lost.source == 0 ? 3 : _size[lost.study][lost.source];
        place = bound(place, 0, size);
        address[] memory cohort = sites(size + 1);
        address site = cohort[place];
        bytes32[] memory path = place < size ? Trees.open(Trees.setLeaves(sites(size)), place) : new bytes32[](0);
        bool allowed = lost.source != 0 && !lost.frozen && vm.getBlockTimestamp() >= lost.until && place < size
            && (lost.paid >> place) & 1 == 0;
        uint256 before = site.balance;
        try registry.compensate(lost.study, lost.node, uint32(place), site, Trees.digestOf(site), path) {
            vm.assertTrue(allowed, "compensate: must be refused");
            vm.assertEq(site.balance - before, lost.each, "an equal part");
            lost.paid |= 1 << place;
            compensated += lost.each;
        } catch {
            vm.assertTrue(!allowed, "compensate: must succeed");
        }
    }

    function freeze(uint256 which, bool frozen) external {
        if (_lost.length == 0) return;
        Lost storage lost = _lost[which % _lost.length];
        bool allowed = !frozen || vm.getBlockTimestamp() < lost.until;
        vm.prank(guardian);
        try registry.freezeCompensation(lost.study, lost.node, frozen) {
            vm.assertTrue(allowed, "freeze: must be refused");
            lost.frozen = frozen;
        } catch {
            vm.assertTrue(!allowed, "freeze: must succeed");
        }
    }

    // -------------------------------------------------------------------------------------------- the books

    function lostBonds() external view returns (Lost[] memory) {
        return _lost;
    }

    function stakes() external view returns (NodeRegistry) {
        return registry;
    }

    function _certifiedOf(uint64 study, uint64 round, uint256 size) internal {
        (_size[study][round], _newest[study]) = (size, round);
    }

    function _isCertified(uint64 study, uint64 round) private view returns (bool) {
        return _size[study][round] != 0 && round + RING > consilium.studyOf(study).rounds;
    }

    function _fifth(uint64 study) private view returns (uint256) {
        return _seat[study] == 0 ? 5 : _seat[study];
    }

    function _study(uint256 which) internal pure returns (uint64) {
        return uint64(bound(which, 1, STUDIES));
    }
}
