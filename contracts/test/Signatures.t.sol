// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Signatures} from "../src/libraries/Signatures.sol";
import {Test} from "./setup/Test.sol";

/// @dev Whose signature it is, by both forms, and that there are no others.
contract SignaturesTest is Test {
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    /// Both forms of a signature are the same node's, whatever was signed.
    function testFuzz_signature_compactAndPackedAreOne(uint256 key, bytes32 digest, bytes32 other) public view {
        key = bound(key, 1, CURVE_ORDER - 1);
        (bytes memory packed, bytes32[2] memory compact) = signed(key, digest);
        vm.assertEq(this.packedSigner(digest, packed), vm.addr(key), "packed");
        vm.assertEq(this.compactSigner(digest, compact), vm.addr(key), "compact");
        if (other == digest) return;
        vm.assertTrue(this.compactSigner(other, compact) != vm.addr(key), "another digest");
    }

    function testFuzz_signature_packedHasOneForm(uint256 key, bytes32 digest, uint8 otherV) public view {
        key = bound(key, 1, CURVE_ORDER - 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes32 negative = bytes32(CURVE_ORDER - uint256(s));
        vm.assertEq(this.packedSigner(digest, abi.encodePacked(r, negative, 55 - v)), address(0), "upper half");
        if (otherV == 27 || otherV == 28) return;
        vm.assertEq(this.packedSigner(digest, abi.encodePacked(r, s, otherV)), address(0), "another v");
    }

    function test_signature_packedHas65Bytes() public view {
        (bytes memory packed,) = signed(7, "digest");
        vm.assertEq(this.packedSigner("digest", bytes.concat(packed, hex"00")), address(0), "longer");
        assembly ("memory-safe") {
            mstore(packed, 64)
        }
        vm.assertEq(this.packedSigner("digest", packed), address(0), "shorter");
    }

    function packedSigner(bytes32 digest, bytes calldata signature) external view returns (address) {
        return Signatures.signerOf(digest, signature);
    }

    function compactSigner(bytes32 digest, bytes32[2] calldata signature) external view returns (address) {
        return Signatures.signerOfCompact(digest, signature);
    }

    function signed(uint256 key, bytes32 digest) private pure returns (bytes memory packed, bytes32[2] memory compact) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        packed = abi.encodePacked(r, s, v);
        compact = [r, bytes32(uint256(s) | (uint256(v - 27) << 255))];
    }
}
