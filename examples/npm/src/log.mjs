// The plugin's log: one JSON object a line on stderr, as hclog writes it.

const MODULE = 'npm';

export const log = {
  debug: (message, fields) => write('debug', message, fields),
  info: (message, fields) => write('info', message, fields),
  error: (message, fields) => write('error', message, fields),
};

function write(level, message, fields = {}) {
  // The fields come first: none of them may replace one of hclog's own, which a go-plugin host wants to be strings.
  const line = { ...fields, '@level': level, '@message': String(message), '@module': MODULE, '@timestamp': timestamp() };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

function timestamp() {
  return new Date().toISOString().replace('Z', '000Z'); // hclog has six decimals, JavaScript three
}
