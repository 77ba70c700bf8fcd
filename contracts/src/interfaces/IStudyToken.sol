// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title A study as a token
/// @notice ERC-721, id = number of the study. Its owner is the study's sponsor: who receives the token receives the
/// study with its funds, its next rounds and its licences.
interface IStudyToken {
    /// @notice Consilium: a study was created.
    function mint(address sponsor, uint64 study) external;

    /// @notice The contract whose studies these are.
    function consilium() external view returns (address);
}
