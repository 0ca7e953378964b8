// Where the provider keeps tokens, grants and sessions: in memory, without the bundled adapter's limit of 1000 entries, past
// which it forgets the oldest tokens without a word.

const entries = new Map();
const keysOfGrant = new Map();
const withoutGrant = new Set(['Session', 'Interaction']);

const isOver = (entry) => entry.until !== 0 && entry.until < Date.now();

export class Storage {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const key = this.key(id);
    entries.set(key, { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : 0 });
    if (!payload.grantId || withoutGrant.has(this.model)) return;
    const keys = keysOfGrant.get(payload.grantId) ?? new Set();
    keysOfGrant.set(payload.grantId, keys.add(key));
  }

  async find(id) {
    const entry = entries.get(this.key(id));
    if (entry && isOver(entry)) entries.delete(this.key(id));
    return entry && !isOver(entry) ? entry.payload : undefined;
  }

  findBy(field, value) {
    for (const [key, entry] of entries) {
      if (key.startsWith(`${this.model}:`) && entry.payload[field] === value && !isOver(entry)) return entry.payload;
    }
    return undefined;
  }

  async findByUid(uid) {
    return this.findBy('uid', uid);
  }

  async findByUserCode(userCode) {
    return this.findBy('userCode', userCode);
  }

  async consume(id) {
    const entry = entries.get(this.key(id));
    if (entry) entry.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    entries.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of keysOfGrant.get(grantId) ?? []) entries.delete(key);
    keysOfGrant.delete(grantId);
  }
}
