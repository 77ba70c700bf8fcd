// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The committee nodes and their stake
/// @notice A node registers itself once, with its operator's name, its jurisdiction, an X-Wing public key and locked
/// native currency. While it serves a committee its stake cannot leave; afterwards it leaves after a delay.
/// @dev The only contract with a say over a node's lock is the court, fixed at deployment: deploy the registry with the
/// address that the next contract of the same deployer will have, then deploy `Consilium` with the registry's address.
interface INodeRegistry {
    /// @notice Absent (never registered) -> Active -> Unbonding -> Withdrawn. There is no way back.
    enum Status {
        Absent,
        Active,
        Unbonding,
        Withdrawn
    }

    /// @notice What the registry keeps of a node. The key itself is in the event `KemKeySet`.
    struct Node {
        /// keccak256 of the current X-Wing public key.
        bytes32 keyHash;
        /// Locked stake in wei.
        uint128 stake;
        /// Block time from which the stake may be withdrawn; 0 unless unbonding.
        uint64 withdrawableAt;
        /// How many studies' current committees the node sits in.
        uint32 serving;
        Status status;
    }

    /// @notice A node joined with its stake.
    event NodeRegistered(address indexed node, string operator, string jurisdiction, uint256 stake);
    /// @notice A node's KEM key from now on; committees formed earlier keep the key hash they were formed with.
    event KemKeySet(address indexed node, bytes32 indexed keyHash, bytes kemKey);
    /// @notice A node is leaving; it serves no committee any more.
    event UnbondingBegun(address indexed node, uint64 withdrawableAt);
    /// @notice A node has left with its stake.
    event Withdrawn(address indexed node, uint256 stake);

    /// @notice An address registers once; a node that left comes back under another address.
    error AlreadyRegistered(address node);
    /// @notice Send at least `minimumStake()` with the registration.
    error StakeTooSmall(uint256 stake, uint256 minimum);
    /// @notice An X-Wing public key has exactly 1216 bytes.
    error InvalidKemKey(uint256 length);
    /// @notice Operator and jurisdiction have 1 to 128 bytes each.
    error InvalidIdentity();
    /// @notice The node is not registered, is unbonding or has left.
    error NodeNotActive(address node);
    /// @notice The node sits in this many committees: their sponsors have to let it go first.
    error NodeServing(address node, uint32 committees);
    /// @notice The stake cannot be withdrawn before this block time (0: unbonding was not begun).
    error StakeLocked(address node, uint64 withdrawableAt);
    /// @notice Only the court may lock and unlock nodes.
    error NotCourt(address caller);
    /// @notice The court must not be the zero address.
    error InvalidCourt();
    /// @notice The node did not take its stake back.
    error TransferFailed(address node);

    /// @notice Registers the caller as a node with `msg.value` as stake.
    /// @param kemKey X-Wing (X25519 + ML-KEM-768) public key, 1216 bytes.
    /// @param operator Who runs the node, for sites that demand independent operators.
    /// @param jurisdiction Where it is run.
    function register(bytes calldata kemKey, string calldata operator, string calldata jurisdiction) external payable;

    /// @notice Replaces the caller's KEM key; it is used by committees formed from now on.
    function rotateKemKey(bytes calldata kemKey) external;

    /// @notice Begins the caller's exit. Refused while it serves a committee.
    function beginUnbond() external;

    /// @notice Pays the caller's stake back once the unbonding delay is over.
    function withdraw() external;

    /// @notice Court only: counts each of `nodes` into one more committee; all must be active.
    /// @return keyHashes Their KEM key hashes, in the same order.
    function enlist(address[] calldata nodes) external returns (bytes32[] memory keyHashes);

    /// @notice Court only: counts each of `nodes` out of one committee.
    function discharge(address[] calldata nodes) external;

    /// @notice Whether the node may be taken into a committee.
    function isActive(address node) external view returns (bool);

    /// @notice All that is stored about a node; all zero for an unknown one.
    function nodeOf(address node) external view returns (Node memory);

    /// @notice Smallest stake a node registers with, in wei.
    function minimumStake() external view returns (uint256);

    /// @notice Seconds between `beginUnbond` and `withdraw`.
    function unbondingDelay() external view returns (uint64);

    /// @notice The contract that locks and unlocks nodes.
    function court() external view returns (address);
}
