// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../interfaces/ICourt.sol";
import {MerkleTrees} from "./MerkleTrees.sol";

/// @title Where a site's leaf of a certified set, or of a list of sites, leads to (section 7.7)
library SetLeaves {
    /// @notice The root of the set that has this leaf.
    function rootOf(ICourt.SetMember calldata member) internal view returns (bytes32) {
        return rootOf(member.site, member.digest, member.length, member.index, member.path);
    }

    /// @notice As above, of the leaf's parts.
    function rootOf(address site, bytes32 digest, uint64 length, uint256 index, bytes32[] calldata path)
        internal
        view
        returns (bytes32)
    {
        bytes32 leaf = MerkleTrees.leafHash(abi.encodePacked(site, digest));
        return MerkleTrees.rootOf(MerkleTrees.SET, length, length, index, leaf, path);
    }

    /// @notice The root of the list of admitted sites that has this site.
    function listRootOf(address site, ICourt.ListMember calldata member) internal view returns (bytes32) {
        bool weighted = member.power != 0;
        bytes memory content = weighted ? abi.encodePacked(site, member.power) : abi.encodePacked(site);
        return MerkleTrees.rootOf(
            weighted ? MerkleTrees.POWERS : MerkleTrees.SITES,
            member.length,
            member.length,
            member.index,
            MerkleTrees.leafHash(content),
            member.path
        );
    }
}
