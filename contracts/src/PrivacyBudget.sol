// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IPrivacyBudget} from "./interfaces/IPrivacyBudget.sol";

/// @title What the studies of a sponsor may reveal together
/// @dev A study goes on drawing on its account when it is sold: the account is a promise to patients about their data, and
/// not the seller's property. Who buys a study buys what is left to it.
contract PrivacyBudget is IPrivacyBudget {
    uint256 private constant MAX_NAME = 64;
    uint64 private constant WHOLE = 10 ** 18;

    /// @inheritdoc IPrivacyBudget
    address public immutable consilium;
    /// @inheritdoc IPrivacyBudget
    uint64 public accounts;

    mapping(uint64 account => Account) private _accounts;
    mapping(uint64 study => Draw) private _draws;

    /// @param consilium_ Who charges; it may be deployed later.
    constructor(address consilium_) {
        consilium = consilium_;
    }

    modifier onlyConsilium() {
        require(msg.sender == consilium, NotConsilium(msg.sender));
        _;
    }

    /// @inheritdoc IPrivacyBudget
    function openAccount(string calldata name, uint64 budget, uint64 delta) external returns (uint64 account) {
        bool named = bytes(name).length != 0 && bytes(name).length <= MAX_NAME;
        require(named && budget != 0 && delta != 0 && delta < WHOLE, InvalidAccount());
        account = ++accounts;
        _accounts[account] = Account({owner: msg.sender, delta: delta, budget: budget, spent: 0});
        emit AccountOpened(account, msg.sender, name, budget, delta);
    }

    /// @inheritdoc IPrivacyBudget
    function join(uint64 study, address sponsor, uint64 account, uint64 cost) external onlyConsilium {
        require(_accounts[account].owner == sponsor, NotTheOwner(account, sponsor));
        _draws[study] = Draw({account: account, cost: cost});
        emit StudyJoined(account, study, cost);
    }

    /// @inheritdoc IPrivacyBudget
    function charge(uint64 study) external onlyConsilium {
        Draw memory draw = _draws[study];
        Account storage account = _accounts[draw.account];
        (uint64 budget, uint64 spent) = (account.budget, account.spent);
        // No more than the budget is ever spent.
        require(draw.cost <= budget - spent, BudgetSpent(draw.account, budget - spent, draw.cost));
        account.spent = spent + draw.cost;
        emit Charged(draw.account, study, spent + draw.cost);
    }

    /// @inheritdoc IPrivacyBudget
    function giveBack(uint64 study) external onlyConsilium {
        Draw memory draw = _draws[study];
        uint64 spent = _accounts[draw.account].spent - draw.cost;
        _accounts[draw.account].spent = spent;
        emit GivenBack(draw.account, study, spent);
    }

    /// @inheritdoc IPrivacyBudget
    function accountOf(uint64 account) external view returns (Account memory) {
        return _accounts[account];
    }

    /// @inheritdoc IPrivacyBudget
    function drawOf(uint64 study) external view returns (Draw memory) {
        return _draws[study];
    }
}
