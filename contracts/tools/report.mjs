// Reads `forge test --json` from standard input, prints a line a test and last `N passed, N failed`.
import { readFileSync } from "node:fs";

const suites = JSON.parse(readFileSync(0, "utf8"));
let passed = 0;
let failed = 0;
for (const [suite, { test_results: tests }] of Object.entries(suites)) {
  for (const [name, { status, reason, counterexample }] of Object.entries(tests)) {
    const good = status === "Success";
    good ? passed++ : failed++;
    console.log(`${good ? "ok  " : "FAIL"} ${suite.split(":").pop()} ${name}${good ? "" : `: ${reason}`}`);
    if (!good && counterexample) console.log(JSON.stringify(counterexample, null, 1));
  }
}
console.log(`${passed} passed, ${failed} failed`);
