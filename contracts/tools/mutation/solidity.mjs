// The compiler as the mutation run uses it: in this process, so that it is loaded once, and with the settings of
// foundry.toml, so that a mutant differs from what is deployed by nothing but its mutation.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** Contracts as they are deployed, by the file that holds each. */
export function deployedContracts(root) {
  const found = new Map();
  for (const file of solidityFiles(root, "src")) {
    for (const [, name] of sourceOf(root, file).matchAll(/^contract (\w+)/gm)) found.set(name, file);
  }
  return found;
}

export function solidityFiles(root, folder) {
  const names = readdirSync(path.join(root, folder), { recursive: true });
  return names.filter((name) => name.endsWith(".sol")).map((name) => path.join(folder, name)).sort();
}

/** Sources are read byte by character: the compiler counts bytes. */
export function sourceOf(root, file) {
  return readFileSync(path.join(root, file), "latin1");
}

/** All files that a file needs, itself included, by what its import lines say. */
export function closureOf(root, file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, target] of sourceOf(root, file).matchAll(/^import [^;]*"(\.[^"]+)";/gm)) {
    closureOf(root, path.join(path.dirname(file), target), found);
  }
  return found;
}

function settingOf(root, key) {
  const line = readFileSync(path.join(root, "foundry.toml"), "utf8").match(new RegExp(`^${key} = (.*)$`, "m"));
  if (!line) throw new Error(`foundry.toml sets no ${key}: the mutation run compiles by it`);
  return JSON.parse(line[1]);
}

export class Compiler {
  constructor(root) {
    this.root = root;
    this.solc = createRequire(path.join(root, "tools", "mutate.mjs"))(path.join(root, "node_modules", "solc"));
    this.settings = {
      viaIR: settingOf(root, "via_ir"),
      optimizer: { enabled: settingOf(root, "optimizer"), runs: settingOf(root, "optimizer_runs") },
      evmVersion: settingOf(root, "evm_version"),
      metadata: { bytecodeHash: settingOf(root, "bytecode_hash"), appendCBOR: settingOf(root, "cbor_metadata") },
    };
  }

  /** Syntax trees of these files and all that they import, by file. */
  trees(files) {
    const output = this.run(files, { "*": { "": ["ast"] } }, new Map());
    return new Map(Object.entries(output.sources).map(([file, { ast }]) => [file, ast]));
  }

  /** Bytecode of contracts, [file, name] each, with some sources replaced; null if they do not compile. */
  bytecode(contracts, replaced) {
    const wanted = {};
    for (const [file, name] of contracts) {
      (wanted[file] ??= {})[name] = ["evm.bytecode.object", "evm.deployedBytecode"];
    }
    const output = this.run([...new Set(contracts.map(([file]) => file))], wanted, replaced);
    if (output.errors?.some(({ severity }) => severity === "error")) return null;
    return contracts.map(([file, name]) => ({ file, name, ...output.contracts[file][name].evm }));
  }

  run(files, outputSelection, replaced) {
    const content = (file) => Buffer.from(replaced.get(file) ?? sourceOf(this.root, file), "latin1").toString("utf8");
    const read = (file) => {
      const local = file.startsWith("@openzeppelin/") ? path.join("node_modules", file) : file;
      try {
        return { contents: content(local) };
      } catch (error) {
        return { error: String(error) };
      }
    };
    const sources = Object.fromEntries(files.map((file) => [file, { content: content(file) }]));
    const input = { language: "Solidity", sources, settings: { ...this.settings, outputSelection } };
    return JSON.parse(this.solc.compile(JSON.stringify(input), { import: read }));
  }
}
