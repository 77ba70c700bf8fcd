// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../../src/interfaces/IConsilium.sol";
import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {Deployment} from "./Deployment.sol";

/// @dev Does random things to two studies and keeps its own books. It decides from its books alone whether a step must
/// succeed, and fails when the contracts disagree.
contract Handler is Deployment {
    uint64 public constant STUDIES = 2;
    /// Committees are taken from the first nodes of the registry; some of these leave in time.
    uint256 public constant POOL = 14;
    uint256 public constant FIRST_LEAVER = 9;

    struct Books {
        IRecords.State state;
        bytes32 subject;
        uint256 deadline;
        uint256 settleBy;
        uint32 minimumCohort;
        bytes32 frozen;
        bytes32 setRoot;
        bytes32 settlement;
        uint256 certificates;
        uint256 settlements;
        uint256 settledAt;
        uint256[] committee;
        uint16 policy;
    }

    /// Rounds of the second study draw on a privacy account, which is enough for so many.
    uint64 public constant COST = 30;
    uint64 public constant AFFORDABLE = 12;

    address private constant OTHER_SPONSOR = address(0x0715);

    mapping(uint64 study => mapping(uint64 round => Books)) private _books;
    mapping(uint64 study => uint64) public rounds;
    mapping(uint64 study => bytes32) public lastCertifiedSubject;
    mapping(uint64 study => uint32) public minimumCohort;
    mapping(uint64 study => uint256[]) private _committee;
    mapping(uint256 j => bool) public gone;
    mapping(uint256 j => uint256) public paidBack;
    mapping(uint64 study => bool) public vacant;
    mapping(uint64 study => address) public sponsorOf;
    /// The version of budget, node share and sites that the next round is opened under.
    mapping(uint64 study => uint16) public policy;
    mapping(uint64 study => mapping(uint256 j => bool)) public convicted;
    mapping(uint64 study => mapping(uint256 j => bool)) private _left;
    mapping(uint64 study => mapping(uint256 j => bool)) private _bonded;
    /// What proofs have paid to those who sent them.
    uint256 public rewarded;
    mapping(uint256 j => uint256) public fined;
    mapping(uint64 study => bool) private _ended;
    /// Nodes that joined after the deployment.
    uint256 public joined;

    constructor() {
        deployAlone();
        consentAll(OTHER_SPONSOR);
        for (uint64 study = 1; study <= STUDIES; study++) {
            if (study == 1) createStudy(1, 5);
            else _createDrawing();
            (sponsorOf[study], policy[study]) = (sponsor, 1);
            minimumCohort[study] = 3;
            _appoint(study, 1, 5);
        }
    }

    function _createDrawing() private {
        IRecords.Conditions memory conditions = defaultConditions();
        vm.prank(sponsor);
        conditions.privacyAccount = privacyBudget.openAccount("all studies", COST * AFFORDABLE, 10 ** 13);
        conditions.privacyCost = COST;
        createStudyWith(defaultTerms(), conditions, 5);
    }

    // -------------------------------------------------------------------------------------------- steps

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 40 minutes));
    }

    /// @dev The very second of a deadline, where off-by-one errors live.
    function waitForDeadline(uint256 which, bool settlement) external {
        uint64 study = _study(which);
        Books storage books = _books[study][rounds[study]];
        uint256 time = settlement ? books.settleBy : books.deadline;
        if (time > block.timestamp) vm.warp(time);
    }

    function openRound(uint256 which, uint256 about) external {
        uint64 study = _study(which);
        bytes32 subject = bytes32(bound(about, 1, 3));
        bool allowed = !_inProgress(study) && subject != lastCertifiedSubject[study] && !vacant[study] && !_full(study)
            && !_ended[study] && (study == 1 || drawn() < AFFORDABLE);
        (uint64 deadline, uint64 settleBy) = (uint64(block.timestamp) + 30 minutes, uint64(block.timestamp) + 1 hours);
        vm.prank(sponsorOf[study]);
        try consilium.openRound(study, subject, deadline, settleBy) returns (uint64 round) {
            _expect(allowed, true, "open");
            rounds[study] += 1;
            vm.assertEq(round, rounds[study], "round number");
            Books storage books = _books[study][round];
            (books.state, books.subject) = (IRecords.State.Open, subject);
            (books.deadline, books.settleBy) = (deadline, settleBy);
            (books.minimumCohort, books.committee) = (minimumCohort[study], _committee[study]);
            books.policy = policy[study];
            books.frozen = consilium.roundOf(study, round).frozen;
        } catch {
            _expect(allowed, false, "open");
        }
    }

    function certify(uint256 which, uint256 back, uint256 subset, uint256 sized) external {
        uint64 study = _study(which);
        uint64 round = _round(study, back);
        Books storage books = _books[study][round];
        uint256 signers = _signers(books, subset);
        uint32 size = uint32(bound(sized, 1, 8));
        bool allowed =
            stateOf(study, round) == IRecords.State.Open && size >= books.minimumCohort && _ones(signers) >= 4;
        bytes32 setRoot = keccak256(abi.encode(subset, sized, block.timestamp));
        bytes memory signed = _sign(books, digests.voteDigest(study, round, setRoot, size), signers);
        try consilium.certify(study, round, setRoot, size, signers, signed) {
            _expect(allowed, true, "certify");
            (books.state, books.setRoot) = (IRecords.State.Certified, setRoot);
            books.certificates += 1;
            lastCertifiedSubject[study] = books.subject;
        } catch {
            _expect(allowed, false, "certify");
        }
    }

    function settle(uint256 which, uint256 back, uint256 subset) external {
        uint64 study = _study(which);
        uint64 round = _round(study, back);
        Books storage books = _books[study][round];
        uint256 signers = _signers(books, subset);
        bool allowed = stateOf(study, round) == IRecords.State.Certified && _ones(signers) >= 4;
        bytes32[] memory roots = shareRoots(books.committee.length);
        bytes memory signed = _sign(books, settlementDigest(study, round, books.setRoot, roots), signers);
        try consilium.settle(study, round, roots, AGGREGATE_ROOT, REWARD_ROOT, signers, signed) {
            _expect(allowed, true, "settle");
            books.state = IRecords.State.Settled;
            books.settlements += 1;
            books.settledAt = block.timestamp;
            books.settlement = consilium.roundOf(study, round).settlement;
        } catch {
            _expect(allowed, false, "settle");
        }
    }

    function voidRound(uint256 which, uint256 back) external {
        uint64 study = _study(which);
        uint64 round = _round(study, back);
        bool allowed = consilium.roundOf(study, round).state == IRecords.State.Open
            && stateOf(study, round) == IRecords.State.Void;
        try consilium.voidRound(study, round) {
            _expect(allowed, true, "void");
        } catch {
            _expect(allowed, false, "void");
        }
    }

    function abandonRound(uint256 which, uint256 back) external {
        uint64 study = _study(which);
        uint64 round = _round(study, back);
        bool allowed = consilium.roundOf(study, round).state == IRecords.State.Certified
            && stateOf(study, round) == IRecords.State.Abandoned;
        try consilium.abandonRound(study, round) {
            _expect(allowed, true, "abandon");
        } catch {
            _expect(allowed, false, "abandon");
        }
    }

    function setCommittee(uint256 which, uint256 start, uint256 size) external {
        uint64 study = _study(which);
        uint256 n = bound(size, 4, 6);
        uint256 first = bound(start, 1, POOL - n + 1);
        bool allowed = !_inProgress(study) && !_ended[study];
        for (uint256 j = first; j < first + n; j++) {
            if (gone[j] || convicted[study][j]) allowed = false;
        }
        vm.prank(sponsorOf[study]);
        try consilium.setCommittee(study, 1, nodesFrom(first, n)) {
            _expect(allowed, true, "committee");
            _appoint(study, first, n);
        } catch {
            _expect(allowed, false, "committee");
        }
    }

    function setPolicy(uint256 which, uint256 cohort) external {
        uint64 study = _study(which);
        minimumCohort[study] = uint32(bound(cohort, 2, 6));
        vm.prank(sponsorOf[study]);
        consilium.setPolicy(study, minimumCohort[study], "finalized");
    }

    function setRewards(uint256 which, uint16 share) external {
        uint64 study = _study(which);
        policy[study] += 1;
        vm.prank(sponsorOf[study]);
        consilium.setRewards(study, 0, uint16(bound(share, 0, 10_000)));
    }

    function setSites(uint256 which, bytes32 root) external {
        uint64 study = _study(which);
        policy[study] += 1;
        vm.prank(sponsorOf[study]);
        consilium.setSites(study, root == 0 ? SITES_ROOT : root, sites(ADMITTED), "");
    }

    /// @dev At any time: a round in progress goes on, and the next waits for another committee.
    function transfer(uint256 which, uint256 rarely) external {
        if (rarely % 4 != 0) return;
        uint64 study = _study(which);
        (address from, address to) = (sponsorOf[study], OTHER_SPONSOR);
        if (from == to) to = sponsor;
        vm.prank(from);
        studyToken.approve(to, study);
        vm.prank(to);
        studyToken.transferFrom(from, to, study);
        (sponsorOf[study], vacant[study]) = (to, true);
    }

    /// @dev Seldom: nothing opens there any more. What is in progress goes on to its end first.
    function endStudy(uint256 which, uint256 rarely) external {
        if (rarely % 32 != 0) return;
        uint64 study = _study(which);
        bool allowed = !_inProgress(study) && !_ended[study];
        vm.prank(sponsorOf[study]);
        try consilium.endStudy(study) {
            _expect(allowed, true, "end");
            _ended[study] = true;
            delete _committee[study];
        } catch {
            _expect(allowed, false, "end");
        }
    }

    /// @dev A node more, which no committee takes.
    function join(uint256 rarely) external {
        if (rarely % 8 == 0) register(NODES + ++joined);
    }

    function depart(uint256 who) external {
        uint256 j = bound(who, FIRST_LEAVER, POOL);
        bool allowed = !gone[j] && serving(j) == 0;
        vm.prank(node(j));
        try registry.beginUnbond() {
            _expect(allowed, true, "leave");
            gone[j] = true;
        } catch {
            _expect(allowed, false, "leave");
        }
    }

    function withdraw(uint256 who) external {
        uint256 j = bound(who, FIRST_LEAVER, POOL);
        INodeRegistry.Node memory stored = registry.nodeOf(node(j));
        vm.prank(node(j));
        try registry.withdraw() {
            vm.assertTrue(gone[j] && paidBack[j] == 0, "withdrawn once, by a node that left");
            vm.assertTrue(block.timestamp >= stored.withdrawableAt, "after the delay");
            paidBack[j] += stored.stake;
        } catch {
            bool owed = stored.stake != 0 || stored.status == INodeRegistry.Status.Unbonding;
            bool due = gone[j] && owed && block.timestamp >= stored.withdrawableAt;
            vm.assertTrue(!due, "a due stake is paid");
        }
    }

    /// @dev A node leaves one committee by itself.
    function resign(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = bound(who, 1, POOL);
        bool allowed = _sits(study, j);
        vm.prank(node(j));
        try registry.resign(study) {
            _expect(allowed, true, "resign");
            _left[study][j] = true;
            vacant[study] = true;
        } catch {
            _expect(allowed, false, "resign");
        }
    }

    function reclaim(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = bound(who, 1, POOL);
        INodeRegistry.Bond memory bond = registry.bondOf(study, node(j));
        bool allowed = _bonded[study][j] && !_sits(study, j) && !convicted[study][j] && block.timestamp >= bond.until;
        try registry.reclaim(study, node(j)) {
            _expect(allowed, true, "reclaim");
            _bonded[study][j] = false;
        } catch {
            _expect(allowed, false, "reclaim");
        }
    }

    /// @dev A node says two things about one subject, and somebody shows it.
    function contradict(uint256 which, uint256 who, uint64 round) external {
        uint64 study = _study(which);
        uint256 j = bound(who, 1, POOL);
        // Rarely, or nobody is left.
        if (round % 8 != 0) return;
        bool allowed = _bonded[study][j] && !convicted[study][j];
        bytes32[2] memory one = signCompact(secret(j), digests.finalDigest(study, SUBJECT, round, SET_ROOT));
        bytes32[2] memory other = signCompact(secret(j), digests.finalDigest(study, SUBJECT, round, REWARD_ROOT));
        uint256 before = registry.bondOf(study, node(j)).amount;
        address reporter = address(0xBEE);
        vm.prank(reporter);
        try registry.proveTwoFinals(study, SUBJECT, round, SET_ROOT, one, round, REWARD_ROOT, other) {
            _expect(allowed, true, "convict");
            convicted[study][j] = true;
            if (_sits(study, j)) vacant[study] = true;
            uint256 fine = before - registry.bondOf(study, node(j)).amount;
            (rewarded, fined[j]) = (rewarded + fine, fined[j] + fine);
            vm.assertEq(reporter.balance, rewarded, "the sender is paid");
        } catch {
            _expect(allowed, false, "convict");
        }
    }

    // -------------------------------------------------------------------------------------------- the books

    function booksOf(uint64 study, uint64 round) external view returns (Books memory) {
        return _books[study][round];
    }

    /// @dev The state by the books, at this time.
    function stateOf(uint64 study, uint64 round) public view returns (IRecords.State) {
        Books storage entry = _books[study][round];
        if (entry.state == IRecords.State.Open && block.timestamp >= entry.deadline) return IRecords.State.Void;
        if (entry.state == IRecords.State.Certified && block.timestamp >= entry.settleBy) {
            return IRecords.State.Abandoned;
        }
        return entry.state;
    }

    /// @dev Rounds of the second study that its account has paid for, by now: a void one costs nothing.
    function drawn() public view returns (uint64 count) {
        for (uint64 round = 1; round <= rounds[2]; round++) {
            if (stateOf(2, round) != IRecords.State.Void) count++;
        }
    }

    function spent() external view returns (uint64) {
        return privacyBudget.accountOf(1).spent;
    }

    function serving(uint256 j) public view returns (uint256 count) {
        for (uint64 study = 1; study <= STUDIES; study++) {
            for (uint256 i = 0; i < _committee[study].length; i++) {
                if (_committee[study][i] == j && !_left[study][j]) count++;
            }
        }
    }

    function onRecord(uint64 study, uint64 round) public view returns (bool) {
        return round + RING > rounds[study];
    }

    function contracts() external view returns (IConsilium, INodeRegistry) {
        return (consilium, registry);
    }

    // --------------------------------------------------------------------------------------------

    function _appoint(uint64 study, uint256 first, uint256 n) private {
        delete _committee[study];
        vacant[study] = false;
        for (uint256 j = first; j < first + n; j++) {
            _committee[study].push(j);
            (_left[study][j], _bonded[study][j]) = (false, true);
        }
    }

    function _expect(bool allowed, bool happened, string memory step) private pure {
        vm.assertTrue(allowed == happened, string.concat(step, happened ? ": must be refused" : ": must succeed"));
    }

    function _study(uint256 which) private pure returns (uint64) {
        return uint64(bound(which, 1, STUDIES));
    }

    /// @dev Mostly the newest round, sometimes an earlier one, and the number that comes next.
    function _round(uint64 study, uint256 back) private view returns (uint64) {
        uint256 newest = rounds[study];
        uint256 behind = bound(back, 0, 9);
        if (behind == 9) return uint64(newest + 1);
        return behind >= 7 && newest > behind - 6 ? uint64(newest - (behind - 6)) : uint64(newest);
    }

    function _inProgress(uint64 study) private view returns (bool) {
        IRecords.State state = stateOf(study, rounds[study]);
        return state == IRecords.State.Open || state == IRecords.State.Certified;
    }

    /// @dev Whether the slot of the next round still holds one that can be proved wrong, or is evidence.
    function _full(uint64 study) private view returns (bool) {
        if (rounds[study] < RING) return false;
        Books storage leaving = _books[study][rounds[study] + 1 - RING];
        uint256 ended = leaving.settlements == 1 ? leaving.settledAt : leaving.settleBy;
        return leaving.certificates == 1 && block.timestamp < ended + WINDOW;
    }

    function _sits(uint64 study, uint256 j) private view returns (bool) {
        for (uint256 i = 0; i < _committee[study].length; i++) {
            if (_committee[study][i] == j) return !_left[study][j];
        }
        return false;
    }

    /// @dev Half of the time the whole committee.
    function _signers(Books storage entry, uint256 subset) private view returns (uint256) {
        uint256 all = 2 ** entry.committee.length - 1;
        return subset % 2 == 0 ? all : (subset >> 8) & all;
    }

    function _sign(Books storage entry, bytes32 digest, uint256 signers) private view returns (bytes memory all) {
        for (uint256 i = 0; i < entry.committee.length; i++) {
            if ((signers >> i) & 1 == 1) all = bytes.concat(all, sign(secret(entry.committee[i]), digest));
        }
    }

    function _ones(uint256 bitmap) private pure returns (uint256 count) {
        for (uint256 i = 0; i < 32; i++) {
            count += (bitmap >> i) & 1;
        }
    }
}
