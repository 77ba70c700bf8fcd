// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IJudge} from "./IJudge.sol";

/// @title What a kind of study is to the chain
/// @notice A kind says how a committee turns contributions into results. Its contract is the study's judge: it is shown
/// proofs that a result is wrong, and may take bonds for them (`ICourt.convict`) and hold them (`ICourt.hold`) in the
/// studies of its kind. Which kinds there are is fixed when Consilium is deployed.
interface IKind is IJudge {
    /// @notice The number under which studies name it.
    /// @return From 1.
    function kind() external view returns (uint8);

    /// @notice No smaller set may ever be certified.
    /// @return Number of sites.
    function leastCohort() external view returns (uint32);

    /// @notice Whether there is no result beyond the certified set: rounds are settled by their certificate, pay its sites and
    /// voters, and can be proved wrong by the kind's judge as long as any.
    /// @return Whether it is so.
    function endsAtCertificate() external view returns (bool);

    /// @notice The root of the vector that a signed share root stands for.
    /// @param signed As a ShareRoot and a Settlement have it.
    /// @param evidence What else was hashed into it; empty if nothing was.
    /// @return Root of the vector.
    function vectorRoot(bytes32 signed, bytes calldata evidence) external view returns (bytes32);
}
