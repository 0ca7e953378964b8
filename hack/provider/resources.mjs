// What a token can be asked for (RFC 8707): the resource decides its audience and its form.

const SCOPE = 'kubernetes';

const resources = {
  'https://kubernetes.demo': { audience: 'kubernetes', accessTokenFormat: 'opaque' },
  'https://kubernetes.demo/jwt': { audience: 'kubernetes', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } },
  'https://elsewhere.demo': { audience: 'elsewhere', accessTokenFormat: 'opaque' },
};

export const scope = SCOPE;
export const resourceOf = (indicator) => resources[indicator] && { scope: SCOPE, ...resources[indicator] };
