// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @dev A site that burns all the gas it is given for taking its money, until it is told otherwise.
contract BurningReceiver {
    bool public calm;
    uint256 public paid;

    function calmDown() external {
        calm = true;
    }

    receive() external payable {
        while (!calm) {}
        paid += msg.value;
    }
}

/// @dev A site whose answer is as long as its gas allows.
contract VerboseReceiver {
    receive() external payable {
        assembly {
            return(0, 100000)
        }
    }
}

/// @dev Calls on: the transaction's input does not show what a contract was called with.
contract Relay {
    function pass(address to, bytes calldata call) external {
        (bool done,) = to.call(call);
        require(done);
    }
}
