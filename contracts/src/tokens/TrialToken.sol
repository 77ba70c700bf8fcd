// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title A currency for test networks
/// @dev Anyone may make some: it is worth nothing, and meant to be.
contract TrialToken is ERC20, ERC20Permit {
    constructor() ERC20("Consilium Trial", "TRIAL") ERC20Permit("Consilium Trial") {}

    /// @notice Makes coins for whoever needs them to try something.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
