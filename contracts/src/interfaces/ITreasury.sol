// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title The currencies of all studies: what sponsors fund, what sites and nodes are owed, what licences bring
/// @notice Nobody has to claim for itself: whoever sends the transaction, the money goes to the account it is owed to, or
/// where that account wants it. A root signed by a committee decides who is paid, never how much: amounts follow from counts
/// that the chain itself recorded, and a leaf is paid once, so that no study can reach the money of another.
interface ITreasury {
    /// @notice One leaf of a settled round.
    struct Share {
        uint64 round;
        /// Number of the leaf in the rewards tree: sites by increasing address, then the certificate's voters in node order. For
        /// a node whose vote came late: `sites` + `nodes` + its index in the committee - 1.
        uint32 index;
        /// Size of the certified set and number of its certificate's voters: together, the number of leaves. In a kind that ends
        /// at the certificate, where all votes count as late, `nodes` is 0.
        uint32 sites;
        uint32 nodes;
        /// The other parts of the round's Settlement. In a kind that ends at the certificate, a site's leaf is that of the set:
        /// `shareRootsHash` is 0 and `aggregateRoot` the digest of its contribution.
        bytes32 setRoot;
        bytes32 shareRootsHash;
        bytes32 aggregateRoot;
        /// Leaves of the set's tree, in a kind that ends at the certificate; else 0.
        uint64 length;
        /// Siblings in the tree. For a late vote: the reward root alone; nothing in a kind that ends at the certificate.
        bytes32[] path;
        /// For a round that is off the record, as in `IRounds.finalPay`; else 0, 0 and empty.
        uint80 record;
        uint32 position;
        bytes32[] archivePath;
    }

    /// @notice One claim of many: what these leaves owe `account`, and the revenue of all its leaves so far.
    struct Claim {
        uint64 study;
        address account;
        Share[] shares;
    }

    /// @notice What the treasury knows of a study.
    struct Purse {
        address currency;
        /// Revenue periods: a sale begins one if a round was settled since the last sale.
        uint16 periods;
        /// Whether an account wants its money elsewhere.
        bool payees;
        /// Unix seconds of the first sale that had anybody to pay; 0 before.
        uint40 firstSale;
    }

    /// @notice An account's part of licence revenue: the leaves that it has shown.
    struct Holding {
        /// Sum of their weights (`ISponsorship.weightsOf`).
        uint64 weight;
        /// What such weights had earned before they counted, and have been paid, less what weights that count no more had
        /// earned: in 2^-40 of the currency's unit.
        int192 debt;
    }

    /// @notice What an account could not be paid, since the currency refused it.
    struct Unpaid {
        uint128 amount;
        /// Block time of the last refusal.
        uint40 since;
        /// Block time of the announcement that it goes to the sink; 0 if there was none.
        uint40 announced;
    }

