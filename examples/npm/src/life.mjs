// When the plugin ends: on Shutdown, on SIGTERM, and when its life line ends; within a second each time.
import fs from 'node:fs';
import net from 'node:net';
import { log } from './log.mjs';

const GRACE = 500; // milliseconds for open calls; the host waits 1 s before it sends the next signal

export class Life {
  #server;
  #socket;

  constructor(server, socket) {
    this.#server = server;
    this.#socket = socket;
  }

  /** Watches what may end the process. */
  watch(env) {
    process.on('SIGTERM', () => this.end());
    process.on('SIGINT', () => {}); // a terminal sends it to everything in it: the host decides
    process.on('uncaughtException', (error) => this.#fall(error));
    process.on('unhandledRejection', (error) => this.#fall(error));
    if (env.DRAGONFLY_PLUGIN_LIFE_LINE === 'stdin' && isPipe(0)) this.#watchStdin();
  }

  /** Finishes what can be finished quickly, then exits with 0. */
  end() {
    setTimeout(() => this.#exit(0), GRACE);
    this.#server.tryShutdown(() => this.#exit(0));
  }

  #watchStdin() {
    const stdin = new net.Socket({ fd: 0, readable: true, writable: false });
    stdin.on('error', () => this.#exit(0));
    stdin.on('end', () => this.#exit(0)); // the host is gone: nobody waits for open calls
    stdin.resume();
  }

  // Nobody knows what state is left behind, so this process ends and the host starts another one.
  #fall(error) {
    log.error('the plugin ends because of an exception that nobody caught', { stack: String(error?.stack ?? error) });
    this.#exit(70);
  }

  #exit(code) {
    fs.rmSync(this.#socket, { force: true });
    process.exit(code);
  }
}

function isPipe(descriptor) {
  try {
    const stat = fs.fstatSync(descriptor);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // closed: there is no life line
  }
}
