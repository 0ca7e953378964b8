"""Random sequences of what may happen to the program. Hypothesis chooses them, and makes one that fails as short as it can."""

import model
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from trouble import FAILURES

N_TOKENS = 4
HOUR = 3600

tokens = st.integers(0, N_TOKENS - 1)
states = st.sampled_from(["up"] * 6 + list(FAILURES))
groups = st.sets(st.sampled_from(["developers", "on-call", "platform-admins"])).map(sorted)
outages = st.sampled_from([(None, ()), (20, ("on-call",)), (600, ("on-call", "developers")), (600, ())])


@st.composite
def policies(draw):
    ttl = draw(st.sampled_from([30, 5, 300, 0]))
    max_stale, outage_groups = draw(outages)
    return model.Policy(
        prefix=draw(st.sampled_from(["corp:", "acme:"])),
        ttl=ttl,
        tier=draw(st.sampled_from([None, 2])) if ttl else None,
        negative_ttl=draw(st.sampled_from([10, 60, 0])),
        refresh_ahead=draw(st.sampled_from([0, 4])),
        max_stale=max_stale,
        outage_groups=outage_groups,
        tenant=draw(st.sampled_from([None, None, "blue"])),
        budget=draw(st.sampled_from([None, None, (1, 4, 0.5)])),
    )


class Machine(RuleBasedStateMachine):
    new_world = None  # a function of the configuration
    n_steps = 0  # of all sequences
    failed_at = first_failure = None
    world = None

    def check_invariants(self, *arguments):  # after each step
        Machine.n_steps += 1
        super().check_invariants(*arguments)

    @initialize(policy=policies())
    def start(self, policy):
        self.world = Machine.new_world(policy)
        for number in range(N_TOKENS - 1):  # nobody has the last one yet
            self.log_in(number, ["developers", "on-call", "platform-admins"][:number + 1], "blue", 4 * HOUR, 0)

    def teardown(self):
        if self.world is None:
            return
        if self.world.failure and not Machine.failed_at:
            Machine.failed_at, Machine.first_failure = Machine.n_steps, self.world.failure
        self.world.end()

    def token_of(self, number):
        return self.world.token(f"t{number}")

    # ---- what the provider has to say

    @rule(token=tokens, groups=groups, tenant=st.sampled_from(["blue", "red"]),
          lifetime=st.sampled_from([4 * HOUR, 700, 40, 5]), ahead=st.sampled_from([0, 0, 15]))
    def log_in(self, token, groups, tenant, lifetime, ahead):
        """ahead: of our clock is the provider's."""
        now = int(self.world.clock.wall()) + ahead
        self.world.issue(self.token_of(token), {"name": f"user-{token}", "sub": f"u-{token}", "groups": groups, "tenant": tenant,
                                                "iat": now, "exp": now + lifetime})

    @rule(token=tokens)
    def revoke(self, token):
        self.world.issue(self.token_of(token), None)

    @rule(state=states)
    def provider_is(self, state):
        self.world.turn(state)

    # ---- time

    @rule(by=st.sampled_from([1, 0.2, 3, 4.5, 8, 25, 60, 650]))
    def time_passes(self, by):
        self.world.step(by)

    @rule(by=st.sampled_from([-60, 60, -HOUR, HOUR]))
    def wall_clock_is_set(self, by):
        self.world.set_wall(by)

    # ---- us

    @rule(policy=policies())
    def reload(self, policy):
        self.world.reload(policy)

    # ---- questions

    @rule(token=tokens, n_callers=st.sampled_from([1, 1, 1, 2, 5]))
    def ask(self, token, n_callers):
        self.world.ask(self.token_of(token), n_callers)

    @rule(token=tokens, by=st.sampled_from([0.2, 1, 4, 9, 26, 70]), n=st.integers(1, 4))
    def use(self, token, by, n):
        """As people do: again and again."""
        for _ in range(n):
            self.world.ask(self.token_of(token))
            self.world.step(by)
        self.world.ask(self.token_of(token))

    @rule(token=tokens, state=st.sampled_from(list(FAILURES)), by=st.sampled_from([3, 9, 40, 310, 700]))
    def provider_is_away_for_a_while(self, token, state, by):
        self.ask(token, 1)
        self.provider_is(state)
        for passes in (by / 2, by / 2, 1):
            self.time_passes(passes)
            self.ask(token, 1)
        self.provider_is("up")

    @rule(n=st.integers(1, 6))
    def garbage_comes(self, n):
        for _ in range(n):
            self.world.ask(self.world.token())

    @rule(token=tokens, by=st.sampled_from([1, 2.5, 12]))
    def time_passes_while_asking(self, token, by):
        with self.world.asking(self.token_of(token)):
            self.world.step(by)

    @rule(token=tokens, policy=policies())
    def reload_while_asking(self, token, policy):
        with self.world.asking(self.token_of(token)):
            self.world.reload(policy)

    @rule(token=tokens, state=states)
    def provider_changes_while_asking(self, token, state):
        with self.world.asking(self.token_of(token)):
            self.world.turn(state)

    @rule(token=tokens, policy=policies())
    def answers_overtake_each_other(self, token, policy):
        """A yes that was asked for before the no, and comes after it."""
        with self.world.asking(self.token_of(token)):
            self.world.reload(policy)
            self.revoke(token)
            self.ask(token, 1)
        self.ask(token, 1)
