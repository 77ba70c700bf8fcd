// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Handler} from "./setup/Handler.sol";
import {Test} from "./setup/Test.sol";

/// @dev Random steps of sponsors, nodes and strangers on two studies that share nodes (setup/Handler.sol). Always:
///  1. Every step succeeds exactly when the handler's own books say so.
///  2. Every round is in the state of the books, whose only arrows are Open -> Void | Certified and
///     Certified -> Settled | Abandoned; so no round ever leaves an end state.
///  3. A round has at most one certificate and at most one settlement, and a settlement only after a certificate.
///  4. What a certificate fixed (set root) and what opening froze never change afterwards.
///  5. A certified set has at least the frozen minimum cohort, and Q voters of the round's own committee.
///  6. All rounds of a study but the newest are over, and recorded as such.
///  7. Two successive certified rounds of a study have different subjects.
///  8. A node's lock counts exactly the current committees it sits in; a node that sits in one is active.
///  9. Stake and bonds of a node, what it was paid back and what proofs paid out of its bonds make up what it put in;
///     the registry holds the rest, to the wei.
/// 10. A study has its newest rounds on record, as many as its ring has slots, and no older ones; none of these slots
///     was used again within a challenge window, whatever became of its certified round.
/// 11. No round opens while a member of the committee has resigned or was convicted, nor before a new sponsor has formed
///     a committee of its own.
/// 12. The privacy account has paid for every round of its study but void ones, once, and never beyond its budget.
contract ConsiliumInvariants is Test {
    Handler private handler;
    IConsilium private consilium;
    INodeRegistry private registry;

    function setUp() public {
        handler = new Handler();
        (consilium, registry) = handler.contracts();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_roundsFollowTheBooks() public view {
        for (uint64 study = 1; study <= handler.STUDIES(); study++) {
            bytes32 lastCertified = 0;
            uint64 newest = handler.rounds(study);
            vm.assertEq(consilium.studyOf(study).rounds, newest, "rounds");
            for (uint64 round = 1; round <= newest; round++) {
                Handler.Books memory books = handler.booksOf(study, round);
                checkRound(study, round, books);
                if (books.certificates == 0) continue;
                vm.assertTrue(books.subject != lastCertified, "7: a subject has one sum");
                lastCertified = books.subject;
            }
            vm.assertEq(consilium.studyOf(study).lastCertifiedSubject, lastCertified, "last certified subject");
        }
    }

    function checkRound(uint64 study, uint64 round, Handler.Books memory books) private view {
        IRecords.State state = consilium.stateOf(study, round);
        IRecords.Round memory stored = consilium.roundOf(study, round);
        if (!handler.onRecord(study, round)) {
            vm.assertTrue(state == IRecords.State.None && stored.frozen == 0, "10: off the record");
            return;
        }
        vm.assertEq(uint256(state), uint256(handler.stateOf(study, round)), "2: state");
        vm.assertTrue(books.certificates <= 1 && books.settlements <= books.certificates, "3: at most one");
        vm.assertTrue((state == IRecords.State.Settled) == (books.settlements == 1), "3: settled");
        vm.assertEq(stored.frozen, books.frozen, "4: frozen");
        vm.assertEq(stored.policy, books.policy, "4: policy");
        vm.assertEq(stored.setRoot, books.setRoot, "4: set root");
        vm.assertEq(stored.settlement, books.settlement, "4: settlement");
        if (books.certificates == 1) checkCertificate(stored, books);
        bool over = state != IRecords.State.Open && state != IRecords.State.Certified;
        bool recorded = over && stored.state == state;
        vm.assertTrue(recorded || round == handler.rounds(study), "6: one round at a time");
    }

    function checkCertificate(IRecords.Round memory stored, Handler.Books memory books) private pure {
        vm.assertTrue(stored.size >= books.minimumCohort, "5: cohort");
        vm.assertTrue(stored.voters >> books.committee.length == 0, "5: voters of the committee");
        uint256 count = 0;
        for (uint256 i = 0; i < 32; i++) {
            count += (stored.voters >> i) & 1;
        }
        vm.assertTrue(count >= 4, "5: quorum");
    }

    function invariant_privacyIsChargedOnce() public view {
        uint64 newest = handler.rounds(2);
        // Until somebody records that it lapsed.
        bool unrecorded = newest != 0 && consilium.stateOf(2, newest) == IRecords.State.Void
            && consilium.roundOf(2, newest).state == IRecords.State.Open;
        uint64 charged = handler.drawn() + (unrecorded ? 1 : 0);
        vm.assertEq(handler.spent(), charged * handler.COST(), "12: spent");
        vm.assertTrue(charged <= handler.AFFORDABLE(), "12: budget");
    }

    function invariant_stakeStaysWhereItBelongs() public view {
        uint256 held = (32 + handler.joined()) * 1 ether;
        for (uint256 j = 1; j <= handler.POOL(); j++) {
            address node = vm.addr(uint256(keccak256(abi.encode("node", j))));
            INodeRegistry.Node memory stored = registry.nodeOf(node);
            vm.assertEq(stored.serving, handler.serving(j), "8: lock");
            vm.assertTrue(stored.serving == 0 || stored.status == INodeRegistry.Status.Active, "8: active");
            uint256 bonds = 0;
            for (uint64 study = 1; study <= handler.STUDIES(); study++) {
                bonds += registry.bondOf(study, node).amount;
            }
            vm.assertEq(stored.stake + bonds + handler.paidBack(j) + handler.fined(j), 1 ether, "9: stake");
            held -= handler.paidBack(j) + handler.fined(j);
        }
        vm.assertEq(address(registry).balance, held, "9: balance");
    }
}
