// Lists a package: an entry for the tarball of each version.
import semver from 'semver';
import { versionUrl } from './locator.mjs';
import { describe } from './metadata.mjs';
import { fetchPackument } from './registry.mjs';
import { Failure, code } from './status.mjs';
import { publishedAt } from './tarball.mjs';
import { write } from './write.mjs';

const BATCH = 500; // entries a message: about 200 KiB

export async function sendListing(call, asked) {
  const { spec } = asked.locator;
  if (spec.type !== 'range') {
    throw new Failure(code.INVALID_ARGUMENT, `${spec.name}@${spec.rawSpec} is one version: list ${spec.name}/, or a range such as ${spec.name}@^1/`);
  }
  const { packument } = await fetchPackument(asked);
  const entries = entriesOf(packument, asked);
  for (let first = 0; first < entries.length; first += BATCH) {
    await write(call, { entries: entries.slice(first, first + BATCH) });
  }
}

function entriesOf(packument, { locator: { authority, spec }, settings: { npm } }) {
  return Object.values(packument.versions ?? {})
    .filter(({ version, dist }) => dist?.tarball && fits(version, spec) && inTime(packument, version, npm.before))
    .map(({ version, dist }) => ({
      name: `${spec.name.replace(/^@[^/]*\//, '')}-${version}.tgz`, // as npm pack names it, but for the scope
      metadata: describe(dist, publishedAt(packument, version)),
      url: versionUrl(authority, spec.name, version),
    }));
}

function fits(version, { fetchSpec }) {
  return fetchSpec === '*' || semver.satisfies(version, fetchSpec, { loose: true });
}

function inTime(packument, version, before) {
  return !before || (publishedAt(packument, version) ?? -Infinity) <= new Date(before).getTime();
}
