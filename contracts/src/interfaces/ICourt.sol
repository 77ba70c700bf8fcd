// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRecords} from "./IRecords.sol";

/// @title The offences of nodes, each proved by anyone in one transaction
/// @notice Nobody is ever slashed by a vote, and whatever is not below is not punishable. A proof takes the node's whole
/// bond in the study: a tenth for the sender, the rest, after a delay, for the sites of the round that was harmed if that
/// was settled and its result stands, else for the sink. What rests on a settlement or a certificate can turn out to be
/// false: until it cannot, nothing of such a bond is paid. A proof that proves nothing reverts and costs its sender gas
/// only.
/// @dev Signatures are compact (EIP-2098): r, then s with v - 27 in its highest bit.
/// The bond is gone with the first proof, so that no evidence pays twice.
interface ICourt {
    /// @notice What was proved.
    enum Offence {
        /// (i) A signed share root for the certified set that is not the settled one.
        WrongShare,
        /// (ii) Signing a settlement whose roots do not fit together, or are no vectors.
        WrongSettlement,
        /// (iii) Two Finals about one subject.
        TwoFinals,
        /// (iii) A share root for a set that was not certified.
        ForeignShare,
        /// (iii) Two share roots in one round.
        TwoShares,
        /// (iii) Two settlements of one round.
        TwoSettlements,
        /// (v) Voting for a set with a site that was not admitted.
        ForeignSite,
        /// (vi) Signing a settlement whose rewards are not those of the set.
        WrongReward,
        /// What the study's kind calls an offence.
        OfKind
    }

    /// @notice All roots of a settlement; the contract knows their hash.
    struct Roots {
        bytes32 setRoot;
        bytes32[] shareRoots;
        bytes32 aggregateRoot;
        bytes32 rewardRoot;
    }

    /// @notice A site's leaf in a certified set.
    struct SetMember {
        uint32 index;
        address site;
        /// Its contribution's digest.
        bytes32 digest;
        /// Leaves of the set: its sites and, behind them, what members of the committee contributed.
        uint64 length;
        bytes32[] path;
    }

    /// @notice A site's leaf in the list of admitted sites.
    struct ListMember {
        uint64 index;
        /// Sites on the list.
        uint64 length;
        /// As listed; 0 for a list without powers.
        uint64 power;
        bytes32[] path;
    }

    /// @notice That a node released its share for a set that Q members of the committee had voted for.
    struct Answer {
        bytes32 setRoot;
        uint32 size;
        /// The share root that the node signed, for this set.
        uint8 index;
        bytes32 root;
        bytes32[2] signature;
        /// Bit j-1 is node j; 65 bytes each, in increasing node index.
        uint256 voters;
        bytes votes;
    }

    /// @notice What a node said about a round's result.
    struct Said {
        bytes32 setRoot;
        bytes32 shareRootsHash;
        bytes32 aggregateRoot;
        bytes32 rewardRoot;
        bytes32[2] signature;
    }

    /// @notice The harmed sites of a conviction: those of a settled set, as far as they were admitted.
    struct Pot {
        bytes32 setRoot;
        bytes32 sitesRoot;
        uint32 size;
        uint96 each;
    }

    /// @notice A node has lost its bond.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param round The round that the evidence names; 0 if no sites are to be paid.
    /// @param offence What was proved.
    /// @param reporter Who showed the proof.
    /// @param reward The reporter's tenth: at once, or with `kept` if the conviction can still be undone.
    /// @param kept What is shared out from the time on that the bond tells (`INodeRegistry.Bond.until`).
    event Convicted(
        uint64 indexed study,
        address indexed node,
        uint64 indexed round,
        Offence offence,
        address reporter,
        uint256 reward,
        uint256 kept
    );
    /// @notice The settlement that a share had differed from was the wrong one, or Q had voted for the set of a foreign
    /// share: the node has its bond back, discharged.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param amount Wei: the bond as it stands again.
    event Acquitted(uint64 indexed study, address indexed node, uint256 amount);
    /// @notice Which sites share a bond: those of this round's certified set.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param round The harmed round.
    /// @param setRoot Of its certified set.
    /// @param size Sites that share the bond.
    event CompensationAssigned(uint64 indexed study, address indexed node, uint64 round, bytes32 setRoot, uint32 size);
    /// @notice A harmed site was paid.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param site The site's key.
    /// @param amount In wei.
    event Compensated(uint64 indexed study, address indexed node, address indexed site, uint256 amount);
    /// @notice Who proved what could have been undone has its tenth.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param reporter Who showed the proof.
    /// @param amount In wei: a tenth of the bond.
    event ReporterPaid(uint64 indexed study, address indexed node, address indexed reporter, uint256 amount);
    /// @notice What no site may have of a bond went to the sink.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param amount In wei.
    event Forfeited(uint64 indexed study, address indexed node, uint256 amount);
    /// @notice The study's judge holds a bond until this time, or longer.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param until Block time before which the bond is not free.
    event Held(uint64 indexed study, address indexed node, uint64 until);
    /// @notice The study's guardian put a payment off.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param until Block time from which it is due.
    event CompensationPostponed(uint64 indexed study, address indexed node, uint256 until);

