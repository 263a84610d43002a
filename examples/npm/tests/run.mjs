// Runs all tests, says at the end how many there were, and fails if one did.
import fs from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const count = { passed: 0, failed: 0, skipped: 0 };
const asked = process.argv.slice(2);
const files = fs.readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.mjs') && (asked.length === 0 || asked.includes(name)));

const tests = run({ files: files.map((name) => path.join(import.meta.dirname, name)), concurrency: 2 });
// Where everything has to run, as in a gate, a test that could not is a failure.
const whenSkipped = process.env.DFGET_TEST_REQUIRE === '1' ? 'failed' : 'skipped';
const skips = [];
tests.on('test:pass', ({ skip, name }) => {
  count[skip === undefined ? 'passed' : whenSkipped] += 1;
  if (skip !== undefined) skips.push(`skipped: ${name}: ${skip}`);
});
tests.on('test:fail', () => (count.failed += 1));
await new Promise((resolve) => tests.compose(spec).on('end', resolve).pipe(process.stdout));
for (const line of skips) console.log(line);
console.log(`npm: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed === 0 && count.passed > 0 ? 0 : 1;
