// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ILicences} from "../interfaces/ILicences.sol";
import {IStudyToken} from "../interfaces/IStudyToken.sol";
import {ITreasury} from "../interfaces/ITreasury.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {ERC2981} from "@openzeppelin/contracts/token/common/ERC2981.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Licences to a study's aggregates
/// @dev ERC-1155, id = number of the study. Whoever holds one may download; whoever sells it on may no more.
contract Licences is ILicences, ERC1155, ERC2981, ReentrancyGuardTransient {
    uint16 private constant WHOLE = 10_000;
    uint16 private constant HIGHEST_ROYALTY = 1_000;

    /// @inheritdoc ILicences
    IConsilium public immutable consilium;
    /// @notice Who takes the price.
    ITreasury public immutable treasury;
    /// @notice Who owns the studies, and acts for the owners.
    IStudyToken public immutable token;

    // By the owner's tenure: a study that changes hands is not for sale at its former owner's price.
    mapping(uint64 study => mapping(uint64 tenure => Offer)) private _offers;

    /// @param consilium_ The contract whose studies these are; it may be deployed later.
    /// @param treasury_ Who takes the price.
    /// @param token_ Who owns the studies.
    constructor(IConsilium consilium_, ITreasury treasury_, IStudyToken token_) ERC1155("") {
        (consilium, treasury, token) = (consilium_, treasury_, token_);
    }

    /// @inheritdoc ILicences
    function setOffer(uint64 study, uint96 price, uint16 royalty) external {
        bool may = msg.sender == token.treasurerOf(study) || msg.sender == consilium.sponsorOf(study);
        require(may, NotTreasurer(study, msg.sender));
        require(royalty <= HIGHEST_ROYALTY, RoyaltyTooHigh(royalty, HIGHEST_ROYALTY));
        _offers[study][token.tenureOf(study)] = Offer({price: price, royalty: royalty});
        emit Offered(study, price, royalty);
    }

    /// @inheritdoc ILicences
    function buy(uint64 study, uint32 quantity, uint256 highestPrice, address to) external nonReentrant {
        uint256 price = offerOf(study).price;
        require(price != 0 && quantity != 0, NotOffered(study));
        require(price <= highestPrice, PriceRisen(price, highestPrice));
        emit Bought(study, msg.sender, to, quantity, price);
        treasury.collect(study, msg.sender, price * quantity);
        _mint(to, study, quantity, "");
    }

    /// @inheritdoc ILicences
    function offerOf(uint64 study) public view returns (Offer memory) {
        return _offers[study][token.tenureOf(study)];
    }

    /// @inheritdoc ILicences
    function mayDownload(uint64 study, address account) external view returns (bool) {
        return account != address(0)
            && (balanceOf(account, study) != 0
                || consilium.sponsorOf(study) == account
                || token.isAuditor(study, account));
    }

    /// @notice ERC-2981: of a resale, the study's sponsor asks for this part.
    function royaltyInfo(uint256 study, uint256 salePrice) public view override returns (address, uint256) {
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 number = uint64(study); // no licence has a larger id
        return (consilium.sponsorOf(number), salePrice * offerOf(number).royalty / WHOLE);
    }

    /// @inheritdoc ERC1155
    function supportsInterface(bytes4 id) public view override(ERC1155, ERC2981) returns (bool) {
        return super.supportsInterface(id);
    }
}
