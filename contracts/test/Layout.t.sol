// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "../src/interfaces/IRecords.sol";
import {Archive} from "../src/libraries/Archive.sol";
import {Layout} from "../src/libraries/Layout.sol";
import {Test} from "./setup/Test.sol";

/// @dev Slots that are read and written whole, against the compiler's own layout: each member is where it puts it.
contract LayoutTest is Test {
    using Archive for Archive.Log;
    using Layout for Layout.Study;
    using Layout for Layout.Round;

    Layout.Study private study;
    Layout.Round private round;
    Archive.Log private log;

    function testFuzz_desk_isReadAndWrittenAsTheCompilerHasIt(Layout.Desk memory desk) public {
        study.keep(desk);
        vm.assertEq(keccak256(abi.encode(study.desk)), keccak256(abi.encode(desk)), "written");
        vm.assertEq(keccak256(abi.encode(study.deskOf())), keccak256(abi.encode(desk)), "read");
    }

    function testFuzz_desk_forProofs(Layout.Desk memory desk, bool vacates) public {
        study.keep(desk);
        (uint64 rounds, uint64 ring, uint8 flags) = study.forProof(vacates);
        vm.assertTrue(rounds == desk.rounds && ring == desk.ring && flags == desk.flags, "read");
        if (vacates) desk.flags |= Layout.VACANT;
        vm.assertEq(keccak256(abi.encode(study.desk)), keccak256(abi.encode(desk)), "vacant, and nothing else");
    }

    /// @dev Any slot whose state is one.
    function draw(uint256 word) private returns (Layout.Head memory head, uint256 drawn) {
        drawn = (word & ~uint256(0xff)) | (word % (uint256(IRecords.State.Refuted) + 1));
        assembly {
            sstore(round.slot, drawn)
        }
        head = round.head;
    }

    function testFuzz_head_isReadAndWrittenAsTheCompilerHasIt(uint256 word) public {
        (Layout.Head memory head, uint256 drawn) = draw(word);
        vm.assertEq(keccak256(abi.encode(round.headOf())), keccak256(abi.encode(head)), "read");
        delete round.head;
        round.keep(head);
        uint256 written;
        assembly {
            written := sload(round.slot)
        }
        vm.assertEq(written, drawn, "written");
    }

    function testFuzz_totals_areReadAndWrittenAsTheCompilerHasThem(Archive.Totals memory totals) public {
        log.store(totals);
        vm.assertEq(keccak256(abi.encode(log.totals)), keccak256(abi.encode(totals)), "written");
        vm.assertEq(keccak256(abi.encode(log.load())), keccak256(abi.encode(totals)), "read");
    }

    function testFuzz_record_hasItsMembersWhereItIsSaid(uint256 word) public {
        (Layout.Head memory head,) = draw(word);
        head.deadline = uint40(bound(head.deadline, 0, type(uint40).max - type(uint32).max));
        uint80 record = Layout.recordOf(head);
        vm.assertEq(uint16(record), head.policy, "policy");
        vm.assertEq(uint16(record >> 16), head.period, "period");
        vm.assertEq(uint8(record >> 32), head.late, "late votes");
        vm.assertEq(record >> 40, uint256(head.deadline) + head.settleWithin, "settled by");
    }

    /// What one step needs is in one slot.
    function test_slots() public {
        uint256 place;
        assembly {
            place := study.slot
        }
        study.operator = address(1);
        (study.budget, study.nodeShare) = (2, 3);
        bytes32 word;
        assembly {
            word := sload(add(study.slot, 1))
        }
        vm.assertEq(uint256(word), uint256(1) | (uint256(2) << 160) | (uint256(3) << 240), "operator and pay");
        vm.assertTrue(uint256(IRecords.State.Refuted) < 256, "a state fits a byte");
    }
}
