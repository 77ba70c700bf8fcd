// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IKind} from "../kinds/IKind.sol";
import {ICommitteeSource} from "./ICommitteeSource.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IPrivacyBudget} from "./IPrivacyBudget.sol";
import {ISetCourt} from "./ISetCourt.sol";
import {IStudyToken} from "./IStudyToken.sol";
import {ITreasury} from "./ITreasury.sol";

/// @title Studies, their committees and their rounds: what is kept of them, and said about them
/// @dev Round: Open -> Void | Certified -> Settled | Abandoned; Certified or Settled -> Fraudulent by a proof before it is
/// settled for good, Settled -> Refuted by one after that. In a kind that ends at the certificate: Open -> Void | Settled.
/// A study keeps its newest `ring` rounds; of older ones only what settled remains, in an archive. Times are block times in
/// seconds. EIP-712 domain: name "Consilium", version "1", chain id, the contract Consilium.
interface IRecords {
    /// @notice The states of a round, in the order in which they can be reached.
    enum State {
        None,
        Open,
        Void,
        Certified,
        Settled,
        Abandoned,
        Fraudulent,
        Refuted
    }

    /// @notice The contracts that Consilium works with: each is deployed for it.
    struct Parts {
        INodeRegistry registry;
        IStudyToken token;
        ITreasury treasury;
        /// Who is shown proofs about sets and rewards, in every study.
        ISetCourt setCourt;
        IPrivacyBudget privacyBudget;
        /// Who judges the results of each kind of study.
        IKind[] kinds;
    }

    /// @notice What a deployment rules for all studies.
    struct Rules {
        /// Seconds that evidence has left, at the least, once a round's challenge window is over.
        uint64 disputeTime;
        /// Shortest challenge window of a study, in seconds: an hour, but for a trial.
        uint32 minimumWindow;
        /// For how many seconds a study's guardian may stop its proofs and payouts, once an unbonding delay.
        uint32 longestPause;
        /// For trying out only: windows may last seconds.
        bool trial;
    }

    /// @notice What a sponsor publishes about a study.
    struct StudyTerms {
        /// What the committee does each round, and who judges it (`kinds`). 1: a private sum.
        uint8 kind;
        /// What is proved about each input, for example "weighted-mean" or "one-hot"; 1 to 32 bytes.
        string program;
        /// The exact bytes that the off-chain program hash covers; opaque here, 1 to 256 bytes.
        bytes parameters;
        /// Elements of a result, and of each node's share of it, as the program has them; at most 2^32.
        uint64 outputLength;
        /// What a weight of 1 stands for, such as "patients"; 0 to 32 bytes.
        string weightUnit;
        /// Hash of the sponsor's description of the study; 0 for none.
        bytes32 description;
        /// t: this many nodes may be dishonest. 3t+1 <= n <= 5t+1, n <= 32.
        uint8 threshold;
        /// A set smaller than this is never certified; at least the kind's least cohort, 2 for sums.
        uint32 minimumCohort;
        /// When nodes may take a certificate as final: "instant", "depth:12", "safe", "finalized"; 1 to 32 bytes.
        string finality;
        /// Root of the admitted sites. Nodes refuse a published list that does not match it.
        bytes32 sitesRoot;
        /// Where the list is, if not in the event: https, at most 256 bytes; empty if it is there.
        string sitesUri;
    }

    /// @notice What a sponsor promises about money and time. Budget and node share can change for later rounds, the
    /// rest never.
    struct Conditions {
        /// The ERC-20 that the study pays in; zero if it pays nothing.
        address currency;
        /// What each settled round pays, at most.
        uint96 budget;
        /// The nodes' part of it, and of licence revenue, in ten-thousandths.
        uint16 nodeShare;
        /// Stake in wei that each node puts up for this study alone.
        uint96 bond;
        /// Whether nodes may serve that registered only lately.
        bool newcomers;
        /// Seconds after its settlement in which a round can be proved wrong; then it pays.
        uint32 challengeWindow;
        /// How many rounds are kept, 2 to 1024. A slot is used again only after its round's challenge window, so this
        /// is also the number of rounds that fit into a window.
        uint16 ring;
        /// Who may put compensations off, and stop proofs and payouts for a while; zero for nobody. The sponsor may name
        /// another.
        address guardian;
        /// Who chooses committees; zero for the sponsor.
        ICommitteeSource source;
        /// The sponsor's privacy account that every round draws on; 0 for none.
        uint64 privacyAccount;
        /// What a round costs it: zCDP's rho in 10^-9, as the program's parameters have it; 0 without an account.
        uint64 privacyCost;
    }

