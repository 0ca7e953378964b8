// The provider's configuration: oidc-provider with our accounts, clients and resources, a password grant for scripts, a login
// page for the code and device flows, PUT /demo/groups/USER and PUT /demo/secret/CLIENT.
import { generateKeyPairSync, randomBytes } from 'node:crypto';

import { accountOf, accountOfSubject, claimsOf, passwordFits } from './accounts.mjs';
import { clients } from './clients.mjs';
import { resourceOf, scope } from './resources.mjs';
import { Storage } from './storage.mjs';

const LOGIN_PAGE = `<!doctype html><title>demo login</title>
<form method="post">user <input name="username"> password <input name="password" type="password"> <button>log in</button></form>
`;

function signingKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'demo' };
}

const certificateOf = (ctx) => ctx.socket.getPeerX509Certificate?.();

const mutualTls = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  getCertificate: (ctx) => certificateOf(ctx)?.toString(),
  certificateAuthorized: (ctx) => ctx.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) =>
    property === 'tls_client_auth_san_dns' && certificateOf(ctx).checkHost(expected, { subject: 'never' }) === expected,
};

// Called with the stored token just before the reply is built: what is set here is what the resource server reads.
function answerWithLiveClaims(token) {
  token.extra = { ...token.extra, ...claimsOf(token.accountId) };
  return true;
}

function settings(library, tokenTtl) {
  const { errors } = library;
  return {
    clients,
    jwks: { keys: [signingKey()] },
    adapter: Storage,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'], userinfoSigningAlgValues: ['ES256'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'tls_client_auth'],
    scopes: ['openid', 'offline_access', scope],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    findAccount: async (_ctx, sub) =>
      accountOfSubject(sub) && { accountId: sub, claims: async () => ({ sub, ...claimsOf(sub) }) },
    extraTokenClaims: async (_ctx, token) => claimsOf(token.accountId),
    pkce: { required: () => false },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    ttl: {
      AccessToken: tokenTtl, ClientCredentials: tokenTtl, RefreshToken: 3600, IdToken: 600, DeviceCode: 600, Session: 3600,
      Grant: 3600, Interaction: 600,
    },
    interactions: { url: (_ctx, interaction) => `/login/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async (_ctx, _client, token) => answerWithLiveClaims(token) },
      revocation: { enabled: true, allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId },
      mTLS: mutualTls,
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => undefined,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (_ctx, indicator) => {
          const resource = resourceOf(indicator);
          if (!resource) throw new errors.InvalidTarget();
          return resource;
        },
      },
    },
  };
}

async function newGrant(provider, accountId, clientId, resource) {
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(`openid profile email groups offline_access ${scope}`);
  for (const indicator of [resource].flat().filter(Boolean)) grant.addResourceScope(indicator, scope);
  await grant.save();
  return grant;
}

// OAuth 2.1 has no such grant any more; it spares scripts a browser.
function addPasswordGrant(provider, { errors }) {
  const handler = async (ctx) => {
    const { client, params } = ctx.oidc;
    const { username, password, resource } = params;
    if (!passwordFits(username, password)) throw new errors.InvalidGrant('wrong user name or password');
    const { sub } = accountOf(username);
    const grant = await newGrant(provider, sub, client.clientId, resource);
    const info = resource && resourceOf(resource);
    if (resource && !info) throw new errors.InvalidTarget();
    const token = new provider.AccessToken({ client, accountId: sub, grantId: grant.jti, gty: 'password', scope: info ? scope : 'openid' });
    if (info) token.resourceServer = new provider.ResourceServer(resource, info);
    ctx.oidc.entity('AccessToken', token);
    ctx.body = { access_token: await token.save(), token_type: token.tokenType, expires_in: token.expiration };
  };
  provider.registerGrantType('password', handler, ['username', 'password', 'resource', 'scope']);
}

async function bodyOf(ctx) {
  let body = '';
  for await (const chunk of ctx.req) {
    body += chunk;
    if (body.length > 65536) ctx.throw(413);
  }
  return body;
}

// GET shows the form, POST logs in. Consent is always given: client and user are both ours.
function addLoginPage(provider) {
  provider.use(async (ctx, next) => {
    if (!/^\/login\/[\w-]+$/.test(ctx.path)) return next();
    const { prompt, session, params } = await provider.interactionDetails(ctx.req, ctx.res);
    if (prompt.name === 'consent') {
      const grant = await newGrant(provider, session.accountId, params.client_id, params.resource);
      const result = { consent: { grantId: grant.jti } };
      return provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
    }
    if (ctx.method !== 'POST') {
      ctx.type = 'html';
      ctx.body = LOGIN_PAGE;
      return undefined;
    }
    const form = new URLSearchParams(await bodyOf(ctx));
    const user = form.get('username');
    if (!passwordFits(user, form.get('password'))) ctx.throw(403, 'wrong user name or password');
    return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: accountOf(user).sub } });
  });
}

function parseGroups(text) {
  try {
    const groups = JSON.parse(text);
    return Array.isArray(groups) && groups.every((group) => typeof group === 'string') ? groups : undefined;
  } catch {
    return undefined;
  }
}

// What an administrator of the provider would do in its console: PUT /demo/groups/USER with a JSON array.
function addGroupsControl(provider) {
  provider.use(async (ctx, next) => {
    const account = accountOf(/^\/demo\/groups\/([\w-]+)$/.exec(ctx.path)?.[1]);
    if (!account || ctx.method !== 'PUT') return next();
    const groups = parseGroups(await bodyOf(ctx));
    if (!groups) ctx.throw(400, 'the body must be a JSON array of group names');
    account.groups = groups;
    ctx.body = { user: account.user, groups };
    return undefined;
  });
}

// The client's secret from now on, as the body has it; the one before is good for nothing at once.
function addSecretControl(provider) {
  provider.use(async (ctx, next) => {
    const id = /^\/demo\/secret\/([\w-]+)$/.exec(ctx.path)?.[1];
    const client = id && ctx.method === 'PUT' && (await provider.Client.find(id));
    if (!client?.clientSecret) return next();
    const secret = await bodyOf(ctx);
    if (!/^[\x21-\x7e]{8,128}$/.test(secret)) ctx.throw(400, 'the body must be the secret: 8 to 128 printable characters');
    client.clientSecret = secret;
    ctx.body = { client: id };
    return undefined;
  });
}

export function createProvider(library, issuer, { tokenTtl }) {
  const provider = new library.Provider(issuer, settings(library, tokenTtl));
  addPasswordGrant(provider, library);
  addLoginPage(provider);
  addGroupsControl(provider);
  addSecretControl(provider);
  provider.on('server_error', (_ctx, error) => console.error(error.stack));
  for (const event of ['introspection.error', 'grant.error', 'revocation.error', 'authorization.error']) {
    provider.on(event, (_ctx, error) => console.error(`${event}: ${error.error_description ?? error.message}`));
  }
  return provider;
}
