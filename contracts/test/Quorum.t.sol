// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {Deployment} from "./setup/Deployment.sol";

/// @dev What counts as Q = 3t+1 signatures: tried on certificates, and on settlements where the statement differs.
contract QuorumTest is Deployment {
    uint64 private study;
    uint64 private round;
    bytes32 private vote;

    function setUp() public {
        deploy();
        study = createStudy(1, 5);
        round = open(study, SUBJECT);
        vote = digests.voteDigest(study, round, SET_ROOT, 5);
    }

    // -------------------------------------------------------------------------------------------- who signed

    /// Any subset of the committee certifies exactly if it has at least Q nodes.
    function testFuzz_quorum_isThreeTPlusOne(uint8 threshold, uint8 size, uint32 subset) public {
        uint256 t = bound(threshold, 1, 6);
        uint256 n = bound(size, 3 * t + 1, 5 * t + 1 < NODES ? 5 * t + 1 : NODES);
        uint256 signers = subset & (2 ** n - 1);
        uint64 other = createStudy(uint8(t), n);
        open(other, SUBJECT);
        bytes memory signed = signatures(digests.voteDigest(other, 1, SET_ROOT, 5), signers);
        uint256 count = ones(signers);
        if (count < 3 * t + 1) {
            vm.expectRevert(abi.encodeWithSelector(IRecords.QuorumMissing.selector, count, 3 * t + 1));
        }
        consilium.certify(other, 1, SET_ROOT, 5, signers, signed);
    }

    function test_quorum_oneSignatureLessIsRefused() public {
        for (uint256 missing = 0; missing < 4; missing++) {
            uint256 signers = 15 ^ (1 << missing);
            bytes memory signed = signatures(vote, signers);
            vm.expectRevert(abi.encodeWithSelector(IRecords.QuorumMissing.selector, 3, 4));
            consilium.certify(study, round, SET_ROOT, 5, signers, signed);
        }
        vm.expectRevert(abi.encodeWithSelector(IRecords.QuorumMissing.selector, 0, 4));
        consilium.certify(study, round, SET_ROOT, 5, 0, "");
    }

    function test_quorum_oneNodeTwiceIsRefused() public {
        bytes memory signed = bytes.concat(signatures(vote, 7), sign(secret(3), vote));
        refuseCertificate(15, signed, 4);
    }

    function test_quorum_aForeignSignerIsRefused() public {
        bytes memory signed = bytes.concat(signatures(vote, 7), sign(secret(6), vote));
        refuseCertificate(15, signed, 4);
    }

    function test_quorum_orderIsThatOfTheBitmap() public {
        bytes memory signed =
            bytes.concat(sign(secret(2), vote), sign(secret(1), vote), sign(secret(3), vote), sign(secret(4), vote));
        refuseCertificate(15, signed, 1);
    }

    function testFuzz_quorum_bitsBeyondTheCommitteeAreRefused(uint256 extra) public {
        uint256 signers = 15 | (1 << bound(extra, 5, 255));
        bytes memory signed = bytes.concat(signatures(vote, 15), sign(secret(6), vote));
        vm.expectRevert(abi.encodeWithSelector(IRecords.UnknownSigner.selector, signers, 5));
        consilium.certify(study, round, SET_ROOT, 5, signers, signed);
    }

    // -------------------------------------------------------------------------------------------- what was signed

    function test_quorum_votesOfAnotherRoundAreRefused() public {
        refuseCertificate(15, signatures(digests.voteDigest(study, round + 1, SET_ROOT, 5), 15), 1);
    }

    function test_quorum_votesOfAnotherStudyAreRefused() public {
        refuseCertificate(15, signatures(digests.voteDigest(study + 1, round, SET_ROOT, 5), 15), 1);
    }

    function test_quorum_votesForAnotherSetOrSizeAreRefused() public {
        refuseCertificate(15, signatures(digests.voteDigest(study, round, keccak256("other"), 5), 15), 1);
        refuseCertificate(15, signatures(digests.voteDigest(study, round, SET_ROOT, 6), 15), 1);
    }

    function test_quorum_otherStatementsAreNoVotes() public {
        refuseCertificate(15, signatures(digests.finalDigest(study, SUBJECT, round, SET_ROOT), 15), 1);
        refuseCertificate(15, signatures(digests.receiptDigest(study, round, address(5), SET_ROOT), 15), 1);
    }

    function test_quorum_votesForAnotherContractAreRefused() public {
        IConsilium ours = consilium;
        deploy();
        bytes memory signed = signatures(digests.voteDigest(study, round, SET_ROOT, 5), 15);
        consilium = ours;
        refuseCertificate(15, signed, 1);
    }

    function test_quorum_votesOnAnotherChainAreRefused() public {
        bytes memory signed = signatures(vote, 15);
        vm.chainId(1);
        refuseCertificate(15, signed, 1);
        certify(study, round, 15); // and what is signed for this chain counts
    }

    // -------------------------------------------------------------------------------------------- how it was signed

    function testFuzz_quorum_aFlippedBitIsRefused(uint16 position) public {
        bytes memory signed = signatures(vote, 31);
        uint256 bit = bound(position, 0, signed.length * 8 - 1);
        signed[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        uint256 index = bit / 8 / 65 + 1;
        refuseCertificate(31, signed, index);
    }

    /// (r, n - s) recovers to the same node, but would let anybody make a second signature of a first.
    function testFuzz_quorum_aHighSIsRefused(uint8 which) public {
        uint256 index = bound(which, 1, 4);
        bytes memory all;
        for (uint256 j = 1; j <= 4; j++) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret(j), vote);
            if (j == index) (v, s) = (v ^ 7, bytes32(CURVE_ORDER - uint256(s))); // 27 <-> 28
            all = bytes.concat(all, abi.encodePacked(r, s, v));
        }
        refuseCertificate(15, all, index);
    }

    function test_quorum_aRecoveryBitOfZeroOrOneIsRefused() public {
        bytes memory signed = signatures(vote, 15);
        signed[64] = bytes1(uint8(signed[64]) - 27);
        refuseCertificate(15, signed, 1);
    }

    function testFuzz_quorum_otherLengthsAreRefused(uint16 length) public {
        uint256 actual = bound(length, 0, 400);
        if (actual == 260) actual = 261;
        bytes memory signed = bytes.concat(signatures(vote, 15), new bytes(140));
        assembly ("memory-safe") {
            mstore(signed, actual)
        }
        vm.expectRevert(abi.encodeWithSelector(IRecords.SignaturesLength.selector, actual, 260));
        consilium.certify(study, round, SET_ROOT, 5, 15, signed);
    }

    function test_quorum_compactSignaturesAreRefused() public {
        bytes memory signed = new bytes(64 * 4);
        vm.expectRevert(abi.encodeWithSelector(IRecords.SignaturesLength.selector, 256, 260));
        consilium.certify(study, round, SET_ROOT, 5, 15, signed);
    }

    // -------------------------------------------------------------------------------------------- settlements

    function test_settlement_needsQSignatures() public {
        certify(study, round, 15);
        bytes memory signed = signatures(settlementDigest(study, round, SET_ROOT, shareRoots(5)), 7);
        vm.expectRevert(abi.encodeWithSelector(IRecords.QuorumMissing.selector, 3, 4));
        consilium.settle(study, round, shareRoots(5), AGGREGATE_ROOT, REWARD_ROOT, 7, signed);
    }

    function test_settlement_ofAnotherSetIsRefused() public {
        certify(study, round, 15);
        refuseSettlement(signatures(settlementDigest(study, round, keccak256("other"), shareRoots(5)), 15), 1);
    }

    function test_settlement_ofAnotherRoundIsRefused() public {
        certify(study, round, 15);
        refuseSettlement(signatures(settlementDigest(study, round + 1, SET_ROOT, shareRoots(5)), 15), 1);
    }

    function test_settlement_bindsEveryShareRootTheAggregateAndTheRewards() public {
        certify(study, round, 15);
        bytes memory signed = signatures(settlementDigest(study, round, SET_ROOT, shareRoots(5)), 15);
        bytes memory reason = abi.encodeWithSelector(IRecords.InvalidSignature.selector, 1, node(1));
        for (uint256 i = 0; i < 5; i++) {
            bytes32[] memory roots = shareRoots(5);
            roots[i] = keccak256("other");
            vm.expectRevert(reason);
            consilium.settle(study, round, roots, AGGREGATE_ROOT, REWARD_ROOT, 15, signed);
        }
        vm.expectRevert(reason);
        consilium.settle(study, round, shareRoots(5), REWARD_ROOT, REWARD_ROOT, 15, signed);
        vm.expectRevert(reason);
        consilium.settle(study, round, shareRoots(5), AGGREGATE_ROOT, AGGREGATE_ROOT, 15, signed);
    }

    function test_settlement_votesAreNoSettlements() public {
        certify(study, round, 15);
        refuseSettlement(signatures(vote, 15), 1);
    }

    function test_settlement_aForeignOrRepeatedSignerIsRefused() public {
        certify(study, round, 15);
        bytes32 digest = settlementDigest(study, round, SET_ROOT, shareRoots(5));
        refuseSettlement(bytes.concat(signatures(digest, 7), sign(secret(6), digest)), 4);
        refuseSettlement(bytes.concat(signatures(digest, 7), sign(secret(3), digest)), 4);
    }

    // --------------------------------------------------------------------------------------------

    function refuseCertificate(uint256 signers, bytes memory signed, uint256 index) private {
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidSignature.selector, index, node(index)));
        consilium.certify(study, round, SET_ROOT, 5, signers, signed);
        assertState(study, round, IRecords.State.Open);
    }

    function refuseSettlement(bytes memory signed, uint256 index) private {
        vm.expectRevert(abi.encodeWithSelector(IRecords.InvalidSignature.selector, index, node(index)));
        consilium.settle(study, round, shareRoots(5), AGGREGATE_ROOT, REWARD_ROOT, 15, signed);
        assertState(study, round, IRecords.State.Certified);
    }

    function ones(uint256 bitmap) private pure returns (uint256 count) {
        for (uint256 i = 0; i < 256; i++) {
            count += (bitmap >> i) & 1;
        }
    }
}
