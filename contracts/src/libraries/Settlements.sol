// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../interfaces/ICourt.sol";
import {Statements} from "./Statements.sol";

/// @title The EIP-712 struct hash of a Settlement, from its roots as proofs show them
library Settlements {
    /// @notice As `Statements.settlement`, hashed from the calldata in one buffer.
    function hashOf(uint64 study, uint64 round, ICourt.Roots calldata roots) internal pure returns (bytes32 statement) {
        bytes32[] calldata shareRoots = roots.shareRoots;
        (bytes32 kind, uint256 ofStudy, uint256 ofRound) = (Statements.SETTLEMENT, study, round);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let size := shl(5, shareRoots.length)
            calldatacopy(buffer, shareRoots.offset, size)
            let shareRootsHash := keccak256(buffer, size)
            mstore(buffer, kind)
            mstore(add(buffer, 0x20), ofStudy)
            mstore(add(buffer, 0x40), ofRound)
            // Of `roots`, the set's comes first, the aggregate's and the rewards' third and fourth.
            mstore(add(buffer, 0x60), calldataload(roots))
            mstore(add(buffer, 0x80), shareRootsHash)
            calldatacopy(add(buffer, 0xa0), add(roots, 0x40), 0x40)
            statement := keccak256(buffer, 0xe0)
        }
    }
}
