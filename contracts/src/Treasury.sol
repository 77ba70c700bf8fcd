// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "./SignedStatements.sol";
import {IConsilium} from "./interfaces/IConsilium.sol";
import {IRecords} from "./interfaces/IRecords.sol";
import {ITreasury} from "./interfaces/ITreasury.sol";
import {Layout} from "./libraries/Layout.sol";
import {MerkleTrees} from "./libraries/MerkleTrees.sol";
import {SetLeaves} from "./libraries/SetLeaves.sol";
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
/// claim needs no books. Of revenue there is one number: what each weight has earned so far. An account that shows its
/// leaves has their weights from the revenue period on that followed their settlement.
contract Treasury is ITreasury, SignedStatements, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using SafeCast for int256;

    uint256 private constant QUARTER = 91 days;
    uint64 private constant SHORTEST_ESCHEAT = 365 days;
    // Earnings of a weight have this many bits behind the point.
    uint256 private constant FRACTION = 40;
    // More than any currency uses for a transfer, so that nobody's payment fails for the sender's lack of gas.
    uint256 private constant ALLOWANCE = 200_000;
    // A word of marks covers this many rounds of an account, with three bits for each round and one of its own.
    uint256 private constant ROUNDS_A_WORD = 80;
    uint256 private constant FORFEITED = 80;
    uint256 private constant AS_NODE = 160;
    uint256 private constant STRUCK = 1 << 255;
    uint8 private constant SITE = 0;
    uint8 private constant NODE = 1;
    // Whose leaves are the sponsor's again.
    address private constant NOBODY = address(0);

    // A word of its own, as a struct so that its place is worked out once.
    struct Marks {
        uint256 bits;
    }

    /// @inheritdoc ITreasury
    address public immutable consilium;
    /// @inheritdoc ITreasury
    address public immutable licences;
    /// @inheritdoc ITreasury
    uint64 public immutable escheatTime;
    /// @inheritdoc ITreasury
    address public immutable sink;

    mapping(uint64 study => Purse) private _purses;
    /// @inheritdoc ITreasury
    mapping(uint64 study => uint256) public restOf;
    // What was claimed, and by equivocation lost.
    mapping(uint64 study => mapping(address account => mapping(uint256 word => Marks))) private _claims;
    // What takes part in revenue, and what of it was taken away again.
    mapping(uint64 study => mapping(address account => mapping(uint256 word => Marks))) private _enrolled;
    mapping(uint64 study => mapping(uint16 period => uint256)) private _earned;
    mapping(uint64 study => mapping(address account => Holding)) private _holdings;
    mapping(uint64 study => mapping(address account => Unpaid)) private _unpaid;
    mapping(uint64 study => mapping(address account => address)) private _payees;
    mapping(uint64 study => mapping(uint64 round => uint64)) private _announced;

    /// @param consilium_ The contract whose studies these are; it may be deployed later.
    /// @param licences_ The contract that sells licences; it may be deployed later.
    /// @param escheatTime_ Seconds after which what was not claimed may go to the sink: a year at the least.
    /// @param sink_ Who gets that; it has no other right.
    constructor(address consilium_, address licences_, uint64 escheatTime_, address sink_)
        SignedStatements(consilium_)
    {
        require(escheatTime_ >= SHORTEST_ESCHEAT, EscheatTimeTooShort(escheatTime_));
        require(sink_ != address(0), InvalidSink());
        (consilium, licences, escheatTime, sink) = (consilium_, licences_, escheatTime_, sink_);
    }

    // ------------------------------------------------------------------------------------------------ in

    /// @inheritdoc ITreasury
    function openPurse(uint64 study, address currency) external {
        _onlyFrom(consilium);
        _purses[study].currency = currency;
    }

    /// @inheritdoc ITreasury
    function fund(uint64 study, uint256 amount) public nonReentrant {
        _receive(study, msg.sender, amount);
        emit Funded(study, msg.sender, amount);
        IConsilium(consilium).credit(study, amount.toUint128());
    }

    /// @inheritdoc ITreasury
    function fundWithPermit(uint64 study, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        // Whoever sends the permit first leaves the allowance behind: funding must not fail for that.
        try IERC20Permit(address(currencyOf(study))).permit(msg.sender, address(this), amount, deadline, v, r, s) {}
            catch {}
        fund(study, amount);
    }

    /// @inheritdoc ITreasury
    function collect(uint64 study, address payer, uint256 amount) external nonReentrant {
        _onlyFrom(licences);
        _receive(study, payer, amount);
        (uint256 weight, uint16 period) = IConsilium(consilium).sell(study);
        emit RevenueReceived(study, payer, amount, weight == 0 ? 0 : period);
        if (weight == 0) {
            // Nobody has earned it.
            IConsilium(consilium).credit(study, amount.toUint128());
            return;
        }
        Purse storage purse = _purses[study];
        if (purse.periods == 0) purse.firstSale = block.timestamp.toUint40();
        _earned[study][period] = _earned[study][purse.periods] + (amount << FRACTION) / weight;
        purse.periods = period;
    }

    /// @inheritdoc ITreasury
    function strikeOut(uint64 study, uint16 period, uint64 weight) external {
        _onlyFrom(consilium);
        uint256 earned = _earnedNow(study) - _earned[study][period];
        restOf[study] += (earned * weight) >> FRACTION;
    }

    // ------------------------------------------------------------------------------------------------ out

    /// @inheritdoc ITreasury
    function withdraw(uint64 study, uint128 amount, address to) external nonReentrant {
        IConsilium(consilium).debit(study, msg.sender, amount);
        emit FundsWithdrawn(study, to, amount);
        currencyOf(study).safeTransfer(to, amount);
    }

    /// @inheritdoc ITreasury
    function claim(Claim[] calldata claims) external nonReentrant {
        bool paid = false;
        for (uint256 i = 0; i < claims.length; i++) {
            (uint64 study, address account) = (claims[i].study, claims[i].account);
            // What is the sponsor's again is nobody's to claim.
            if (account == NOBODY) continue;
            Purse memory purse = _purses[study];
            bool sells = purse.periods != 0;
            uint64 weight = sells ? _holdings[study][account].weight : 0;
            uint256 amount = _takeAll(claims[i], sells, account);
            // A leaf that takes part in revenue from now on is as good as money.
            if (amount == 0 && (!sells || _holdings[study][account].weight == weight)) continue;
            paid = true;
            if (amount == 0) continue;
            emit Claimed(study, account, amount);
            _send(purse, study, account, amount);
        }
        require(paid, NothingOwed());
    }

    /// @inheritdoc ITreasury
    function payUnpaid(uint64 study, address account) external nonReentrant {
        _requireRunning(study);
        uint256 amount = _unpaid[study][account].amount;
        require(amount != 0, NothingOwed());
        delete _unpaid[study][account];
        address to = payeeOf(study, account);
        emit UnpaidSent(study, account, to, amount);
        currencyOf(study).safeTransfer(to, amount);
    }

    /// @inheritdoc ITreasury
    function setPayee(uint64 study, address payee) external {
        _payees[study][msg.sender] = payee;
        // Claims of other studies, and before anybody wants it, do not look.
        _purses[study].payees = true;
        emit PayeeSet(study, msg.sender, payee);
    }

    /// @inheritdoc ITreasury
    function returnForfeits(uint64 study, Claim[] calldata forfeits) external nonReentrant {
        _requireRunning(study);
        bool sells = _purses[study].periods != 0;
        (uint256 amount, uint64 before) = (restOf[study], _holdings[study][NOBODY].weight);
        restOf[study] = 0;
        for (uint256 i = 0; i < forfeits.length; i++) {
            require(forfeits[i].study == study, NotPermitted(msg.sender));
            Share[] calldata shares = forfeits[i].shares;
            for (uint256 k = 0; k < shares.length; k++) {
                amount += _takeBack(sells, study, forfeits[i].account, shares[k]);
            }
        }
        amount += _takeRevenue(study, NOBODY);
        require(amount != 0 || _holdings[study][NOBODY].weight != before, NothingOwed());
        emit Returned(study, amount);
        IConsilium(consilium).credit(study, amount.toUint128());
    }

    // ------------------------------------------------------------------------------------------------ after years

    /// @inheritdoc ITreasury
    function announceEscheat(Claim[] calldata claims) external {
        for (uint256 i = 0; i < claims.length; i++) {
            (uint64 study, Share[] calldata shares) = (claims[i].study, claims[i].shares);
            for (uint256 k = 0; k < shares.length; k++) {
                uint64 round = shares[k].round;
                if (_announced[study][round] > _purses[study].firstSale) continue;
                _requireNearlyForgotten(_forgottenFrom(study, claims[i].account, shares[k]));
                _announced[study][round] = block.timestamp.toUint64();
                emit EscheatAnnounced(study, round, block.timestamp + QUARTER);
            }
        }
    }

    /// @inheritdoc ITreasury
    function escheat(Claim[] calldata claims) external nonReentrant {
        bool taken = false;
        for (uint256 i = 0; i < claims.length; i++) {
            (uint64 study, address account) = (claims[i].study, claims[i].account);
            Share[] calldata shares = claims[i].shares;
            Purse memory purse = _purses[study];
            // Before the first sale nobody could take part in revenue: what was announced then is pay alone.
            bool sells = purse.periods != 0;
            // Without leaves it is what the sink has earned with those of before.
            require(shares.length != 0 || account == sink, NotPermitted(account));
            for (uint256 k = 0; k < shares.length; k++) {
                uint64 announced = _announced[study][shares[k].round];
                _requireAnnounced(announced);
                if (announced <= purse.firstSale) sells = false;
            }
            uint256 amount = _takeAll(claims[i], sells, sink);
            if (amount == 0) continue;
            taken = true;
            emit Escheated(study, account, amount);
            currencyOf(study).safeTransfer(sink, amount);
        }
        require(taken, NothingOwed());
    }

    /// @inheritdoc ITreasury
    function announceUnpaidEscheat(uint64 study, address account) external {
        Unpaid storage unpaid = _unpaid[study][account];
        require(unpaid.amount != 0 && unpaid.announced == 0, NothingOwed());
        _requireNearlyForgotten(uint256(unpaid.since) + escheatTime);
        unpaid.announced = block.timestamp.toUint40();
        emit UnpaidEscheatAnnounced(study, account, block.timestamp + QUARTER);
    }

    /// @inheritdoc ITreasury
    function escheatUnpaid(uint64 study, address account) external nonReentrant {
        Unpaid memory unpaid = _unpaid[study][account];
        _requireAnnounced(unpaid.announced);
        _requireRunning(study);
        delete _unpaid[study][account];
        emit Escheated(study, account, unpaid.amount);
        currencyOf(study).safeTransfer(sink, unpaid.amount);
    }

    // ------------------------------------------------------------------------------------------------ sites that lie

    /// @inheritdoc ITreasury
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
        _requireRunning(study);
        (bytes32 one, bytes32 another) =
            Statements.contributions(study, round, site, digest, boxes, otherDigest, otherBoxes);
        bytes32 domain = _domainNow();
        address signer = _signerIn(domain, one, signature);
        address other = _signerIn(domain, another, otherSignature);
        // What is signed is the same exactly if its hash is.
        require(one != another && signer == site && other == site, NoEquivocation(signer, other));

        Marks storage marks = _marksOf(_claims, study, site, round);
        uint256 bits = marks.bits;
        uint256 bit = _forfeit(round);
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

    /// @inheritdoc ITreasury
    function restore(uint64 study, address site, uint64 round) external {
        require(msg.sender == IConsilium(consilium).sponsorOf(study), NotPermitted(msg.sender));
        require(isStruck(study, site, round), NotStruck(study, round, site));
        _marksOf(_claims, study, site, round).bits &= ~STRUCK;
        emit SiteRestored(study, site, round);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc ITreasury
    function isStruck(uint64 study, address site, uint64 round) public view returns (bool) {
        return _marksOf(_claims, study, site, round).bits & STRUCK != 0;
    }

    /// @inheritdoc ITreasury
    function isClaimed(uint64 study, address account, uint64 round, bool asNode) external view returns (bool) {
        uint256 bits = _marksOf(_claims, study, account, round).bits;
        return bits & _bit(round, asNode) != 0 || _isLost(bits, round, asNode);
    }

    /// @inheritdoc ITreasury
    function isEnrolled(uint64 study, address account, uint64 round, bool asNode) external view returns (bool) {
        uint256 bits = _marksOf(_enrolled, study, account, round).bits;
        return bits & _bit(round, asNode) != 0 && !_isLost(bits, round, asNode);
    }

    /// @inheritdoc ITreasury
    function revenueOf(uint64 study, address account) public view returns (uint256) {
        Holding memory holding = _holdings[study][account];
        int256 owed = (holding.weight * _earnedNow(study)).toInt256() - holding.debt;
        // A weight owes what had been earned before it, which is never more than what has been earned.
        return owed.toUint256() >> FRACTION;
    }

    /// @inheritdoc ITreasury
    function holdingOf(uint64 study, address account) external view returns (Holding memory) {
        return _holdings[study][account];
    }

    /// @inheritdoc ITreasury
    function earnedBy(uint64 study, uint16 period) external view returns (uint256) {
        return _earned[study][period];
    }

    /// @inheritdoc ITreasury
    function unpaidOf(uint64 study, address account) external view returns (Unpaid memory) {
        return _unpaid[study][account];
    }

    /// @inheritdoc ITreasury
    function payeeOf(uint64 study, address account) public view returns (address) {
        address payee = _payees[study][account];
        return payee == address(0) ? account : payee;
    }

    /// @inheritdoc ITreasury
    function announcedAt(uint64 study, uint64 round) external view returns (uint64) {
        return _announced[study][round];
    }

    /// @inheritdoc ITreasury
    function purseOf(uint64 study) external view returns (Purse memory) {
        return _purses[study];
    }

    /// @inheritdoc ITreasury
    function currencyOf(uint64 study) public view returns (IERC20) {
        address currency = _purses[study].currency;
        require(currency != address(0), NoCurrency(study));
        return IERC20(currency);
    }

    // ------------------------------------------------------------------------------------------------ taking

    /// All that a claim brings, and the revenue of its account, for `beneficiary`: the account itself, or the sink.
    function _takeAll(Claim calldata claim_, bool sells, address beneficiary) private returns (uint256 amount) {
        (uint64 study, address account, Share[] calldata shares) = (claim_.study, claim_.account, claim_.shares);
        for (uint256 i = 0; i < shares.length; i++) {
            amount += _take(study, account, shares[i], sells, beneficiary);
        }
        if (!sells) return amount;
        // Whoever is owed for a leaf was asked about the pause when it was proved; leaves of before prove nothing now.
        if (amount == 0) _requireRunning(study);
        return amount + _takeRevenue(study, beneficiary);
    }

    /// Marks a leaf as paid, and as one that takes part in licence revenue.
    /// @return amount What the round pays it; nothing if it was paid before or is lost.
    function _take(uint64 study, address account, Share calldata share, bool sells, address beneficiary)
        private
        returns (uint256 amount)
    {
        (uint64 round, bool asNode) = (share.round, share.index >= share.sites);
        uint256 bit = _bit(round, asNode);
        Marks storage marks = _marksOf(_claims, study, account, round);
        uint256 bits = marks.bits;
        if (_isLost(bits, round, asNode)) return 0;
        bool owed = bits & bit == 0;
        bool enrols = sells && _marksOf(_enrolled, study, account, round).bits & bit == 0;
        if (!owed && !enrols) return 0;
        (uint256 perSite, uint256 perNode) = _final(study, account, share, asNode);
        if (enrols) {
            uint80 record = _recordOf(study, share);
            // What the sink has of a site is neither the site's nor, if that is struck off later, the sponsor's.
            uint256 gone = beneficiary == account || asNode ? 0 : _forfeit(round);
            _marksOf(_enrolled, study, account, round).bits |= bit | gone;
            _enrol(study, beneficiary, _weightIn(study, share, asNode, record), _earnedBefore(study, record));
        }
        if (!owed) return 0;
        marks.bits = bits | bit;
        return asNode ? perNode : perSite;
    }

    /// What a site that was struck off for a round has not been paid, and from now on its part in revenue, are the sponsor's.
    function _takeBack(bool sells, uint64 study, address account, Share calldata share)
        private
        returns (uint256 amount)
    {
        uint64 round = share.round;
        (uint256 bit, uint256 lost) = (_bit(round, false), _forfeit(round));
        Marks storage marks = _marksOf(_claims, study, account, round);
        if (share.index >= share.sites || marks.bits & lost == 0) return 0;
        (uint256 perSite,) = _final(study, account, share, false);
        Marks storage enrolled = _marksOf(_enrolled, study, account, round);
        if (sells && enrolled.bits & lost == 0) {
            uint80 record = _recordOf(study, share);
            uint256 weight = _weightIn(study, share, false, record);
            bool shown = enrolled.bits & bit != 0;
            enrolled.bits |= bit | lost;
            // What it has earned by now is its own.
            if (shown) _leave(study, account, weight);
            _enrol(study, NOBODY, weight, shown ? _earnedNow(study) : _earnedBefore(study, record));
        }
        if (marks.bits & bit != 0) return 0;
        marks.bits |= bit;
        return perSite;
    }

    /// @return amount Whole units; what is behind the point stays owed.
    function _takeRevenue(uint64 study, address account) private returns (uint256 amount) {
        amount = revenueOf(study, account);
        if (amount != 0) _holdings[study][account].debt += (amount << FRACTION).toInt256().toInt192();
    }

    /// @param earned What each weight had earned when this one began to count.
    function _enrol(uint64 study, address account, uint256 weight, uint256 earned) private {
        Holding storage holding = _holdings[study][account];
        holding.weight += weight.toUint64();
        holding.debt += (weight * earned).toInt256().toInt192();
    }

    /// What is owed to the account stays as it was.
    function _leave(uint64 study, address account, uint256 weight) private {
        Holding storage holding = _holdings[study][account];
        holding.weight -= weight.toUint64();
        holding.debt -= (weight * _earnedNow(study)).toInt256().toInt192();
    }

    function _weightIn(uint64 study, Share calldata share, bool asNode, uint80 record) private view returns (uint256) {
        (uint16 policy, uint256 nodes) = (Layout.policyIn(record), uint256(share.nodes) + Layout.lateIn(record));
        (uint256 perSite, uint256 perNode) = IConsilium(consilium).weightsOf(study, policy, share.sites, nodes);
        return asNode ? perNode : perSite;
    }

    /// What each weight had earned when the round was settled.
    function _earnedBefore(uint64 study, uint80 record) private view returns (uint256) {
        return _earned[study][Layout.periodIn(record)];
    }

    function _earnedNow(uint64 study) private view returns (uint256) {
        return _earned[study][_purses[study].periods];
    }

    // ------------------------------------------------------------------------------------------------ proving

    /// What the round of a leaf pays. Reverts if it is not settled for good, or has not this leaf for this account.
    function _final(uint64 study, address account, Share calldata share, bool asNode)
        private
        view
        returns (uint256 perSite, uint256 perNode)
    {
        (uint64 round, uint32 sites, uint32 nodes) = (share.round, share.sites, share.nodes);
        bytes32 signed = _signed(study, account, share, asNode);
        // If nothing like it was signed, no round has this hash.
        return IConsilium(consilium)
            .finalPay(study, round, signed, sites, nodes, share.record, share.position, share.archivePath);
    }

    /// Of a round that `_final` has found.
    function _recordOf(uint64 study, Share calldata share) private view returns (uint80) {
        return IConsilium(consilium).recordOf(study, share.round, share.record);
    }

    /// What the committee signed at the end of the round, if the leaf is the account's.
    function _signed(uint64 study, address account, Share calldata share, bool asNode) private view returns (bytes32) {
        (uint32 sites, uint64 leaves) = (share.sites, uint64(share.sites) + share.nodes);
        bool late = share.index >= leaves;
        if (late) _requireLateVoter(study, account, share.round, share.index - leaves);
        if (share.shareRootsHash == 0) {
            bytes32 setRoot = share.setRoot;
            if (!asNode) {
                setRoot = SetLeaves.rootOf(account, share.aggregateRoot, share.length, share.index, share.path);
            }
            return Statements.vote(study, share.round, setRoot, sites);
        }
        bytes32 rewardRoot;
        if (late) {
            require(share.path.length == 1, MerkleTrees.InvalidPath(share.index, leaves, share.path.length));
            rewardRoot = share.path[0];
        } else {
            rewardRoot = _rewardRoot(account, asNode, leaves, share);
        }
        return
            Statements.settlement(
                study, share.round, share.setRoot, share.shareRootsHash, share.aggregateRoot, rewardRoot
            );
    }

    function _requireLateVoter(uint64 study, address account, uint64 round, uint256 place) private view {
        address voter = place < type(uint8).max
            // forge-lint: disable-next-line(unsafe-typecast)
            ? IConsilium(consilium).lateVoterOf(study, round, uint8(place + 1))
            : NOBODY;
        require(voter == account && account != NOBODY, NotALateVoter(study, round, account));
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

    /// From when on the money of a leaf may go to the sink, but for the announcement.
    function _forgottenFrom(uint64 study, address account, Share calldata share) private view returns (uint256) {
        _final(study, account, share, share.index >= share.sites);
        // The time by which the round had to be settled.
        return Layout.settleByIn(_recordOf(study, share)) + escheatTime;
    }

    // ------------------------------------------------------------------------------------------------ marks

    function _bit(uint64 round, bool asNode) private pure returns (uint256) {
        return 1 << ((asNode ? AS_NODE : 0) + round % ROUNDS_A_WORD);
    }

    function _forfeit(uint64 round) private pure returns (uint256) {
        return 1 << (FORFEITED + round % ROUNDS_A_WORD);
    }

    /// Whether the leaf is that of a site which has lost it.
    function _isLost(uint256 bits, uint64 round, bool asNode) private pure returns (bool) {
        return !asNode && bits & _forfeit(round) != 0;
    }

    function _marksOf(
        mapping(uint64 => mapping(address => mapping(uint256 => Marks))) storage all,
        uint64 study,
        address account,
        uint64 round
    ) private view returns (Marks storage) {
        return all[study][account][round / ROUNDS_A_WORD];
    }

    // ------------------------------------------------------------------------------------------------ coins

    /// Pays an account, or where it wants its money. What the currency refuses waits for it.
    function _send(Purse memory purse, uint64 study, address account, uint256 amount) private {
        IERC20 currency = IERC20(purse.currency);
        address to = purse.payees ? payeeOf(study, account) : account;
        require(gasleft() > ALLOWANCE, GasMissing());
        if (currency.trySafeTransfer(to, amount)) return;
        Unpaid storage unpaid = _unpaid[study][account];
        unpaid.amount += amount.toUint128();
        (unpaid.since, unpaid.announced) = (block.timestamp.toUint40(), 0);
        emit PaymentRefused(study, account, to, amount);
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

    // ------------------------------------------------------------------------------------------------ when, and who

    function _requireRunning(uint64 study) private view {
        uint64 until = IConsilium(consilium).pausedUntil(study);
        require(until == 0, IRecords.PausedUntil(study, until));
    }

    function _requireNearlyForgotten(uint256 from) private view {
        require(block.timestamp + QUARTER >= from, EscheatTooEarly(from - QUARTER));
    }

    function _requireAnnounced(uint256 announced) private view {
        require(announced != 0, EscheatTooEarly(type(uint256).max));
        require(block.timestamp >= announced + QUARTER, EscheatTooEarly(announced + QUARTER));
    }

    function _onlyFrom(address other) private view {
        require(msg.sender == other, NotPermitted(msg.sender));
    }
}
