// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../../src/interfaces/IRecords.sol";
import {ISumKind} from "../../src/kinds/sum/ISumKind.sol";
import {Bench} from "./Bench.sol";
import {Trees} from "./Trees.sol";

/// @dev Random proofs against random nodes, and what becomes of their bonds: contradictions, wrong shares, shares of
/// other sets and the answers to them, lies that are proved, compensations, forfeits. Books of its own say what each
/// step must do.
abstract contract HarmHandler is Bench {
    address internal constant REPORTER = address(0xBEE);
    bytes32 private constant LIE = keccak256("lie");
    bytes32 private constant ONCE = keccak256("certified on another branch");

    /// What was paid out of bonds.
    uint256 public rewarded;
    uint256 public compensated;
    uint256 public forfeited;
    /// How often each kind of step took place.
    mapping(bytes32 step => uint256) public happened;

    // -------------------------------------------------------------------------------------------- proofs

    function contradict(uint256 which, uint256 who, uint256 about) external {
        uint64 study = _study(which);
        // Rarely, or nobody is left.
        if (about % 4 != 0) return;
        uint256 j = _anyNode(study, who);
        uint64 round = uint64(bound(about / 4, 1, uint256(_rounds[study]) + 1));
        bytes32[2] memory one = signCompact(secret(j), digests.finalDigest(study, SUBJECT, round, SET_ROOT));
        bytes32[2] memory other = signCompact(secret(j), digests.finalDigest(study, SUBJECT, round, LIE));
        bool allowed = _isLiable(j) || _isTakenForNow(j);
        vm.prank(REPORTER);
        try registry.proveTwoFinals(study, SUBJECT, round, SET_ROOT, one, round, LIE, other) {
            _expect(allowed, true, "contradict");
            _lose(j, round, INodeRegistry.Standing.Convicted);
        } catch {
            _expect(allowed, false, "contradict");
        }
        _refill(study);
    }

    function misreport(uint256 which, uint256 what, uint256 who) external {
        uint64 study = _study(which);
        if (_held[study].length == 0 || who % 2 == 0) return;
        Held storage held = _recent(study, what);
        (uint64 round, uint8 index) = (held.outcome.round, uint8(1 + who % SEATS));
        uint256 j = held.seats[index - 1];
        bytes32 setRoot = held.outcome.roots.setRoot;
        bytes32[2] memory signed = signCompact(secret(j), digests.shareRootDigest(study, round, setRoot, index, LIE));
        bool allowed = _onRecord(study, round) && held.state == IRecords.State.Settled && _isLiable(j);
        vm.prank(REPORTER);
        try registry.proveWrongShare(study, round, held.outcome.roots, index, LIE, signed) {
            _expect(allowed, true, "misreport");
            _lose(j, round, INodeRegistry.Standing.Misreported);
        } catch {
            _expect(allowed, false, "misreport");
        }
        _refill(study);
    }

    function stray(uint256 which, uint256 what, uint256 who) external {
        uint64 study = _study(which);
        if (_held[study].length == 0 || who % 2 == 0) return;
        Held storage held = _recent(study, what);
        (uint64 round, uint8 index) = (held.outcome.round, uint8(1 + who % SEATS));
        uint256 j = held.seats[index - 1];
        bytes32[2] memory signed = _strayShare(study, round, index, j);
        bool answered = _bond[j].standing == INodeRegistry.Standing.Discharged && _bond[j].answered == round;
        bool allowed = _onRecord(study, round) && _isLiable(j) && !answered;
        vm.prank(REPORTER);
        try registry.proveForeignShare(study, round, ONCE, index, LIE, signed) {
            _expect(allowed, true, "stray");
            _lose(j, round, INodeRegistry.Standing.Strayed);
        } catch {
            _expect(allowed, false, "stray");
        }
        _refill(study);
    }

    function answer(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = _lostNode(study, who);
        Books storage bond = _bond[j];
        (bool certified, uint256 place) = _find(study, bond.round);
        if (!certified) return;
        Held storage held = _held[study][place];
        ICourt.Answer memory said = _answerOf(study, held, j);
        bool allowed = bond.standing == INodeRegistry.Standing.Strayed && !bond.reported;
        try registry.answerForeignShare(study, node(j), said) {
            _expect(allowed, true, "answer");
            uint64 answered = bond.round;
            _giveBack(j, bond.amount);
            bond.answered = answered;
        } catch {
            _expect(allowed, false, "answer");
        }
    }

    /// @dev A settlement that lied about the share of its fifth seat; the other four signed it.
    function refute(uint256 which, uint256 what) external {
        uint64 study = _study(which);
        if (_held[study].length == 0) return;
        Held storage held = _faulty(study, what, Fault.Share);
        uint64 round = held.outcome.round;
        bool allowed = held.fault == Fault.Share && _isProvable(held);
        vm.prank(REPORTER);
        try sumKind.proveMalformedRoot(study, round, held.outcome.roots, _program(), 5, _preimage(study, round)) {
            _expect(allowed, true, "refute");
            _refuted(held);
        } catch {
            _expect(allowed, false, "refute");
        }
        _refill(study);
    }

    // -------------------------------------------------------------------------------------------- payments

    function assignCompensation(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = _lostNode(study, who);
        Books storage bond = _bond[j];
        (bool certified, uint256 place) = _find(study, bond.round);
        if (!certified) return;
        Held storage held = _held[study][place];
        IRecords.Settled memory settled = settledOf(held.outcome);
        bool final_ = vm.getBlockTimestamp() >= held.finalAt && held.state == IRecords.State.Settled;
        if (!_onRecord(study, bond.round)) {
            settled.record = held.outcome.record;
            (settled.position, settled.path) = _archived(study, bond.round);
            final_ = _counts(held);
        }
        bool allowed = _isTaken(j) && bond.sites == 0 && vm.getBlockTimestamp() >= bond.until && final_;
        try registry.assignCompensation(study, node(j), settled) {
            _expect(allowed, true, "assign");
            if (!_onRecord(study, bond.round)) _count("archived assign");
            _payReporter(bond);
            (bond.sites, bond.each) = (settled.sites, bond.amount / settled.sites);
        } catch {
            _expect(allowed, false, "assign");
        }
    }

    function compensate(uint256 which, uint256 who, uint256 place) external {
        uint64 study = _study(which);
        uint256 j = _sharedNode(study, who);
        Books storage bond = _bond[j];
        uint256 size = bond.sites == 0 ? 3 : bond.sites;
        place = bound(place, 0, size);
        ICourt.SetMember memory member = this.memberAt(study, bond.round, size, place);
        ICourt.ListMember memory listed = listMember(_cohort(ADMITTED), uint64(place));
        bool allowed = _isTaken(j) && bond.sites != 0 && place < size && (bond.paid >> place) & 1 == 0
            && vm.getBlockTimestamp() >= bond.until && member.site != FOREIGN;
        uint256 before = member.site.balance;
        try registry.compensate(study, node(j), member, listed) {
            _expect(allowed, true, "compensate");
            vm.assertEq(member.site.balance - before, bond.each, "an equal part");
            bond.paid |= 1 << place;
            bond.amount -= bond.each;
            compensated += bond.each;
        } catch {
            _expect(allowed, false, "compensate");
        }
    }

    /// @dev Mostly a node whose bond sites share, if there is one.
    function _sharedNode(uint64 study, uint256 who) private view returns (uint256 j) {
        for (uint256 i = 0; i < POOL && who % 4 != 0; i++) {
            j = (study - 1) * POOL + 1 + (who / 4 + i) % POOL;
            if (_bond[j].sites != 0) return j;
        }
        return _lostNode(study, who);
    }

    /// @dev Of the set that a bond's compensation goes to; at the place behind it, of nobody. A call of its own, for the
    /// compiler's stack.
    function memberAt(uint64 study, uint64 round, uint256 size, uint256 place)
        external
        view
        returns (ICourt.SetMember memory member)
    {
        (bool certified, uint256 found) = _find(study, round);
        bool known = certified && _held[study][found].outcome.cohort.length == size;
        address[] memory cohort = known ? _held[study][found].outcome.cohort : _cohort(size);
        member = setMember(cohort, uint32(place < size ? place : 0));
        (member.index, member.site) = (uint32(place), place < size ? cohort[place] : _cohort(size + 1)[place]);
        member.digest = Trees.digestOf(member.site);
    }

    function forfeit(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = _lostNode(study, who);
        Books storage bond = _bond[j];
        bool allowed = _isTaken(j) && bond.amount != 0 && vm.getBlockTimestamp() >= bond.until
            && vm.getBlockTimestamp() >= _forfeitFrom(study, bond);
        try registry.forfeit(study, node(j)) {
            _expect(allowed, true, "forfeit");
            _payReporter(bond);
            forfeited += bond.amount;
            (bond.amount, bond.sites, bond.each) = (0, 0, 0);
        } catch {
            _expect(allowed, false, "forfeit");
        }
    }

    function postpone(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = _lostNode(study, who);
        Books storage bond = _bond[j];
        bool allowed = _isTaken(j) && vm.getBlockTimestamp() < bond.until && !bond.postponed;
        vm.prank(guardian);
        try registry.postponeCompensation(study, node(j)) {
            _expect(allowed, true, "postpone");
            (bond.until, bond.postponed) = (bond.until + COMPENSATION, true);
        } catch {
            _expect(allowed, false, "postpone");
        }
    }

    // -------------------------------------------------------------------------------------------- service

    /// @dev A node that did nothing wrong gives its seat to the next.
    function rotate(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        if (_vacant[study] || !_isLeft(study, 6)) return;
        uint256 j = _seats[study][who % SEATS];
        _bond[j].standing = INodeRegistry.Standing.Discharged;
        uint256 until = vm.getBlockTimestamp() + UNBONDING;
        if (until > _bond[j].until) _bond[j].until = until;
        _refill(study);
    }

    function hold(uint256 which, uint256 who, uint256 time) external {
        uint64 study = _study(which);
        uint256 j = _anyNode(study, who);
        Books storage bond = _bond[j];
        uint64 until = uint64(vm.getBlockTimestamp() + bound(time, 1, UNBONDING + 1));
        bool allowed = _isLiable(j) && until <= vm.getBlockTimestamp() + UNBONDING;
        vm.prank(address(sumKind));
        try registry.hold(study, node(j), until) {
            _expect(allowed, true, "hold");
            if (until > bond.until) bond.until = until;
        } catch {
            _expect(allowed, false, "hold");
        }
    }

    function reclaim(uint256 which, uint256 who) external {
        uint64 study = _study(which);
        uint256 j = _anyNode(study, who);
        Books storage bond = _bond[j];
        bool allowed = bond.standing == INodeRegistry.Standing.Discharged && vm.getBlockTimestamp() >= bond.until;
        try registry.reclaim(study, node(j)) {
            _expect(allowed, true, "reclaim");
            stake[j] += bond.amount;
            delete _bond[j];
        } catch {
            _expect(allowed, false, "reclaim");
        }
    }

    // -------------------------------------------------------------------------------------------- the books

    function bondOf(uint256 j) external view returns (Books memory) {
        return _bond[j];
    }

    function stakes() external view returns (NodeRegistry, address, address) {
        return (registry, REPORTER, sink);
    }

    /// @dev The study of a node, and whether it sits there; no telling once the study has nobody left.
    function seatOf(uint256 j) external view returns (uint64 study, bool told, bool seated) {
        study = _studyOf(j);
        for (uint256 seat = 0; seat < SEATS; seat++) {
            if (_seats[study][seat] == j) seated = true;
        }
        return (study, !_vacant[study], seated);
    }

    /// @dev A round's budget is the sponsor's again.
    function _refunded(uint64 study, uint64 round) internal virtual;

    function _expect(bool allowed, bool done, string memory step) internal {
        vm.assertTrue(allowed == done, string.concat(step, done ? ": must be refused" : ": must succeed"));
        if (done) _count(step);
    }

    function _count(string memory step) internal {
        happened[keccak256(bytes(step))] += 1;
    }

    function _isLiable(uint256 j) internal view returns (bool) {
        INodeRegistry.Standing standing = _bond[j].standing;
        return standing == INodeRegistry.Standing.Serving || standing == INodeRegistry.Standing.Discharged;
    }

    function _isTaken(uint256 j) private view returns (bool) {
        return _bond[j].standing >= INodeRegistry.Standing.Misreported;
    }

    /// @dev For good, with sites that are still to be paid.
    function _isConvictedOfLess(uint256 j) private view returns (bool) {
        Books storage bond = _bond[j];
        bool forGood = bond.standing == INodeRegistry.Standing.Convicted;
        return forGood && bond.round != 0 && vm.getBlockTimestamp() < bond.until;
    }

    /// @dev For what can be undone, and not paid out yet.
    function _isTakenForNow(uint256 j) internal view returns (bool) {
        bool undoable = _isTaken(j) && _bond[j].standing != INodeRegistry.Standing.Convicted;
        return undoable && !_bond[j].reported;
    }

    function _lose(uint256 j, uint64 round, INodeRegistry.Standing standing) internal {
        Books storage bond = _bond[j];
        bool forGood = standing == INodeRegistry.Standing.Convicted;
        (bond.standing, bond.round, bond.whole) = (standing, round, bond.amount);
        (bond.until, bond.reported, bond.postponed) = (vm.getBlockTimestamp() + COMPENSATION, false, false);
        (bond.sites, bond.each, bond.paid, bond.answered) = (0, 0, 0, 0);
        if (forGood) _payReporter(bond);
    }

    function _payReporter(Books storage bond) private {
        if (bond.reported) return;
        uint256 part = bond.amount / 10;
        bond.amount -= part;
        rewarded += part;
        bond.reported = true;
        vm.assertEq(REPORTER.balance, rewarded, "a tenth");
    }

    function _giveBack(uint256 j, uint256 amount) private {
        delete _bond[j];
        (_bond[j].standing, _bond[j].amount) = (INodeRegistry.Standing.Discharged, amount);
        _bond[j].until = vm.getBlockTimestamp() + UNBONDING;
    }

    /// @dev A settlement that can still be proved wrong.
    function _isProvable(Held storage held) internal view returns (bool) {
        return held.state == IRecords.State.Settled && _onRecord(held.outcome.study, held.outcome.round);
    }

    /// @dev Proved wrong: within its window the round gives its budget back, later it may have paid.
    function _refuted(Held storage held) internal {
        _struckOff(held);
        _punish(held, 15);
    }

    function _struckOff(Held storage held) internal {
        bool late = vm.getBlockTimestamp() >= held.finalAt;
        held.state = late ? IRecords.State.Refuted : IRecords.State.Fraudulent;
        if (late) _count("late refute");
        else _refunded(held.outcome.study, held.outcome.round);
    }

    /// @dev The guilty lose what they have; whoever else lost its bond for differing from the round has it back.
    /// @param guilty Bit i is seat i.
    function _punish(Held storage held, uint256 guilty) internal {
        uint256 lost = 0;
        for (uint256 seat = 0; seat < SEATS; seat++) {
            if (_isFramed(held, seat, guilty)) lost += _bond[held.seats[seat]].whole - _bond[held.seats[seat]].amount;
        }
        uint256 regained = 0;
        for (uint256 seat = 0; seat < SEATS; seat++) {
            uint256 j = held.seats[seat];
            bool pays = _isLiable(j) || _isTakenForNow(j) || _isConvictedOfLess(j);
            if ((guilty >> seat) & 1 == 1 && pays) regained += _punishOne(j, lost - regained);
        }
        vm.assertEq(REPORTER.balance, rewarded, "a tenth of each");
        for (uint256 seat = 0; seat < SEATS; seat++) {
            if (_isFramed(held, seat, guilty)) regained -= _acquit(held.seats[seat], regained);
        }
    }

    function _isFramed(Held storage held, uint256 seat, uint256 guilty) private view returns (bool) {
        Books storage bond = _bond[held.seats[seat]];
        bool misreported = bond.standing == INodeRegistry.Standing.Misreported && bond.round == held.outcome.round;
        return misreported && (guilty >> seat) & 1 == 0;
    }

    /// @return taken Of what it lost, for those who were framed.
    function _punishOne(uint256 j, uint256 wanted) private returns (uint256 taken) {
        uint256 part = _bond[j].amount / 10;
        _bond[j].amount -= part;
        rewarded += part;
        _lose(j, 0, INodeRegistry.Standing.Misreported);
        (_bond[j].standing, _bond[j].reported) = (INodeRegistry.Standing.Convicted, true);
        taken = wanted < _bond[j].amount ? wanted : _bond[j].amount;
        _bond[j].amount -= taken;
    }

    /// @return back What the liars' bonds made good.
    function _acquit(uint256 j, uint256 regained) private returns (uint256 back) {
        uint256 missing = _bond[j].whole - _bond[j].amount;
        back = missing < regained ? missing : regained;
        _giveBack(j, _bond[j].amount + back);
        _count("acquit");
        if (missing != 0) _count("restitution");
    }

    function _forfeitFrom(uint64 study, Books storage bond) private view returns (uint256) {
        if (bond.sites != 0) return bond.until + CLAIM_TIME;
        if (bond.round == 0) return bond.until;
        (bool certified, uint256 place) = _find(study, bond.round);
        bool hopeless = _void[study][bond.round] || (certified && _held[study][place].state != IRecords.State.Settled);
        return bond.until + (hopeless && _onRecord(study, bond.round) ? 0 : COMPENSATION);
    }

    /// @dev Mostly one of the rounds on record.
    function _recent(uint64 study, uint256 what) internal view returns (Held storage) {
        uint256 count = _held[study].length;
        uint256 back = bound(what, 0, 5);
        return _held[study][back < count ? count - 1 - back : 0];
    }

    /// @dev Mostly the newest of the rounds on record that have this fault, if there is one.
    function _faulty(uint64 study, uint256 what, Fault fault) internal view returns (Held storage) {
        uint256 count = _held[study].length;
        for (uint256 back = 0; back < RING && back < count && what % 4 != 0; back++) {
            if (_held[study][count - 1 - back].fault == fault) return _held[study][count - 1 - back];
        }
        return _recent(study, what / 4);
    }

    function _strayShare(uint64 study, uint64 round, uint8 index, uint256 j) private view returns (bytes32[2] memory) {
        return signCompact(secret(j), digests.shareRootDigest(study, round, ONCE, index, LIE));
    }

    /// @dev The votes of its round's committee for the set of a stray share.
    function _answerOf(uint64 study, Held storage held, uint256 j) private view returns (ICourt.Answer memory said) {
        uint64 round = held.outcome.round;
        (said.setRoot, said.size, said.root, said.voters) = (ONCE, 5, LIE, 15);
        for (uint256 seat = 0; seat < SEATS; seat++) {
            if (held.seats[seat] == j) said.index = uint8(seat + 1);
        }
        said.signature = _strayShare(study, round, said.index, j);
        said.votes = _signed(held.seats, digests.voteDigest(study, round, ONCE, 5));
    }

    function _program() internal pure returns (ISumKind.Program memory) {
        IRecords.StudyTerms memory terms = defaultTerms();
        return ISumKind.Program({
            kind: 1,
            name: terms.program,
            parameters: terms.parameters,
            outputLength: terms.outputLength,
            weightUnit: terms.weightUnit,
            description: terms.description
        });
    }
}
