// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "./SignedStatements.sol";
import {Compensations} from "./stake/Compensations.sol";
import {Court} from "./stake/Court.sol";
import {Stakes} from "./stake/Stakes.sol";

/// @title The committee nodes, their stake, and the proofs that take it
/// @dev One contract, since who holds the stake must be who is shown the proof: nobody in between can be asked. Holds
/// exactly the free stake of all nodes and all bonds, convicted ones less what was paid out of them (besides coins
/// forced upon it).
contract NodeRegistry is Court {
    /// @param minimumStake Smallest stake in wei.
    /// @param unbondingDelay Seconds between the end of service and the stake's return.
    /// @param probation Seconds during which a node counts as a newcomer.
    /// @param compensationDelay Seconds between a conviction and the compensation of the harmed sites.
    /// @param claimTime Seconds after which what sites have not taken of a compensation goes to the sink.
    /// @param sink Who gets what no site may have; it has no other right.
    /// @param consilium The contract of studies and rounds; it may be deployed after the registry.
    constructor(
        uint256 minimumStake,
        uint64 unbondingDelay,
        uint64 probation,
        uint64 compensationDelay,
        uint64 claimTime,
        address sink,
        address consilium
    )
        Stakes(minimumStake, unbondingDelay, probation, consilium)
        Compensations(compensationDelay, claimTime, sink)
        SignedStatements(consilium)
    {}
}