    /// @notice What is stored about a study. Program, parameters and sites are in its events.
    struct Study {
        /// Who owns the study's token.
        address sponsor;
        /// Who opens rounds, as the sponsor may too.
        address operator;
        uint8 kind;
        /// Current committee epoch, from 1.
        uint64 epoch;
        /// Number of rounds opened so far, which is also the newest round's number.
        uint64 rounds;
        /// The newest round that was certified; 0 if none was.
        uint64 lastCertifiedRound;
        /// Its subject, which no later round may have; 0 if there is none.
        bytes32 lastCertifiedSubject;
        uint32 minimumCohort;
        string finality;
        bytes32 sitesRoot;
        /// keccak256(abi.encode(uint8 kind, string program, bytes parameters, uint64 outputLength, string weightUnit,
        /// bytes32 description)): the terms that never change.
        bytes32 termsHash;
        /// Rounds older than the newest `ring` are not on record.
        uint16 ring;
        uint32 challengeWindow;
        /// A member of the committee was convicted or has resigned: no round opens before the next committee.
        bool vacant;
        /// No round will open any more.
        bool ended;
        /// What the sponsor may take out or spend on rounds.
        uint128 free;
        uint96 budget;
        uint16 nodeShare;
        /// Number of rounds settled for good that left the ring, or may.
        uint32 archived;
    }

    /// @notice What the court needs of a settlement that is said to be wrong.
    struct Accused {
        /// Hash of the study's program and parameters, as in `Study`.
        bytes32 termsHash;
        /// Of the round's committee; 0 if this is not the settlement of the round.
        uint8 threshold;
        /// Sites of the certified set.
        uint32 size;
        /// Whose votes came with the certificate, and who signed the settlement: bit j-1 is node j.
        uint256 voters;
        uint256 signers;
        address[] nodes;
    }

    /// @notice What the court needs of a certificate that is said to be wrong.
    struct Certified {
        /// 0 if the round has no certificate on record.
        bytes32 setRoot;
        /// Of the sites that were admitted when the round opened.
        bytes32 sitesRoot;
        uint32 size;
        /// All who voted for it, whenever their votes came.
        uint256 voters;
        address[] nodes;
    }

    /// @notice A round that is settled for good: the parts of its Settlement, and its place in the archive.
    struct Settled {
        bytes32 setRoot;
        bytes32 shareRootsHash;
        bytes32 aggregateRoot;
        bytes32 rewardRoot;
        /// Size of its certified set, and how many votes came with the certificate.
        uint32 sites;
        uint32 nodes;
        /// For a round that is off the record, as in `finalPay`; else 0, 0 and empty.
        uint80 record;
        uint32 position;
        bytes32[] path;
    }

    /// @notice A committee: node j of the protocol is `nodes[j - 1]`.
    struct Committee {
        uint8 threshold;
        address[] nodes;
    }

    /// @notice What is stored about a round.
    struct Round {
        /// As recorded (None: no such round, or not on record any more); `stateOf` also knows of deadlines that passed unrecorded.
        State state;
        /// Committee epoch whose nodes certify and settle this round.
        uint64 epoch;
        /// Certification is possible while block time < deadline.
        uint64 deadline;
        /// Settlement is possible while block time < settleBy.
        uint64 settleBy;
        bytes32 subject;
        /// keccak256(abi.encode(uint64 study, uint64 round, bytes32 subject, uint64 epoch, uint32 minimumCohort,
        /// bytes32 sitesRoot, string finality, uint64 opened, uint64 deadline, uint64 settleBy)): all that opening froze.
        bytes32 frozen;
        /// Root of the certified set; 0 before.
        bytes32 setRoot;
        /// Size of the certified set.
        uint32 size;
        /// Nodes whose votes came with the certificate: bit j-1 is node j.
        uint256 voters;
        /// Nodes whose votes came later, before the settlement.
        uint256 lateVoters;
        /// Nodes who signed the settlement: bit j-1 is node j.
        uint256 signers;
        /// EIP-712 struct hash of the Settlement; 0 before, and once it was proved wrong. Binds setRoot, share roots,
        /// aggregate and reward root.
        bytes32 settlement;
        /// From then on the round cannot be proved wrong any more and pays; 0 before settlement.
        uint64 challengeEnds;
        /// Version of budget, node share and admitted sites that it was opened under.
        uint16 policy;
        /// Settled: how many revenue periods had begun by then.
        uint16 period;
    }

    // ------------------------------------------------------------------------------------------------ errors

