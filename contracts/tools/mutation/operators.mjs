// All mutants of a source file, read off the compiler's syntax tree: each replaces one piece of text by another.
//   operator   another comparison, sum, product, shift or logic; one more becomes one less
//   bound      < becomes <=, and a number is one more or less
//   condition  negated, or as if it always or never held
//   deletion   a statement or a modifier is left out
//   swap       two arguments or members of one type change places, or one stands for another
//   offset     a shift or a place in memory is off by a byte, a bit or a word

const BINARY = {
  "==": ["!="], "!=": ["=="], "<": [">", "<="], "<=": [">", "<"], ">": ["<", ">="], ">=": ["<", ">"],
  "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"], "**": ["*"], "&&": ["||"], "||": ["&&"],
  "&": ["|"], "|": ["&"], "^": ["|"], "<<": [">>"], ">>": ["<<"],
};
const COMPOUND = { "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "^=": "|=", "<<=": ">>=", ">>=": "<<=" };
const YUL = {
  add: ["sub"], sub: ["add"], mul: ["add"], div: ["mul"], shl: ["shr"], shr: ["shl"], and: ["or"], or: ["and"],
  lt: ["gt"], gt: ["lt"], eq: ["lt"],
};
const BOUNDARIES = new Set(["<<=", "<=<", ">>=", ">=>"]);
const DELETED = new Set([
  "ExpressionStatement", "EmitStatement", "RevertStatement", "Continue", "Break", "YulExpressionStatement",
  "YulAssignment",
]);
const STATEMENTS = new Set([
  ...DELETED, "VariableDeclarationStatement", "Return", "IfStatement", "ForStatement", "WhileStatement",
  "YulVariableDeclaration", "YulIf", "YulForLoop", "ModifierInvocation",
]);

const spanOf = (node) => {
  const [start, length] = node.src.split(":").map(Number);
  return [start, start + length];
};
const typeOf = (node) => node.typeDescriptions?.typeString;

function* children(node) {
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) yield* value.filter((one) => one?.nodeType);
    else if (value?.nodeType) yield value;
  }
}

/** Structs of all files by the id that types name them by. */
export function structsOf(trees) {
  const structs = new Map();
  const visit = (node) => {
    if (node.nodeType === "StructDefinition") structs.set(node.id, node.members);
    for (const child of children(node)) visit(child);
  };
  for (const tree of trees.values()) visit(tree);
  return structs;
}

/** Mutants of a file: {start, end, text, kind, where, statement}. */
export function mutantsOf(tree, source, structs) {
  const found = [];
  const visit = (node, place) => {
    if (node.nodeType === "ContractDefinition" && node.contractKind === "interface") return;
    if (["ImportDirective", "UsingForDirective", "StructDefinition", "EventDefinition"].includes(node.nodeType)) return;
    const here = enter(node, place);
    if (here.statement !== undefined) {
      for (const [start, end, text, kind] of replacements(node, source, structs, here)) {
        if (source.slice(start, end) !== text) found.push({ start, end, text, kind, ...here, parameters: undefined });
      }
    }
    for (const child of children(node)) visit(child, here);
  };
  visit(tree, { where: "", parameters: [] });
  return found;
}

function enter(node, place) {
  if (node.nodeType === "FunctionDefinition" || node.nodeType === "ModifierDefinition") {
    return { where: node.name || node.kind, parameters: node.parameters.parameters };
  }
  const constant = node.nodeType === "VariableDeclaration" && node.stateVariable && node.value;
  if (constant) return { where: node.name, parameters: [], statement: spanOf(node)[0] };
  return STATEMENTS.has(node.nodeType) ? { ...place, statement: spanOf(node)[0] } : place;
}

function replacements(node, source, structs, here) {
  switch (node.nodeType) {
    case "BinaryOperation":
      return [...binary(node, source), ...shifted(node, source)];
    case "Assignment":
      return compound(node, source);
    case "UnaryOperation":
      return unary(node, source);
    case "Literal":
      return node.kind === "number" ? numbers(node, source, "bound", [1n, -1n]) : [];
    case "IfStatement":
    case "Conditional":
      return conditions(node.condition, source);
    case "FunctionCall":
      return [...required(node, source), ...exchanged(node.arguments, source)];
    case "TupleExpression":
      return exchanged(node.components.filter((one) => one), source);
    case "MemberAccess":
      return members(node, structs);
    case "Identifier":
      return stands(node, here.parameters);
    case "ModifierInvocation":
      return node.kind === "modifierInvocation" ? [[...spanOf(node), "", "deletion"]] : [];
    default:
      return [...deletion(node, source), ...assembly(node, source)];
  }
}

function between(left, right, operator, source) {
  const [from, to] = [spanOf(left)[1], spanOf(right)[0]];
  const gap = source.slice(from, to);
  const at = gap.indexOf(operator);
  return at < 0 || gap.includes("//") ? null : [from + at, from + at + operator.length];
}

