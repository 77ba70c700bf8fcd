// Whether the handlers of the invariants call every function of the contracts that changes something, and how often.
//   node tools/calls.mjs
// Plays each handler by chance (test/setup/Calls.sol), prints how often each function was called and how often it
// succeeded, by whomever, and exits 1 if one never succeeded. tools/uncalled.json has those that handlers leave out, and why.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
// Many games: in a long one no nodes are left in the end.
const GAMES = 12;
const STEPS = 500;
const CONTRACTS = [
  "src/NodeRegistry.sol:NodeRegistry", "src/Consilium.sol:Consilium", "src/Treasury.sol:Treasury",
  "src/tokens/StudyToken.sol:StudyToken", "src/tokens/Licences.sol:Licences", "src/SetCourt.sol:SetCourt",
  "src/kinds/sum/SumKind.sol:SumKind", "src/PrivacyBudget.sol:PrivacyBudget",
];
// Runs as the other's own code.
const PARTS = { "src/Consilium.sol:Consilium": ["src/Sponsorship.sol:Sponsorship"] };
const HANDLERS = ["test/setup/Handler.sol:Handler", "test/setup/MoneyHandler.sol:MoneyHandler"];

/** Signature and selector of the functions of a contract that change something. */
function changing(artefact) {
  const [file, name] = artefact.split(":");
  const { abi, methodIdentifiers } = JSON.parse(
    readFileSync(path.join(root, "out", path.basename(file), `${name}.json`), "utf8"),
  );
  const type = ({ type: own, components }) =>
    components ? own.replace("tuple", `(${components.map(type).join(",")})`) : own;
  return abi
    .filter(({ type: own, stateMutability }) => own === "function" && !["view", "pure"].includes(stateMutability))
    .map((one) => `${one.name}(${one.inputs.map(type).join(",")})`)
    .map((signature) => ({ signature, selector: `0x${methodIdentifiers[signature]}` }));
}

/** Calls and successes by contract and selector. */
function play(handler, game) {
  const list = (items) => `[${items.map((one) => JSON.stringify(one)).join(",")}]`;
  const signatures = changing(handler).map(({ signature }) => signature);
  const args = [
    "script", "test/setup/Calls.sol:PlayCalls", "--json", "--memory-limit", String(1 << 30), "--gas-limit", String(2n ** 50n),
    "--sig", "run(string,string[],string[],uint256,uint256)", handler, list(signatures), list(CONTRACTS), String(STEPS), String(game),
  ];
  const options = { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 };
  const printed = execFileSync(path.join(root, "node_modules", ".bin", "forge"), args, options);
  if (!printed.includes(`"returns"`) || /"returns":\{\}/.test(printed)) throw new Error(`a step of ${handler} failed; its message is above`);
  const line = printed.split("\n").find((one) => one.startsWith("{") && one.includes('"returns"'));
  const { value } = Object.values(JSON.parse(line).returns)[0];
  return [...value.matchAll(/\("?([^",()]+)"?, (0x[0-9a-f]{8})[0-9a-f]*, (\d+)[^,]*, (\d+)[^)]*\)/g)].map(
    ([, name, selector, calls, successes]) => ({ key: `${name} ${selector}`, calls: Number(calls), successes: Number(successes) }),
  );
}

const games = Array.from({ length: GAMES }, (_, game) => game);
const played = HANDLERS.flatMap((handler) => games.flatMap((game) => play(handler, game)));
const counts = new Map();
for (const { key, calls, successes } of played) {
  const sum = counts.get(key) ?? { calls: 0, successes: 0 };
  counts.set(key, { calls: sum.calls + calls, successes: sum.successes + successes });
}
const excluded = JSON.parse(readFileSync(path.join(root, "tools", "uncalled.json"), "utf8"));
let missing = 0;
for (const artefact of CONTRACTS) {
  const name = artefact.split(":")[1];
  for (const { signature, selector } of [artefact, ...(PARTS[artefact] ?? [])].flatMap(changing)) {
    const { calls, successes } = counts.get(`${artefact} ${selector}`) ?? { calls: 0, successes: 0 };
    const label = `${name}.${signature.split("(")[0]}`;
    const reason = excluded[`${name}.${signature}`] ?? excluded[label];
    console.log(`${label.padEnd(40)} ${String(calls).padStart(6)} calls ${String(successes).padStart(6)} succeeded${reason ? `  left out: ${reason}` : ""}`);
    if (successes === 0 && !reason) missing++;
    if (successes !== 0 && reason) {
      console.log(`${label} is called after all: take it out of tools/uncalled.json`);
      missing++;
    }
  }
}
if (missing) {
  console.error(`${missing} functions need a step in a handler that succeeds, or a reason in tools/uncalled.json`);
  process.exit(1);
}
