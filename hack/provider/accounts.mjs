// The people who can log in. The password is the user's name. Groups change at run time: PUT /demo/groups/USER.
import { createHash } from 'node:crypto';

const N_CROWD = 200;
const accounts = new Map();
const bySubject = new Map();

function add(user, name, groups) {
  // A subject that is not the user's name, as real providers have it: mixing the two up then shows.
  const sub = `user-${createHash('sha256').update(user).digest('hex').slice(0, 16)}`;
  const account = { sub, user, name, email: `${user}@example.com`, groups };
  accounts.set(user, account);
  bySubject.set(sub, account);
}

add('alice', 'Alice Adams', ['developers', 'team-a']);
add('bob', 'Bob Brown', ['viewers']);
add('carol', 'Carol Clark', ['platform-admins', 'developers']);
// user-000 to user-199, who come all at once.
for (let number = 0; number < N_CROWD; number += 1) {
  const digits = String(number).padStart(3, '0');
  add(`user-${digits}`, `User ${digits}`, ['developers', `team-${number % 10}`]);
}

export const accountOf = (user) => accounts.get(user);
export const accountOfSubject = (sub) => bySubject.get(sub);
export const passwordFits = (user, password) => accounts.has(user) && password === user;

// What is true of the user now, not when the token was issued.
export function claimsOf(sub) {
  const account = accountOfSubject(sub);
  if (!account) return {};
  const { user, name, email, groups } = account;
  return { preferred_username: user, username: user, name, email, email_verified: true, groups };
}
