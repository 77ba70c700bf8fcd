// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Signatures} from "./libraries/Signatures.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title Who signed a statement of the protocol, for the contracts that are shown one
/// @dev The domain is that of Consilium, whatever contract looks: a statement means the same everywhere.
abstract contract SignedStatements {
    /// @notice r, then s with v - 27 in its highest bit (EIP-2098), s in the lower half: this is not one, or nobody's.
    error UnreadableSignature();

    address internal immutable _domainContract;
    uint256 private immutable _domainChain;
    bytes32 private immutable _domain;

    constructor(address domainContract) {
        _domainContract = domainContract;
        _domainChain = block.chainid;
        _domain = _separator();
    }

    /// @dev Reverts rather than yield nobody.
    /// @param signature Compact: the two words of EIP-2098.
    function _signerOf(bytes32 statement, bytes32[2] calldata signature) internal view returns (address) {
        return _signerIn(_domainNow(), statement, signature);
    }

    /// @dev As `_signerOf`, where several signatures share one look at the domain.
    function _signerIn(bytes32 domain, bytes32 statement, bytes32[2] calldata signature)
        internal
        view
        returns (address signer)
    {
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, statement);
        signer = Signatures.signerOfCompact(digest, signature);
        require(signer != address(0), UnreadableSignature());
    }

    /// @dev A chain that splits has a new id: what was signed for one half is not evidence on the other.
    function _domainNow() internal view returns (bytes32) {
        return block.chainid == _domainChain ? _domain : _separator();
    }

    function _separator() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Consilium"),
                keccak256("1"),
                block.chainid,
                _domainContract
            )
        );
    }
}
