// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The committee nodes and their stake
/// @notice A node registers itself once, with its operator's name, its jurisdiction, an X-Wing public key and stake in
/// native currency. It says which sponsors it serves, with how much of its stake and until when; without that nobody can
/// take it. Each study that takes it locks a bond of its own out of the stake: a study's bond answers for that study
/// alone, so that no other study, least of all one that the node made up itself, can take it first.
/// @dev Nobody's word moves stake: the node its free stake, a committee its bonds, a proof (ICourt) a bond for good.
interface INodeRegistry {
    /// @notice Absent (never registered) -> Active -> Unbonding -> Withdrawn. There is no way back.
    enum Status {
        Absent,
        Active,
        Unbonding,
        Withdrawn
    }

    /// @notice None -> Serving <-> Discharged -> None; the last three can be reached from Serving and Discharged.
    /// Misreported and Strayed lead back to Discharged, or on to Convicted.
    enum Standing {
        None,
        Serving,
        Discharged,
        /// By the proof of a wrong output share: undone if the settlement is proved wrong.
        Misreported,
        /// By the proof of a share of another set: undone if Q votes for that set are shown.
        Strayed,
        Convicted
    }

    /// @notice What the registry keeps of a node. The key itself is in the event `KemKeySet`.
    struct Node {
        /// keccak256 of the current X-Wing public key.
        bytes32 keyHash;
        /// Free stake in wei: what no bond holds.
        uint96 stake;
        /// Block time from which the stake may be withdrawn; 0 unless unbonding.
        uint64 withdrawableAt;
        uint40 registeredAt;
        /// How many studies' current committees the node sits in.
        uint32 serving;
        Status status;
    }

    /// @notice How much of its stake a node puts up for a sponsor, or for a committee source. One slot.
    struct Consent {
        /// Largest bond of one study, in wei.
        uint96 maxBond;
        /// Largest sum of the bonds of all studies, in wei. A bond that a proof has taken goes on counting.
        uint96 maxTotal;
        /// Shortest challenge window of a study, in seconds.
        uint24 minimumWindow;
        /// Block time from which nobody is taken by this consent any more.
        uint40 expires;
    }

    /// @notice The stake that a node has put up for one study. One slot.
    struct Bond {
        uint96 amount;
        /// Discharged: from then on it can be reclaimed. Taken by a proof: from then on it is paid out.
        uint40 until;
        /// The node has this index in rounds after `since`, and up to `ended` once it is discharged.
        uint32 since;
        uint32 ended;
        /// Taken: the round whose sites were harmed; 0 if no sites are paid. Else the round of an accusation that Q votes have
        /// answered.
        uint32 round;
        /// Taken: 0 once the seat is vacated.
        uint8 index;
        Standing standing;
        /// Taken: bit 0, the reporter has its part or gets none; bit 1, the guardian has put off the payment.
        uint8 marks;
    }

    /// @notice Beside each bond, one slot.
    struct Backing {
        /// Whose consent the bond counts towards; once it is taken, who showed the proof.
        address party;
        /// What was put up; once it is taken, how much was; of a strayed node, 96 bits of the set of its share.
        uint96 amount;
    }

    /// @notice What a study asks of the nodes of its next committee.
    struct Service {
        uint64 study;
        /// The study's newest round: they serve from the next.
        uint32 since;
        address sponsor;
        /// Who chose the committee; zero for the sponsor.
        address source;
        uint96 bond;
        uint32 challengeWindow;
        bool newcomers;
    }

