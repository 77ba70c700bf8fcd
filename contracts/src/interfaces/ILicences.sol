// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "./IConsilium.sol";

/// @title Licences to a study's aggregates
interface ILicences {
    /// @notice What a study asks for a licence, in its own currency, and of resales, in ten-thousandths.
    struct Offer {
        uint96 price;
        uint16 royalty;
    }

    /// @notice The sponsor or its treasurer set price and royalty. Price 0: not for sale.
    /// @param study The study's number.
    /// @param price Of one licence, in units of the study's currency; 0: not for sale.
    /// @param royalty Of resales, in ten-thousandths.
    event Offered(uint64 indexed study, uint96 price, uint16 royalty);
    /// @notice Licences were bought.
    /// @param study The study's number.
    /// @param payer Who paid.
    /// @param to Who holds the licences.
    /// @param quantity How many.
    /// @param price Of one licence, in units of the study's currency.
    event Bought(uint64 indexed study, address indexed payer, address indexed to, uint32 quantity, uint256 price);

    /// @notice Only the study's treasurer may do this, or its sponsor.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotTreasurer(uint64 study, address caller);
    /// @notice The study sells no licences, or none were asked for.
    /// @param study The study's number.
    error NotOffered(uint64 study);
    /// @notice The price is higher than the buyer accepted.
    /// @param price Of one licence now.
    /// @param highest What the buyer accepted.
    error PriceRisen(uint256 price, uint256 highest);
    /// @notice A royalty is a tenth at most.
    /// @param royalty What was asked for, in ten-thousandths.
    /// @param highest The highest there is.
    error RoyaltyTooHigh(uint16 royalty, uint16 highest);

    /// @notice Treasurer, or sponsor: sets price and royalty. They hold until the study changes hands.
    /// @param study Its number.
    /// @param price Of one licence, in the study's currency; 0: not for sale.
    /// @param royalty Of resales, in ten-thousandths.
    function setOffer(uint64 study, uint96 price, uint16 royalty) external;

    /// @notice Anyone: buys licences; the treasury takes the price, by the payer's allowance.
    /// @param study Its number.
    /// @param quantity How many.
    /// @param highestPrice The buyer pays no more than this for each.
    /// @param to Who gets them.
    function buy(uint64 study, uint32 quantity, uint256 highestPrice, address to) external;

    /// @notice Price and royalty of a study.
    /// @param study Its number.
    /// @return Of the current owner; zeros: not for sale.
    function offerOf(uint64 study) external view returns (Offer memory);

    /// @notice Whether nodes may serve the study's aggregates to an account: licence, sponsor or auditor.
    /// @param study Its number.
    /// @param account The account.
    /// @return Whether it may.
    function mayDownload(uint64 study, address account) external view returns (bool);

    /// @notice The contract whose studies these are.
    /// @return Its address.
    function consilium() external view returns (IConsilium);
}
