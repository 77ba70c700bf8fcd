// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ITreasury} from "../../src/interfaces/ITreasury.sol";
import {TrialToken} from "../../src/tokens/TrialToken.sol";

/// @dev Keeps a hundredth of whatever is moved.
contract FeeToken is TrialToken {
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, from == address(0) ? amount : amount - amount / 100);
        if (from != address(0)) super._update(from, address(0), amount / 100);
    }
}

/// @dev Says false and moves nothing.
contract FalseToken is TrialToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @dev Says nothing at all, like some of the oldest; moves what it is asked to.
contract MuteToken {
    mapping(address account => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address, uint256) external {}

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Calls back into the treasury whenever it is moved out of it, with whatever it was told.
contract CallingToken is TrialToken {
    ITreasury private _treasury;
    bytes private _call;
    bool public refused;

    function arm(ITreasury treasury, bytes calldata call) external {
        (_treasury, _call) = (treasury, call);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_call.length == 0 || from != address(_treasury)) return;
        bytes memory call = _call;
        _call = "";
        (bool done,) = address(_treasury).call(call);
        refused = !done;
    }
}

/// @dev Pays nobody who is on its list, like the larger stablecoins.
contract BlockingToken is TrialToken {
    mapping(address account => bool) public blocked;

    function setBlocked(address account, bool is_) external {
        blocked[account] = is_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[to], "blocked");
        super._update(from, to, amount);
    }
}
