// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Licences to a study's aggregates
interface ILicences {
    /// @notice What a study asks for a licence, in its own currency, and of resales, in ten-thousandths.
    struct Offer {
        uint96 price;
        uint16 royalty;
    }

    /// @notice The sponsor set price and royalty. Price 0: not for sale.
    event Offered(uint64 indexed study, uint96 price, uint16 royalty);
    /// @notice Licences were bought.
    event Bought(uint64 indexed study, address indexed payer, address indexed to, uint32 quantity, uint256 price);

    /// @notice Only the study's sponsor may do this.
    error NotSponsor(uint64 study, address caller);
    /// @notice The study sells no licences, or none were asked for.
    error NotOffered(uint64 study);
    /// @notice The price is higher than the buyer accepted.
    error PriceRisen(uint256 price, uint256 highest);
    /// @notice A royalty is a tenth at most.
    error RoyaltyTooHigh(uint16 royalty, uint16 highest);

    /// @notice Sponsor: sets price and royalty.
    function setOffer(uint64 study, uint96 price, uint16 royalty) external;

    /// @notice Anyone: buys licences; the treasury takes the price, by the payer's allowance.
    function buy(uint64 study, uint32 quantity, uint256 highestPrice, address to) external;

    /// @notice Price and royalty of a study.
    function offerOf(uint64 study) external view returns (Offer memory);

    /// @notice Whether nodes may serve the study's aggregates to an account: licence, sponsor or auditor.
    function mayDownload(uint64 study, address account) external view returns (bool);
}
