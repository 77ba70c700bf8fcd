// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title The currencies of all studies: what sponsors fund, what sites and nodes are owed, what licences bring
/// @notice Nobody has to claim for itself: whoever sends the transaction, the money goes to the account it is owed to.
/// A root signed by a committee decides who is paid, never how much: amounts follow from counts that the chain itself
/// recorded, and a leaf is paid once, so that no study can reach the money of another.
interface ITreasury {
    /// @notice One leaf of a settled round's rewards tree.
    struct Share {
        uint64 round;
        /// Number of the leaf: sites by increasing address, then voters in node order.
        uint32 index;
        /// Size of the certified set and number of voters: together, the number of leaves.
        uint32 sites;
        uint32 nodes;
        /// The other parts of the round's Settlement.
        bytes32 setRoot;
        bytes32 shareRootsHash;
        bytes32 aggregateRoot;
        /// Siblings in the rewards tree.
        bytes32[] path;
        /// For a round that is off the record, as in `IConsilium.finalPay`; else 0, 0 and empty.
        uint16 policy;
        uint32 position;
        bytes32[] archivePath;
    }

    /// @notice One claim of many: `account` is owed these leaves in a period.
    struct Claim {
        uint64 study;
        /// 0: what the rounds themselves pay. From 1: the licence revenue of that period.
        uint32 period;
        address account;
        Share[] shares;
    }

    /// @notice A share of licence revenue: what each site and voter of every round up to `through` gets, once a round.
    struct Period {
        uint96 perSite;
        uint96 perNode;
        uint32 through;
        uint32 closedAt;
    }

    /// @notice What a study holds besides its rounds' money.
    struct Purse {
        address currency;
        /// Licence revenue of no period yet.
        uint96 revenue;
    }

    /// @notice A study was funded.
    event Funded(uint64 indexed study, address indexed payer, uint256 amount);
    /// @notice The sponsor took money back.
    event FundsWithdrawn(uint64 indexed study, address indexed to, uint256 amount);
    /// @notice An account got what it was still owed for the rounds of the claim; `isClaimed` tells of each.
    event Claimed(uint64 indexed study, address indexed account, uint32 period, uint256 amount);
    /// @notice Licences brought money.
    event RevenueReceived(uint64 indexed study, address indexed payer, uint256 amount);
    /// @notice Licence revenue was shared out.
    event PeriodClosed(uint64 indexed study, uint32 indexed period, uint96 perSite, uint96 perNode, uint64 through);
    /// @notice A site signed two contributions to one round: it lost what the round pays it, and its place on the list.
    /// The evidence is here as it was shown, so that nobody has to take an endpoint's word for a strike.
    event SiteStruck(
        uint64 indexed study,
        uint64 round,
        address site,
        bytes32 digest,
        bytes32 boxes,
        bytes32[2] signature,
        bytes32 otherDigest,
        bytes32 otherBoxes,
        bytes32[2] otherSignature
    );
    /// @notice The sponsor took a site back.
    event SiteRestored(uint64 indexed study, address indexed site, uint64 indexed round);

    /// @notice Only the contract whose business this is may do it.
    error NotPermitted(address caller);
    /// @notice The study pays nothing.
    error NoCurrency(uint64 study);
    /// @notice The currency keeps a fee, or did not move what was asked: such a token cannot be a study's currency.
    error AmountNotReceived(uint256 received, uint256 asked);
    /// @notice Amounts fit 88 bits.
    error AmountTooLarge(uint256 amount);
    /// @notice Every leaf of these claims was paid before, was lost by equivocation, or is worth nothing.
    error NothingOwed();
    /// @notice There is no such revenue period, or it does not reach to this round.
    error NotInPeriod(uint64 study, uint32 period, uint64 round);
    /// @notice A period lasts longer: until this time.
    error PeriodOpen(uint64 study, uint256 until);
    /// @notice No revenue to share, or nobody to share it among.
    error NothingToShare(uint64 study);
    /// @notice The two contributions are one and the same, or of two sites.
    error NoEquivocation(address first, address second);
    /// @notice This was proved before.
    error AlreadyStruck(uint64 study, uint64 round, address site);
    /// @notice The site was not struck off for this round.
    error NotStruck(uint64 study, uint64 round, address site);

    /// @notice Consilium: a study with this currency was created.
    function openPurse(uint64 study, address currency) external;

    /// @notice Anyone: adds to a study's funds.
    function fund(uint64 study, uint256 amount) external;

    /// @notice As `fund`, with the allowance as a signature (ERC-2612).
    function fundWithPermit(uint64 study, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Sponsor: takes out what no round has reserved.
    function withdraw(uint64 study, uint128 amount, address to) external;

    /// @notice Anyone: pays accounts what they are owed. Leaves that were paid before, or lost by equivocation, are passed
    /// over, since anyone may have seen to that meanwhile; nobody can claim what is not its own (`IConsilium.NotFinal`).
    function claim(Claim[] calldata claims) external;

    /// @notice Licences: takes a price from a buyer.
    function collect(uint64 study, address payer, uint256 amount) external;

    /// @notice Anyone, once a period length: shares out the licence revenue so far among the rounds settled for good.
    function closePeriod(uint64 study) external returns (uint32 period);

    /// @notice Anyone: proves that a site signed two contributions to one round.
    /// @param signature Compact (EIP-2098), as the other: r, then s with v - 27 in its highest bit.
    function proveEquivocation(
        uint64 study,
        uint64 round,
        address site,
        bytes32 digest,
        bytes32 boxes,
        bytes32[2] calldata signature,
        bytes32 otherDigest,
        bytes32 otherBoxes,
        bytes32[2] calldata otherSignature
    ) external;

    /// @notice Sponsor: takes a site back that was struck off for this round. What it lost stays lost.
    function restore(uint64 study, address site, uint64 round) external;

    /// @notice Whether an account was struck off for a round and not restored.
    function isStruck(uint64 study, address site, uint64 round) external view returns (bool);

    /// @notice Whether an account has got (or lost, as a site) what a round pays it in a period.
    function isClaimed(uint64 study, uint32 period, address account, uint64 round, bool asNode)
        external
        view
        returns (bool);

    /// @notice Currency and undistributed revenue of a study.
    function purseOf(uint64 study) external view returns (Purse memory);

    /// @notice A revenue period, from 1.
    function periodOf(uint64 study, uint32 period) external view returns (Period memory);

    /// @notice Number of closed periods.
    function periods(uint64 study) external view returns (uint32);

    /// @notice The currency of a study.
    function currencyOf(uint64 study) external view returns (IERC20);

    /// @notice Shortest length of a revenue period in seconds.
    function periodLength() external view returns (uint64);

    /// @notice The contract whose studies these are.
    function consilium() external view returns (address);
}
