// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title A study as a token, and who acts for its owner
/// @notice ERC-721, id = number of the study. Its owner is the study's sponsor. A study changes hands in two steps: the
/// owner approves the receiver, and the receiver takes it (`approve`, then `transferFrom` by the receiver). With it go the
/// study's funds, its next rounds and its licences; operator, treasurer, guardian and auditors of the one before go not.
interface IStudyToken {
    /// @notice Who acts for the sponsor. The sponsor itself may do all that operator and treasurer may.
    enum Role {
        /// Opens rounds.
        Operator,
        /// Takes out money that no round has reserved, and sets the price of licences.
        Treasurer,
        /// Puts compensations off, and stops proofs and payouts for a while. Can send no money anywhere.
        Guardian
    }

    /// @notice A role has another holder; zero for nobody.
    /// @param study The study's number.
    /// @param role Which.
    /// @param account Who has it now; zero for nobody.
    event RoleSet(uint64 indexed study, Role indexed role, address account);
    /// @notice An account may, or may no longer, read the study's vectors for audit.
    /// @param study The study's number.
    /// @param auditor The account.
    /// @param allowed Whether it may.
    event AuditorSet(uint64 indexed study, address indexed auditor, bool allowed);

    /// @notice Only Consilium creates studies.
    /// @param caller Who called.
    error NotConsilium(address caller);
    /// @notice Only the study's sponsor may do this.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotSponsor(uint64 study, address caller);
    /// @notice Only the study's guardian may do this.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotGuardian(uint64 study, address caller);
    /// @notice Who receives a study takes it itself: nobody is made a sponsor.
    /// @param caller Who called.
    /// @param to Who was to receive it.
    error NotTheReceiver(address caller, address to);
    /// @notice An approval for all studies is the key to all their money: approve the one receiver of the one study.
    error NoApprovalForAll();

    /// @notice Consilium: a study was created.
    /// @param sponsor Its owner, operator and treasurer.
    /// @param study Its number.
    /// @param guardian Its guardian; zero for none.
    function mint(address sponsor, uint64 study, address guardian) external;

    /// @notice Sponsor: gives a role to an account, instead of who had it.
    /// @param study Its number.
    /// @param role Which.
    /// @param account Zero for nobody.
    function setRole(uint64 study, Role role, address account) external;

    /// @notice Sponsor: lets an account read the study's vectors for audit, or stops it.
    /// @param study Its number.
    /// @param auditor The account.
    /// @param allowed Whether it may.
    function setAuditor(uint64 study, address auditor, bool allowed) external;

    /// @notice Guardian: stops proofs and payouts of the study, for `IConsilium.longestPause()` at most. An unbonding delay
    /// lies between two pauses.
    /// @param study Its number.
    /// @param until Block time from which they go on.
    function pause(uint64 study, uint64 until) external;

    /// @notice Guardian: ends a pause.
    /// @param study Its number.
    function resume(uint64 study) external;

    /// @notice Who has a role in a study; zero for nobody.
    /// @param study Its number.
    /// @param role Which.
    /// @return The account, or zero.
    function holderOf(uint64 study, Role role) external view returns (address);

    /// @notice As `holderOf`.
    /// @param study Its number.
    /// @return The account, or zero.
    function treasurerOf(uint64 study) external view returns (address);

    /// @notice As `holderOf`.
    /// @param study Its number.
    /// @return The account, or zero.
    function guardianOf(uint64 study) external view returns (address);

    /// @notice Whether the account may read the study's vectors for audit.
    /// @param study Its number.
    /// @param account The account.
    /// @return Whether it may.
    function isAuditor(uint64 study, address account) external view returns (bool);

    /// @notice How often the study changed hands: what an owner arranged ends with its tenure.
    /// @param study Its number.
    /// @return 0 for its creator.
    function tenureOf(uint64 study) external view returns (uint64);

    /// @notice The contract whose studies these are.
    /// @return Its address.
    function consilium() external view returns (address);
}
