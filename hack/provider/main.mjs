// A demo OpenID provider, on loopback unless told otherwise: hack/provider/start.sh says how to start it, README.md what it offers.
import './compat.mjs';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { createProvider } from './provider.mjs';

const { values: options } = parseArgs({
  options: {
    modules: { type: 'string' }, // the folder that holds node_modules
    certs: { type: 'string' }, // provider.crt, provider.key, provider-ca.crt, as certs/make.sh makes them
    address: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: process.env.PORT ?? '0' },
    'token-ttl': { type: 'string', default: '600' }, // seconds
    'exit-with-parent': { type: 'boolean', default: false },
  },
});

// The packages lie in a cache folder, which the usual resolution from this file's folder upwards would not find.
const resolve = createRequire(path.join(options.modules, 'package.json')).resolve;
const library = await import(pathToFileURL(resolve('oidc-provider')));

function listen() {
  const file = (name) => readFileSync(path.join(options.certs, name));
  const server = createServer({
    cert: file('provider.crt'),
    key: file('provider.key'),
    ca: file('provider-ca.crt'),
    requestCert: true, // for tls_client_auth; who comes without one may use a secret
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  });
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(Number(options.port), options.address, () => done(server));
  });
}

function exitWithParent() {
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdin.resume();
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
if (options['exit-with-parent']) exitWithParent();

// The port first: it is part of the issuer's URL, which the provider needs to know.
const server = await listen();
const { port } = server.address();
const issuer = `https://${options.address === '127.0.0.1' ? 'localhost' : options.address}:${port}`;
server.on('request', createProvider(library, issuer, { tokenTtl: Number(options['token-ttl']) }).callback());
console.log(JSON.stringify({ issuer, port, pid: process.pid }));
