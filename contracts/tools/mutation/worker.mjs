// One mutant after the other in a copy of the contracts of its own: its bytecode takes the place of the artefacts that the
// tests deploy, so that nothing else is compiled.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Compiler, closureOf, deployedContracts, solidityFiles } from "./solidity.mjs";

// Not run against mutants: what it pins is gas.
const GAS = "Gas.t.sol";
const LATE = /\.invariants\.t\.sol$/;
const STAGES = [
  // Most mutants die here, within seconds.
  { args: [], env: { FOUNDRY_FUZZ_RUNS: "16" } },
  { args: [], env: {} },
  { args: ["--match-path", "test/*.invariants.t.sol"], env: {}, late: true },
];
// A mutant that loops takes all gas there is, each time.
const LIMIT_MS = 300_000;

/** A copy that forge takes for the built original; what it does not write is shared. */
export function copyOf(root, copy) {
  mkdirSync(path.join(copy, "node_modules"), { recursive: true });
  const keep = (from) => !/(out|cache)\/export$/.test(from);
  for (const name of ["src", "test", "out", "cache", "snapshots", "tools", "foundry.toml", "node_modules/@openzeppelin"]) {
    cpSync(path.join(root, name), path.join(copy, name), { recursive: true, preserveTimestamps: true, filter: keep });
  }
  for (const name of ["solc", ".bin"]) {
    symlinkSync(path.join(root, "node_modules", name), path.join(copy, "node_modules", name));
  }
  rmSync(path.join(copy, "test", GAS));
  mkdirSync(path.join(copy, "late"));
  for (const name of lateSuites(copy, "test")) move(copy, "test", "late", name);
}

// Forge asks the compiler about all sources if it is told to leave some suites out, which takes longer than running the
// others: so those are not there.
const lateSuites = (copy, folder) => readdirSync(path.join(copy, folder)).filter((name) => LATE.test(name));
const move = (copy, from, to, name) => renameSync(path.join(copy, from, name), path.join(copy, to, name));

/** Suites that compile library code in, instead of deploying contracts: a mutant of it must reach them too. */
function librarySuites(root) {
  const suites = solidityFiles(root, "test").filter((file) => file.endsWith(".t.sol"));
  return suites.filter((file) => !closureOf(root, file).has("test/setup/Deployment.sol"));
}

class Laboratory {
  constructor(root) {
    this.root = root;
    this.compiler = new Compiler(root);
    const suites = librarySuites(root).flatMap((file) => contractsIn(root, file).map((name) => [file, name]));
    const deployed = [...deployedContracts(root)].map(([name, file]) => [file, name]);
    this.artefacts = [...deployed, ...suites].map((one) => ({ one, needs: closureOf(root, one[0]) }));
  }

  affected(file) {
    return this.artefacts.filter(({ needs }) => needs.has(file)).map(({ one }) => one);
  }

  /** {status, by}: killed by a test, survived, uncompilable, or the same code as before. */
  examine({ file, source }) {
    const contracts = this.affected(file);
    const mutated = this.compiler.bytecode(contracts, new Map([[file, source]]));
    if (!mutated) return { status: "uncompilable" };
    const undo = mutated.map((code) => this.install(code));
    try {
      return this.judge(contracts, mutated);
    } finally {
      for (const [target, content] of undo) writeFileSync(target, content);
    }
  }

  judge(contracts, mutated) {
    const by = this.suite(STAGES[0]);
    if (by) return { status: "killed", by };
    // Only of a survivor is it worth knowing whether the optimizer made it what it was.
    const original = this.compiler.bytecode(contracts, new Map());
    const same = original.every((code, i) => code.bytecode.object === mutated[i].bytecode.object);
    if (same) return { status: "identical" };
    for (const stage of STAGES.slice(1)) {
      const later = stage.late ? this.lateSuite(stage) : this.suite(stage);
      if (later) return { status: "killed", by: later };
    }
    return { status: "survived" };
  }

  lateSuite(stage) {
    const names = lateSuites(this.root, "late");
    for (const name of names) move(this.root, "late", "test", name);
    try {
      return this.suite(stage);
    } finally {
      for (const name of names) move(this.root, "test", "late", name);
    }
  }

  install({ file, name, bytecode, deployedBytecode }) {
    const target = path.join(this.root, "out", path.basename(file), `${name}.json`);
    const before = readFileSync(target);
    const artefact = JSON.parse(before);
    artefact.bytecode.object = `0x${bytecode.object}`;
    artefact.deployedBytecode.object = `0x${deployedBytecode.object}`;
    artefact.deployedBytecode.immutableReferences = deployedBytecode.immutableReferences;
    writeFileSync(`${target}.new`, JSON.stringify(artefact));
    renameSync(`${target}.new`, target);
    return [target, before];
  }

  /** The first test that fails; nothing if all pass. */
  suite({ args, env }) {
    const forge = path.join(this.root, "node_modules", ".bin", "forge");
    const all = ["test", "--json", "--fail-fast", "--threads", "1", ...args];
    const options = { cwd: this.root, encoding: "utf8", env: { ...process.env, ...env }, timeout: LIMIT_MS };
    const { stdout, stderr, error } = spawnSync(forge, all, { ...options, maxBuffer: 1 << 28 });
    if (error?.code === "ETIMEDOUT") return "time";
    const results = resultsOf(stdout);
    if (!results.length) throw new Error(`forge test gave no results: ${stderr}`);
    return results.find(({ status }) => status === "Failure")?.name ?? null;
  }
}

/** With --json forge succeeds whatever its tests do: only what it prints counts. */
function resultsOf(text) {
  const start = text.indexOf("{");
  if (start < 0) return [];
  return Object.entries(JSON.parse(text.slice(start))).flatMap(([suite, { test_results: tests }]) => {
    return Object.entries(tests).map(([test, { status }]) => ({ name: `${suite.split(":").pop()} ${test}`, status }));
  });
}

function contractsIn(root, file) {
  return [...readFileSync(path.join(root, file), "utf8").matchAll(/^contract (\w+)/gm)].map(([, name]) => name);
}

/** Answers the parent's mutants one by one. */
export function serve(copy) {
  const laboratory = new Laboratory(copy);
  const before = laboratory.suite(STAGES[0]);
  if (before) throw new Error(`the suite fails without a mutant: ${before}`);
  process.on("message", (mutant) => {
    const started = Date.now();
    const result = laboratory.examine(mutant);
    process.send({ ...result, seconds: (Date.now() - started) / 1000 });
  });
  process.send({ ready: true });
}
