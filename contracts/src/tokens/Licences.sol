// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../interfaces/IConsilium.sol";
import {ILicences} from "../interfaces/ILicences.sol";
import {ITreasury} from "../interfaces/ITreasury.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {ERC2981} from "@openzeppelin/contracts/token/common/ERC2981.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Licences to a study's aggregates
/// @dev ERC-1155, id = number of the study. Whoever holds one may download; whoever sells it on may no more.
contract Licences is ILicences, ERC1155, ERC2981, ReentrancyGuardTransient {
    uint16 private constant WHOLE = 10_000;
    uint16 private constant HIGHEST_ROYALTY = 1_000;

    IConsilium public immutable consilium;
    ITreasury public immutable treasury;

    mapping(uint64 study => Offer) private _offers;

    constructor(IConsilium consilium_, ITreasury treasury_) ERC1155("") {
        (consilium, treasury) = (consilium_, treasury_);
    }

    function setOffer(uint64 study, uint96 price, uint16 royalty) external {
        require(msg.sender == consilium.sponsorOf(study), NotSponsor(study, msg.sender));
        require(royalty <= HIGHEST_ROYALTY, RoyaltyTooHigh(royalty, HIGHEST_ROYALTY));
        _offers[study] = Offer({price: price, royalty: royalty});
        emit Offered(study, price, royalty);
    }

    function buy(uint64 study, uint32 quantity, uint256 highestPrice, address to) external nonReentrant {
        uint256 price = _offers[study].price;
        require(price != 0 && quantity != 0, NotOffered(study));
        require(price <= highestPrice, PriceRisen(price, highestPrice));
        emit Bought(study, msg.sender, to, quantity, price);
        treasury.collect(study, msg.sender, price * quantity);
        _mint(to, study, quantity, "");
    }

    function offerOf(uint64 study) external view returns (Offer memory) {
        return _offers[study];
    }

    function mayDownload(uint64 study, address account) external view returns (bool) {
        return account != address(0)
            && (balanceOf(account, study) != 0
                || consilium.sponsorOf(study) == account
                || consilium.isAuditor(study, account));
    }

    /// @notice ERC-2981: of a resale, the study's sponsor asks for this part.
    function royaltyInfo(uint256 study, uint256 salePrice) public view override returns (address, uint256) {
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 number = uint64(study); // no licence has a larger id
        return (consilium.sponsorOf(number), salePrice * _offers[number].royalty / WHOLE);
    }

    function supportsInterface(bytes4 id) public view override(ERC1155, ERC2981) returns (bool) {
        return super.supportsInterface(id);
    }
}