    /// @notice A study was funded.
    /// @param study The study's number.
    /// @param payer Whose money it was.
    /// @param amount In units of the study's currency.
    event Funded(uint64 indexed study, address indexed payer, uint256 amount);
    /// @notice The treasurer took money out.
    /// @param study The study's number.
    /// @param to Who got it.
    /// @param amount In units of the study's currency.
    event FundsWithdrawn(uint64 indexed study, address indexed to, uint256 amount);
    /// @notice An account got what it was still owed for the rounds of the claim, and of licence revenue; `isClaimed` tells of
    /// each round.
    /// @param study The study's number.
    /// @param account Whose it was.
    /// @param amount In units of the study's currency.
    event Claimed(uint64 indexed study, address indexed account, uint256 amount);
    /// @notice The currency refused to pay an account; the money waits for it.
    /// @param study The study's number.
    /// @param account Whose it is.
    /// @param to Who was to receive it.
    /// @param amount In units of the study's currency.
    event PaymentRefused(uint64 indexed study, address indexed account, address to, uint256 amount);
    /// @notice An account has got what the currency had refused before.
    /// @param study The study's number.
    /// @param account Whose it was.
    /// @param to Who received it.
    /// @param amount In units of the study's currency.
    event UnpaidSent(uint64 indexed study, address indexed account, address to, uint256 amount);
    /// @notice An account wants what it earns in a study sent to another; zero: to itself again.
    /// @param study The study's number.
    /// @param account The account.
    /// @param payee Who receives instead; zero for the account itself.
    event PayeeSet(uint64 indexed study, address indexed account, address payee);
    /// @notice Licences brought money.
    /// @param study The study's number.
    /// @param payer Who bought.
    /// @param amount In units of the study's currency.
    /// @param period To the rounds settled before this revenue period began; 0: to the sponsor, since none was.
    event RevenueReceived(uint64 indexed study, address indexed payer, uint256 amount, uint16 period);
    /// @notice Money that nobody has a right to is the sponsor's again.
    /// @param study The study's number.
    /// @param amount In units of the study's currency.
    event Returned(uint64 indexed study, uint256 amount);
    /// @notice From this time on, what the round's sites and voters have not claimed may go to the sink.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param from Block time.
    event EscheatAnnounced(uint64 indexed study, uint64 indexed round, uint256 from);
    /// @notice From this time on, what the currency refused to pay an account may go to the sink.
    /// @param study The study's number.
    /// @param account Whose it is.
    /// @param from Block time.
    event UnpaidEscheatAnnounced(uint64 indexed study, address indexed account, uint256 from);
    /// @notice What an account did not claim in years went to the sink.
    /// @param study The study's number.
    /// @param account Whose it was.
    /// @param amount In units of the study's currency.
    event Escheated(uint64 indexed study, address indexed account, uint256 amount);
    /// @notice A site signed two contributions to one round: it lost what the round pays it, and its place on the list.
    /// The evidence is here as it was shown, so that nobody has to take an endpoint's word for a strike.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param site The site's key.
    /// @param digest Of the first contribution.
    /// @param boxes Of the first contribution.
    /// @param signature Over the first, compact (EIP-2098).
    /// @param otherDigest Of the second contribution.
    /// @param otherBoxes Of the second contribution.
    /// @param otherSignature Over the second, compact.
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
    /// @param study The study's number.
    /// @param site The site's key.
    /// @param round Of the strike.
    event SiteRestored(uint64 indexed study, address indexed site, uint64 indexed round);

    /// @notice Only the contract whose business this is may do it.
    /// @param caller Who called.
    error NotPermitted(address caller);
    /// @notice The study pays nothing.
    /// @param study The study's number.
    error NoCurrency(uint64 study);
    /// @notice The currency keeps a fee, or did not move what was asked: such a token cannot be a study's currency.
    /// @param received What came.
    /// @param asked What was to come.
    error AmountNotReceived(uint256 received, uint256 asked);
    /// @notice Amounts fit 88 bits.
    /// @param amount What was asked for.
    error AmountTooLarge(uint256 amount);
    /// @notice All of this was paid before, was lost by equivocation, or is worth nothing.
    error NothingOwed();
    /// @notice Send more gas: whoever is owed money must be able to take it.
    error GasMissing();
    /// @notice This node's vote for the round did not come late, or never came.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param account The account.
    error NotALateVoter(uint64 study, uint64 round, address account);
    /// @notice What was not claimed goes to the sink after years, and a quarter after the announcement: from this time on.
    /// @param from Block time from which it is possible; the largest number if it was not announced.
    error EscheatTooEarly(uint256 from);
    /// @notice A year at the least lies between what was earned and its loss.
    /// @param escheatTime What was asked for, in seconds.
    error EscheatTimeTooShort(uint64 escheatTime);
    /// @notice What is not claimed must go somewhere.
    error InvalidSink();
    /// @notice The two contributions are one and the same, or of two sites.
    /// @param first Who signed the first contribution.
    /// @param second Who signed the second.
    error NoEquivocation(address first, address second);
    /// @notice This was proved before.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param site The site's key.
    error AlreadyStruck(uint64 study, uint64 round, address site);
    /// @notice The site was not struck off for this round.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param site The site's key.
    error NotStruck(uint64 study, uint64 round, address site);