    /// @notice A node joined with its stake.
    /// @param node The node's account.
    /// @param operator Who runs the node, 1 to 128 bytes.
    /// @param jurisdiction Where it is run, 1 to 128 bytes.
    /// @param stake In wei.
    event NodeRegistered(address indexed node, string operator, string jurisdiction, uint256 stake);
    /// @notice A node's KEM key from now on; committees formed earlier keep the key hash they were formed with.
    /// @param node The node's account.
    /// @param keyHash keccak256 of the key.
    /// @param kemKey X-Wing public key, 1216 bytes.
    event KemKeySet(address indexed node, bytes32 indexed keyHash, bytes kemKey);
    /// @notice What a node puts up from now on for the studies of a sponsor, or for committees of a source.
    /// @param node The node's account.
    /// @param party The sponsor or committee source.
    /// @param consent The bounds; all zero: none any more.
    event ConsentSet(address indexed node, address indexed party, Consent consent);
    /// @notice A node added to its stake.
    /// @param node The node's account.
    /// @param amount In wei.
    event Deposited(address indexed node, uint256 amount);
    /// @notice A node put up a bond for a study.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param amount Wei that the bond has now.
    event Bonded(uint64 indexed study, address indexed node, uint256 amount);
    /// @notice A node serves a study no more; its bond can be reclaimed from then on.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param until Block time from which the bond can be reclaimed.
    event Discharged(uint64 indexed study, address indexed node, uint64 until);
    /// @notice A bond is free stake again.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param amount In wei.
    event Reclaimed(uint64 indexed study, address indexed node, uint256 amount);
    /// @notice A node is leaving; it serves no committee any more.
    /// @param node The node's account.
    /// @param withdrawableAt Block time from which the stake is paid back.
    event UnbondingBegun(address indexed node, uint64 withdrawableAt);
    /// @notice A node has left with its free stake.
    /// @param node The node's account.
    /// @param stake In wei.
    event Withdrawn(address indexed node, uint256 stake);

    /// @notice An address registers once; a node that left comes back under another address.
    /// @param node The node's account.
    error AlreadyRegistered(address node);
    /// @notice Send at least `minimumStake()` with the registration.
    /// @param stake What was sent, in wei.
    /// @param minimum In wei.
    error StakeTooSmall(uint256 stake, uint256 minimum);
    /// @notice An X-Wing public key has exactly 1216 bytes.
    /// @param length Bytes that were given.
    error InvalidKemKey(uint256 length);
    /// @notice Operator and jurisdiction have 1 to 128 bytes each.
    error InvalidIdentity();
    /// @notice The node is not registered, is unbonding or has left.
    /// @param node The node's account.
    error NodeNotActive(address node);
    /// @notice The node did not agree to serve this sponsor, nor this source of committees, or no longer does.
    /// @param node The node's account.
    /// @param sponsor Who takes it.
    error NoConsent(address node, address sponsor);
    /// @notice The study's bond is above, or its challenge window below, what the node agreed to.
    /// @param node The node's account.
    /// @param party The sponsor or committee source.
    /// @param bond The study's, in wei.
    /// @param challengeWindow The study's, in seconds.
    error BeyondConsent(address node, address party, uint96 bond, uint32 challengeWindow);
    /// @notice With this bond all bonds of the party's studies would be more than the node agreed to.
    /// @param node The node's account.
    /// @param party The sponsor or committee source.
    /// @param total Wei that would be bonded.
    /// @param maxTotal Wei that the node agreed to.
    error ConsentExhausted(address node, address party, uint256 total, uint96 maxTotal);
    /// @notice A consent names a sponsor or a committee source: nobody agrees to serve everybody.
    error NoParty();
    /// @notice The node registered too lately for a study that allows no newcomers.
    /// @param node The node's account.
    /// @param since Block time of its registration.
    error Newcomer(address node, uint64 since);
    /// @notice The node's free stake does not cover the study's bond.
    /// @param node The node's account.
    /// @param free Its free stake, in wei.
    /// @param missing What the bond lacks, in wei.
    error BondMissing(address node, uint256 free, uint256 missing);
    /// @notice A proof has taken the node's bond in this study: it does not serve there again.
    /// @param study The study's number.
    /// @param node The node's account.
    error NodeConvicted(uint64 study, address node);
    /// @notice The node sits in this many committees: it has to resign from them first.
    /// @param node The node's account.
    /// @param committees How many.
    error NodeServing(address node, uint32 committees);
    /// @notice The node is not in the study's committee.
    /// @param study The study's number.
    /// @param node The node's account.
    error NotServing(uint64 study, address node);
    /// @notice The stake cannot be withdrawn before this block time (0: unbonding was not begun).
    /// @param node The node's account.
    /// @param withdrawableAt Block time from which it is possible.
    error StakeLocked(address node, uint64 withdrawableAt);
    /// @notice There is no discharged bond, or it cannot be reclaimed before this block time.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @param until Block time from which it is possible; 0: not discharged.
    error BondLocked(uint64 study, address node, uint64 until);
    /// @notice Only Consilium may do this.
    /// @param caller Who called.
    error NotConsilium(address caller);
    /// @notice Consilium must not be the zero address.
    error InvalidConsilium();
    /// @notice The account did not take its money, or not for the gas that it had.
    /// @param account Who did not take it.
    error TransferFailed(address account);

