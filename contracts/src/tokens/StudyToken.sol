// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {IStudyToken} from "../interfaces/IStudyToken.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @title A study as a token, and who acts for its owner
/// @dev Consilium keeps owner and operator too, so that opening a round asks nobody: every change tells it. What a study is
/// worth stands in Consilium's events (RoundCertified: cohort size; RoundSettled: set root, aggregate root) and, bound
/// by one hash a round, in its ring and archive.
contract StudyToken is ERC721, IStudyToken {
    /// @inheritdoc IStudyToken
    address public immutable consilium;

    /// @inheritdoc IStudyToken
    mapping(uint64 study => uint64) public tenureOf;
    // By the owner's tenure, so that none of it outlasts the owner.
    mapping(uint64 study => mapping(uint64 tenure => mapping(Role => address))) private _holders;
    mapping(uint64 study => mapping(uint64 tenure => mapping(address => bool))) private _auditors;

    /// @param consilium_ The contract whose studies these are; it may be deployed later.
    constructor(address consilium_) ERC721("Consilium Study", "STUDY") {
        consilium = consilium_;
    }

    // ------------------------------------------------------------------------------------------------ owner

    /// @inheritdoc IStudyToken
    function mint(address sponsor, uint64 study, address guardian) external {
        require(msg.sender == consilium, NotConsilium(msg.sender));
        // Not _safeMint: a sponsor's code must not run in the middle of a study's creation.
        _mint(sponsor, study);
        _give(study, Role.Operator, sponsor);
        _give(study, Role.Treasurer, sponsor);
        _give(study, Role.Guardian, guardian);
    }

    /// @inheritdoc IStudyToken
    function setRole(uint64 study, Role role, address account) external {
        _onlySponsor(study);
        _give(study, role, account);
        if (role == Role.Operator) IConsilium(consilium).operatorChanged(study, account);
    }

    /// @inheritdoc IStudyToken
    function setAuditor(uint64 study, address auditor, bool allowed) external {
        _onlySponsor(study);
        _auditors[study][tenureOf[study]][auditor] = allowed;
        emit AuditorSet(study, auditor, allowed);
    }

    /// @notice Refused: approve the one receiver of one study.
    function setApprovalForAll(address, bool) public pure override {
        revert NoApprovalForAll();
    }

    // ------------------------------------------------------------------------------------------------ guardian

    /// @inheritdoc IStudyToken
    function pause(uint64 study, uint64 until) external {
        _onlyGuardian(study);
        IConsilium(consilium).pause(study, until);
    }

    /// @inheritdoc IStudyToken
    function resume(uint64 study) external {
        _onlyGuardian(study);
        IConsilium(consilium).pause(study, 0);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IStudyToken
    function holderOf(uint64 study, Role role) public view returns (address) {
        return _holders[study][tenureOf[study]][role];
    }

    /// @inheritdoc IStudyToken
    function treasurerOf(uint64 study) external view returns (address) {
        return holderOf(study, Role.Treasurer);
    }

    /// @inheritdoc IStudyToken
    function guardianOf(uint64 study) public view returns (address) {
        return holderOf(study, Role.Guardian);
    }

    /// @inheritdoc IStudyToken
    function isAuditor(uint64 study, address account) external view returns (bool) {
        return _auditors[study][tenureOf[study]][account];
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _give(uint64 study, Role role, address account) private {
        _holders[study][tenureOf[study]][role] = account;
        emit RoleSet(study, role, account);
    }

    /// The receiver takes a study, by the owner's approval.
    function _update(address to, uint256 id, address auth) internal override returns (address from) {
        from = super._update(to, id, auth);
        if (from == address(0)) return from; // its creator is the sponsor already
        require(msg.sender == to, NotTheReceiver(msg.sender, to));
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 study = uint64(id); // ids are numbers of studies, which have 64 bits
        tenureOf[study] += 1;
        _give(study, Role.Operator, to);
        _give(study, Role.Treasurer, to);
        IConsilium(consilium).sponsorChanged(study, to);
    }

    function _onlySponsor(uint64 study) private view {
        require(msg.sender == _ownerOf(study), NotSponsor(study, msg.sender));
    }

    function _onlyGuardian(uint64 study) private view {
        require(msg.sender == guardianOf(study), NotGuardian(study, msg.sender));
    }
}
