// What talks to registries, in one place to be loaded at once: with npm's libraries it takes most of the start.
export { sendBody } from './body.mjs';
export { sendListing } from './listing.mjs';
export { parseLocator } from './locator.mjs';
export { metadataOf, sameVersion } from './metadata.mjs';
export { readSettings } from './settings.mjs';
export { findTarball } from './tarball.mjs';
