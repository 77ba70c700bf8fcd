// Mutates the contracts and sees whether the tests notice.
//   node tools/mutate.mjs --count 150 --seed HEX [--jobs 2] [--least 95] [--only PATTERN] [--list]
// Draws mutants by the seed, spread over the files of src/ by their statements, and runs the tests against each: the
// unit tests with few fuzz runs, for those that survive all of them, then the invariants. A mutant that does not compile,
// or to the same code, is drawn again. tools/mutants.json explains survivors that no test can kill.
// Exits 1 if fewer than --least percent were killed or are explained there. --only takes the files that match; --list shows the draw and
// runs nothing.
import { execFileSync, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutantsOf, structsOf } from "./mutation/operators.mjs";
import { Compiler, closureOf, solidityFiles, sourceOf } from "./mutation/solidity.mjs";
import { copyOf, serve } from "./mutation/worker.mjs";

const self = fileURLToPath(import.meta.url);
const root = path.join(path.dirname(self), "..");

/** Numbers below a bound that the seed and a label decide. */
class Dice {
  constructor(seed, label) {
    this.text = `${seed} ${label}`;
    this.rolls = 0;
  }

  below(bound) {
    const hash = createHash("sha256").update(`${this.text} ${this.rolls++}`).digest();
    return Number(hash.readBigUInt64BE() % BigInt(bound));
  }

  shuffled(items) {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i--) {
      const k = this.below(i + 1);
      [all[i], all[k]] = [all[k], all[i]];
    }
    return all;
  }
}

function groupsOf(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups.values()];
}

/** Of a file, all mutants in the order of the draw: one of each statement, then another, each of a kind drawn first. */
function order(mutants, dice) {
  const kinds = (group) => dice.shuffled(groupsOf(group, ({ kind }) => kind).map((one) => dice.shuffled(one)));
  const statements = dice.shuffled(groupsOf(mutants, ({ statement }) => statement)).map(kinds);
  const drawn = [];
  for (let turn = 0; statements.some((one) => one.length); turn++) {
    for (const one of statements.filter(({ length }) => length)) {
      drawn.push(one[turn % one.length].pop());
      const left = one.filter(({ length }) => length);
      one.splice(0, one.length, ...left);
    }
  }
  return drawn;
}

/** Files with their mutants in order, and how many of each to take. */
function draw({ seed, count, only }) {
  const files = solidityFiles(root, "src").filter((file) => !only || new RegExp(only).test(file));
  const trees = new Compiler(root).trees(solidityFiles(root, "src"));
  const structs = structsOf(trees);
  const all = files.map((file) => {
    const source = sourceOf(root, file);
    const mutants = mutantsOf(trees.get(file), source, structs).map((one) => ({ file, ...one }));
    const statements = new Set(mutants.map(({ statement }) => statement)).size;
    return { file, source, statements, queue: order(mutants, new Dice(seed, file)), take: 0 };
  });
  const total = all.reduce((sum, { statements }) => sum + statements, 0);
  if (!total) throw new Error("no statements to mutate: does --only match a file of src/?");
  // Equal steps along all statements, from a place that the seed decides.
  const first = new Dice(seed, "first").below(1 << 30) / (1 << 30);
  for (let i = 0; i < count; i++) at(all, ((i + first) * total) / count).take += 1;
  return all.filter(({ take }) => take);
}

function at(files, place) {
  for (const one of files) {
    if (place < one.statements) return one;
    place -= one.statements;
  }
  return files.at(-1);
}

// ------------------------------------------------------------------------------------------------ what a mutant is called

const squeezed = (text) => text.replace(/\s+/g, " ").trim();

/** The lines that a mutant changes, before and after: by them it is known, wherever they stand. */
function namesOf(source, { file, where, start, end, text }) {
  const from = source.lastIndexOf("\n", start - 1) + 1;
  const to = (source.indexOf("\n", end) + 1 || source.length + 1) - 1;
  const original = squeezed(source.slice(from, to));
  const replacement = squeezed(source.slice(from, start) + text + source.slice(end, to));
  return { file, function: where, original, replacement };
}

function explanations() {
  const known = JSON.parse(readFileSync(path.join(root, "tools", "mutants.json"), "utf8"));
  const key = (one) => JSON.stringify([one.file, one.function, one.original, one.replacement]);
  const reasons = new Map(known.map((one) => [key(one), one.reason]));
  return (names) => reasons.get(key(names));
}

function describe({ kind }, names) {
  return `${names.file} ${names.function} (${kind})\n  - ${names.original}\n  + ${names.replacement}`;
}

// ------------------------------------------------------------------------------------------------ the run

