// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {IStudyToken} from "../interfaces/IStudyToken.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @title A study as a token
/// @dev Consilium keeps the owner too, so that opening a round asks nobody: every transfer tells it. What a study is
/// worth stands in Consilium's events (RoundCertified: cohort size; RoundSettled: set root, aggregate root) and, bound
/// by one hash a round, in its ring and archive.
contract StudyToken is ERC721, IStudyToken {
    address public immutable consilium;

    /// @notice Only Consilium creates studies.
    error NotConsilium(address caller);

    constructor(address consilium_) ERC721("Consilium Study", "STUDY") {
        consilium = consilium_;
    }

    function mint(address sponsor, uint64 study) external {
        require(msg.sender == consilium, NotConsilium(msg.sender));
        // Not _safeMint: a sponsor's code must not run in the middle of a study's creation.
        _mint(sponsor, study);
    }

    function _update(address to, uint256 study, address auth) internal override returns (address from) {
        from = super._update(to, study, auth);
        // Ids are numbers of studies, which have 64 bits. The creator is the sponsor already.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (from != address(0)) IConsilium(consilium).sponsorChanged(uint64(study), to);
    }
}