    /// @notice Chain ids above 2^64 - 1 do not fit the protocol.
    /// @param chainId This chain's.
    error ChainIdTooLarge(uint256 chainId);
    /// @notice This contract was deployed to work with another Consilium.
    /// @param other The contract that works for another.
    error NotOurs(address other);
    /// @notice Only the contract whose business this is may do it.
    /// @param caller Who called.
    error NotPermitted(address caller);
    /// @notice Without a currency there is nothing to pay; the node share is at most 10,000; a budget fits 80 bits, and
    /// the budgets of a full ring 2^87.
    error InvalidRewards();
    /// @notice Budget, node share and sites can be changed 65,535 times.
    error TooManyPolicies();
    /// @notice A study's free money is at most 2^87: what its rounds give back must fit beside it.
    /// @param free What would be free.
    error FundsTooLarge(uint256 free);
    /// @notice There must be time to challenge a result, and challenges, put off by the longest pause, end before the bonds
    /// that they take are paid out.
    /// @param challengeWindow What was asked for, in seconds.
    /// @param minimum In seconds.
    /// @param maximum In seconds.
    error InvalidWindow(uint32 challengeWindow, uint32 minimum, uint64 maximum);
    /// @notice Only a trial deployment has a shorter minimum than an hour.
    /// @param minimumWindow What was asked for, in seconds.
    error WindowTooShort(uint32 minimumWindow);
    /// @notice The ring has 2 to 1024 rounds.
    /// @param ring What was asked for.
    error InvalidRing(uint16 ring);
    /// @notice A committee member was convicted or has resigned: form the next committee first.
    /// @param study The study's number.
    error CommitteeVacant(uint64 study);
    /// @notice The budget of a round is not there: fund the study.
    /// @param study The study's number.
    /// @param free What no round has reserved.
    /// @param needed The round's budget, or what was asked for.
    error FundsMissing(uint64 study, uint256 free, uint256 needed);
    /// @notice The ring is full of rounds that can still be proved wrong, or prove an offence: wait until this time.
    /// @param study The study's number.
    /// @param until Block time from which the slot is free.
    error RingFull(uint64 study, uint64 until);
    /// @notice The round is not settled for good in this way.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    error NotFinal(uint64 study, uint64 round);
    /// @notice The chain did not take the committee's addresses.
    error RosterNotStored();
    /// @notice There is no study of this number.
    /// @param study The number.
    error UnknownStudy(uint64 study);
    /// @notice Only the study's sponsor may do this.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotSponsor(uint64 study, address caller);
    /// @notice Only the study's operator of rounds may do this, or its sponsor.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotOperator(uint64 study, address caller);
    /// @notice Only the study's treasurer may do this, or its sponsor.
    /// @param study The study's number.
    /// @param caller Who called.
    error NotTreasurer(uint64 study, address caller);
    /// @notice The study has ended: no round opens and no committee forms any more.
    /// @param study The study's number.
    error Ended(uint64 study);
    /// @notice The study's guardian has stopped proofs and payouts until this time.
    /// @param study The study's number.
    /// @param until Block time from which they go on.
    error PausedUntil(uint64 study, uint64 until);
    /// @notice A pause lasts `longestPause()` at most, and the next one begins an unbonding delay after the last at the
    /// earliest: at this time.
    /// @param study The study's number.
    /// @param until Block time that was asked for.
    /// @param nextFrom Block time from which a pause may begin.
    error PauseNotAllowed(uint64 study, uint64 until, uint256 nextFrom);
    /// @notice The list of sites is in the event, or at a place that begins with https:// and has at most 256 bytes.
    error InvalidSitesUri();
    /// @notice A privacy account and what a round costs it come together.
    error InvalidPrivacyCost();
    /// @notice Each vote counts once: these nodes have voted before.
    /// @param voters Bit j-1 is node j: those who had voted.
    error AlreadyVoted(uint256 voters);
    /// @notice There is no judge for this kind of study.
    /// @param kind The kind's number.
    error UnknownKind(uint8 kind);
    /// @notice A result has 1 to 2^32 elements.
    /// @param outputLength What was asked for.
    error InvalidOutputLength(uint64 outputLength);
    /// @notice The unit of weights has at most 32 bytes.
    error InvalidWeightUnit();
    /// @notice The program's name has 1 to 32 bytes.
    error InvalidProgram();
    /// @notice The parameters have 1 to 256 bytes.
    error InvalidParameters();
    /// @notice The minimum cohort is at least the kind's: a sum over one site is its update.
    /// @param minimumCohort What was asked for.
    /// @param least The kind's.
    error InvalidCohort(uint32 minimumCohort, uint32 least);
    /// @notice The finality rule has 1 to 32 bytes.
    error InvalidFinality();
    /// @notice The root of the admitted sites must not be zero.
    error InvalidSitesRoot();
    /// @notice t >= 1, 3t+1 <= n <= 5t+1 and n <= 32 must hold.
    /// @param nodes How many: n.
    /// @param threshold t.
    error InvalidCommittee(uint256 nodes, uint8 threshold);
    /// @notice A node can sit in a committee only once.
    /// @param node Who comes twice.
    error DuplicateNode(address node);
    /// @notice The subject must not be zero.
    error InvalidSubject();
    /// @notice This subject has had its sum: no two sums over one subject.
    /// @param study The study's number.
    /// @param subject The digest.
    error SubjectCertified(uint64 study, bytes32 subject);
    /// @notice now < deadline < settleBy must hold, and a node that leaves now must be liable until the round's challenge
    /// window is over: settleBy + challenge window + longest pause + dispute time <= now + unbonding delay.
    /// @param deadline What was asked for.
    /// @param settleBy What was asked for.
    error InvalidDeadlines(uint64 deadline, uint64 settleBy);
    /// @notice The study's newest round is open or waits for its settlement.
    /// @param study The study's number.
    /// @param round The newest.
    error RoundInProgress(uint64 study, uint64 round);
    /// @notice The round is not in the state that this step starts from; a deadline that passed counts. `None`: there
    /// is no such round.
    /// @param study The study's number.
    /// @param round The round's number, from 1.
    /// @param actual The state it is in.
    error WrongState(uint64 study, uint64 round, State actual);
    /// @notice The set is smaller than the frozen minimum cohort, or empty.
    /// @param size Sites in the set.
    /// @param minimumCohort As frozen.
    error CohortTooSmall(uint32 size, uint32 minimumCohort);
    /// @notice The root of a certified set must not be zero.
    error InvalidSetRoot();
    /// @notice The bitmap names nodes that the committee does not have.
    /// @param signers The bitmap.
    /// @param nodes Members of the committee.
    error UnknownSigner(uint256 signers, uint256 nodes);
    /// @notice Q = 3t+1 signatures are needed.
    /// @param signatures How many there are.
    /// @param quorum How many are needed.
    error QuorumMissing(uint256 signatures, uint256 quorum);
    /// @notice There must be 65 bytes for each set bit of the bitmap.
    /// @param length Bytes that were given.
    /// @param expected Bytes that are needed.
    error SignaturesLength(uint256 length, uint256 expected);
    /// @notice The signature at node `index` (from 1) is not this node's over this statement.
    /// @param index Of the node, from 1.
    /// @param node Who should have signed.
    error InvalidSignature(uint256 index, address node);
    /// @notice A settlement has one share root for each committee node.
    /// @param shareRoots How many were given.
    /// @param nodes Members of the committee.
    error ShareRootCount(uint256 shareRoots, uint256 nodes);

