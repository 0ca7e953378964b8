// Debian 12 ships Node 18, which lacks a few globals that oidc-provider takes for granted. Imported before it.
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;

URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};