/** Tests judge by what they know themselves: a mutant in code that they share with the contracts could hide there. */
function requireIndependentTests() {
  for (const file of solidityFiles(root, "test")) {
    if (!closureOf(root, file).has("test/setup/Deployment.sol")) continue;
    const text = sourceOf(root, file);
    for (const [line, names] of text.matchAll(/^import \{([^}]*)\} from "[./]+src\/(?:libraries\/|SignedStatements)[^"]*";/gm)) {
      const code = text.replace(line, "");
      for (const name of names.split(",").map((one) => one.trim())) {
        // Errors may be named; everything else is code, or a contract that inherits it.
        const used = code.replace(new RegExp(`\\b${name}\\.\\w+\\.selector`, "g"), "").match(new RegExp(`\\b${name}\\b`));
        if (used) throw new Error(`${file} computes with ${name}, which it is to test`);
      }
    }
  }
}

class Run {
  constructor(files, jobs) {
    this.files = files;
    this.jobs = jobs;
    this.results = [];
    this.redrawn = 0;
    this.seconds = 0;
    this.pending = files.flatMap((one) => one.queue.splice(0, one.take).map((mutant) => ({ one, mutant })));
    this.explain = explanations();
  }

  async go() {
    const folder = mkdtempSync(path.join(os.tmpdir(), "mutation-"));
    try {
      await Promise.all(Array.from({ length: this.jobs }, (_, i) => this.work(path.join(folder, String(i)))));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  work(copy) {
    copyOf(root, copy);
    const child = fork(self, ["--worker", copy]);
    let task;
    const next = () => {
      task = this.pending.shift();
      if (!task) return child.disconnect();
      const { source } = task.one;
      const { file, start, end, text } = task.mutant;
      child.send({ file, source: source.slice(0, start) + text + source.slice(end) });
    };
    child.on("message", (answer) => {
      if (!answer.ready) this.record(task, answer);
      next();
    });
    return new Promise((resolve, reject) => {
      const why = "a worker of the mutation run failed; its message is above";
      child.on("exit", (code) => (code ? reject(new Error(why)) : resolve()));
    });
  }

  record({ one, mutant }, { status, by, seconds }) {
    this.seconds += seconds;
    if (status === "uncompilable" || status === "identical") {
      this.redrawn += 1;
      const another = one.queue.shift();
      if (another) this.pending.push({ one, mutant: another });
      return;
    }
    const names = namesOf(one.source, mutant);
    const reason = status === "survived" ? this.explain(names) : undefined;
    this.results.push({ file: one.file, status: reason ? "explained" : status });
    const outcome = status === "killed" ? `killed by ${by}` : reason ? `explained: ${reason}` : "SURVIVED";
    console.log(`${describe(mutant, names)}\n  ${outcome} (${seconds.toFixed(1)} s)`);
  }

  report(least) {
    const count = (items, status) => items.filter((one) => one.status === status).length;
    for (const group of groupsOf(this.results, ({ file }) => file).sort((a, b) => (a[0].file < b[0].file ? -1 : 1))) {
      console.log(`${group[0].file}: ${count(group, "killed")} of ${group.length} killed, ${count(group, "explained")} explained`);
    }
    const [all, killed] = [this.results.length, count(this.results, "killed")];
    const explained = count(this.results, "explained");
    const share = (part) => `${((100 * part) / all).toFixed(1)} %`;
    console.log(`${all} mutants in ${this.seconds.toFixed(0)} s of work, ${(this.seconds / all).toFixed(1)} s each; ${this.redrawn} drawn again`);
    console.log(`killed ${killed} (${share(killed)}), survived but explained ${explained}, together ${share(killed + explained)}`);
    return all > 0 && 100 * (killed + explained) >= least * all;
  }
}

function optionsOf(args) {
  const text = { type: "string" };
  const { values } = parseArgs({
    args,
    options: { count: text, seed: text, jobs: text, least: text, only: text, worker: text, list: { type: "boolean" } },
  });
  if (values.worker) return values;
  const count = Number(values.count);
  if (!(count > 0) || !/^[0-9a-f]+$/i.test(values.seed ?? "")) {
    throw new Error("tell how many and by what: --count 150 --seed HEX");
  }
  return { ...values, count, jobs: Number(values.jobs ?? 2), least: Number(values.least ?? 95) };
}

async function main() {
  const options = optionsOf(process.argv.slice(2));
  if (options.worker) return serve(options.worker);
  requireIndependentTests();
  const files = draw(options);
  if (options.list) {
    for (const { source, queue, take } of files) {
      for (const mutant of queue.slice(0, take)) console.log(describe(mutant, namesOf(source, mutant)));
    }
    return;
  }
  execFileSync(path.join(root, "node_modules", ".bin", "forge"), ["build"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  const run = new Run(files, options.jobs);
  await run.go();
  if (!run.report(options.least)) process.exitCode = 1;
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
