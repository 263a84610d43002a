// AutoMTLS: a key and a certificate for this one run, and the one certificate of the host that is accepted.
import { webcrypto, X509Certificate } from 'node:crypto';
import 'reflect-metadata'; // tsyringe, which x509 is made with, wants it first
import * as x509 from '@peculiar/x509';
import { ServerCredentials, ServerInterceptingCall, status } from '@grpc/grpc-js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY = 24 * 60 * 60 * 1000;
const EXTENDED_KEY_USAGE = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']; // server and client

/** Credentials, an interceptor that compares certificates, and field 6 of the handshake line. */
export async function mutualTls(hostPem) {
  const host = readCertificate(hostPem);
  const own = await selfSigned();
  const pair = { private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.certificate.toString('pem')) };
  return {
    credentials: ServerCredentials.createSsl(Buffer.from(host.toString()), [pair], true),
    interceptors: [onlyFrom(host.raw)],
    field: Buffer.from(own.certificate.rawData).toString('base64').replace(/=+$/, ''),
  };
}

function readCertificate(pem) {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Error(`PLUGIN_CLIENT_CERT holds no certificate in PEM: ${cause.message}`, { cause });
  }
}

async function selfSigned() {
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex'),
    name: 'CN=localhost',
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + 30 * 365 * DAY), // as go-plugin: a host may run for long
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(EXTENDED_KEY_USAGE),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate, key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}

// OpenSSL has checked that the peer's certificate leads to the host's, and that the peer has its key. The host's may be
// an authority (go-plugin's is), so that it could vouch for others: only its very bytes will do.
function onlyFrom(expected) {
  return (method, call) => {
    const shown = call.getAuthContext().sslPeerCertificate?.raw;
    if (shown && Buffer.compare(shown, expected) === 0) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: () => call.sendStatus({ code: status.UNAUTHENTICATED, details: 'the certificate is not the one of PLUGIN_CLIENT_CERT' }),
    });
  };
}
