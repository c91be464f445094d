// An OpenID provider for the tests: a form, and accounts from a file that is read at every question.
// node index.mjs ISSUER CLIENT SECRET CALLBACK FILE
import { readFileSync } from 'node:fs';
import { Provider, interactionPolicy } from 'oidc-provider';

const [issuer, client, secret, callback, file] = process.argv.slice(2);
const state = () => JSON.parse(readFileSync(file, 'utf8'));

const provider = new Provider(issuer, {
  clients: [{
    client_id: client,
    client_secret: secret,
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }],
  claims: {
    openid: ['sub', 'groups'],
    email: ['email', 'email_verified'],
  },
  scopes: ['openid', 'email', 'profile'],
  pkce: { required: () => true },
  cookies: { keys: ['of-a-test'] },
  features: {
    devInteractions: { enabled: false },
    userinfo: { enabled: true },
  },
  interactions: {
    policy: (() => {
      const policy = interactionPolicy.base();
      policy.remove('consent');
      return policy;
    })(),
    url: (_, interaction) => `/interaction/${interaction.uid}`,
  },
  ttl: {
    AccessToken: () => state().accessSeconds ?? 3600,
    RefreshToken: () => 3600,
    Session: () => 3600,
    Grant: () => 3600,
    Interaction: () => 600,
    IdToken: () => 600,
  },
  issueRefreshToken: async () => state().refreshes ?? true,
  async findAccount(_, id) {
    const claims = state().accounts[id];
    return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
  },
  async loadExistingGrant(ctx) {
    const { client: asking, session, provider: own } = ctx.oidc;
    const grant = new own.Grant({ clientId: asking.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid email profile');
    await grant.save();
    return grant;
  },
});

const page = (uid, words) => `<!doctype html><title>Company login</title><p>${words}</p>
<form method="post" action="/interaction/${uid}">
<input name="login"><input name="password" type="password"><button>Log in</button></form>`;

provider.use(async (ctx, next) => {
  const [, kind, uid] = ctx.path.split('/');
  if (kind !== 'interaction') return next();
  if (ctx.method === 'GET') {
    ctx.type = 'html';
    ctx.body = page(uid, 'Who are you?');
    return undefined;
  }
  let body = '';
  for await (const piece of ctx.req) body += piece;
  const form = new URLSearchParams(body);
  const login = form.get('login');
  if (!(login in state().accounts) || form.get('password') !== state().password) {
    ctx.status = 401;
    ctx.type = 'html';
    ctx.body = page(uid, 'Wrong name or password');
    return undefined;
  }
  ctx.respond = false;
  const result = { login: { accountId: login } };
  return provider.interactionFinished(ctx.req, ctx.res, result);
});

provider.on('server_error', (_, error) => console.error(error));
const { hostname, port } = new URL(issuer);
provider.listen(Number(port), hostname, () => console.log('listening'));
