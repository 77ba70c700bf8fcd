// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {SignedStatements} from "../../src/SignedStatements.sol";
import {ICourt} from "../../src/interfaces/ICourt.sol";
import {Archive} from "../../src/libraries/Archive.sol";
import {MerkleTrees} from "../../src/libraries/MerkleTrees.sol";
import {Compensations} from "../../src/stake/Compensations.sol";
import {Court} from "../../src/stake/Court.sol";
import {Stakes} from "../../src/stake/Stakes.sol";

/// @dev Checked by halmos for all values at once (tools/symbolic.sh), within the bounds that each check states. Hashes and
/// signatures are functions of which nothing is known but that different words have different hashes.
interface Assumptions {
    function assume(bool holds) external pure;
    function deal(address account, uint256 balance) external;
}

/// @dev The trees, called as contracts call them: with paths in calldata.
contract Trees {
    function rootOf(uint64 leaves, uint256 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bytes32)
    {
        return MerkleTrees.rootOf(MerkleTrees.SET, leaves, leaves, index, leaf, path);
    }
}

/// @dev Bounds: trees of up to five leaves, so paths of up to three siblings; all leaves and siblings.
contract MerkleChecks {
    Assumptions private constant vm = Assumptions(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 private constant LEAVES = 5;

    Trees private trees = new Trees();

    /// A root is what section 7.7 says, and a path of any other length leads to none.
    function check_rootIsTheTop(bytes32 leaf, bytes32[3] memory siblings) external view {
        for (uint64 leaves = 1; leaves <= LEAVES; leaves++) {
            for (uint64 index = 0; index < leaves; index++) {
                (bytes32 root, uint256 height) = topOf(leaves, index, leaf, siblings);
                for (uint256 length = 0; length <= 3; length++) {
                    try trees.rootOf(leaves, index, leaf, path(siblings, length)) returns (bytes32 found) {
                        assert(length == height && found == root);
                    } catch {
                        assert(length != height);
                    }
                }
            }
        }
    }

    /// Two different leaves at one place lead to two roots, whatever their siblings, unless two different words that were
    /// hashed on the way have one hash.
    function check_oneLeafAPlace(bytes32 leaf, bytes32 other, bytes32[3] memory siblings, bytes32[3] memory others)
        external
        view
    {
        vm.assume(leaf != other);
        for (uint64 leaves = 1; leaves <= LEAVES; leaves++) {
            for (uint64 index = 0; index < leaves; index++) {
                uint256 height = assumeNoCollision(leaves, index, [leaf, other], siblings, others);
                bytes32 root = trees.rootOf(leaves, index, leaf, path(siblings, height));
                assert(root != trees.rootOf(leaves, index, other, path(others, height)));
            }
        }
    }

    /// By the words of section 7.7: a sibling at each level but where the last node of the level lacks one.
    function topOf(uint64 leaves, uint64 index, bytes32 node, bytes32[3] memory siblings)
        private
        pure
        returns (bytes32 root, uint256 height)
    {
        uint64 size = leaves;
        while (size > 1) {
            if (index ^ 1 < size) node = up(index, node, siblings[height++]);
            (index, size) = (index / 2, (size + 1) / 2);
        }
        return (sha256(abi.encodePacked(uint8(3), leaves, node)), height);
    }

    function assumeNoCollision(
        uint64 leaves,
        uint64 index,
        bytes32[2] memory nodes,
        bytes32[3] memory siblings,
        bytes32[3] memory others
    ) private pure returns (uint256 height) {
        uint64 size = leaves;
        while (size > 1) {
            if (index ^ 1 < size) {
                nodes = [up(index, nodes[0], siblings[height]), up(index, nodes[1], others[height])];
                vm.assume(nodes[0] != nodes[1]);
                height++;
            }
            (index, size) = (index / 2, (size + 1) / 2);
        }
        bytes32 top = sha256(abi.encodePacked(uint8(3), leaves, nodes[0]));
        vm.assume(top != sha256(abi.encodePacked(uint8(3), leaves, nodes[1])));
    }

    function up(uint64 index, bytes32 node, bytes32 sibling) private pure returns (bytes32) {
        return index & 1 == 0
            ? sha256(abi.encodePacked(uint8(1), node, sibling))
            : sha256(abi.encodePacked(uint8(1), sibling, node));
    }

    function path(bytes32[3] memory siblings, uint256 height) private pure returns (bytes32[] memory path_) {
        path_ = new bytes32[](height);
        for (uint256 i = 0; i < height; i++) {
            path_[i] = siblings[i];
        }
    }
}

/// @dev No bounds: the numbers of the archive's slot, in all their values.
contract ArchiveChecks {
    using Archive for Archive.Log;

    Archive.Log private log;

    /// What is stored is what is loaded, and what the compiler's own layout reads.
    function check_totalsAreOneSlot(Archive.Totals memory totals) external {
        log.store(totals);
        Archive.Totals memory loaded = log.load();
        assert(loaded.weight == totals.weight && loaded.count == totals.count && loaded.through == totals.through);
        assert(loaded.periods == totals.periods && loaded.changed == totals.changed);
        assert(log.totals.weight == totals.weight && log.totals.count == totals.count);
        assert(log.totals.through == totals.through && log.totals.periods == totals.periods);
        assert(log.totals.changed == totals.changed);
    }
}

/// @dev Stands in for Consilium: says what it is told to of rounds, and whose bonds are asked about.
contract AnyConsilium {
    function convictByCertificate(uint64, uint64, bool) external pure returns (bytes32, uint64) {
        return (0, 0);
    }
}

/// @dev The registry with a bond that was put up for a study by other means than a study.
contract Registry is Court {
    constructor(address consilium)
        Stakes(1, 1 days, 0, consilium)
        Compensations(1 hours, 1 days, address(1))
        SignedStatements(consilium)
    {}

    function putUp(uint64 study, address node, uint96 amount) external {
        _bonds[study][node].bond.amount = amount;
        _bonds[study][node].bond.standing = Standing.Serving;
    }
}

/// @dev Bounds: one node, one study, one call. Signatures are whatever recovers to the node, or not.
contract ConvictionChecks {
    Assumptions private constant vm = Assumptions(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 private constant STUDY = 1;
    uint96 private constant BOND = 1000;

    AnyConsilium private consilium = new AnyConsilium();
    Registry private registry = new Registry(address(consilium));

    /// Takes the reporter's part: without, every proof would be refused.
    receive() external payable {}

    /// Two Finals take a bond only if the node signed two that differ, both about one subject of its study.
    function check_twoFinalsNeedTwoSignatures(
        address node,
        bytes32 subject,
        uint64[2] memory rounds,
        bytes32[2] memory setRoots,
        bytes32[2] memory one,
        bytes32[2] memory other
    ) external {
        vm.assume(node != address(0));
        vm.deal(address(registry), BOND);
        registry.putUp(STUDY, node, BOND);
        (bool done,) = address(registry)
            .call(
                abi.encodeCall(
                    ICourt.proveTwoFinals, (STUDY, subject, rounds[0], setRoots[0], one, rounds[1], setRoots[1], other)
                )
            );
        bool lost = registry.bondOf(STUDY, node).amount != BOND;
        if (!lost) return;
        assert(done && (rounds[0] != rounds[1] || setRoots[0] != setRoots[1]));
        assert(signerOf(finality(subject, rounds[0], setRoots[0]), one) == node);
        assert(signerOf(finality(subject, rounds[1], setRoots[1]), other) == node);
    }

    function finality(bytes32 subject, uint64 round, bytes32 setRoot) private view returns (bytes32) {
        bytes32 kind = keccak256("Final(uint64 study,bytes32 subject,uint64 round,bytes32 setRoot)");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Consilium"),
                keccak256("1"),
                block.chainid,
                address(consilium)
            )
        );
        bytes32 statement = keccak256(abi.encode(kind, STUDY, subject, round, setRoot));
        return keccak256(abi.encodePacked(hex"1901", domain, statement));
    }

    function signerOf(bytes32 digest, bytes32[2] memory signature) private pure returns (address) {
        uint256 vs = uint256(signature[1]);
        return ecrecover(digest, uint8(27 + (vs >> 255)), signature[0], bytes32(vs & (type(uint256).max >> 1)));
    }
}
