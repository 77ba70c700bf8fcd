// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {ISetCourt} from "../src/interfaces/ISetCourt.sol";
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
        deployAlone();
        IRecords.StudyTerms memory terms = defaultTerms();
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
            settleOnly(outcome);
            if (i == 2 || i == rounds) snapshot(string.concat("settle, ", lap), size);
            // Two windows of the ring's four: the round that leaves is settled for good.
            pass(WINDOW / 2);
        }
    }

    /// Each opening charges the account; what nobody knows of a void round it gets back.
    function test_gas_privacyAccount() public {
        deployAlone();
        IRecords.Conditions memory conditions = payingConditions();
        vm.prank(sponsor);
        conditions.privacyAccount = privacyBudget.openAccount("radiology", 1000, 10 ** 13);
        conditions.privacyCost = 30;
        uint64 study = createStudyWith(defaultTerms(), conditions, 5);
        fund(study, 100 * uint256(BUDGET));
        uint256 rounds = 3 * uint256(RING) + 1;
        for (uint256 i = 1; i <= rounds; i++) {
            uint64 round = openNext(study);
            if (i == 2) snapshot("open, privacy account, first lap, ", "n=5");
            if (i == rounds) snapshot("open, privacy account, ", "n=5");
            Outcome memory outcome = outcomeOf(study, round, 1, 5, 100);
            certifyAs(outcome);
            settleOnly(outcome);
            pass(WINDOW / 2);
        }
    }

    function test_gas_claims() public {
        deployAlone();
        uint64 study = createStudyWith(defaultTerms(), payingConditions(), 5);
        fund(study, 100 * uint256(BUDGET));
        Outcome memory one = play(study, 1, 5, 5);
        Outcome memory two = play(study, 1, 5, 5);
        Outcome memory three = play(study, 1, 5, 5);
        pass(WINDOW);
        claimAlone(claimOf(one, 0));
        vm.snapshotGasLastCall("claims", "claim, first of an account, 5 sites");
        claimAlone(claimOf(two, 0));
        vm.snapshotGasLastCall("claims", "claim, later, 5 sites");

        // A sponsor pays everyone of a round in one transaction.
        ITreasury.Claim[] memory claims = new ITreasury.Claim[](9);
        for (uint32 i = 0; i < 9; i++) {
            claims[i] = claimOf(one, i == 0 ? 0 : i);
        }
        claims[0] = claimOf(three, 0);
        treasury.claim(claims);
        uint256 first = vm.snapshotGasLastCall("claims", "claim, 9 accounts, 8 of them for the first time");
        vm.snapshotValue("claims", "claim, each of these 9", first / 9);
        for (uint32 i = 0; i < 8; i++) {
            claims[i] = claimOf(two, i + 1);
        }
        claims[8] = claimOf(three, 1);
        treasury.claim(claims);
        uint256 later = vm.snapshotGasLastCall("claims", "claim, 9 later claims in one");
        vm.snapshotValue("claims", "claim, each of 9 later ones", later / 9);

        ITreasury.Claim[] memory many = new ITreasury.Claim[](1);
        many[0] = claimOf(three, 2);
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
        deployAlone();
        (threshold, committee) = (1, 5);
        IRecords.StudyTerms memory terms = defaultTerms();
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

/// @dev What a proof about a set of a hundred sites, or its rewards, costs its sender at n = 5, t = 1: each takes the bonds
/// of four nodes at once.
contract SetGasTest is Trial {
    uint256 private constant COUNT = 100;

    address[] private list;

    function setUp() public {
        prepare(1, 5);
        vm.deal(reporter, 1 ether);
        for (uint256 i = 0; i < COUNT; i++) {
            list.push(address(uint160(0x51000 + 16 * i)));
        }
        bytes32 root = Trees.listRoot(list);
        vm.prank(sponsor);
        consilium.setSites(study, root, list, "");
        outcome = outcomeOf(study, openNext(study), 1, 5, COUNT);
    }

    function snapshot(string memory words) private {
        vm.snapshotGasLastCall("offences", words);
    }

    function certifySet(address[] memory cohort) private {
        (outcome.cohort, outcome.roots.setRoot) = (cohort, Trees.setRoot(cohort));
        certifyAs(outcome);
    }

    function neighbour(uint64 place) private view returns (ISetCourt.Neighbour memory) {
        bytes32[] memory path = Trees.open(Trees.listLeaves(list), place);
        return ISetCourt.Neighbour({index: place, content: abi.encodePacked(list[place]), path: path});
    }

    function test_gas_foreignSite() public {
        uint32 place = uint32(COUNT / 2);
        address[] memory cohort = new address[](COUNT + 1);
        for (uint256 i = 0; i <= COUNT; i++) {
            cohort[i] = i < place ? list[i] : i == place ? address(uint160(list[i]) - 7) : list[i - 1];
        }
        certifySet(cohort);
        ISetCourt.Absence memory absence;
        absence.length = uint64(COUNT);
        absence.neighbours = new ISetCourt.Neighbour[](2);
        (absence.neighbours[0], absence.neighbours[1]) = (neighbour(place - 1), neighbour(place));
        ICourt.SetMember memory member = setMember(cohort, place);
        vm.prank(reporter);
        setCourt.proveForeignSite(study, outcome.round, member, absence);
        snapshot("foreign site, 100 sites");
    }

    function test_gas_wrongReward() public {
        certifySet(list);
        bytes32[] memory leaves = Trees.rewardLeaves(outcome.cohort, outcome.voters);
        uint32 index = uint32(COUNT / 2);
        bytes memory content = abi.encodePacked(address(0xBAD), uint8(0), uint64(1));
        leaves[index] = Trees.leaf(content);
        outcome.roots.rewardRoot = Trees.rootOf(4, uint64(leaves.length), leaves);
        settleAs(outcome);
        ICourt.SetMember memory member = setMember(outcome.cohort, index);
        bytes32[] memory path = Trees.open(leaves, index);
        vm.prank(reporter);
        setCourt.proveWrongReward(study, outcome.round, outcome.roots, index, content, path, member);
        snapshot("wrong reward of a site, 100 sites");
    }

    function test_gas_malformedRewards() public {
        certifySet(list);
        bytes memory top = abi.encodePacked(uint8(4), uint64(COUNT + 5), keccak256("tree"));
        outcome.roots.rewardRoot = sha256(top);
        settleAs(outcome);
        vm.prank(reporter);
        setCourt.proveMalformedRewards(study, outcome.round, outcome.roots, top);
        snapshot("malformed rewards");
    }
}
