// Known EIP-712 digests of every statement, computed by viem: an implementation that shares no code with ours.
//   node tools/digests.mjs           write test/eip712.vectors.json
//   node tools/digests.mjs --check   exit 1 if the committed file is not what viem computes
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { hashTypedData, keccak256, toHex } from "viem";

const file = fileURLToPath(new URL("../test/eip712.vectors.json", import.meta.url));

const domain = {
  name: "Consilium",
  version: "1",
  chainId: 31337,
  verifyingContract: "0xc0451111c0451111c0451111c0451111c0451111",
};

const statements = {
  Contribution: "uint64 study,uint64 round,address site,bytes32 digest,bytes32 boxes",
  Receipt: "uint64 study,uint64 round,address site,bytes32 digest",
  Vote: "uint64 study,uint64 round,bytes32 setRoot,uint32 size",
  Final: "uint64 study,bytes32 subject,uint64 round,bytes32 setRoot",
  ShareRoot: "uint64 study,uint64 round,bytes32 setRoot,uint8 index,bytes32 root",
  Settlement:
    "uint64 study,uint64 round,bytes32 setRoot,bytes32 shareRootsHash,bytes32 aggregateRoot,bytes32 rewardRoot",
  Access: "uint64 study,uint64 round,bytes32 object,uint64 expires",
};

const fields = (statement) =>
  statements[statement].split(",").map((field) => {
    const [type, name] = field.split(" ");
    return { type, name };
  });

// In the typical sample every field of a case differs from every other, so that two swapped fields show.
const samples = {
  typical: {
    uint8: () => 3,
    uint32: () => 100,
    uint64: (name) => ({ study: "7", round: "20", expires: "1795305600" })[name],
    address: () => "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    bytes32: (name) => keccak256(toHex(name)),
  },
  zero: {
    uint8: () => 0,
    uint32: () => 0,
    uint64: () => "0",
    address: () => `0x${"00".repeat(20)}`,
    bytes32: () => `0x${"00".repeat(32)}`,
  },
  largest: {
    uint8: () => 0xff,
    uint32: () => 0xffffffff,
    uint64: () => (2n ** 64n - 1n).toString(),
    address: () => `0x${"ff".repeat(20)}`,
    bytes32: () => `0x${"ff".repeat(32)}`,
  },
};

function vector(type, sample) {
  const message = {};
  for (const field of fields(type)) message[field.name] = sample[field.type](field.name);
  const digest = hashTypedData({ domain, types: { [type]: fields(type) }, primaryType: type, message });
  return { type, message, digest };
}

const cases = Object.keys(statements).flatMap((type) => Object.values(samples).map((sample) => vector(type, sample)));
const fresh = JSON.stringify({ domain, cases }, null, 2) + "\n";

if (!process.argv.includes("--check")) {
  writeFileSync(file, fresh);
  console.log(`wrote ${cases.length} digests`);
} else if (readFileSync(file, "utf8") !== fresh) {
  console.error("test/eip712.vectors.json is not what viem computes: see node tools/digests.mjs");
  process.exitCode = 1;
}