    /// @notice The signer has no bond in this study: never had, took it back, or lost it before.
    /// @param study The study's number.
    /// @param node The node's account.
    error NotLiable(uint64 study, address node);
    /// @notice The node does not have this index in the round's committee: what it says about another's share is void.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param index As the statement has it.
    /// @param node The node's account.
    error NotItsIndex(uint64 study, uint64 round, uint8 index, address node);
    /// @notice These are not the roots that were settled, or the round is not on record as settled.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    error NotTheSettlement(uint64 study, uint64 round);
    /// @notice The round has no certificate on record.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    error NotCertified(uint64 study, uint64 round);
    /// @notice What was shown is no offence.
    error NoOffence();
    /// @notice Two nodes signed.
    /// @param first Who signed the first statement.
    /// @param second Who signed the other.
    error TwoSigners(address first, address second);
    /// @notice Only the study's judge, or the court of sets.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotTheJudge(uint64 study, address caller);
    /// @notice The content at this point does not lead to the settled root.
    /// @param point 0: the aggregate, or the rewards; j: the output share of node j.
    error NotTheLeaf(uint8 point);
    /// @notice No bond of this node waits to be shared.
    /// @param study The study's number.
    /// @param node The node's account.
    error NoCompensation(uint64 study, address node);
    /// @notice Not before this time.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param until Block time from which it is possible.
    error CompensationLocked(uint64 study, address node, uint256 until);
    /// @notice Only the study's guardian, once, and only before the money is due.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotGuardian(uint64 study, address caller);
    /// @notice This leads to another root than the certified set's, or lies behind its sites.
    /// @param site The site's key, as shown.
    error NotInTheSet(address site);
    /// @notice This leads to another root than that of the sites admitted when the round opened.
    /// @param site The site's key, as shown.
    error NotAdmitted(address site);
    /// @notice A bond can be held for the unbonding delay at most, then again.
    /// @param until Block time that was asked for.
    error HoldTooLong(uint64 until);
    /// @notice What cannot be paid must go somewhere.
    error InvalidSink();
    /// @notice Send more gas: whoever is owed something must be able to take it.
    error GasMissing();
    /// @notice This site was paid before.
    /// @param site The site's key.
    error AlreadyCompensated(address site);

    /// @notice (i) A node signed another root for its share of the certified set than was settled.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param roots Settled; `roots.setRoot` is also the set that the statement names.
    /// @param index The node's own, as in the statement.
    /// @param root What the node signed for its share.
    /// @param signature The node's, compact (EIP-2098).
    function proveWrongShare(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        uint8 index,
        bytes32 root,
        bytes32[2] calldata signature
    ) external;

    /// @notice (iii) A node signed two different Finals about one subject of a study.
    /// @param study The study's number.
    /// @param subject Of both statements.
    /// @param round Of the first Final, whose sites count as harmed; `other...` belongs to the second.
    /// @param setRoot Of the first statement.
    /// @param signature The node's, compact (EIP-2098).
    /// @param otherRound Of the second statement.
    /// @param otherSetRoot Of the second statement.
    /// @param otherSignature Compact, over the other statement.
    function proveTwoFinals(
        uint64 study,
        bytes32 subject,
        uint64 round,
        bytes32 setRoot,
        bytes32[2] calldata signature,
        uint64 otherRound,
        bytes32 otherSetRoot,
        bytes32[2] calldata otherSignature
    ) external;

    /// @notice (iii) A node signed a root for its share of a set that is not the one certified.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param setRoot The set that the node named.
    /// @param index The node's own, as in the statement.
    /// @param root What the node signed for its share.
    /// @param signature The node's, compact (EIP-2098).
    function proveForeignShare(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint8 index,
        bytes32 root,
        bytes32[2] calldata signature
    ) external;

