// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Where a study's committee comes from
/// @notice A study without a source takes its sponsor's list. Sortition by stake, or an adapter to a restaking service,
/// is a contract with this one function. Whatever it answers, the nodes must be active, have agreed to serve the
/// sponsor and put up the study's bond.
interface ICommitteeSource {
    /// @notice The committee of the study's next epoch, node 1 first.
    /// @param study The study's number.
    /// @param sponsor The study's sponsor.
    /// @param threshold t: 3t+1 <= n <= 5t+1.
    /// @param proposal What the sponsor would have; a source may ignore it.
    /// @return nodes Distinct active nodes.
    function committeeFor(uint64 study, address sponsor, uint8 threshold, address[] calldata proposal)
        external
        view
        returns (address[] memory nodes);
}
