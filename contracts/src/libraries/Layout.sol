// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICommitteeSource} from "../interfaces/ICommitteeSource.sol";
import {IRecords} from "../interfaces/IRecords.sol";

/// @title How studies and rounds are stored
/// @dev The compiler reads and writes a packed struct member by member. The functions here do it a slot at a time, in the
/// compiler's layout, the first member lowest; test/Layout.t.sol holds the two against each other.
library Layout {
    // Flags of a desk.

    /// @dev A member of the committee is gone, or serves another sponsor.
    uint8 internal constant VACANT = 1;
    /// @dev The study was paused at least once: look at its pause.
    uint8 internal constant PAUSED = 2;
    /// @dev No round opens any more.
    uint8 internal constant ENDED = 4;
    /// @dev Rounds draw on a privacy account.
    uint8 internal constant DRAWS = 8;
    /// @dev Rounds end at their certificate.
    uint8 internal constant CERTIFIED_ONLY = 16;
    uint256 private constant FLAGS = 248;

    /// @dev What every step of a round needs, in one slot.
    struct Desk {
        // What no round has reserved of the study's currency.
        uint88 free;
        uint32 rounds;
        // The newest certified round before the newest round, whose own state tells the rest: `certify` need not write.
        uint32 lastCertifiedRound;
        uint16 epoch;
        // Version of budget, node share and admitted sites.
        uint16 policy;
        uint16 ring;
        uint24 challengeWindow;
        uint24 minimumCohort;
        uint8 flags;
    }

    struct Study {
        Desk desk;
        // Who opens rounds, and what the next one will pay: one slot.
        address operator;
        uint80 budget;
        uint16 nodeShare;
        address sponsor;
        uint96 bond;
        address currency;
        uint8 kind;
        bool newcomers;
        ICommitteeSource source;
        string finality;
        bytes32 termsHash;
        // The last certified subject, once its round has left the ring.
        bytes32 carriedSubject;
    }

    /// @dev What a round is opened under and needs when it is over.
    struct Policy {
        uint80 budget;
        uint16 nodeShare;
        bytes32 sitesRoot;
    }

    /// @dev One slot.
    struct Head {
        IRecords.State state;
        uint16 epoch;
        uint16 policy;
        // Revenue periods begun before the settlement.
        uint16 period;
        // How many votes came after the certificate.
        uint8 late;
        // The least that may be certified; from the certificate on, what was.
        uint24 cohort;
        uint40 deadline;
        // settleBy - deadline
        uint32 settleWithin;
        // settleBy - time of settlement
        uint32 settledBefore;
        uint32 voters;
        uint32 signers;
    }

    struct Round {
        Head head;
        bytes32 subject;
        bytes32 frozen;
        bytes32 setRoot;
        bytes32 settlement;
    }

    /// @dev The last time that proofs and payouts were stopped. One slot.
    struct Pause {
        uint40 from;
        uint40 until;
    }

    /// @dev Votes that came after a round's certificate, and whose they are. One slot.
    struct Late {
        uint32 voters;
        uint16 epoch;
    }

    /// @notice The desk of a study.
    function deskOf(Study storage self) internal view returns (Desk memory desk) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(self.slot)
        }
        desk.free = uint88(word);
        desk.rounds = uint32(word >> 88);
        desk.lastCertifiedRound = uint32(word >> 120);
        desk.epoch = uint16(word >> 152);
        desk.policy = uint16(word >> 168);
        desk.ring = uint16(word >> 184);
        desk.challengeWindow = uint24(word >> 200);
        desk.minimumCohort = uint24(word >> 224);
        desk.flags = uint8(word >> FLAGS);
    }

    /// @notice Writes the desk of a study.
    function keep(Study storage self, Desk memory desk) internal {
        uint256 word = uint256(desk.free) | (uint256(desk.rounds) << 88) | (uint256(desk.lastCertifiedRound) << 120)
            | (uint256(desk.epoch) << 152) | (uint256(desk.policy) << 168) | (uint256(desk.ring) << 184)
            | (uint256(desk.challengeWindow) << 200) | (uint256(desk.minimumCohort) << 224)
            | (uint256(desk.flags) << FLAGS);
        assembly ("memory-safe") {
            sstore(self.slot, word)
        }
    }

    /// @notice For proofs: of the desk no more than they need, and at most one write.
    /// @param vacates Whether the committee loses a member.
    function forProof(Study storage self, bool vacates) internal returns (uint64 rounds, uint64 ring, uint8 flags) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(self.slot)
            // VACANT
            if vacates { sstore(self.slot, or(word, shl(FLAGS, 1))) }
        }
        return (uint32(word >> 88), uint16(word >> 184), uint8(word >> FLAGS));
    }

    /// @notice The head of a round.
    function headOf(Round storage self) internal view returns (Head memory head) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(self.slot)
        }
        head.state = IRecords.State(uint8(word));
        head.epoch = uint16(word >> 8);
        head.policy = uint16(word >> 24);
        head.period = uint16(word >> 40);
        head.late = uint8(word >> 56);
        head.cohort = uint24(word >> 64);
        head.deadline = uint40(word >> 88);
        head.settleWithin = uint32(word >> 128);
        head.settledBefore = uint32(word >> 160);
        head.voters = uint32(word >> 192);
        head.signers = uint32(word >> 224);
    }

    /// @notice Writes the head of a round.
    function keep(Round storage self, Head memory head) internal {
        uint256 word = uint256(head.state) | (uint256(head.epoch) << 8) | (uint256(head.policy) << 24)
            | (uint256(head.period) << 40) | (uint256(head.late) << 56) | (uint256(head.cohort) << 64)
            | (uint256(head.deadline) << 88) | (uint256(head.settleWithin) << 128)
            | (uint256(head.settledBefore) << 160) | (uint256(head.voters) << 192) | (uint256(head.signers) << 224);
        assembly ("memory-safe") {
            sstore(self.slot, word)
        }
    }

    /// @notice What the archive keeps of a round beside its settlement, as `IRounds.finalPay` tells it.
    function recordOf(Head memory head) internal pure returns (uint80) {
        // Below 2^40, which `openRound` checks.
        uint256 settleBy = uint256(head.deadline) + head.settleWithin;
        uint256 low = uint256(head.policy) | (uint256(head.period) << 16) | (uint256(head.late) << 32);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint80(low | (settleBy << 40));
    }

    // What a record says, in the order of its bits: a cast takes the lowest that are left.

    /// @notice Version of the policy that the round was opened under.
    function policyIn(uint80 record) internal pure returns (uint16) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(record);
    }

    /// @notice Revenue periods begun before the settlement.
    function periodIn(uint80 record) internal pure returns (uint16) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(record >> 16);
    }

    /// @notice How many votes came after the certificate.
    function lateIn(uint80 record) internal pure returns (uint8) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint8(record >> 32);
    }

    /// @notice When the round had to be settled.
    function settleByIn(uint80 record) internal pure returns (uint256) {
        return record >> 40;
    }
}
