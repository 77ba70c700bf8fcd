// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {Play} from "./Play.sol";
import {Trees} from "./Trees.sol";

/// @dev Books of two studies whose nodes lose their seats: who sits where, what became of each bond and of each round.
/// Every study has nodes of its own, and who loses its seat is replaced by the next of them.
abstract contract Bench is Play {
    uint64 public constant STUDIES = 2;
    uint256 internal constant POOL = NODES / STUDIES;
    uint256 internal constant SEATS = 5;
    /// The site that can sign: the first of every cohort.
    uint256 internal constant SITE_KEY = 0x517E;
    /// Behind the last admitted site.
    address internal constant FOREIGN = address(0x52000);

    struct Books {
        INodeRegistry.Standing standing;
        uint256 amount;
        /// Taken: what it was, when it is due, and the round whose sites are to be paid.
        uint256 whole;
        uint256 until;
        uint64 round;
        bool reported;
        bool postponed;
        /// Assigned: to so many sites, so much to each; bit i: site i was paid.
        uint256 sites;
        uint256 each;
        uint256 paid;
        /// Discharged: the round of an accusation that was answered.
        uint64 answered;
    }

    /// Its certificate or settlement is provably wrong: a share root that is the top of nothing, a site that nobody
    /// admitted, a reward that is not its site's, a reward root or a leaf that is none, shares on no polynomial.
    enum Fault {
        None,
        Share,
        Site,
        Reward,
        Rewards,
        Leaf,
        Values
    }

    /// @dev A certified round.
    struct Held {
        Outcome outcome;
        /// Numbers of its committee's nodes.
        uint256[] seats;
        IRecords.State state;
        uint256 finalAt;
        Fault fault;
        /// What the archive has of it once it leaves the ring.
        bytes32 leaf;
    }

    mapping(uint64 study => uint256[]) internal _seats;
    mapping(uint64 study => uint256) private _used;
    mapping(uint64 study => bool) internal _vacant;
    mapping(uint64 study => address) internal _sponsor;
    mapping(uint256 j => Books) internal _bond;
    mapping(uint256 j => uint256) public stake;

    mapping(uint64 study => Held[]) internal _held;
    mapping(uint64 study => mapping(uint64 round => uint256)) private _place;
    mapping(uint64 study => uint64) internal _rounds;
    /// From then on the slot of a round may be used again.
    mapping(uint64 study => mapping(uint64 round => uint256)) internal _heldUntil;
    mapping(uint64 study => mapping(uint64 round => bool)) internal _void;
    /// The fifth seat voted after the certificate.
    mapping(uint64 study => mapping(uint64 round => bool)) internal _late;

    // -------------------------------------------------------------------------------------------- the bench

    function _begin(uint64 study) internal {
        _sponsor[study] = sponsor;
        for (uint256 seat = 0; seat < SEATS; seat++) {
            _seats[study].push(_next(study));
        }
    }

    /// @dev The next node of the study's own.
    function _next(uint64 study) private returns (uint256 j) {
        j = (study - 1) * POOL + ++_used[study];
        (_bond[j].standing, _bond[j].amount) = (INodeRegistry.Standing.Serving, BOND);
        stake[j] -= BOND;
    }

    function _isLeft(uint64 study, uint256 count) internal view returns (bool) {
        return _used[study] + count <= POOL;
    }

    /// @dev New nodes in the seats of those who serve no more; if none are left, the study has to stop.
    function _refill(uint64 study) internal {
        uint256 missing = 0;
        for (uint256 seat = 0; seat < SEATS; seat++) {
            if (_bond[_seats[study][seat]].standing != INodeRegistry.Standing.Serving) missing++;
        }
        if (missing == 0 || _vacant[study]) return;
        _vacant[study] = !_isLeft(study, missing);
        if (_vacant[study]) return;
        for (uint256 seat = 0; seat < SEATS; seat++) {
            bool serves = _bond[_seats[study][seat]].standing == INodeRegistry.Standing.Serving;
            if (!serves) _seats[study][seat] = _next(study);
        }
        _form(study);
    }

    function _form(uint64 study) internal {
        address[] memory nodes = _nodesOf(_seats[study]);
        vm.prank(_sponsor[study]);
        consilium.setCommittee(study, 1, nodes);
    }

    function _nodesOf(uint256[] memory seats) internal pure returns (address[] memory nodes) {
        nodes = new address[](seats.length);
        for (uint256 i = 0; i < seats.length; i++) {
            nodes[i] = node(seats[i]);
        }
    }

    function _anyNode(uint64 study, uint256 who) internal view returns (uint256) {
        return (study - 1) * POOL + bound(who, 1, _used[study]);
    }

    /// @dev Mostly a node whose bond a proof has taken, if there is one.
    function _lostNode(uint64 study, uint256 who) internal view returns (uint256 j) {
        for (uint256 i = 0; i < _used[study] && who % 4 != 0; i++) {
            j = (study - 1) * POOL + 1 + (who / 4 + i) % _used[study];
            if (_bond[j].standing >= INodeRegistry.Standing.Misreported) return j;
        }
        return _anyNode(study, who);
    }

    function _studyOf(uint256 j) internal pure returns (uint64) {
        return uint64((j - 1) / POOL + 1);
    }

    function _study(uint256 which) internal pure returns (uint64) {
        return uint64(bound(which, 1, STUDIES));
    }

    // -------------------------------------------------------------------------------------------- rounds

    /// @dev Of the admitted sites, the first of whom has a key.
    function _cohort(uint256 count) internal pure returns (address[] memory cohort) {
        cohort = sites(count);
        cohort[0] = vm.addr(SITE_KEY);
    }

    function _listRoot() internal pure returns (bytes32) {
        return Trees.listRoot(_cohort(ADMITTED));
    }

    function _outcome(uint64 study, uint64 round, uint256 count, Fault fault)
        internal
        view
        returns (Outcome memory one)
    {
        (one.study, one.round) = (study, round);
        one.cohort = _cohort(count);
        if (fault == Fault.Site) one.cohort[count - 1] = FOREIGN;
        one.voters = new address[](4);
        for (uint256 i = 0; i < 4; i++) {
            one.voters[i] = node(_seats[study][i]);
        }
        one.roots = outcomeOf(study, round, 1, SEATS, 3).roots;
        one.roots.setRoot = Trees.setRoot(one.cohort);
        one.roots.rewardRoot = Trees.rewardRoot(one.cohort, one.voters);
        if (fault == Fault.Share) one.roots.shareRoots[4] = sha256(_preimage(study, round));
        _corrupt(one, fault);
    }

    /// @dev Makes the roots wrong in the ways of the fault.
    function _corrupt(Outcome memory one, Fault fault) internal pure virtual;

    function _preimage(uint64 study, uint64 round) internal pure returns (bytes memory) {
        return abi.encode("the top of nothing", study, round);
    }

    /// @dev Of the first four seats.
    function _signed(uint256[] memory seats, bytes32 digest) internal pure returns (bytes memory all) {
        for (uint256 i = 0; i < 4; i++) {
            all = bytes.concat(all, sign(secret(seats[i]), digest));
        }
    }

    function _certify(Outcome memory one, Fault fault) internal {
        uint64 study = one.study;
        uint32 size = uint32(one.cohort.length);
        bytes memory votes = _signed(_seats[study], digests.voteDigest(study, one.round, one.roots.setRoot, size));
        consilium.certify(study, one.round, one.roots.setRoot, size, 15, votes);
        Held storage held = _held[study].push();
        held.outcome = one;
        held.seats = _seats[study];
        held.fault = fault;
        held.state = IRecords.State.Abandoned;
        _place[study][one.round] = _held[study].length;
        _heldUntil[study][one.round] = vm.getBlockTimestamp() + 20 + WINDOW;
    }

    function _settle(Outcome memory one) internal {
        uint64 study = one.study;
        bytes memory signed = _signed(_seats[study], digestOf(one));
        consilium.settle(
            study, one.round, one.roots.shareRoots, one.roots.aggregateRoot, one.roots.rewardRoot, 15, signed
        );
        Held storage held = _held[study][_held[study].length - 1];
        held.state = IRecords.State.Settled;
        held.finalAt = vm.getBlockTimestamp() + WINDOW;
        one.record = recordOf(study, one.round);
        (held.outcome.record, held.leaf) = (one.record, archiveLeaf(one));
        _heldUntil[study][one.round] = held.finalAt;
    }

    function _onRecord(uint64 study, uint64 round) internal view returns (bool) {
        return round != 0 && round <= _rounds[study] && round + RING > _rounds[study];
    }

    /// @dev Whether a round was certified, and its place in the books.
    function _find(uint64 study, uint64 round) internal view returns (bool certified, uint256 place) {
        place = _place[study][round];
        return place == 0 ? (false, 0) : (true, place - 1);
    }

    /// @dev Settled, as far as nobody proved it wrong in time.
    function _counts(Held storage held) internal view returns (bool) {
        return held.state == IRecords.State.Settled || held.state == IRecords.State.Refuted;
    }

    /// @dev The place of a round in the archive, and the path to its peak.
    function _archived(uint64 study, uint64 round) internal view returns (uint32 position, bytes32[] memory path) {
        bytes32[] memory leaves = new bytes32[](consilium.studyOf(study).archived);
        uint256 count = 0;
        bool found = false;
        for (uint256 i = 0; i < _held[study].length && count < leaves.length; i++) {
            Held storage held = _held[study][i];
            if (!_counts(held)) continue;
            if (held.outcome.round == round) (position, found) = (uint32(count), true);
            leaves[count++] = held.leaf;
        }
        if (found) path = archivePath(leaves, position);
    }
}
