// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IConsilium} from "../src/interfaces/IConsilium.sol";
import {ICourt} from "../src/interfaces/ICourt.sol";
import {ITreasury} from "../src/interfaces/ITreasury.sol";
import {ISumKind} from "../src/kinds/sum/ISumKind.sol";
import {Play} from "./setup/Play.sol";
import {Trees} from "./setup/Trees.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev What a sender pays, intrinsic gas included: snapshots/. The number of sites and the length of the updates do not
/// enter a round; "first lap" is a study's first use of its ring of slots, after which slots are used again. Every round
/// of these studies pays, and from the second lap on every settlement archives an older round.
contract GasTest is Play {
    function test_gas_committeeOf5() public {
        measure(1, 5, "n=5");
    }

    function test_gas_committeeOf9() public {
        measure(2, 9, "n=9");
    }

    function measure(uint8 threshold, uint256 n, string memory size) private {
        deploy();
        IConsilium.StudyTerms memory terms = defaultTerms();
        terms.threshold = threshold;
        vm.prank(sponsor);
        uint64 study = consilium.createStudy(terms, payingConditions(), nodesFrom(1, n), sites(100));
        snapshot("createStudy, 100 sites, ", size);
        fund(study, 100 * uint256(BUDGET));

        // The last settlement archives the tenth round, which joins one pair of peaks: one is the average.
        uint256 rounds = 3 * uint256(RING) + 1;
        for (uint256 i = 1; i <= rounds; i++) {
            string memory lap = i == 2 ? "first lap, " : "";
            uint64 round = openNext(study);
            if (i == 2 || i == rounds) snapshot(string.concat("open, ", lap), size);
            Outcome memory outcome = outcomeOf(study, round, threshold, n, 100);
            certifyAs(outcome);
            if (i == 2 || i == rounds) snapshot(string.concat("certify, ", lap), size);
            settleAs(outcome);
            if (i == 2 || i == rounds) snapshot(string.concat("settle, ", lap), size);
            // Two windows of the ring's four: the round that leaves is settled for good.
            pass(WINDOW / 2);
        }
    }

    function test_gas_claims() public {
        deploy();
        uint64 study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, 100 * uint256(BUDGET));
        Outcome memory one = play(study, 1, 5, 5);
        Outcome memory two = play(study, 1, 5, 5);
        Outcome memory three = play(study, 1, 5, 5);
        pass(WINDOW);
        claimAlone(claimOf(one, 0, 0));
        vm.snapshotGasLastCall("claims", "claim, first of an account, 5 sites");
        claimAlone(claimOf(two, 0, 0));
        vm.snapshotGasLastCall("claims", "claim, later, 5 sites");

        // A sponsor pays everyone of a round in one transaction.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](9);
        for (uint32 i = 0; i < 9; i++) {
            claims[i] = claimOf(one, 0, i == 0 ? 0 : i);
        }
        claims[0] = claimOf(three, 0, 0);
        treasury.claim(claims);
        uint256 first = vm.snapshotGasLastCall("claims", "claim, 9 accounts, 8 of them for the first time");
        vm.snapshotValue("claims", "claim, each of these 9", first / 9);
        for (uint32 i = 0; i < 8; i++) {
            claims[i] = claimOf(two, 0, i + 1);
        }
        claims[8] = claimOf(three, 0, 1);
        treasury.claim(claims);
        uint256 later = vm.snapshotGasLastCall("claims", "claim, 9 later claims in one");
        vm.snapshotValue("claims", "claim, each of 9 later ones", later / 9);

        ITreasury.Claim[] memory many = new ITreasury.Claim[](1);
        many[0] = claimOf(three, 0, 2);
        treasury.claim(many);
    }

    function snapshot(string memory step, string memory size) private {
        vm.snapshotGasLastCall("rounds", string.concat(step, size));
    }
}

