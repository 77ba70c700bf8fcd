// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../interfaces/ICourt.sol";

/// @title A contract that is shown proofs about rounds
interface IJudge {
    /// @notice The contract whose studies it judges.
    /// @return Its address.
    function consilium() external view returns (address);

    /// @notice Where the bonds are of those whom it convicts.
    /// @return Its address.
    function registry() external view returns (ICourt);
}
