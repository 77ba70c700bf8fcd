// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {ISetCourt} from "../../src/interfaces/ISetCourt.sol";
import {ISumKind} from "../../src/kinds/sum/ISumKind.sol";
import {HarmHandler} from "./HarmHandler.sol";
import {Trees} from "./Trees.sol";

/// @dev Evidence against sets, rewards and vectors, right and wrong, each shown for rounds that have its fault and for rounds
/// that have another or none; the word of a judge; two statements of one node; and what nodes do for themselves.
abstract contract EvidenceHandler is HarmHandler {
    uint64 private constant LENGTH = 100; // of the result, by the default terms: four leaves
    uint256 private constant LEAF = 256;

    /// What nodes added to their stake.
    uint256 public deposited;

    // -------------------------------------------------------------------------------------------- sets and rewards

    function proveForeignSite(uint256 which, uint256 what, uint256 about) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _faulty(study, what, Fault.Site);
        uint256 last = held.outcome.cohort.length - 1;
        // Not the first: the site that can sign stands at the head of the list, out of its order.
        uint256 place = about % 4 == 0 ? 1 + (about / 4) % last : last;
        ICourt.SetMember memory member = setMember(held.outcome.cohort, uint32(place));
        bool allowed = held.fault == Fault.Site && place == last && _onRecord(study, held.outcome.round);
        ISetCourt.Absence memory absence = _behindTheLast();
        vm.prank(REPORTER);
        try setCourt.proveForeignSite(study, held.outcome.round, member, absence) {
            _expect(allowed, true, "foreign site");
            // Shown once more, or of a round that lapsed, it takes what bonds there are.
            if (held.state == IRecords.State.Settled) _struckOff(held);
            // Who voted late voted for the set as the others did.
            _punish(held, _late[study][held.outcome.round] ? 31 : 15);
        } catch {
            _expect(allowed, false, "foreign site");
        }
        _refill(study);
    }

    function proveWrongReward(uint256 which, uint256 what, uint256 about) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _faulty(study, what, Fault.Reward);
        bytes[] memory contents = _rewards(held.outcome, held.fault == Fault.Reward);
        uint32 index = uint32(about % 2 == 0 ? 0 : bound(about, 0, contents.length - 1));
        bytes32[] memory path = Trees.open(Trees.vectorLeaves(contents), index);
        uint32 sitesCount = uint32(held.outcome.cohort.length);
        ICourt.SetMember memory member = setMember(held.outcome.cohort, index < sitesCount ? index : 0);
        bool allowed = held.fault == Fault.Reward && index == 0 && _isProvable(held);
        (uint64 round, ICourt.Roots memory roots) = (held.outcome.round, held.outcome.roots);
        vm.prank(REPORTER);
        try setCourt.proveWrongReward(study, round, roots, index, contents[index], path, member) {
            _expect(allowed, true, "wrong reward");
            _refuted(held);
        } catch {
            _expect(allowed, false, "wrong reward");
        }
        _refill(study);
    }

    function proveMalformedRewards(uint256 which, uint256 what) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _faulty(study, what, Fault.Rewards);
        uint64 round = held.outcome.round;
        bool allowed = held.fault == Fault.Rewards && _isProvable(held);
        vm.prank(REPORTER);
        try setCourt.proveMalformedRewards(study, round, held.outcome.roots, _preimage(study, round)) {
            _expect(allowed, true, "malformed rewards");
            _refuted(held);
        } catch {
            _expect(allowed, false, "malformed rewards");
        }
        _refill(study);
    }

    // -------------------------------------------------------------------------------------------- vectors

    function proveMalformedLeaf(uint256 which, uint256 what, uint256 about) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _faulty(study, what, Fault.Leaf);
        uint64 leaf = about % 2 == 0 ? 3 : uint64(bound(about / 2, 0, 3));
        bool allowed = held.fault == Fault.Leaf && leaf == 3 && _isProvable(held);
        (uint64 round, ICourt.Roots memory roots) = (held.outcome.round, held.outcome.roots);
        ISumKind.Opening memory opening = _opening(1, leaf, Fault.Leaf);
        vm.prank(REPORTER);
        try sumKind.proveMalformedLeaf(study, round, roots, _program(), leaf, opening) {
            _expect(allowed, true, "malformed leaf");
            _refuted(held);
        } catch {
            _expect(allowed, false, "malformed leaf");
        }
        _refill(study);
    }

    function proveWrongSettlement(uint256 which, uint256 what, uint256 about) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _faulty(study, what, Fault.Values);
        uint64 element = about % 2 == 0 ? 40 : uint64(bound(about / 2, 0, LENGTH - 1));
        ISumKind.Opening[] memory openings = new ISumKind.Opening[](3);
        for (uint8 point = 1; point <= 3; point++) {
            openings[point - 1] = _opening(point, element / 32, Fault.Values);
        }
        // All elements but one lie on the line.
        bool allowed = held.fault == Fault.Values && element == 40 && _isProvable(held);
        (uint64 round, ICourt.Roots memory roots) = (held.outcome.round, held.outcome.roots);
        vm.prank(REPORTER);
        try sumKind.proveWrongSettlement(study, round, roots, _program(), element, openings) {
            _expect(allowed, true, "wrong settlement");
            _refuted(held);
        } catch {
            _expect(allowed, false, "wrong settlement");
        }
        _refill(study);
    }

    // -------------------------------------------------------------------------------------------- judges

    /// @dev A judge says who is guilty, a stranger does, or a judge of what only the registry may see.
    function judge(uint256 which, uint256 what, uint256 who) external {
        uint64 study = _study(which);
        // Rarely, or nobody is left.
        if (_held[study].length == 0 || who % 4 != 0) return;
        Held storage held = _recent(study, what);
        bool stranger = who % 16 == 4;
        ICourt.Offence offence = who % 16 == 8 ? ICourt.Offence.WrongShare : ICourt.Offence.WrongReward;
        bool allowed = !stranger && offence == ICourt.Offence.WrongReward;
        uint256 guilty = 1 << bound(who / 16, 0, SEATS - 1);
        address[] memory nodes = _nodesOf(held.seats);
        vm.prank(stranger ? REPORTER : address(setCourt));
        try registry.convict(study, held.outcome.round, nodes, guilty, offence, REPORTER) {
            _expect(allowed, true, "judge");
            _punish(held, guilty);
        } catch {
            _expect(allowed, false, "judge");
        }
        _refill(study);
    }

    // -------------------------------------------------------------------------------------------- two statements

    function proveTwoShares(uint256 which, uint256 what, uint256 who) external {
        uint64 study = _study(which);
        if (_held[study].length == 0 || who % 4 != 0) return;
        Held storage held = _recent(study, what);
        uint64 round = held.outcome.round;
        uint8 index = uint8(1 + (who / 4) % SEATS);
        if (!_onRecord(study, round)) return;
        uint256 j = held.seats[index - 1];
        bytes32[2] memory one = signCompact(secret(j), digests.shareRootDigest(study, round, SET_ROOT, index, SUBJECT));
        bytes32[2] memory two =
            signCompact(secret(j), digests.shareRootDigest(study, round, SET_ROOT, index, REWARD_ROOT));
        bool allowed = _isLiable(j) || _isTakenForNow(j);
        vm.prank(REPORTER);
        try registry.proveTwoShares(study, round, index, SET_ROOT, SUBJECT, one, SET_ROOT, REWARD_ROOT, two) {
            _expect(allowed, true, "two shares");
            _lose(j, round, INodeRegistry.Standing.Convicted);
        } catch {
            _expect(allowed, false, "two shares");
        }
        _refill(study);
    }

    function proveTwoSettlements(uint256 which, uint256 who, uint256 about) external {
        uint64 study = _study(which);
        if (about % 8 != 0) return;
        uint256 j = _anyNode(study, who);
        uint64 round = uint64(bound(about / 8, 1, uint256(_rounds[study]) + 1));
        (ICourt.Said memory one, ICourt.Said memory two) =
            (_said(study, round, j, SUBJECT), _said(study, round, j, REWARD_ROOT));
        bool allowed = _isLiable(j) || _isTakenForNow(j);
        vm.prank(REPORTER);
        try registry.proveTwoSettlements(study, round, one, two) {
            _expect(allowed, true, "two settlements");
            _lose(j, round, INodeRegistry.Standing.Convicted);
        } catch {
            _expect(allowed, false, "two settlements");
        }
        _refill(study);
    }

    // -------------------------------------------------------------------------------------------- nodes

    function deposit(uint256 who, uint256 amount) external {
        (uint256 j, uint256 wei_) = (bound(who, 1, NODES), bound(amount, 0, 1 ether));
        vm.deal(node(j), node(j).balance + wei_);
        vm.prank(node(j));
        registry.deposit{value: wei_}();
        (stake[j], deposited) = (stake[j] + wei_, deposited + wei_);
    }

    /// @dev The same once more: what is bonded by it goes on counting.
    function renewConsent(uint256 who) external {
        address account = node(bound(who, 1, NODES));
        (, uint96 before) = registry.consentOf(account, sponsor);
        vm.prank(account);
        registry.setConsent(sponsor, consentTo(4 * BOND));
        (INodeRegistry.Consent memory consent, uint96 bonded) = registry.consentOf(account, sponsor);
        vm.assertTrue(bonded == before && consent.maxTotal == 4 * BOND, "as before");
    }

    function rotateKemKey(uint256 who, uint256 key) external {
        address account = node(bound(who, 1, NODES));
        bytes memory fresh = kemKey(key % 256);
        vm.prank(account);
        registry.rotateKemKey(fresh);
        vm.assertEq(registry.nodeOf(account).keyHash, keccak256(fresh), "the new key");
    }

    // -------------------------------------------------------------------------------------------- what is shown

    function _corrupt(Outcome memory one, Fault fault) internal pure override {
        if (fault == Fault.Reward) {
            bytes[] memory contents = _rewards(one, true);
            one.roots.rewardRoot = Trees.rootOf(4, uint64(contents.length), Trees.vectorLeaves(contents));
        }
        if (fault == Fault.Rewards) one.roots.rewardRoot = sha256(_preimage(one.study, one.round));
        if (fault != Fault.Leaf && fault != Fault.Values) return;
        for (uint8 point = 1; point <= 3; point++) {
            one.roots.shareRoots[point - 1] = Trees.rootOf(2, LENGTH, Trees.vectorLeaves(_contents(point, fault)));
        }
    }

    /// @dev All leaves of a round's rewards; the first gives two units instead of one if they are false.
    function _rewards(Outcome memory one, bool wrong) private pure returns (bytes[] memory contents) {
        uint256 sitesCount = one.cohort.length;
        contents = new bytes[](sitesCount + one.voters.length);
        for (uint256 i = 0; i < contents.length; i++) {
            contents[i] = i < sitesCount
                ? abi.encodePacked(one.cohort[i], uint8(0), uint64(1))
                : abi.encodePacked(one.voters[i - sitesCount], uint8(1), uint64(1));
        }
        if (wrong) contents[0] = abi.encodePacked(one.cohort[0], uint8(0), uint64(2));
    }

    /// @dev Of a vector whose elements lie on the line 7 + point, but for one behind its end, or for element 40.
    function _contents(uint8 point, Fault fault) private pure returns (bytes[] memory contents) {
        contents = new bytes[](4);
        for (uint256 leaf = 0; leaf < 4; leaf++) {
            bytes memory content = new bytes(LEAF);
            for (uint256 i = 0; i < 32 && 32 * leaf + i < LENGTH; i++) {
                content[8 * i + 7] = bytes1(7 + point);
            }
            contents[leaf] = content;
        }
        if (fault == Fault.Leaf && point == 1) contents[3][LEAF - 1] = 0x01;
        if (fault == Fault.Values && point == 2) contents[1][8 * 8 + 7] = 0x01;
    }

    function _opening(uint8 point, uint64 leaf, Fault fault) private pure returns (ISumKind.Opening memory opening) {
        bytes[] memory contents = _contents(point, fault);
        (opening.point, opening.content) = (point, contents[leaf]);
        opening.path = Trees.open(Trees.vectorLeaves(contents), leaf);
    }

    /// @dev The last admitted site, and nothing behind it.
    function _behindTheLast() private pure returns (ISetCourt.Absence memory absence) {
        address[] memory list = _cohort(ADMITTED);
        absence.length = uint64(list.length);
        absence.neighbours = new ISetCourt.Neighbour[](1);
        absence.neighbours[0].index = absence.length - 1;
        absence.neighbours[0].content = abi.encodePacked(list[list.length - 1]);
        absence.neighbours[0].path = Trees.open(Trees.listLeaves(list), list.length - 1);
    }

    function _said(uint64 study, uint64 round, uint256 j, bytes32 root) private view returns (ICourt.Said memory said) {
        (said.setRoot, said.shareRootsHash, said.aggregateRoot, said.rewardRoot) =
        (SET_ROOT, AGGREGATE_ROOT, root, REWARD_ROOT);
        bytes32 digest = digests.settlementDigest(study, round, SET_ROOT, AGGREGATE_ROOT, root, REWARD_ROOT);
        said.signature = signCompact(secret(j), digest);
    }
}