    // ------------------------------------------------------------------------------------------------ in

    /// @notice Consilium: a study with this currency was created.
    /// @param study Its number.
    /// @param currency The ERC-20.
    function openPurse(uint64 study, address currency) external;

    /// @notice Anyone: adds to a study's funds.
    /// @param study Its number.
    /// @param amount In units of its currency.
    function fund(uint64 study, uint256 amount) external;

    /// @notice As `fund`, with the allowance as a signature (ERC-2612).
    /// @param study The study's number.
    /// @param amount In units of its currency.
    /// @param deadline Block time until which the signature is good.
    /// @param v Of the signature.
    /// @param r Of the signature.
    /// @param s Of the signature.
    function fundWithPermit(uint64 study, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Licences: takes a price from a buyer. It belongs, as soon as it is paid, to the sites and voters of all rounds
    /// settled before, each round by the number of its sites, and within a round by the node share that it was opened under.
    /// @param study Its number.
    /// @param payer The buyer.
    /// @param amount In units of the study's currency.
    function collect(uint64 study, address payer, uint256 amount) external;

    /// @notice Consilium: a settled round was struck out. What its weight has earned goes to the study's rest.
    /// @param study The study's number.
    /// @param period Revenue periods begun before its settlement.
    /// @param weight Of all its sites and voters.
    function strikeOut(uint64 study, uint16 period, uint64 weight) external;

    // ------------------------------------------------------------------------------------------------ out

    /// @notice Treasurer, or sponsor: takes out what no round has reserved.
    /// @param study Its number.
    /// @param amount In units of its currency.
    /// @param to Who gets it.
    function withdraw(uint64 study, uint128 amount, address to) external;

    /// @notice Anyone: pays accounts what they are owed. Leaves that were paid before, or lost by equivocation, are passed
    /// over, since anyone may have seen to that meanwhile; nobody can claim what is not its own (`IRecords.NotFinal`). What the
    /// currency refuses to pay to one account waits for that account.
    /// @param claims For each account, its leaves; none, for revenue of leaves that were shown before.
    function claim(Claim[] calldata claims) external;

    /// @notice Anyone: pays an account what the currency refused before.
    /// @param study The study's number.
    /// @param account Whose it is.
    function payUnpaid(uint64 study, address account) external;

    /// @notice An account: where what it earns in a study goes from now on.
    /// @param study Its number.
    /// @param payee The receiver; zero for the account itself.
    function setPayee(uint64 study, address payee) external;

    /// @notice Anyone: gives the sponsor back what struck sites have lost, and the study's rest.
    /// @param study Its number.
    /// @param forfeits Leaves of sites that were struck off for the round; may be empty.
    function returnForfeits(uint64 study, Claim[] calldata forfeits) external;

    // ------------------------------------------------------------------------------------------------ after years

    /// @notice Anyone: announces that what was not claimed of old rounds goes to the sink a quarter later.
    /// @param claims Leaves of rounds whose time for settlement was `escheatTime()` ago, less a quarter, or longer.
    function announceEscheat(Claim[] calldata claims) external;

    /// @notice Anyone, a quarter after the announcement: sends what was not claimed to the sink.
    /// @param claims The leaves.
    function escheat(Claim[] calldata claims) external;

    /// @notice Anyone: announces that what the currency refuses to pay an account goes to the sink a quarter later.
    /// @param study The study's number.
    /// @param account Whose it is.
    function announceUnpaidEscheat(uint64 study, address account) external;

    /// @notice Anyone, a quarter after the announcement: sends it there.
    /// @param study The study's number.
    /// @param account Whose it was.
    function escheatUnpaid(uint64 study, address account) external;

    // ------------------------------------------------------------------------------------------------ sites that lie

    /// @notice Anyone: proves that a site signed two contributions to one round.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param site The site's key.
    /// @param digest Of the first contribution.
    /// @param boxes Of the first contribution.
    /// @param signature Compact (EIP-2098), as the other: r, then s with v - 27 in its highest bit.
    /// @param otherDigest Of the second contribution.
    /// @param otherBoxes Of the second contribution.
    /// @param otherSignature Over the second contribution.
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
    /// @param study Its number.
    /// @param site The site.
    /// @param round Of the strike.
    function restore(uint64 study, address site, uint64 round) external;

    // ------------------------------------------------------------------------------------------------ views

    /// @notice Whether an account was struck off for a round and not restored.
    /// @param study The study's number.
    /// @param site The account.
    /// @param round The round's number.
    /// @return Whether it is off the list.
    function isStruck(uint64 study, address site, uint64 round) external view returns (bool);

    /// @notice Whether an account has got (or lost, as a site) what a round pays it.
    /// @param study The study's number.
    /// @param account The account.
    /// @param round The round's number.
    /// @param asNode Whether as a voter, or as a site.
    /// @return Whether nothing is left to claim.
    function isClaimed(uint64 study, address account, uint64 round, bool asNode) external view returns (bool);

    /// @notice Whether an account's leaf of a round takes part in licence revenue.
    /// @param study The study's number.
    /// @param account The account.
    /// @param round The round's number.
    /// @param asNode Whether as a voter, or as a site.
    /// @return Whether it does.
    function isEnrolled(uint64 study, address account, uint64 round, bool asNode) external view returns (bool);

    /// @notice What an account may claim of licence revenue for the leaves that it has shown.
    /// @param study The study's number.
    /// @param account The account.
    /// @return In whole units of the currency.
    function revenueOf(uint64 study, address account) external view returns (uint256);

    /// @notice An account's part of licence revenue.
    /// @param study The study's number.
    /// @param account The account.
    /// @return Weight and debt.
    function holdingOf(uint64 study, address account) external view returns (Holding memory);

    /// @notice What each weight has earned until the end of a revenue period, in 2^-40 of the currency's unit.
    /// @param study The study's number.
    /// @param period From 1.
    /// @return 0 before the first sale of that period.
    function earnedBy(uint64 study, uint16 period) external view returns (uint256);

    /// @notice What an account could not be paid.
    /// @param study The study's number.
    /// @param account The account.
    /// @return Amount and times; zeros: nothing.
    function unpaidOf(uint64 study, address account) external view returns (Unpaid memory);

    /// @notice Where an account's money goes.
    /// @param study The study's number.
    /// @param account The account.
    /// @return The account itself unless it named another.
    function payeeOf(uint64 study, address account) external view returns (address);

    /// @notice When it was announced that a round's unclaimed money goes to the sink; 0 if it was not.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @return Block time, or 0.
    function announcedAt(uint64 study, uint64 round) external view returns (uint64);

    /// @notice Currency and revenue periods of a study.
    /// @param study Its number.
    /// @return As stored.
    function purseOf(uint64 study) external view returns (Purse memory);

    /// @notice What nobody has a right to, and the sponsor may have back: revenue of rounds that were struck out.
    /// @param study Its number.
    /// @return In units of its currency.
    function restOf(uint64 study) external view returns (uint256);

    /// @notice The currency of a study.
    /// @param study Its number.
    /// @return The ERC-20; reverts if there is none.
    function currencyOf(uint64 study) external view returns (IERC20);

    /// @notice Seconds after which what was not claimed may go to the sink.
    /// @return In seconds: a year at the least.
    function escheatTime() external view returns (uint64);

    /// @notice Who gets that; it has no other right.
    /// @return The account.
    function sink() external view returns (address);

    /// @notice The contract that sells licences.
    /// @return Its address.
    function licences() external view returns (address);

    /// @notice The contract whose studies these are.
    /// @return Its address.
    function consilium() external view returns (address);
}