    /// @notice Registers the caller as a node with `msg.value` as stake. It serves nobody before it gives consent.
    /// @param kemKey X-Wing (X25519 + ML-KEM-768) public key, 1216 bytes.
    /// @param operator Who runs the node, for sites that demand independent operators.
    /// @param jurisdiction Where it is run.
    function register(bytes calldata kemKey, string calldata operator, string calldata jurisdiction) external payable;

    /// @notice Replaces the caller's KEM key; it is used by committees formed from now on.
    /// @param kemKey X-Wing public key, 1216 bytes.
    function rotateKemKey(bytes calldata kemKey) external;

    /// @notice Agrees that a sponsor, or a committee source, takes the caller into committees, within these bounds. All
    /// zero: it may no longer. Bonds that are put up already stay, and count.
    /// @param party Sponsor or committee source.
    /// @param consent The bounds.
    function setConsent(address party, Consent calldata consent) external;

    /// @notice Adds `msg.value` to the caller's free stake.
    function deposit() external payable;

    /// @notice The caller leaves the study's committee. It stays liable for the unbonding delay, and answers for the
    /// round in progress; no round opens before the sponsor has formed another committee.
    /// @param study The study's number.
    function resign(uint64 study) external;

    /// @notice Anyone: makes a discharged bond free stake again once its time has come.
    /// @param study The study's number.
    /// @param node The node's account.
    function reclaim(uint64 study, address node) external;

    /// @notice Begins the caller's exit. Refused while it serves a committee.
    function beginUnbond() external;

    /// @notice Pays the caller's free stake back once the unbonding delay is over; again for bonds reclaimed later.
    function withdraw() external;

    /// @notice Consilium: takes nodes into a study's committee, node 1 first, with their bonds.
    /// @param service What the study asks for.
    /// @param nodes The committee, node 1 first.
    /// @return keyHashes Their KEM key hashes, in the same order.
    function enlist(Service calldata service, address[] calldata nodes) external returns (bytes32[] memory keyHashes);

    /// @notice Consilium: the committee's service ends with round `ended`.
    /// @param study The study's number.
    /// @param ended Their last round.
    /// @param nodes The committee, node 1 first.
    function discharge(uint64 study, uint64 ended, address[] calldata nodes) external;

    /// @notice Whether the node is registered and not leaving.
    /// @param node The node's account.
    /// @return Whether it is.
    function isActive(address node) external view returns (bool);

    /// @notice What the node agreed to, and how much of its stake is put up by that now.
    /// @param node The node's account.
    /// @param party The sponsor or committee source.
    /// @return consent As it was set.
    /// @return bonded Wei that count towards it.
    function consentOf(address node, address party) external view returns (Consent memory consent, uint96 bonded);

    /// @notice All that is stored about a node; all zero for an unknown one.
    /// @param node The node's account.
    /// @return As stored.
    function nodeOf(address node) external view returns (Node memory);

    /// @notice The stake a node has put up for a study.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @return As stored; zeros: none.
    function bondOf(uint64 study, address node) external view returns (Bond memory);

    /// @notice Whose consent that counts towards; of a bond that was taken, how much that was and who proved it.
    /// @param study The study's number.
    /// @param node The node's account.
    /// @return As stored; zeros: none.
    function backingOf(uint64 study, address node) external view returns (Backing memory);

    /// @notice Smallest stake a node registers with, in wei.
    /// @return In wei.
    function minimumStake() external view returns (uint256);

    /// @notice Seconds between the end of service, or `beginUnbond`, and the stake's return.
    /// @return In seconds.
    function unbondingDelay() external view returns (uint64);

    /// @notice Seconds after its registration during which a node counts as a newcomer.
    /// @return In seconds.
    function probation() external view returns (uint64);

    /// @notice The contract of studies and rounds, whose domain all statements are signed in.
    /// @return Its address.
    function consilium() external view returns (address);
}
