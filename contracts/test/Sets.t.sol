// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ICourt} from "../src/interfaces/ICourt.sol";
import {IRecords} from "../src/interfaces/IRecords.sol";
import {ISetCourt} from "../src/interfaces/ISetCourt.sol";
import {MerkleTrees} from "../src/libraries/MerkleTrees.sol";
import {Trees} from "./setup/Trees.sol";
import {Trial} from "./setup/Trial.sol";

/// @dev Certified sets with a site that nobody admitted, and rewards that are not those of their set: voters pay for the
/// one, signers for the other. Honest sets and rewards cannot be touched, whatever is shown.
contract SetsTest is Trial {
    uint256 private constant VOTERS = 15; // nodes 1 to 4
    uint256 private constant SIGNERS = 30; // nodes 2 to 5

    // The admitted sites, with room between them.
    address[] private list;
    uint64[] private powers;
    // All leaves of the newest set, and its sites: its first so many.
    address[] private leaves;
    uint256 private size;

    function setUp() public {
        prepare(1, 5);
        admit(8, false);
    }

    function test_list_ofTheTrialsIsWhatTheirRootStandsFor() public pure {
        vm.assertEq(Trees.listRoot(sites(ADMITTED)), SITES_ROOT, "the list without powers");
    }

    // -------------------------------------------------------------------------------------------- (v) foreign sites

    function testFuzz_foreignSite_isProvedWhereverItWouldStand(uint8 count, uint8 gap, bool weighted) public {
        admit(bound(count, 3, 9), weighted);
        uint256 place = bound(gap, 0, list.length);
        address foreign = address(uint160(site(place)) - 7);
        certifySites(withForeign(foreign, place));
        prove(uint32(place), missingAt(place));
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        for (uint256 j = 1; j <= 4; j++) {
            assertConvicted(j);
        }
        assertUntouched(5);
        vm.assertEq(reporter.balance, 4 * (BOND / 10), "reward");
        vm.assertEq(consilium.studyOf(study).free, 100 * uint256(BUDGET), "the budget is the sponsor's again");
        vm.assertTrue(consilium.studyOf(study).vacant, "four seats are");
    }

    /// Whatever two neighbours are shown, or one at an end, no admitted site is missing.
    function testFuzz_foreignSite_admittedSitesAreNeverMissing(
        uint8 count,
        uint8 member,
        uint8 one,
        uint8 other,
        uint8 kind,
        bool weighted
    ) public {
        admit(bound(count, 3, 9), weighted);
        certifySites(list);
        uint32 place = uint32(bound(member, 0, list.length - 1));
        (uint256 a, uint256 b) = (bound(one, 0, list.length - 1), bound(other, 0, list.length - 1));
        uint256 shape = bound(kind, 0, 4);
        ISetCourt.Absence memory absence;
        if (shape == 0) absence = missingAt(0);
        if (shape == 1) absence = missingAt(list.length);
        if (shape == 2) absence = missingAt(a + 1);
        if (shape == 3) absence = between(a, b);
        if (shape == 4) absence = alone(a);
        refuse(place, absence, abi.encodeWithSelector(ISetCourt.NotAbsent.selector, list[place]));
    }

    /// One neighbour in the middle says nothing about a foreign site, nor two that do not stand side by side, nor three.
    function test_foreignSite_needsTheRightNeighbours() public {
        certifySites(withForeign(address(uint160(site(3)) - 7), 3));
        bytes memory reason = abi.encodeWithSelector(ISetCourt.NotAbsent.selector, leaves[3]);
        refuse(3, alone(0), reason);
        refuse(3, alone(2), reason);
        refuse(3, alone(7), reason);
        refuse(3, between(1, 3), reason);
        refuse(3, between(3, 2), reason);
        refuse(3, between(3, 4), reason);
        ISetCourt.Absence memory absence = missingAt(3);
        absence.neighbours = new ISetCourt.Neighbour[](0);
        refuse(3, absence, reason);
        absence.neighbours = new ISetCourt.Neighbour[](3);
        (absence.neighbours[0], absence.neighbours[1]) = (neighbour(2), neighbour(3));
        absence.neighbours[2] = neighbour(4);
        refuse(3, absence, reason);
        prove(3, missingAt(3));
    }

    function test_foreignSite_neighboursMustBeOnTheList() public {
        certifySites(withForeign(address(uint160(site(3)) - 7), 3));
        ISetCourt.Absence memory absence = missingAt(3);
        absence.neighbours[0].content = abi.encodePacked(address(uint160(list[2]) + 1));
        address forged = address(uint160(list[2]) + 1);
        refuse(3, absence, abi.encodeWithSelector(ICourt.NotAdmitted.selector, forged));
        // Of a longer list, or of one with powers.
        absence = missingAt(8);
        absence.length = 7;
        absence.neighbours[0].index = 6;
        refuse(3, absence, abi.encodeWithSelector(MerkleTrees.InvalidPath.selector, 6, 7, 3));
        absence = missingAt(3);
        absence.powers = true;
        refuse(3, absence, abi.encodeWithSelector(ISetCourt.NotAbsent.selector, address(0)));
        absence.neighbours[0].content = abi.encodePacked(list[2], uint64(1));
        refuse(3, absence, abi.encodeWithSelector(ICourt.NotAdmitted.selector, list[2]));
    }

    /// What members of the committee contribute stands behind the sites, and is nobody's sites.
    function test_foreignSite_aLeafBehindTheSitesIsNoEvidence() public {
        address[] memory all = new address[](10);
        for (uint256 i = 0; i < 8; i++) {
            all[i] = list[i];
        }
        (all[8], all[9]) = (node(1), node(2));
        certifySet(all, 8);
        for (uint256 place = 0; place <= 8; place++) {
            refuse(8, missingAt(place), abi.encodeWithSelector(ICourt.NotInTheSet.selector, node(1)));
        }
        refuse(9, missingAt(8), abi.encodeWithSelector(ICourt.NotInTheSet.selector, node(2)));
    }

    function test_foreignSite_mustBeInTheSet() public {
        certifySites(list);
        ICourt.SetMember memory member = setMember(list, 3);
        member.site = address(uint160(site(3)) - 7);
        ISetCourt.Absence memory absence = missingAt(3);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotInTheSet.selector, member.site));
        setCourt.proveForeignSite(study, outcome.round, member, absence);
    }

    function test_foreignSite_notWithoutACertificate() public {
        uint64 round = openNext(study);
        ICourt.SetMember memory member = setMember(list, 0);
        ISetCourt.Absence memory absence = missingAt(0);
        for (uint64 i = 0; i < 2; i++) {
            vm.expectRevert(abi.encodeWithSelector(ICourt.NotCertified.selector, study, round + i));
            setCourt.proveForeignSite(study, round + i, member, absence);
        }
    }

    /// The list that counts is the one of the round's opening.
    function test_foreignSite_byTheListOfTheOpening() public {
        certifySites(list);
        admit(3, false); // sites 4 to 8 are admitted no more
        refuse(4, missingAt(3), abi.encodeWithSelector(ICourt.NotAdmitted.selector, list[2]));
    }

    // -------------------------------------------------------------------------------------------- when, and who pays

    function test_foreignSite_votersPayAndOthersWhoSignedDoNot() public {
        certifyForeign();
        settleBySigners();
        prove(3, missingAt(3));
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        assertConvicted(1);
        assertUntouched(5); // it signed the settlement, and did not vote
        pass(COMPENSATION);
        for (uint256 j = 1; j <= 4; j++) {
            registry.forfeit(study, node(j));
        }
        vm.assertEq(sink.balance, 4 * uint256(BOND - BOND / 10), "all but the reporter's part");
    }

    function test_foreignSite_lateItIsRefuted() public {
        certifyForeign();
        settleBySigners();
        pass(WINDOW);
        uint256 free = consilium.studyOf(study).free;
        prove(3, missingAt(3));
        assertState(study, outcome.round, IRecords.State.Refuted);
        assertConvicted(1);
        vm.assertEq(consilium.studyOf(study).free, free, "it may have paid");
    }

    /// Whether its lapse was recorded or not, it gives its budget back once.
    function test_foreignSite_ofAnAbandonedRound() public {
        for (uint256 recorded = 0; recorded < 2; recorded++) {
            prepare(1, 5);
            admit(8, false);
            certifyForeign();
            pass(20);
            if (recorded == 1) consilium.abandonRound(study, outcome.round);
            prove(3, missingAt(3));
            assertState(study, outcome.round, IRecords.State.Abandoned);
            assertConvicted(1);
            if (recorded == 0) consilium.abandonRound(study, outcome.round);
            vm.assertEq(consilium.studyOf(study).free, 100 * uint256(BUDGET), "once");
        }
    }

    function test_foreignSite_secondProofPaysNobody() public {
        certifyForeign();
        prove(3, missingAt(3));
        uint256 paid = reporter.balance;
        uint256 free = consilium.studyOf(study).free;
        prove(3, missingAt(3));
        vm.assertEq(reporter.balance, paid, "once");
        vm.assertEq(consilium.studyOf(study).free, free, "once");
    }

    // -------------------------------------------------------------------------------------------- (vi) wrong rewards

    function testFuzz_wrongReward_anyFalseLeafIsProved(uint8 which, uint8 how) public {
        (bytes[] memory contents, uint32 index) = (rightContents(), uint32(bound(which, 0, 11)));
        contents[index] = falseContent(contents[index], bound(how, 0, 6));
        settleRewards(contents);
        proveReward(index, contents);
        assertState(study, outcome.round, IRecords.State.Fraudulent);
        assertUntouched(1); // it voted, and did not sign
        for (uint256 j = 2; j <= 5; j++) {
            assertConvicted(j);
        }
        vm.assertEq(reporter.balance, 4 * (BOND / 10), "reward");
        pass(COMPENSATION);
        registry.forfeit(study, node(5));
        vm.assertEq(sink.balance, BOND - BOND / 10, "no site has a part in it");
    }

    function testFuzz_wrongReward_honestLeavesStand(uint8 which) public {
        (bytes[] memory contents, uint32 index) = (rightContents(), uint32(bound(which, 0, 11)));
        settleRewards(contents);
        refuseReward(index, contents[index], contents, abi.encodeWithSelector(ICourt.NoOffence.selector));
        assertState(study, outcome.round, IRecords.State.Settled);
    }

    /// The leaf of one site is compared with the same site's, and nothing with what does not lead to the root.
    function test_wrongReward_needsTheTwoLeavesOfOnePlace() public {
        bytes[] memory contents = rightContents();
        settleRewards(contents);
        bytes memory other = contents[2];
        refuseReward(1, other, contents, abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 0));
        ICourt.SetMember memory member = setMember(leaves, 2);
        bytes32[] memory path = Trees.open(hashes(contents), 1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotInTheSet.selector, member.site));
        setCourt.proveWrongReward(study, outcome.round, outcome.roots, 1, contents[1], path, member);
        vm.expectRevert(abi.encodeWithSelector(MerkleTrees.InvalidPath.selector, 12, 12, path.length));
        setCourt.proveWrongReward(study, outcome.round, outcome.roots, 12, contents[1], path, member);
    }

    function test_wrongReward_notOfRootsThatWereNotSettled() public {
        bytes[] memory contents = rightContents();
        settleRewards(contents);
        contents[3] = falseContent(contents[3], 0);
        outcome.roots.rewardRoot = rewardRootOf(contents);
        bytes memory reason = abi.encodeWithSelector(ICourt.NotTheSettlement.selector, study, outcome.round);
        refuseReward(3, contents[3], contents, reason);
    }

    /// Late, it pays on by its false rewards; its signers lose their bonds all the same.
    function test_wrongReward_lateItIsRefuted() public {
        bytes[] memory contents = rightContents();
        contents[0] = falseContent(contents[0], 0);
        settleRewards(contents);
        pass(WINDOW);
        proveReward(0, contents);
        assertState(study, outcome.round, IRecords.State.Refuted);
        assertConvicted(2);
        bytes memory again =
            abi.encodeWithSelector(IRecords.WrongState.selector, study, outcome.round, IRecords.State.Refuted);
        refuseReward(0, contents[0], contents, again);
    }

    /// A settlement with false rewards is wrong: no share is for differing from it.
    function test_wrongReward_acquitsWhoDifferedFromIt() public {
        bytes[] memory contents = rightContents();
        contents[0] = falseContent(contents[0], 0);
        settleRewards(contents);
        proveWrongShare(1, 1, SUBJECT);
        proveReward(0, contents);
        assertAcquitted(1);
    }

    function test_malformedRewards_ofAnyOtherTop() public {
        bytes32 tree = Trees.treeOf(hashes(rightContents()));
        bytes[5] memory tops = [
            abi.encodePacked(uint8(4), uint64(11), tree),
            abi.encodePacked(uint8(4), uint64(13), tree),
            abi.encodePacked(uint8(3), uint64(12), tree),
            abi.encodePacked(uint8(4), uint64(12), tree, uint8(0)),
            bytes("nothing of the kind")
        ];
        for (uint256 i = 0; i < tops.length; i++) {
            prepare(1, 5);
            admit(8, false);
            settleRewardRoot(sha256(tops[i]));
            vm.expectRevert(abi.encodeWithSelector(ICourt.NotTheLeaf.selector, 0));
            setCourt.proveMalformedRewards(study, outcome.round, outcome.roots, tops[(i + 1) % 5]);
            vm.prank(reporter);
            setCourt.proveMalformedRewards(study, outcome.round, outcome.roots, tops[i]);
            assertState(study, outcome.round, IRecords.State.Fraudulent);
            assertUntouched(1);
            assertConvicted(2);
            assertConvicted(5);
        }
    }

    function test_malformedRewards_aRightTopStands() public {
        bytes[] memory contents = rightContents();
        settleRewards(contents);
        bytes memory top = abi.encodePacked(uint8(4), uint64(12), Trees.treeOf(hashes(contents)));
        vm.expectRevert(ICourt.NoOffence.selector);
        setCourt.proveMalformedRewards(study, outcome.round, outcome.roots, top);
    }

    // -------------------------------------------------------------------------------------------- lists

    function admit(uint256 count, bool weighted) private {
        delete list;
        delete powers;
        for (uint256 i = 0; i < count; i++) {
            list.push(site(i));
            if (weighted) powers.push(uint64(1 + i * 3));
        }
        bytes32 root = weighted ? Trees.powerRoot(list, powers) : Trees.listRoot(list);
        vm.prank(sponsor);
        consilium.setSites(study, root, list, "");
    }

    function site(uint256 place) private pure returns (address) {
        return address(uint160(0x51000 + 16 * place));
    }

    function withForeign(address foreign, uint256 place) private view returns (address[] memory cohort) {
        cohort = new address[](list.length + 1);
        for (uint256 i = 0; i < cohort.length; i++) {
            cohort[i] = i < place ? list[i] : i == place ? foreign : list[i - 1];
        }
    }

    function neighbour(uint256 place) private view returns (ISetCourt.Neighbour memory one) {
        one.index = uint64(place);
        bool weighted = powers.length != 0;
        one.content = weighted ? abi.encodePacked(list[place], powers[place]) : abi.encodePacked(list[place]);
        one.path = Trees.open(weighted ? Trees.powerLeaves(list, powers) : Trees.listLeaves(list), place);
    }

    function between(uint256 lower, uint256 upper) private view returns (ISetCourt.Absence memory absence) {
        (absence.powers, absence.length) = (powers.length != 0, uint64(list.length));
        absence.neighbours = new ISetCourt.Neighbour[](2);
        (absence.neighbours[0], absence.neighbours[1]) = (neighbour(lower), neighbour(upper));
    }

    function alone(uint256 place) private view returns (ISetCourt.Absence memory absence) {
        (absence.powers, absence.length) = (powers.length != 0, uint64(list.length));
        absence.neighbours = new ISetCourt.Neighbour[](1);
        absence.neighbours[0] = neighbour(place);
    }

    /// @dev That a site is missing before site `place` of the list, or behind the last.
    function missingAt(uint256 place) private view returns (ISetCourt.Absence memory) {
        if (place == 0) return alone(0);
        return place >= list.length ? alone(list.length - 1) : between(place - 1, place);
    }

    // -------------------------------------------------------------------------------------------- rounds

    function certifySites(address[] memory cohort) private {
        certifySet(cohort, cohort.length);
    }

    function certifyForeign() private {
        certifySites(withForeign(address(uint160(site(3)) - 7), 3));
    }

    /// @dev Nodes 1 to 4 vote for a set of these leaves, the first so many of which are sites.
    function certifySet(address[] memory all, uint256 sitesCount) private {
        (leaves, size) = (all, sitesCount);
        Outcome memory fresh = outcomeOf(study, openNext(study), threshold, committee, 3);
        fresh.roots.setRoot = Trees.setRoot(all);
        bytes32 vote = digests.voteDigest(study, fresh.round, fresh.roots.setRoot, uint32(sitesCount));
        consilium.certify(study, fresh.round, fresh.roots.setRoot, uint32(sitesCount), VOTERS, signatures(vote, VOTERS));
        outcome = fresh;
    }

    function settleBySigners() private {
        ICourt.Roots memory roots = outcome.roots;
        bytes memory signed = signatures(digestOf(outcome), SIGNERS);
        consilium.settle(study, outcome.round, roots.shareRoots, roots.aggregateRoot, roots.rewardRoot, SIGNERS, signed);
    }

    function prove(uint32 place, ISetCourt.Absence memory absence) private {
        ICourt.SetMember memory member = setMember(leaves, place);
        vm.prank(reporter);
        setCourt.proveForeignSite(study, outcome.round, member, absence);
    }

    function refuse(uint32 place, ISetCourt.Absence memory absence, bytes memory reason) private {
        ICourt.SetMember memory member = setMember(leaves, place);
        vm.expectRevert(reason);
        setCourt.proveForeignSite(study, outcome.round, member, absence);
    }

    // -------------------------------------------------------------------------------------------- rewards

    /// @dev Of the eight admitted sites and four voters.
    function rightContents() private view returns (bytes[] memory contents) {
        contents = new bytes[](12);
        for (uint256 i = 0; i < 12; i++) {
            contents[i] = i < 8
                ? abi.encodePacked(list[i], uint8(0), uint64(1))
                : abi.encodePacked(node(i - 7), uint8(1), uint64(1));
        }
    }

    /// @dev Another account, another role, other units, and other lengths.
    function falseContent(bytes memory right, uint256 how) private pure returns (bytes memory) {
        bytes memory wrong = bytes.concat(right);
        if (how == 0) wrong[19] ^= 0x01;
        if (how == 1) wrong[20] ^= 0x01;
        if (how == 2) wrong[28] = 0x02;
        if (how == 3) wrong[28] = 0x00;
        if (how == 4) wrong = bytes.concat(right, hex"00");
        if (how == 5) wrong = "";
        if (how == 6) wrong = abi.encodePacked(node(5), uint8(1), uint64(1));
        return wrong;
    }

    function hashes(bytes[] memory contents) private pure returns (bytes32[] memory all) {
        return Trees.vectorLeaves(contents);
    }

    function rewardRootOf(bytes[] memory contents) private pure returns (bytes32) {
        return Trees.rootOf(4, uint64(contents.length), hashes(contents));
    }

    function settleRewards(bytes[] memory contents) private {
        settleRewardRoot(rewardRootOf(contents));
    }

    function settleRewardRoot(bytes32 root) private {
        certifySites(list);
        outcome.roots.rewardRoot = root;
        settleBySigners();
    }

    function proveReward(uint32 index, bytes[] memory contents) private {
        ICourt.SetMember memory member = setMember(leaves, index < 8 ? index : 0);
        bytes32[] memory path = Trees.open(hashes(contents), index);
        vm.prank(reporter);
        setCourt.proveWrongReward(study, outcome.round, outcome.roots, index, contents[index], path, member);
    }

    function refuseReward(uint32 index, bytes memory content, bytes[] memory contents, bytes memory reason) private {
        ICourt.SetMember memory member = setMember(leaves, index < 8 ? index : 0);
        bytes32[] memory path = Trees.open(hashes(contents), index);
        vm.expectRevert(reason);
        setCourt.proveWrongReward(study, outcome.round, outcome.roots, index, content, path, member);
    }
}