function binary(node, source) {
  const span = between(node.leftExpression, node.rightExpression, node.operator, source);
  if (!span) return [];
  return (BINARY[node.operator] ?? []).map((text) => {
    return [...span, text, BOUNDARIES.has(node.operator + text) ? "bound" : "operator"];
  });
}

function shifted(node, source) {
  const right = node.rightExpression;
  if (!["<<", ">>"].includes(node.operator)) return [];
  if (right.nodeType === "Literal") return numbers(right, source, "offset", [8n, -8n]);
  const [start, end] = spanOf(right);
  return [[start, end, `(${source.slice(start, end)} + 8)`, "offset"]];
}

function compound(node, source) {
  const text = COMPOUND[node.operator];
  const span = text && between(node.leftHandSide, node.rightHandSide, node.operator, source);
  return span ? [[...span, text, "operator"]] : [];
}

function unary(node, source) {
  const [start, end] = spanOf(node);
  const inner = source.slice(...spanOf(node.subExpression));
  if (node.operator === "!") return [[start, end, inner, "condition"]];
  const other = { "++": "--", "--": "++" }[node.operator];
  if (!other) return [];
  return [[start, end, node.prefix ? other + inner : inner + other, "operator"]];
}

function numbers(node, source, kind, steps) {
  const [start, end] = spanOf(node);
  const text = source.slice(start, end);
  if (!/^(0x[0-9a-fA-F]+|[0-9][0-9_]*)$/.test(text)) return [];
  const value = BigInt(text.replaceAll("_", ""));
  const written = (number) => (text.startsWith("0x") ? `0x${number.toString(16)}` : String(number));
  return steps.filter((step) => value + step >= 0n).map((step) => [start, end, written(value + step), kind]);
}

function conditions(condition, source) {
  const [start, end] = spanOf(condition);
  const texts = [`!(${source.slice(start, end)})`, "true", "false"];
  return texts.map((text) => [start, end, text, "condition"]);
}

function required(node, source) {
  return node.expression.name === "require" ? conditions(node.arguments[0], source).slice(0, 1) : [];
}

/** Any two of one type. */
function exchanged(nodes, source) {
  const found = [];
  for (let i = 0; i < nodes.length; i++) {
    for (let k = i + 1; k < nodes.length; k++) {
      if (typeOf(nodes[i]) !== typeOf(nodes[k])) continue;
      const [[from, to], [start, end]] = [spanOf(nodes[i]), spanOf(nodes[k])];
      const [one, other] = [source.slice(from, to), source.slice(start, end)];
      if (one !== other) found.push([from, end, other + source.slice(to, start) + one, "swap"]);
    }
  }
  return found;
}

/** Another member of the same struct. */
function members(node, structs) {
  const id = node.expression.typeDescriptions?.typeIdentifier?.match(/^t_struct\$_\w+?_\$(\d+)_/)?.[1];
  const all = structs.get(Number(id)) ?? [];
  const own = all.find(({ id: member }) => member === node.referencedDeclaration);
  if (!own) return [];
  const end = spanOf(node)[1];
  const alike = all.filter((one) => one !== own && typeOf(one) === typeOf(own));
  return alike.map(({ name }) => [end - node.memberName.length, end, name, "swap"]);
}

/** Another parameter of the function in its place. */
function stands(node, parameters) {
  if (!parameters.some(({ id }) => id === node.referencedDeclaration)) return [];
  const alike = parameters.filter((one) => one.name && one.name !== node.name && typeOf(one) === typeOf(node));
  return alike.map(({ name }) => [...spanOf(node), name, "swap"]);
}

function deletion(node, source) {
  if (!DELETED.has(node.nodeType)) return [];
  const [start, end] = spanOf(node);
  const yul = node.nodeType.startsWith("Yul");
  // The node's text may end before the semicolon; a block of nothing takes the place of both.
  return [[start, !yul && source[end] === ";" ? end + 1 : end, "{}", "deletion"]];
}

function assembly(node, source) {
  if (node.nodeType === "YulLiteral" && node.kind === "number") {
    const hex = source.slice(...spanOf(node)).startsWith("0x");
    return [...numbers(node, source, "bound", [1n, -1n]), ...(hex ? numbers(node, source, "offset", [32n, -32n]) : [])];
  }
  if (node.nodeType === "YulIf") {
    const [start, end] = spanOf(node.condition);
    return [[start, end, `iszero(${source.slice(start, end)})`, "condition"]];
  }
  if (node.nodeType !== "YulFunctionCall") return [];
  const [start, end] = spanOf(node.functionName);
  if (node.functionName.name === "iszero") return [[...spanOf(node), source.slice(...spanOf(node.arguments[0])), "condition"]];
  return (YUL[node.functionName.name] ?? []).map((text) => [start, end, text, "operator"]);
}
