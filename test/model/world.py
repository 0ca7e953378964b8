"""The real program, a scripted provider and the clocks of both, and what is known of them from outside. Each question is put to the
program and its answer held against the model."""

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import model
from asked import Asked, Call
from document import document, retries
from lib import configuration, reasons, reply, sentinel, wait
from lib.clock import Clock
from lib.connection import Closed
from lib.provider import INTROSPECTION, Gone, Provider
from lib.webhook import Webhook
from model import Fact, Question, Span
from stopwatch import Stopwatch
from trouble import DEADLINE, FAILURES, TIMEOUT, Breaker, Budget

DAY = 86400
CALLERS = 6
IN_FLIGHT = "kube_introspect_introspections_in_flight"
SENTENCES = {sentence: word for word, (verdict, sentence) in reasons.read().items() if verdict == "unavailable"}


def name(token):
    """What stands in a report: never a token."""
    return token.rpartition("-")[2]


class World:
    seen = Counter()  # answers of all worlds

    def __init__(self, folder, certificates, clock_library, policy):
        self.clock = Clock(clock_library, folder.with_suffix(".clock"))
        self.clock.step_wall(5 * DAY)  # what is valid from today on stays so when the clock is set back
        self.provider = Provider(certificates)
        self.provider.script = self._introspect
        self.policy = policy
        self.truth = {}  # token -> claims, None: revoked; what is not there was never issued
        self.state = "up"
        self.calls, self.broken = [], []
        self.open = []  # questions that wait for their answers
        self.held, self.release = None, threading.Event()
        self.since = self.started = self.clock.mono()
        self.reloaded = float("-inf")
        self.threads = ThreadPoolExecutor(1)
        self.breaker, self.budget = Breaker(), Budget(policy.budget, self.since)
        self.trace, self.failure = [], None
        self.n_failed_refreshes = 0
        self.given_up = set()  # tokens: a call about one that comes now found nobody who listened, before it was read
        self.numbers = itertools.count(1)
        self.webhook = Webhook(folder, certificates, [configuration.issuer(self.provider, document(policy))], variables=self.clock.variables())
        self.webhook.wait_ready()
        self.say(f"{policy}")
        self.callers = [self.webhook.caller() for _ in range(CALLERS)]

    def end(self):
        for caller in self.callers:
            caller.close()
        try:
            self.webhook.assert_alive()
            self.webhook.stop()
        finally:
            self.webhook.kill()
            self.provider.stop()
            self.threads.shutdown()

    def token(self, word=None):
        """A token, of that name or of one that nobody has used."""
        return f"{sentinel.TOKEN}-{word or f'unknown{next(self.numbers)}'}"

    def say(self, text):
        self.trace.append(f"{self.clock.mono() - self.started:10.3f} {text}")

    # ---- the provider, on its threads

    def _introspect(self, request):
        if request.path != INTROSPECTION:
            return None
        now, token = self.clock.mono(), request.token
        if not self.budget.call(now):
            self.broken.append(f"the provider was called more often than its budget allows, last about {name(token)}")
        call = Call(token, Span(self.since, now), self.state, self.truth.get(token), abandoned=token in self.given_up)
        self.calls.append(call)
        return lambda exchange: self._answer(exchange, call)

    def _answer(self, exchange, call):
        stopping = exchange.provider.stopping  # this one's: another start makes another
        if self.held == call.token:
            self.held = None
            self.release.wait(30 * wait.SLOWNESS)
            if stopping.is_set():
                raise Gone
        if call.state == "slow":
            self.clock.step(0.75 * TIMEOUT)
        if call.state == "silent":
            self.clock.step(1.05 * TIMEOUT)
        call.landed, call.failed = self.clock.mono(), bool(FAILURES[call.state])
        self._say(call)(exchange)

    def _say(self, call):
        failures = {
            "reset": reply.reset(),
            "half": reply.truncated(b'{"active": true, "su', 200),
            "silent": reply.silence(),
            "error": reply.error(503),
            "throttled": reply.error(429),
            "rejected": reply.error(401, "invalid_client"),
            "garbage": reply.plain(200, "<html>back soon</html>", "text/html"),
        }
        if call.state in failures:
            return failures[call.state]
        return reply.inactive() if call.claims is None else reply.active(**claims_of(call.claims))

    # ---- what is done to it

    def issue(self, token, claims):
        """What the provider says of a token from now on; None: that it is not active."""
        self.truth[token] = claims
        self.say(f"{name(token)} is {claims or 'revoked'}")

    def turn(self, state):
        """The provider gets well, or ill in another way."""
        self.say(f"the provider is {state}")
        if FAILURES[self.state]:
            self.breaker.fail(self.clock.mono())
        if self.state == "refused":
            self.provider.start()
        self.state = state
        for asked in self.open:
            asked.states.add(state)
        if state == "refused":
            self.provider.stop()

    def step(self, by):
        self.say(f"{by} s pass")
        self.clock.step(by)

    def set_wall(self, by):
        self.say(f"the wall clock is set by {by} s")
        self.clock.step_wall(by)

    def reload(self, policy):
        """The changed file is found by the program itself; returns when the metric says that it is in force."""
        self.say(f"{policy}")
        before = self.webhook.generation()
        if self.open and self._may_be_tried(self.clock.mono()):
            self.breaker.fail(self.clock.mono())  # what the question under way finds out, the new one does not hear of
        self.reloaded = self.clock.mono()
        for asked in self.open:
            asked.policies.append(policy)
        self.policy = policy
        self.budget.configure(policy.budget, self.clock.mono())
        self.webhook.folder.configure(self.webhook.document([configuration.issuer(self.provider, document(policy))]))
        self.webhook.wait_generation(before + 1)

    # ---- questions

    def ask(self, token, n_callers=1):
        """Puts one question by so many callers at once, and checks all answers."""
        asked, callers = self._begin(token, n_callers), self.callers[:n_callers]
        for caller in callers:
            send(caller, token)
        asked.answers = [(receive(caller, token), *asked.watch.spans()) for caller in callers]
        self._end(asked)

    @contextmanager
    def asking(self, token):
        """A question that is put before the block. Where the provider is asked, it knows its answer before the block and gives it
        behind. Where it need not be, the question and what it sets going in the background are over before the block: nobody
        outside would see whether that still found a listener."""
        if self._may_be_served(self._known(token), self.clock.mono()):
            self.ask(token)
            yield
            return
        asked, caller = self._begin(token), self.callers[-1]
        self.release.clear()
        self.held = token
        send(caller, token)
        future = self.threads.submit(lambda: (receive(caller, token), *asked.watch.spans()))
        wait.until(lambda: self.held is None or future.done(), "the provider is asked, or the question answered")
        self.held = None
        try:
            yield
        finally:
            self.release.set()
            asked.answers = [future.result()]
        self._end(asked)

    def _may_be_served(self, known, now):
        """Whether the cache may answer a question that is put now."""
        question = Question(Span(now, now), None, [self.policy], known, [], set())
        return known is not None and model.may_be_younger(question, known, model.ttl_of(self.policy, known))

    def _begin(self, token, n_callers=1):
        self.clock.step(2 * model.MILLISECOND)  # an answer serves whoever asks in its very millisecond: this question is of another
        self.since = self.clock.mono()  # where another question is under way, its call has been made
        known, watch = self._known(token), Stopwatch(self.clock)
        asked = Asked(token, known, self._may_be_served(known, watch.mono), watch, [self.policy], {self.state})
        if self.breaker.may_be_open(asked.watch.mono) or self._may_be_tried(asked.watch.mono):
            asked.trouble.add("breaker_open")
        if self.budget.may_refuse(asked.is_known(), asked.watch.mono, n_callers):
            asked.trouble.add("over_budget")
        self.given_up.discard(token)
        self.open.append(asked)
        return asked

    def _end(self, asked, more_trouble=frozenset()):
        for answer, mono, wall in asked.answers:
            self.say(f"{name(asked.token)}: {' '.join(map(str, answer))}")
            World.seen[answer[-1] if answer[0] == "unavailable" else "degraded" if answer[-1] in SENTENCES.values() else answer[0]] += 1
            self._check(asked, answer, mono, wall, more_trouble)
        self.open.remove(asked)
        self._find_abandoned(asked)
        if self.broken:
            self.fail("; ".join(self.broken))
        self._check_single_flight(asked)
        self._account(asked)

    def _find_abandoned(self, asked):
        """Where the time of a call may have been over somebody was told what it said, or nobody was. Of what goes on behind an
        answer from the cache nobody is told in any case: see _hear_of_refreshes."""
        is_given_up = all(answer[-1] in ("provider_timeout", "deadline_exceeded") for answer, _, _ in asked.answers)
        if is_given_up:
            self.given_up.add(asked.token)
        for call in [call for call in self._calls_for(asked) if not call.is_settled]:
            if asked.may_have_timed_out() and (is_given_up or not asked.may_be_served):
                call.abandoned |= not self._is_told(asked, call)
            call.is_settled = True

    def _is_told(self, asked, call):
        fact = Fact(call.claims, call.asked, call.landed)
        return any(answer in model.judge(policy, fact, Question(mono, wall, None, None, [], set()))
                   for answer, mono, wall in asked.answers for policy in asked.policies)

    # ---- what the model is told

    def _facts(self, token, begin, end):
        found = [Fact(call.claims, call.asked, call.landed) for call in list(self.calls)
                 if call.token == token and call.has_said() and begin <= call.landed <= end]
        return sorted(found, key=lambda fact: fact.asked.end)

    def _known(self, token):
        return next(reversed(self._facts(token, float("-inf"), self.clock.mono())), None)

    def _trouble(self, asked, mono):
        found = set().union(*(FAILURES[state] for state in asked.states))
        took = mono.end - mono.begin + 0.1
        found |= {"provider_timeout"} if took >= TIMEOUT else set()
        found |= {"deadline_exceeded"} if took >= DEADLINE else set()
        if found:
            self.breaker.fail(mono.end)
            found.add("breaker_open")
        return found | asked.trouble

    def _may_be_tried(self, now):
        """Whether a question that has not been answered yet may be the one that tries whether the provider is back. None need be,
        where it has answered since it failed, and since the last reload: a new configuration knows what the one before knew then."""
        since = max(self.breaker.failed, self.reloaded)
        has_answered = any(call.has_said() and since < call.asked.begin and call.landed < now for call in list(self.calls))
        return bool(self.open) and not has_answered

    def _check(self, asked, answer, mono, wall, more_trouble):
        question = Question(mono, wall, asked.policies, asked.known, self._facts(asked.token, mono.begin, mono.end),
                            self._trouble(asked, mono) | more_trouble)
        allowed = model.may_be_answered(question)
        if answer not in allowed:
            self.fail(f"{name(asked.token)} was answered {answer}, and may be answered {allowed or 'nothing that was not asked'}: "
                      f"{question}")

    def _calls_for(self, asked):
        return [call for call in list(self.calls) if call.token == asked.token and call.asked.end >= asked.watch.mono]

    def _check_single_flight(self, asked):
        """Where answers are kept: else a caller who comes a moment later asks anew. A reload begins a flight of its own."""
        is_kept = all(policy.ttl > 0 and policy.negative_ttl > 0 for policy in asked.policies)
        is_at_once = len(asked.answers) == 1 or asked.took() < 0.1  # else one may have come when the first call was long over
        if is_kept and is_at_once and asked.states == {"up"} and len(self._calls_for(asked)) > len(asked.policies):
            self.fail(f"{len(self._calls_for(asked))} calls for one question about {name(asked.token)}")

    def _account(self, asked):
        """What it may have cost, and whether a call goes on in the background."""
        self.budget.is_used |= len(asked.policies) == 1 and bool(self._calls_for(asked))
        question = Question(asked.answers[-1][1], None, None, asked.known, [], set())
        ttl = asked.known and model.ttl_of(self.policy, asked.known)
        if asked.known is None or not model.must_be_younger(question, asked.known, ttl):
            n_most = sum(answer[-1] not in ("over_budget", "breaker_open") for answer, _, _ in asked.answers) * (1 + retries(self.policy))
            n_calls = len(self._calls_for(asked))
            if not asked.states <= {"up", "slow"} or asked.may_have_timed_out():  # some calls may not have been seen
                n_calls = max(n_calls, n_most)
            self.budget.spend(asked.is_known(), self.clock.mono(), n_calls)
        if not self.open and self._may_be_refreshed(asked, question):
            self.budget.spend(True, self.clock.mono())
            self.settle()
            self._hear_of_refreshes(asked)

    def _may_be_refreshed(self, asked, question):
        """Also what one of several callers has found out, where the next came later."""
        facts = [asked.known] + [self._known(asked.token)] * (len(asked.answers) > 1)
        for fact in facts:
            ttl = model.ttl_of(self.policy, fact) if fact and fact.claims else 0
            ahead = min(self.policy.refresh_ahead, ttl / 2)
            if ahead and not model.must_be_younger(question, fact, ttl - ahead):
                return True
        return False

    def _hear_of_refreshes(self, asked):
        """Whether what the provider said found a listener: where the machine stood still meanwhile it did not."""
        n_failed = self.webhook.metric("kube_introspect_refreshes_total", issuer="corp", result="failure")
        if n_failed > self.n_failed_refreshes:
            self.breaker.fail(self.clock.mono())
            calls = self._calls_for(asked)
            for call in calls if asked.may_be_served else calls[1:]:  # somebody waited for the first
                call.abandoned = True
        self.n_failed_refreshes = n_failed

    def fail(self, text):
        self.failure = "\n".join([text, "what happened, by the program's clock:", *self.trace])
        raise AssertionError(self.failure)

    # ---- what goes on in the background

    def settle(self):
        """Until no call is under way. Whatever the last question has set going reached the thread that asks before the next question
        can; and what that thread counts as ended is in the cache when it takes up a further one."""
        self._fence()
        wait.until(lambda: self.webhook.metric(IN_FLIGHT) == 0, "no call is under way")
        self._fence()

    def _fence(self):
        """A token that nobody has. Where a call under way tries whether the provider is back, this one is refused."""
        token, since = self.token(), self.since
        asked = self._begin(token)
        self.since = since
        send(self.callers[0], token)
        asked.answers = [(receive(self.callers[0], token), *asked.watch.spans())]
        self._end(asked, frozenset({"breaker_open"}))


def send(caller, token):
    try:
        caller.ask(token)
    except (Closed, OSError):  # it was idle for too long by the program's clock
        caller.close()
        caller.ask(token)


def receive(caller, token):
    try:
        return answer_of(caller.answer())
    except (Closed, OSError):
        caller.close()
        return answer_of(caller.review(token))


def claims_of(claims):
    return {"preferred_username": claims["name"], **{key: claims[key] for key in ("sub", "groups", "tenant", "iat", "exp")}}


def answer_of(answer):
    """An answer in the model's words."""
    if answer.verdict == "deny":
        return model.DENY
    if answer.verdict == "unavailable":
        return ("unavailable", SENTENCES[answer.error])
    user = answer.user
    because, = user["extra"].get("kube-introspect.io/degraded", [None])
    return ("allow", user["username"], user["uid"], tuple(user.get("groups", [])), because)
