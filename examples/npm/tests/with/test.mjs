// Tests that end even where what they wait for never comes.
import { test as withoutLimit } from 'node:test';

const MINUTE = 60_000;

export function test(name, ...rest) {
  const run = rest.pop();
  return withoutLimit(name, { timeout: MINUTE, ...rest[0] }, run);
}