    // ------------------------------------------------------------------------------------------------ views

    /// @notice State of a round at this block's time: a deadline that passed counts although nobody recorded it.
    /// @param study The study's number.
    /// @param round The round's number.
    /// @return `None` for a round that is not on record.
    function stateOf(uint64 study, uint64 round) external view returns (State);

    /// @notice Who judges a kind of study; zero if there is none.
    /// @param kind Its number.
    /// @return Its contract.
    function kinds(uint8 kind) external view returns (IKind);

    /// @notice Number of studies so far, which is also the newest study's number.
    /// @return How many.
    function studies() external view returns (uint64);

    /// @notice The registry that nodes are taken from.
    /// @return Its address.
    function registry() external view returns (INodeRegistry);

    /// @notice Where the money of all studies is.
    /// @return Its address.
    function treasury() external view returns (ITreasury);

    /// @notice Who owns which study, and who acts for the owner.
    /// @return Its address.
    function token() external view returns (IStudyToken);

    /// @notice Who is shown proofs about sets and rewards.
    /// @return Its address.
    function setCourt() external view returns (ISetCourt);

    /// @notice The accounts of what studies may reveal.
    /// @return Its address.
    function privacyBudget() external view returns (IPrivacyBudget);

    /// @notice Seconds that evidence has left, at the least, once a round's challenge window is over.
    /// @return In seconds.
    function disputeTime() external view returns (uint64);

    /// @notice Shortest challenge window of a study, in seconds.
    /// @return In seconds.
    function minimumWindow() external view returns (uint32);

    /// @notice For how many seconds a guardian may pause a study.
    /// @return In seconds.
    function longestPause() external view returns (uint32);

    /// @notice Whether this deployment is for trying out: windows may last seconds, and no stake here is safe.
    /// @return Whether it is.
    function trial() external view returns (bool);
}
