// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The offences of nodes, each proved by anyone in one transaction
/// @notice Nobody is ever slashed by a vote, and whatever is not below is not punishable. A proof takes the node's whole
/// bond in the study: a tenth at once for the sender, the rest, after a delay, for the sites of the round that was
/// harmed. A proof that proves nothing reverts and costs its sender gas only.
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
        TwoSettlements
    }

    /// @notice All roots of a settlement; the contract knows their hash.
    struct Roots {
        bytes32 setRoot;
        bytes32[] shareRoots;
        bytes32 aggregateRoot;
        bytes32 rewardRoot;
    }

    /// @notice What says how long a vector of the study is; the contract knows its hash.
    struct Program {
        uint8 kind;
        string name;
        bytes parameters;
    }

    /// @notice A leaf of a settled vector.
    struct Opening {
        /// 0: the aggregate; j: the output share of node j.
        uint8 point;
        bytes content;
        bytes32[] path;
    }

    /// @notice What a node said about a round's result.
    struct Said {
        bytes32 setRoot;
        bytes32 shareRootsHash;
        bytes32 aggregateRoot;
        bytes32 rewardRoot;
        bytes32[2] signature;
    }

    /// @notice The harmed sites of a conviction.
    struct Pot {
        bytes32 setRoot;
        uint32 size;
        uint96 each;
    }

    /// @notice A node has lost its bond.
    /// @param kept What the harmed sites will share, from the time on that the bond tells (`INodeRegistry.Bond.until`).
    event Convicted(
        uint64 indexed study,
        address indexed node,
        uint64 indexed round,
        Offence offence,
        address reporter,
        uint256 reward,
        uint256 kept
    );
    /// @notice The settlement that a share had differed from was the wrong one: the node has its bond back.
    event Acquitted(uint64 indexed study, address indexed node, uint256 amount);
    /// @notice Which sites share a bond: those of this round's certified set.
    event CompensationAssigned(uint64 indexed study, address indexed node, uint64 round, bytes32 setRoot, uint32 size);
    /// @notice A harmed site was paid.
    event Compensated(uint64 indexed study, address indexed node, address indexed site, uint256 amount);
    /// @notice The study's guardian stopped a compensation, or let it go on.
    event CompensationFrozen(uint64 indexed study, address indexed node, bool frozen);

    /// @notice The signer has no bond in this study: never had, took it back, or lost it before.
    error NotLiable(uint64 study, address node);
    /// @notice The node does not have this index in the round's committee: what it says about another's share is void.
    error NotItsIndex(uint64 study, uint64 round, uint8 index, address node);
    /// @notice These are not the roots that were settled, or the round is not on record as settled.
    error NotTheSettlement(uint64 study, uint64 round);
    /// @notice The round has no certificate on record.
    error NotCertified(uint64 study, uint64 round);
    /// @notice What was shown is no offence.
    error NoOffence();
    /// @notice Two nodes signed.
    error TwoSigners(address first, address second);
    /// @notice This is not the study's program, or not one whose vectors have a known length.
    error NotTheProgram(uint64 study);
    /// @notice t+2 openings at strictly increasing points 0..n are needed.
    error OpeningPoints();
    /// @notice The content at this point does not lead to the settled root.
    error NotTheLeaf(uint8 point);
    /// @notice No bond of this node waits to be shared.
    error NoCompensation(uint64 study, address node);
    /// @notice The compensation is frozen, or not due before this time.
    error CompensationLocked(uint64 study, address node, uint64 until);
    /// @notice The settlement that the node's share had differed from was proved wrong: only `acquit` applies.
    error AcquittalDue(uint64 study, address node, uint64 round);
    /// @notice Only the study's guardian, and only before the compensation is due.
    error NotGuardian(uint64 study, address caller);
    /// @notice This site was paid before.
    error AlreadyCompensated(address site);

    /// @notice (i) A node signed another root for its share of the certified set than was settled.
    /// @param roots Settled; `roots.setRoot` is also the set that the statement names.
    /// @param index The node's own, as in the statement.
    function proveWrongShare(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        uint8 index,
        bytes32 root,
        bytes32[2] calldata signature
    ) external;

    /// @notice (ii) t+2 leaves of settled roots do not lie on one polynomial of degree t at this element. Every signer
    /// of the settlement loses its bond, and within the challenge window the round becomes Fraudulent.
    /// @param openings At strictly increasing points, each the leaf that holds the element.
    function proveWrongSettlement(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint64 element,
        Opening[] calldata openings
    ) external;

    /// @notice (ii) A leaf of a settled root is no leaf: other than 256 bytes, a value of p or more, padding not zero.
    function proveMalformedLeaf(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint64 leaf,
        Opening calldata opening
    ) external;

    /// @notice (ii) A settled root is not the top of a vector of the study's length.
    /// @param preimage Whose SHA-256 is the root at this point, and which is not 0x02 || length || 32 bytes.
    function proveMalformedRoot(
        uint64 study,
        uint64 round,
        Roots calldata roots,
        Program calldata program,
        uint8 point,
        bytes calldata preimage
    ) external;

    /// @notice (iii) A node signed two different Finals about one subject of a study.
    /// @param round Of the first Final, whose sites count as harmed; `other...` belongs to the second.
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
    function proveForeignShare(
        uint64 study,
        uint64 round,
        bytes32 setRoot,
        uint8 index,
        bytes32 root,
        bytes32[2] calldata signature
    ) external;

    /// @notice (iii) A node signed two different roots, or sets, for its share in one round.
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
    function proveTwoSettlements(uint64 study, uint64 round, Said calldata said, Said calldata other) external;

    /// @notice Anyone: gives the bond back to a node whose share differed from a settlement that was proved wrong. As long
    /// as that is on record, nobody else is given anything of it.
    function acquit(uint64 study, address node) external;

    /// @notice Anyone, best at once: writes down whose the rest of a lost bond is. The sites of the harmed round; if
    /// that has no certificate on record, those of the study's newest certified round.
    function assignCompensation(uint64 study, address node) external;

    /// @notice Anyone: pays a harmed site its equal part. A site that is a contract has 50,000 gas to take it; one that
    /// does not keeps nobody else from theirs, and may be paid later.
    /// @param index The site's place in the certified set.
    /// @param digest Its contribution's digest in the set.
    function compensate(uint64 study, address node, uint32 index, address site, bytes32 digest, bytes32[] calldata path)
        external;

    /// @notice Guardian: stops a compensation before it is due, or lets it go on. It cannot send it elsewhere.
    function freezeCompensation(uint64 study, address node, bool frozen) external;

    /// @notice Who shares a lost bond, and how; zeros if not assigned.
    function potOf(uint64 study, address node) external view returns (Pot memory);

    /// @notice Seconds between a conviction and the compensation.
    function compensationDelay() external view returns (uint64);
}
