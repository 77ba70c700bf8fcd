// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../../interfaces/ICourt.sol";
import {IKind} from "../IKind.sol";

/// @title Kind 1: private sums, and the proofs that one is wrong (section 6.12 (ii))
interface ISumKind is IKind {
    /// @notice The terms that a study was created with; the contract knows their hash.
    struct Program {
        uint8 kind;
        string name;
        bytes parameters;
        /// Elements of the aggregate and of each output share.
        uint64 outputLength;
        string weightUnit;
        bytes32 description;
    }

    /// @notice A leaf of a settled vector.
    struct Opening {
        /// 0: the aggregate; j: the output share of node j.
        uint8 point;
        bytes content;
        bytes32[] path;
    }

    /// @notice These are not the study's terms.
    /// @param study The study's number.
    error NotTheProgram(uint64 study);
    /// @notice t+2 openings at strictly increasing points 0..n are needed.
    error OpeningPoints();
    /// @notice A share root of a sum is the root of a vector as it is: nothing else goes with it.
    error NothingToUnwrap();

    /// @notice t+2 leaves of settled roots do not lie on one polynomial of degree t at this element. Every signer of the
    /// settlement loses its bond; within the challenge window the round becomes Fraudulent, later Refuted.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param roots As they were settled.
    /// @param program The terms that the study was created with.
    /// @param element Its place in the vector, from 0.
    /// @param openings At strictly increasing points, each the leaf that holds the element.
    function proveWrongSettlement(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        Program calldata program,
        uint64 element,
        Opening[] calldata openings
    ) external;

    /// @notice A leaf of a settled root is no leaf: other than 256 bytes, a value of p or more, padding not zero.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param roots As they were settled.
    /// @param program The terms that the study was created with.
    /// @param leaf Its place among the leaves, from 0.
    /// @param opening What leads to the settled root.
    function proveMalformedLeaf(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        Program calldata program,
        uint64 leaf,
        Opening calldata opening
    ) external;

    /// @notice A settled root is not the top of a vector of the study's length.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param roots As they were settled.
    /// @param program The terms that the study was created with.
    /// @param point 0: the aggregate; j: the output share of node j.
    /// @param preimage Whose SHA-256 is the root at this point, and which is not 0x02 || length || 32 bytes.
    function proveMalformedRoot(
        uint64 study,
        uint64 round,
        ICourt.Roots calldata roots,
        Program calldata program,
        uint8 point,
        bytes calldata preimage
    ) external;
}
