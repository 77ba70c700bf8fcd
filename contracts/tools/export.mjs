// Writes the ABI and bytecode that the Rust side builds with, so that Rust needs no Solidity toolchain.
//   node tools/export.mjs           write crates/ledger/abi/*.json
//   node tools/export.mjs --check   exit 1 if a committed file is not what the sources compile to
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

const contracts = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const target = path.join(contracts, "..", "crates", "ledger", "abi");
const names = [
  "NodeRegistry", "Consilium", "Sponsorship", "Treasury", "StudyToken", "Licences", "SetCourt", "SumKind", "PrivacyBudget",
  "TrialToken",
];
// Whose code a contract runs as its own: it answers to that one's functions too.
const parts = { Consilium: "Sponsorship" };

// Hash of all that the bytecode depends on, by name and content.
function inputs() {
  const hash = createHash("sha256");
  const sources = readdirSync(path.join(contracts, "src"), { recursive: true }).filter((name) => name.endsWith(".sol"));
  const files = sources.sort().map((name) => path.join("src", name));
  for (const name of [...files, "foundry.toml", "package-lock.json", "tools/solc"]) {
    const content = readFileSync(path.join(contracts, name));
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

// A build of its own, of the sources alone: what else is compiled along, or cached, must not reach the bytecode. The
// last one will do if it was of exactly these inputs.
function compile() {
  const stamp = path.join(contracts, "out", "export", "inputs");
  const wanted = inputs();
  if (contentOf(stamp) === wanted) return;
  rmSync(stamp, { force: true });
  const forge = path.join(contracts, "node_modules", ".bin", "forge");
  const args = ["build", "src", "--force", "--out", "out/export", "--cache-path", "cache/export"];
  execFileSync(forge, args, { cwd: contracts, stdio: ["ignore", "ignore", "inherit"] });
  writeFileSync(stamp, wanted);
}

function compiled(name) {
  return JSON.parse(readFileSync(path.join(contracts, "out", "export", `${name}.sol`, `${name}.json`), "utf8"));
}

function abiOf(name) {
  const { abi } = compiled(name);
  if (!(name in parts)) return abi;
  const known = new Set(abi.map((item) => JSON.stringify(item)));
  const more = abiOf(parts[name]).filter((item) => item.type !== "constructor" && !known.has(JSON.stringify(item)));
  return [...abi, ...more];
}

function artefact(name) {
  const { bytecode } = compiled(name);
  const abi = abiOf(name);
  if (!/^0x([0-9a-f]{2})+$/.test(bytecode.object)) throw new Error(`${name}: bytecode is empty or needs linking`);
  return JSON.stringify({ abi, bytecode: bytecode.object }, null, 1) + "\n";
}

function contentOf(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

const check = process.argv.includes("--check");
compile();
mkdirSync(target, { recursive: true });
for (const name of names) {
  const file = path.join(target, `${name}.json`);
  const fresh = artefact(name);
  if (!check) {
    writeFileSync(file, fresh);
    console.log(`wrote crates/ledger/abi/${name}.json`);
  } else if (contentOf(file) !== fresh) {
    console.error(`crates/ledger/abi/${name}.json is stale: run node contracts/tools/export.mjs and commit it`);
    process.exitCode = 1;
  }
}
