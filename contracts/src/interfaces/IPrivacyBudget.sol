// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title What the studies of a sponsor may reveal together
/// @notice An account of zero-concentrated differential privacy: rounds that draw on it add up, whichever of the sponsor's
/// studies they belong to, and none is opened beyond it (Bun and Steinke 2016). Costs are zCDP's rho in 10^-9, rounded up.
interface IPrivacyBudget {
    /// @notice An account. Two words.
    struct Account {
        address owner;
        /// The delta at which the owner states epsilon, in 10^-18: below 1.
        uint64 delta;
        /// What all rounds may cost together, in 10^-9. With what they have cost so far: one word.
        uint64 budget;
        uint64 spent;
    }

    /// @notice What a study draws on an account. One word.
    struct Draw {
        uint64 account;
        /// What each of its rounds costs, in 10^-9.
        uint64 cost;
    }

    /// @notice An account was opened; neither budget nor delta ever changes.
    /// @param account Its number, from 1.
    /// @param owner Whose studies may draw on it.
    /// @param name What the owner calls it, 1 to 64 bytes.
    /// @param budget What all rounds may cost together, zCDP in 10^-9.
    /// @param delta In 10^-18, below 1.
    event AccountOpened(uint64 indexed account, address indexed owner, string name, uint64 budget, uint64 delta);
    /// @notice Every round of a study draws on an account.
    /// @param account The account's number.
    /// @param study The study's number.
    /// @param cost Of one round, zCDP in 10^-9.
    event StudyJoined(uint64 indexed account, uint64 indexed study, uint64 cost);
    /// @notice A round was opened.
    /// @param account The account's number.
    /// @param study The study's number.
    /// @param spent What all rounds have cost by now, in 10^-9.
    event Charged(uint64 indexed account, uint64 indexed study, uint64 spent);
    /// @notice A round was void: its set was never certified, and nothing but who took part was to be seen.
    /// @param account The account's number.
    /// @param study The study's number.
    /// @param spent What all rounds have cost by now, in 10^-9.
    event GivenBack(uint64 indexed account, uint64 indexed study, uint64 spent);

    /// @notice Only Consilium charges.
    /// @param caller Who called.
    error NotConsilium(address caller);
    /// @notice A budget is above zero, delta between zero and one, and a name has 1 to 64 bytes.
    error InvalidAccount();
    /// @notice A study may draw on its own sponsor's accounts only.
    /// @param account The account's number.
    /// @param sponsor Who is not its owner.
    error NotTheOwner(uint64 account, address sponsor);
    /// @notice The account does not hold what a round costs.
    /// @param account The account's number.
    /// @param left What is left of it, in 10^-9.
    /// @param cost Of one round, zCDP in 10^-9.
    error BudgetSpent(uint64 account, uint64 left, uint64 cost);

    /// @notice Anyone: opens an account of its own.
    /// @param name What the sponsor calls it; 1 to 64 bytes.
    /// @param budget What all rounds may cost together, in 10^-9.
    /// @param delta In 10^-18.
    /// @return account Its number, from 1.
    function openAccount(string calldata name, uint64 budget, uint64 delta) external returns (uint64 account);

    /// @notice Consilium: a study is created that draws on an account.
    /// @param study Its number.
    /// @param sponsor Who creates it.
    /// @param account The account's number.
    /// @param cost Of each of its rounds, in 10^-9.
    function join(uint64 study, address sponsor, uint64 account, uint64 cost) external;

    /// @notice Consilium: a round of a study is opened.
    /// @param study Its number.
    function charge(uint64 study) external;

    /// @notice Consilium: a round of a study has become void.
    /// @param study Its number.
    function giveBack(uint64 study) external;

    /// @notice An account; zeros for an unknown one.
    /// @param account Its number.
    /// @return As stored.
    function accountOf(uint64 account) external view returns (Account memory);

    /// @notice What a study draws on which account; zeros if on none.
    /// @param study Its number.
    /// @return Account and cost of a round.
    function drawOf(uint64 study) external view returns (Draw memory);

    /// @notice Number of accounts so far.
    /// @return How many; also the number of the newest.
    function accounts() external view returns (uint64);

    /// @notice The contract whose studies draw on the accounts.
    /// @return Its address.
    function consilium() external view returns (address);
}