/// @dev What a proof costs its sender at n = 5, t = 1; vectors of a million elements have paths of 15 siblings.
contract OffenceGasTest is Trial {
    bytes32 private constant LIE = keccak256("lie");

    function setUp() public {
        prepare(1, 5);
        vm.deal(reporter, 1 ether);
    }

    function snapshot(string memory words) private {
        vm.snapshotGasLastCall("offences", words);
    }

    // Each in a study of its own: the first conviction also tells Consilium that the committee has a vacant seat.

    function test_gas_wrongShare() public {
        honest();
        proveWrongShare(2, 2, LIE);
        snapshot("wrong output share");
    }

    function test_gas_twoFinals() public {
        honest();
        proveTwoFinals(1, 9);
        snapshot("contradiction: two Finals");
    }

    function test_gas_foreignShare() public {
        honest();
        bytes32[2] memory signed = signedShare(3, outcome.round, SET_ROOT, 3, LIE);
        vm.prank(reporter);
        registry.proveForeignShare(study, outcome.round, SET_ROOT, 3, LIE, signed);
        snapshot("contradiction: share of another set");
    }

    function test_gas_twoShares() public {
        honest();
        bytes32[2] memory one = signedShare(4, outcome.round, SET_ROOT, 4, LIE);
        bytes32[2] memory two = signedShare(4, outcome.round, SET_ROOT, 4, REWARD_ROOT);
        vm.prank(reporter);
        registry.proveTwoShares(study, outcome.round, 4, SET_ROOT, LIE, one, SET_ROOT, REWARD_ROOT, two);
        snapshot("contradiction: two shares");
    }

    function test_gas_twoSettlements() public {
        honest();
        ICourt.Said memory said = saidBy5(SET_ROOT);
        ICourt.Said memory again = saidBy5(LIE);
        vm.prank(reporter);
        registry.proveTwoSettlements(study, 1, said, again);
        snapshot("contradiction: two settlements");
    }

    function saidBy5(bytes32 setRoot) private view returns (ICourt.Said memory) {
        bytes32 digest = digests.settlementDigest(study, 1, setRoot, LIE, LIE, LIE);
        return ICourt.Said(setRoot, LIE, LIE, LIE, signCompact(secret(5), digest));
    }

    function test_gas_wrongSettlement() public {
        drawVectors(LENGTH);
        vectors[3][40] ^= 1;
        conclude();
        proveWrongSettlement(40, pointsFrom(1));
        snapshot("wrong settlement, 100 elements");
    }

    /// A million elements: the tree's other leaves are made up, since only their hashes count.
    function test_gas_wrongSettlementOfAMillion() public {
        deploy();
        (threshold, committee) = (1, 5);
        IConsilium.StudyTerms memory terms = defaultTerms();
        (terms.parameters, terms.outputLength) = (parameters(MILLION), MILLION + 1);
        study = createStudyWith(terms, defaultConditions(), 5);
        ISumKind.Opening[] memory all = new ISumKind.Opening[](3);
        Outcome memory fresh = outcomeOf(study, openNext(study), 1, 5, 5);
        for (uint8 point = 1; point <= 3; point++) {
            bytes memory content;
            for (uint256 i = 0; i < 32; i++) {
                content = bytes.concat(content, bytes8(uint64(uint256(keccak256(abi.encode(point, i))) % P)));
            }
            bytes32[] memory path = new bytes32[](15);
            bytes32 hash = Trees.leaf(content);
            for (uint256 h = 0; h < 15; h++) {
                path[h] = keccak256(abi.encode("sibling", point, h));
                hash = sha256(abi.encodePacked(uint8(1), hash, path[h]));
            }
            all[point - 1] = ISumKind.Opening({point: point, content: content, path: path});
            fresh.roots.shareRoots[point - 1] = sha256(abi.encodePacked(uint8(2), MILLION + 1, hash));
        }
        concludeAs(fresh);
        ISumKind.Program memory ours = program();
        (ours.parameters, ours.outputLength) = (parameters(MILLION), MILLION + 1);
        vm.prank(reporter);
        sumKind.proveWrongSettlement(study, outcome.round, outcome.roots, ours, 5, all);
        snapshot("wrong settlement, a million elements");
        uint256 floor = 21_000 + 64
            * abi.encodeCall(ISumKind.proveWrongSettlement, (study, outcome.round, outcome.roots, ours, 5, all)).length;
        vm.snapshotValue("offences", "wrong settlement, a million elements: floor under EIP-7976", floor);
    }

    uint64 private constant MILLION = 1_000_000;

    function test_gas_equivocation() public {
        honest();
        address site = vm.addr(7);
        bytes32[2] memory first = signCompact(7, digests.contributionDigest(study, 1, site, LIE, SET_ROOT));
        bytes32[2] memory second = signCompact(7, digests.contributionDigest(study, 1, site, SUBJECT, SET_ROOT));
        treasury.proveEquivocation(study, 1, site, LIE, SET_ROOT, first, SUBJECT, SET_ROOT, second);
        snapshot("site equivocation, first of an account");
        first = signCompact(7, digests.contributionDigest(study, 2, site, LIE, SET_ROOT));
        second = signCompact(7, digests.contributionDigest(study, 2, site, SUBJECT, SET_ROOT));
        treasury.proveEquivocation(study, 2, site, LIE, SET_ROOT, first, SUBJECT, SET_ROOT, second);
        snapshot("site equivocation, of a site that has claimed before");
    }
}
