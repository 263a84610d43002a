// A registry server of its own process: `node verdaccio.mjs CONFIG` prints its port and serves until its stdin ends.
import { runServer } from 'verdaccio';

const app = await runServer(process.argv[2]);
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
