// Who may speak to the provider. Every secret is a demo value and known to everybody. Those of the resource servers look like
// nothing else: the tests search all that the webhook writes for any part of them.

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

const none = { redirect_uris: [], response_types: [], grant_types: [] };
const certificate = { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'kube-introspect.demo' };

// Resource servers: they ask about tokens and get none themselves. One for each way to prove who asks.
const resourceServers = [
  { ...none, client_id: 'kube-introspect', client_secret: 'Vd3kPz7mQx1sTb9w', token_endpoint_auth_method: 'client_secret_basic' },
  { ...none, client_id: 'kube-introspect-post', client_secret: 'Hn5cRy2fLg8uWj4e', token_endpoint_auth_method: 'client_secret_post' },
  { ...none, client_id: 'kube-introspect-tls', ...certificate },
  // RFC 6749 section 2.3.1: both parts of HTTP Basic are form-encoded first. This pair comes to grief where they are not.
  { ...none, client_id: 'kube introspect:odd', client_secret: 'p@ss:w%rd+&=/ Xt6bMq', token_endpoint_auth_method: 'client_secret_basic' },
];

// Clients that get tokens.
const tokenClients = [
  {
    client_id: 'kubectl',
    client_secret: 'kubectl-secret',
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: ['http://127.0.0.1:1/callback'],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', DEVICE_CODE, 'password'],
  },
  {
    ...none,
    client_id: 'deployer',
    client_secret: 'deployer-secret',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
  },
  // Its tokens are bound to its certificate (RFC 8705).
  {
    ...none,
    client_id: 'deployer-tls',
    ...certificate,
    grant_types: ['client_credentials'],
    tls_client_certificate_bound_access_tokens: true,
  },
];

export const clients = [...resourceServers, ...tokenClients];
