// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "./SignedStatements.sol";
import {IConsilium} from "./interfaces/IConsilium.sol";
import {ITreasury} from "./interfaces/ITreasury.sol";
import {MerkleTrees} from "./libraries/MerkleTrees.sol";
import {Statements} from "./libraries/Statements.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The currencies of all studies
/// @dev Consilium keeps how much of a study's money is free; here are the coins, what was claimed, and licence revenue.
/// A rewards tree has exactly as many leaves as the chain counted sites and voters, each worth a fixed amount, and each
/// is paid once an account and round: whatever a committee signs, a round cannot pay more than its budget, so that a
/// claim needs no books.
contract Treasury is ITreasury, SignedStatements, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    uint256 private constant WHOLE = 10_000;
    // A word of the claims map covers this many rounds of an account, with three bits for each round and one of its own.
    uint256 private constant ROUNDS_A_WORD = 80;
    uint256 private constant FORFEITED = 80;
    uint256 private constant AS_NODE = 160;
    uint256 private constant STRUCK = 1 << 255;
    uint8 private constant SITE = 0;
    uint8 private constant NODE = 1;

    // A word of its own, as a struct so that its place is worked out once.
    struct Marks {
        uint256 bits;
    }

    address public immutable consilium;
    address public immutable licences;
    uint64 public immutable periodLength;

    mapping(uint64 study => uint32) public periods;
    mapping(uint64 study => Purse) private _purses;
    mapping(uint64 study => mapping(uint32 period => Period)) private _periods;
    mapping(uint64 study => mapping(uint32 period => mapping(address account => mapping(uint256 word => Marks))))
        private _claims;

    /// @param licences_ The contract that sells licences; it may be deployed later, as may Consilium.
    constructor(address consilium_, address licences_, uint64 periodLength_) SignedStatements(consilium_) {
        (consilium, licences, periodLength) = (consilium_, licences_, periodLength_);
    }

    // ------------------------------------------------------------------------------------------------ in

    function openPurse(uint64 study, address currency) external {
        _onlyFrom(consilium);
        _purses[study].currency = currency;
    }

    function fund(uint64 study, uint256 amount) public nonReentrant {
        _receive(study, msg.sender, amount);
        emit Funded(study, msg.sender, amount);
        IConsilium(consilium).credit(study, amount.toUint128());
    }

    function fundWithPermit(uint64 study, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        // Whoever sends the permit first leaves the allowance behind: funding must not fail for that.
        try IERC20Permit(address(currencyOf(study))).permit(msg.sender, address(this), amount, deadline, v, r, s) {}
            catch {}
        fund(study, amount);
    }

    function collect(uint64 study, address payer, uint256 amount) external nonReentrant {
        _onlyFrom(licences);
        _receive(study, payer, amount);
        _purses[study].revenue += amount.toUint96();
        emit RevenueReceived(study, payer, amount);
    }

    // ------------------------------------------------------------------------------------------------ out

    function withdraw(uint64 study, uint128 amount, address to) external nonReentrant {
        IConsilium(consilium).debit(study, msg.sender, amount);
        emit FundsWithdrawn(study, to, amount);
        currencyOf(study).safeTransfer(to, amount);
    }

    function claim(Claim[] calldata claims) external nonReentrant {
        bool paid = false;
        for (uint256 i = 0; i < claims.length; i++) {
            Claim calldata one = claims[i];
            (uint64 study, uint32 period, address account) = (one.study, one.period, one.account);
            Share[] calldata shares = one.shares;
            uint256 amount = 0;
            for (uint256 k = 0; k < shares.length; k++) {
                amount += _take(study, period, account, shares[k]);
            }
            if (amount == 0) continue;
            paid = true;
            emit Claimed(study, account, period, amount);
            currencyOf(study).safeTransfer(account, amount);
        }
        require(paid, NothingOwed());
    }

    // ------------------------------------------------------------------------------------------------ revenue

    function closePeriod(uint64 study) external returns (uint32 period) {
        period = periods[study] + 1;
        if (period > 1) {
            // Without a shortest length, anyone could cut the revenue into parts that are not worth their claims.
            uint256 until = uint256(_periods[study][period - 1].closedAt) + periodLength;
            require(block.timestamp >= until, PeriodOpen(study, until));
        }
        (uint256 sites, uint256 nodes, uint64 through, uint16 nodeShare) = IConsilium(consilium).unitsOf(study);
        uint256 revenue = _purses[study].revenue;
        require(revenue != 0 && sites != 0, NothingToShare(study));
        uint256 forNodes = revenue * nodeShare / WHOLE;
        (uint96 perSite, uint96 perNode) = (((revenue - forNodes) / sites).toUint96(), (forNodes / nodes).toUint96());

        // What rounding leaves waits for the next period.
        _purses[study].revenue = (revenue - perSite * sites - perNode * nodes).toUint96();
        periods[study] = period;
        _periods[study][period] = Period({
            perSite: perSite,
            perNode: perNode,
            through: uint256(through).toUint32(),
            closedAt: block.timestamp.toUint32()
        });
        emit PeriodClosed(study, period, perSite, perNode, through);
    }

    // ------------------------------------------------------------------------------------------------ sites that lie

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
    ) external {
        (bytes32 one, bytes32 another) =
            Statements.contributions(study, round, site, digest, boxes, otherDigest, otherBoxes);
        bytes32 domain = _domainNow();
        address signer = _signerIn(domain, one, signature);
        address other = _signerIn(domain, another, otherSignature);
        // What is signed is the same exactly if its hash is.
        require(one != another && signer == site && other == site, NoEquivocation(signer, other));

        Marks storage marks = _marks(study, 0, site, round);
        uint256 bits = marks.bits;
        uint256 bit = (1 << FORFEITED) << (round % ROUNDS_A_WORD);
        require(bits & bit == 0, AlreadyStruck(study, round, site));
        marks.bits = bits | bit | STRUCK;
        // emit SiteStruck(study, round, site, digest, ..., otherSignature), whose data are the arguments after the first,
        // in their order. None has dirty bits: decoding them has refused those.
        bytes32 topic = SiteStruck.selector;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, 0x24, 0x140)
            log2(buffer, 0x140, topic, study)
        }
    }

    function restore(uint64 study, address site, uint64 round) external {
        require(msg.sender == IConsilium(consilium).sponsorOf(study), NotPermitted(msg.sender));
        require(isStruck(study, site, round), NotStruck(study, round, site));
        _marks(study, 0, site, round).bits &= ~STRUCK;
        emit SiteRestored(study, site, round);
    }

    // ------------------------------------------------------------------------------------------------ views

    function isStruck(uint64 study, address site, uint64 round) public view returns (bool) {
        return _marks(study, 0, site, round).bits & STRUCK != 0;
    }

    function isClaimed(uint64 study, uint32 period, address account, uint64 round, bool asNode)
        external
        view
        returns (bool)
    {
        return _isTaken(_marks(study, period, account, round).bits, study, period, account, round, asNode);
    }

    function purseOf(uint64 study) external view returns (Purse memory) {
        return _purses[study];
    }

    function periodOf(uint64 study, uint32 period) external view returns (Period memory) {
        return _periods[study][period];
    }

    function currencyOf(uint64 study) public view returns (IERC20) {
        address currency = _purses[study].currency;
        require(currency != address(0), NoCurrency(study));
        return IERC20(currency);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// Marks a leaf as paid.
    /// @return What it is worth; nothing if it was paid before or is lost.
    function _take(uint64 study, uint32 period, address account, Share calldata share) private returns (uint256) {
        (uint64 round, uint32 sites, uint32 nodes) = (share.round, share.sites, share.nodes);
        bool asNode = share.index >= sites;
        Marks storage marks = _marks(study, period, account, round);
        uint256 bits = marks.bits;
        if (_isTaken(bits, study, period, account, round, asNode)) return 0;
        marks.bits = bits | (1 << ((asNode ? AS_NODE : 0) + round % ROUNDS_A_WORD));

        bytes32 rewardRoot = _rewardRoot(account, asNode, uint64(sites) + nodes, share);
        bytes32 settlement =
            Statements.settlement(study, round, share.setRoot, share.shareRootsHash, share.aggregateRoot, rewardRoot);
        // If there was no such settlement, no round has this hash.
        (uint256 perSite, uint256 perNode) = IConsilium(consilium)
            .finalPay(study, round, settlement, sites, nodes, share.policy, share.position, share.archivePath);
        if (period != 0) (perSite, perNode) = _periodPay(study, period, round);
        return asNode ? perNode : perSite;
    }

    /// The root of the rewards tree that has this leaf: one unit, always (docs/PROTOCOL.md, section 7.7).
    function _rewardRoot(address account, bool asNode, uint64 leaves, Share calldata share)
        private
        view
        returns (bytes32)
    {
        bytes32 leaf = MerkleTrees.rewardLeafHash(account, asNode ? NODE : SITE, 1);
        return MerkleTrees.rootOf(MerkleTrees.REWARDS, leaves, leaves, share.index, leaf, share.path);
    }

    function _periodPay(uint64 study, uint32 period, uint64 round) private view returns (uint256, uint256) {
        Period memory terms = _periods[study][period];
        require(round <= terms.through, NotInPeriod(study, period, round));
        return (terms.perSite, terms.perNode);
    }

    /// What a site lost by equivocation it lost in every period.
    /// @param bits The account's marks of this round and period.
    function _isTaken(uint256 bits, uint64 study, uint32 period, address account, uint64 round, bool asNode)
        private
        view
        returns (bool)
    {
        uint256 place = round % ROUNDS_A_WORD;
        if (asNode) return (bits >> (AS_NODE + place)) & 1 == 1;
        uint256 ofRounds = period == 0 ? bits : _marks(study, 0, account, round).bits;
        return ((bits >> place) | (ofRounds >> (FORFEITED + place))) & 1 == 1;
    }

    function _marks(uint64 study, uint32 period, address account, uint64 round) private view returns (Marks storage) {
        return _claims[study][period][account][round / ROUNDS_A_WORD];
    }

    /// Takes money, and refuses a currency that does not deliver what it says.
    function _receive(uint64 study, address payer, uint256 amount) private {
        require(amount <= type(uint88).max, AmountTooLarge(amount));
        IERC20 currency = currencyOf(study);
        uint256 before = currency.balanceOf(address(this));
        currency.safeTransferFrom(payer, address(this), amount);
        uint256 received = currency.balanceOf(address(this)) - before;
        require(received == amount, AmountNotReceived(received, amount));
    }

    function _onlyFrom(address other) private view {
        require(msg.sender == other, NotPermitted(msg.sender));
    }
}
