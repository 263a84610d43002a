// What a plugin needs that serves, and one that is run by hand does not.
export { Life } from './life.mjs';
export { listen, makeServer } from './server.mjs';
export { makeSource } from './source.mjs';
