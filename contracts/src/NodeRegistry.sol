// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The committee nodes and their stake
/// @dev Holds exactly the stake of all nodes that have not withdrawn (besides coins forced upon it).
contract NodeRegistry is INodeRegistry {
    using SafeCast for uint256;

    uint256 private constant KEM_KEY_LENGTH = 1216;
    uint256 private constant IDENTITY_LENGTH = 128;

    /// @inheritdoc INodeRegistry
    uint256 public immutable minimumStake;
    /// @inheritdoc INodeRegistry
    uint64 public immutable unbondingDelay;
    /// @inheritdoc INodeRegistry
    address public immutable court;

    mapping(address node => Node) private _nodes;

    modifier onlyCourt() {
        require(msg.sender == court, NotCourt(msg.sender));
        _;
    }

    /// @param minimumStake_ Smallest stake in wei.
    /// @param unbondingDelay_ Seconds between the end of service and the stake's return.
    /// @param court_ The contract that will lock and unlock nodes; it may be deployed after the registry.
    constructor(uint256 minimumStake_, uint64 unbondingDelay_, address court_) {
        require(court_ != address(0), InvalidCourt());
        minimumStake = minimumStake_;
        unbondingDelay = unbondingDelay_;
        court = court_;
    }

    /// @inheritdoc INodeRegistry
    function register(bytes calldata kemKey, string calldata operator, string calldata jurisdiction) external payable {
        Node storage node = _nodes[msg.sender];
        require(node.status == Status.Absent, AlreadyRegistered(msg.sender));
        require(msg.value >= minimumStake, StakeTooSmall(msg.value, minimumStake));
        require(_isIdentity(operator) && _isIdentity(jurisdiction), InvalidIdentity());

        node.status = Status.Active;
        node.stake = msg.value.toUint128();
        emit NodeRegistered(msg.sender, operator, jurisdiction, msg.value);
        _setKemKey(node, kemKey);
    }

    /// @inheritdoc INodeRegistry
    function rotateKemKey(bytes calldata kemKey) external {
        _setKemKey(_active(msg.sender), kemKey);
    }

    /// @inheritdoc INodeRegistry
    function beginUnbond() external {
        Node storage node = _active(msg.sender);
        require(node.serving == 0, NodeServing(msg.sender, node.serving));

        uint64 withdrawableAt = (block.timestamp + unbondingDelay).toUint64();
        node.status = Status.Unbonding;
        node.withdrawableAt = withdrawableAt;
        emit UnbondingBegun(msg.sender, withdrawableAt);
    }

    /// @inheritdoc INodeRegistry
    function withdraw() external {
        Node storage node = _nodes[msg.sender];
        uint64 withdrawableAt = node.withdrawableAt;
        require(
            node.status == Status.Unbonding && block.timestamp >= withdrawableAt,
            StakeLocked(msg.sender, withdrawableAt)
        );

        uint256 stake = node.stake;
        node.status = Status.Withdrawn;
        node.withdrawableAt = 0;
        node.stake = 0;
        emit Withdrawn(msg.sender, stake);
        (bool taken,) = msg.sender.call{value: stake}("");
        require(taken, TransferFailed(msg.sender));
    }

    /// @inheritdoc INodeRegistry
    function enlist(address[] calldata nodes) external onlyCourt returns (bytes32[] memory keyHashes) {
        keyHashes = new bytes32[](nodes.length);
        for (uint256 i = 0; i < nodes.length; i++) {
            Node storage node = _active(nodes[i]);
            node.serving += 1;
            keyHashes[i] = node.keyHash;
        }
    }

    /// @inheritdoc INodeRegistry
    function discharge(address[] calldata nodes) external onlyCourt {
        for (uint256 i = 0; i < nodes.length; i++) {
            _nodes[nodes[i]].serving -= 1;
        }
    }

    /// @inheritdoc INodeRegistry
    function isActive(address node) external view returns (bool) {
        return _nodes[node].status == Status.Active;
    }

    /// @inheritdoc INodeRegistry
    function nodeOf(address node) external view returns (Node memory) {
        return _nodes[node];
    }

    function _setKemKey(Node storage node, bytes calldata kemKey) private {
        require(kemKey.length == KEM_KEY_LENGTH, InvalidKemKey(kemKey.length));
        bytes32 keyHash = keccak256(kemKey);
        node.keyHash = keyHash;
        emit KemKeySet(msg.sender, keyHash, kemKey);
    }

    function _active(address node) private view returns (Node storage active) {
        active = _nodes[node];
        require(active.status == Status.Active, NodeNotActive(node));
    }

    function _isIdentity(string calldata text) private pure returns (bool) {
        return bytes(text).length != 0 && bytes(text).length <= IDENTITY_LENGTH;
    }
}
