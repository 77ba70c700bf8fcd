// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

// Handlers are created by the names of their artefacts, which forge knows of what a script imports.
import {Handler} from "./Handler.sol";
import {MoneyHandler} from "./MoneyHandler.sol";
import {Test} from "./Test.sol";

/// @dev What forge tells of calls, as far as it is read here.
interface Recorder {
    struct Chain {
        uint256 fork;
        uint256 id;
    }

    struct Access {
        Chain chain;
        uint8 kind; // 0 is a call, 4 a creation
        address account;
        address accessor;
        bool initialized;
        uint256 oldBalance;
        uint256 newBalance;
        bytes deployedCode;
        uint256 value;
        bytes data;
        bool reverted;
        Storage[] storageAccesses;
        uint64 depth;
        uint64 oldNonce;
        uint64 newNonce;
    }

    struct Storage {
        address account;
        bytes32 slot;
        bool isWrite;
        bytes32 previous;
        bytes32 fresh;
        bool reverted;
    }

    function startStateDiffRecording() external;
    function stopAndReturnStateDiff() external returns (Access[] memory);
    function getCode(string calldata name) external view returns (bytes memory);
}

/// @dev Plays a handler of the invariants by chance and tells which function of which contract was called, by anybody, how
/// often, and how often it succeeded.
contract Calls is Test {
    struct Count {
        string name;
        bytes4 selector;
        uint256 calls;
        uint256 successes;
    }

    Recorder private constant recorder = Recorder(address(uint160(uint256(keccak256("hevm cheat code")))));

    mapping(address account => uint256) private numbers;
    bytes4[][] private selectors;
    mapping(uint256 number => mapping(bytes4 selector => uint256)) private calls;
    mapping(uint256 number => mapping(bytes4 selector => uint256)) private successes;

    /// @param handler Its artefact.
    /// @param signatures Of its functions that are drawn from.
    /// @param artefacts Of the contracts whose calls are counted.
    function run(
        string calldata handler,
        string[] calldata signatures,
        string[] calldata artefacts,
        uint256 steps,
        uint256 game
    ) external returns (Count[] memory counts) {
        for (uint256 i = 0; i < artefacts.length; i++) {
            selectors.push();
        }
        address played = this.begin(handler, artefacts);
        for (uint256 step = 0; step < steps; step++) {
            uint256 seed = uint256(keccak256(abi.encode(handler, game, step)));
            // A call of its own, whose memory is given back.
            this.play(played, signatures[seed % signatures.length], seed);
        }
        uint256 size = 0;
        for (uint256 i = 0; i < artefacts.length; i++) {
            size += selectors[i].length;
        }
        counts = new Count[](size);
        for (uint256 i = 0; i < artefacts.length; i++) {
            for (uint256 k = 0; k < selectors[i].length; k++) {
                bytes4 selector = selectors[i][k];
                counts[--size] = Count(artefacts[i], selector, calls[i + 1][selector], successes[i + 1][selector]);
            }
        }
    }

    function begin(string calldata handler, string[] calldata artefacts) external returns (address played) {
        bytes memory code = recorder.getCode(handler);
        recorder.startStateDiffRecording();
        assembly ("memory-safe") {
            played := create(0, add(code, 0x20), mload(code))
        }
        require(played != address(0), "the handler cannot be set up");
        Recorder.Access[] memory accesses = recorder.stopAndReturnStateDiff();
        for (uint256 i = 0; i < artefacts.length; i++) {
            bytes memory known = recorder.getCode(artefacts[i]);
            for (uint256 k = 0; k < accesses.length; k++) {
                if (accesses[k].kind == 4 && begins(accesses[k].data, known)) numbers[accesses[k].account] = i + 1;
            }
        }
        count(accesses);
    }

    function play(address handler, string calldata signature, uint256 seed) external {
        bytes memory data = abi.encodePacked(bytes4(keccak256(bytes(signature))), arguments(bytes(signature), seed));
        recorder.startStateDiffRecording();
        (bool done, bytes memory answer) = handler.call(data);
        count(recorder.stopAndReturnStateDiff());
        require(done, string.concat(signature, " fails: ", string(answer)));
    }

    /// @dev A word for each parameter, as wide as its type; structs and lists are nobody's.
    function arguments(bytes memory signature, uint256 seed) private pure returns (bytes memory packed) {
        uint256 start = 0;
        for (uint256 i = 0; i < signature.length; i++) {
            bool ends = signature[i] == "," || signature[i] == ")";
            if (ends && i > start) packed = bytes.concat(packed, word(signature, start, i, ++seed));
            if (ends || signature[i] == "(") start = i + 1;
        }
    }

    function word(bytes memory signature, uint256 start, uint256 end, uint256 seed) private pure returns (bytes32) {
        uint256 drawn = uint256(keccak256(abi.encode(seed)));
        if (signature[start] == "b" && signature[start + 1] == "o") return bytes32(drawn % 2);
        if (signature[start] == "b") return bytes32(drawn);
        if (signature[start] == "a") return bytes32(drawn >> 96);
        uint256 bits = 0;
        for (uint256 i = start + 4; i < end; i++) {
            bits = 10 * bits + uint8(signature[i]) - 48;
        }
        return bytes32(drawn >> (256 - bits));
    }

    function count(Recorder.Access[] memory accesses) private {
        for (uint256 i = 0; i < accesses.length; i++) {
            Recorder.Access memory access = accesses[i];
            uint256 number = numbers[access.account];
            if (access.kind != 0 || number == 0 || access.data.length < 4) continue;
            bytes4 selector = bytes4(access.data);
            if (calls[number][selector]++ == 0) selectors[number - 1].push(selector);
            if (!access.reverted) successes[number][selector]++;
        }
    }

    /// @dev A contract is known by the code that it was created with.
    function begins(bytes memory created, bytes memory code) private pure returns (bool) {
        if (created.length < code.length) return false;
        bytes32 start_;
        assembly ("memory-safe") {
            start_ := keccak256(add(created, 0x20), mload(code))
        }
        return start_ == keccak256(code);
    }
}

/// @dev What forge runs: a script may not speak of itself, which the player does for the memory's sake.
contract PlayCalls {
    function run(
        string calldata handler,
        string[] calldata signatures,
        string[] calldata artefacts,
        uint256 steps,
        uint256 game
    ) external returns (Calls.Count[] memory) {
        return new Calls().run(handler, signatures, artefacts, steps, game);
    }
}
