// What the plugin says of itself. The build puts the commit and its time in.

/* global BUILD_COMMIT, BUILD_TIME */
const built = {
  buildCommit: typeof BUILD_COMMIT === 'string' ? BUILD_COMMIT : 'unknown',
  buildTime: typeof BUILD_TIME === 'string' ? BUILD_TIME : 'unknown',
};

export function describeSelf(scheme) {
  return { type: 'resource', name: 'npm', scheme, vendor: 'd7y', ...built };
}