    /// @notice (iii) A node signed two different roots, or sets, for its share in one round.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param index The node's own, as in both statements.
    /// @param setRoot Of the first statement.
    /// @param root Of the first statement.
    /// @param signature The node's, compact (EIP-2098).
    /// @param otherSetRoot Of the second statement.
    /// @param otherRoot Of the second statement.
    /// @param otherSignature Compact, over the other statement.
    function proveTwoShares(
        uint64 study,
        uint64 round,
        uint8 index,
        bytes32 setRoot,
        bytes32 root,
        bytes32[2] calldata signature,
        bytes32 otherSetRoot,
        bytes32 otherRoot,
        bytes32[2] calldata otherSignature
    ) external;

    /// @notice (iii) A node signed two different settlements of one round.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param said One statement, with its signature.
    /// @param other The other, by the same node.
    function proveTwoSettlements(uint64 study, uint64 round, Said calldata said, Said calldata other) external;

    /// @notice Judges: takes the bonds of members of a committee, and gives back the ones that were taken from others
    /// because they had differed from this round's settlement.
    /// @param study The study's number.
    /// @param round The round that was judged; 0 for what happened outside of rounds.
    /// @param nodes Of the round's committee; of them `guilty`, bit j-1 for node j, lose their bonds.
    /// @param guilty Bit j-1 is node j.
    /// @param offence None that can be undone.
    /// @param reporter Who showed the proof, and gets a tenth of them.
    function convict(
        uint64 study,
        uint64 round,
        address[] calldata nodes,
        uint256 guilty,
        Offence offence,
        address reporter
    ) external;

    /// @notice The study's judge: a member's bond is not free before this time, whenever its service ends. At most the
    /// unbonding delay from now.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param until Block time, at most the unbonding delay from now.
    function hold(uint64 study, address node, uint64 until) external;

    /// @notice Anyone, before the bond is paid out: clears a node that was convicted of a foreign share. Whoever follows
    /// the protocol has Q votes for the set that it releases, also when a reorganisation took the certificate away.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param answer The share that the node signed, and Q votes for its set.
    function answerForeignShare(uint64 study, address node, Answer calldata answer) external;

    /// @notice Anyone, once the bond is due: writes down that the rest is that of the sites of the harmed round, and
    /// pays the reporter what it is still owed. The round must be settled for good and never have been proved wrong.
    /// @param study The study's number.
    /// @param node Whose bond it is.
    /// @param settled As in `IConsilium.settledSites`.
    function assignCompensation(uint64 study, address node, IRecords.Settled calldata settled) external;

    /// @notice Anyone: pays a harmed site its equal part, if it was admitted when the round opened. A site that is a
    /// contract has 50,000 gas to take it; one that does not keeps nobody else from theirs, and may be paid later.
    /// @param study The study's number.
    /// @param node Whose bond it is.
    /// @param member The site's leaf in the harmed round's set.
    /// @param admitted The site's leaf in the list that held when the round opened.
    function compensate(uint64 study, address node, SetMember calldata member, ListMember calldata admitted) external;

    /// @notice Anyone: sends to the sink what no site may have. At once when the bond is due, if no site is to be paid:
    /// the round was not settled, or wrongly. `compensationDelay()` later if nobody has shown that it was settled.
    /// `claimTime()` later, what sites have not taken.
    /// @param study The study's number.
    /// @param node Whose bond it is.
    function forfeit(uint64 study, address node) external;

    /// @notice Guardian, once, before the bond is due: puts its payment off by `compensationDelay()`.
    /// @param study The study's number.
    /// @param node Whose bond it is.
    function postponeCompensation(uint64 study, address node) external;

    /// @notice Who shares a lost bond, and how; zeros if not assigned.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @return Set, list, number of sites and the wei of each.
    function potOf(uint64 study, address node) external view returns (Pot memory);

    /// @notice Seconds between a conviction and the compensation; no challenge window is longer.
    /// @return In seconds.
    function compensationDelay() external view returns (uint64);

    /// @notice Seconds that sites have to take a compensation that is due.
    /// @return In seconds.
    function claimTime() external view returns (uint64);

    /// @notice Who gets what no site may have.
    /// @return The account.
    function sink() external view returns (address);
}
