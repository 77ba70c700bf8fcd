// Whether the contracts say what each part of their interface means.
//   node tools/natspec.mjs
// Functions, events and errors of interfaces need a @param for each parameter and a @return for each result; what a
// contract offers beyond its interfaces needs a comment, and what implements them an @inheritdoc. Prints what is missing.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Compiler, solidityFiles } from "./mutation/solidity.mjs";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const missing = [];

/** Words behind each tag of a comment. */
function tagsOf({ documentation }) {
  const parts = (documentation?.text ?? "").split(/(?=@(?:notice|param|return|dev|inheritdoc|title)\b)/);
  const behind = (tag) => parts.filter((one) => one.startsWith(`@${tag} `)).map((one) => one.slice(tag.length + 2).trim());
  return { notice: behind("notice"), params: behind("param"), returns: behind("return"), inherited: behind("inheritdoc") };
}

function inspect(where, node) {
  const { notice, params, returns } = tagsOf(node);
  if (!notice.length) missing.push(`${where}: @notice`);
  for (const { name } of node.parameters.parameters) {
    if (!params.some((one) => one.startsWith(`${name} `))) missing.push(`${where}: @param ${name}`);
  }
  (node.returnParameters?.parameters ?? []).forEach(({ name }, i) => {
    if (!(name ? returns.some((one) => one.startsWith(`${name} `)) : returns[i])) missing.push(`${where}: @return ${name}`);
  });
}

function implementation(where, node) {
  const bases = node.baseFunctions ?? [];
  const { notice, inherited } = tagsOf(node);
  if (bases.length ? !inherited.length && !notice.length : !notice.length) missing.push(`${where}: ${bases.length ? "@inheritdoc" : "@notice"}`);
}

const files = solidityFiles(root, "src");
const trees = new Compiler(root).trees(files);
for (const [file, tree] of files.map((one) => [one, trees.get(one)])) {
  for (const contract of tree.nodes.filter(({ nodeType }) => nodeType === "ContractDefinition")) {
    for (const node of contract.nodes) {
      const where = `${file} ${node.name}`;
      if (contract.contractKind === "interface") {
        if (["FunctionDefinition", "EventDefinition", "ErrorDefinition"].includes(node.nodeType)) inspect(where, node);
      } else if (contract.contractKind === "contract") {
        const offered = node.nodeType === "FunctionDefinition" && node.kind === "function" && ["external", "public"].includes(node.visibility);
        if (offered || (node.nodeType === "VariableDeclaration" && node.visibility === "public")) implementation(where, node);
        if (["EventDefinition", "ErrorDefinition"].includes(node.nodeType)) inspect(where, node);
      }
    }
  }
}
if (missing.length) {
  console.error(`${missing.join("\n")}\n${missing.length} comments are missing`);
  process.exit(1);
}
