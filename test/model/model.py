"""What may be answered. This is the specification that the real program is held to: for each question the set of answers of which
it must give one. Nothing in here knows how the program does it.

Times are seconds. Nobody outside can say when exactly something happened inside the program, only between which two moments: a
Span. Where a limit lies within one, both answers may be given."""

from dataclasses import dataclass
from math import floor

MILLISECOND = 0.001  # what the program counts in
DENY = ("deny",)


@dataclass(frozen=True)
class Span:
    begin: float
    end: float


@dataclass(frozen=True)
class Policy:
    """A configuration, as far as it decides."""
    prefix: str = "corp:"
    ttl: float = 30
    tier: float = None  # the ttl of platform-admins
    negative_ttl: float = 10
    refresh_ahead: float = 0
    max_stale: float = None  # outage; None: nobody is served past the ttl
    outage_groups: tuple = ()
    tenant: str = None  # what a token must say
    clock_skew: int = 10
    budget: tuple = None  # calls a second, burst, the part for unknown tokens


@dataclass(frozen=True)
class Fact:
    """What the provider has said of a token, once."""
    claims: dict  # None: a no
    asked: Span  # when the program asked, on the monotonic clock
    landed: float  # the program has not had it earlier


@dataclass(frozen=True)
class Question:
    asked: Span  # put, decided and answered, on the monotonic clock
    wall: Span  # the same on the wall clock: the earliest and the latest that it showed
    policies: list  # in force in that time, or in a part of it
    known: Fact  # the newest that the program had before, or None
    heard: list  # what else the provider said of the token meanwhile
    trouble: set  # reasons why the provider was not asked, or did not say anything; empty: it must have


def may_be_answered(question):
    return set().union(*(answers(policy, question) for policy in question.policies))


def answers(policy, question):
    known, heard = question.known, [fact for fact in question.heard if not is_overtaken(fact, question)]
    said = set().union(*(judge(policy, fact, question) for fact in heard))
    if known is not None:
        if may_be_younger(question, known, ttl_of(policy, known)):
            said |= judge(policy, known, question)
        if "expired" in standings(policy, known, question):
            said.add(DENY)  # whoever has expired stays so, however long ago that was said
        if must_be_younger(question, known, ttl_of(policy, known)) or standings(policy, known, question) == {"expired"}:
            return said  # whatever the provider does
    return said | without_provider(policy, question, known) | set().union(*(without_provider(policy, question, fact) for fact in heard))


def judge(policy, fact, question):
    """What a fact that serves leads to."""
    answers_of = {"good": allow(policy, fact) if fact.claims else None, "early": ("unavailable", "issued_in_future")}
    return {answers_of.get(standing, DENY) for standing in standings(policy, fact, question)}


def standings(policy, fact, question):
    """How a token may stand at the time of the question."""
    if fact.claims is None:
        return {"inactive"}
    begin, end = floor(question.wall.begin), floor(question.wall.end)
    found = {"expired"} if fact.claims["exp"] <= end else set()
    if fact.claims["exp"] > begin:
        found |= {"early"} if fact.claims["iat"] > begin + policy.clock_skew else set()
        if fact.claims["iat"] <= end + policy.clock_skew:
            found |= {"good"} if policy.tenant in (None, fact.claims["tenant"]) else {"refused"}
    return found


def without_provider(policy, question, fact):
    """Nobody can say. Whom the provider has called good lately may stay, with no more than the groups that were listed for it."""
    unavailable = {("unavailable", reason) for reason in question.trouble}
    if fact is None or policy.max_stale is None or not may_be_younger(question, fact, ttl_of(policy, fact) + policy.max_stale):
        return unavailable
    standing = standings(policy, fact, question)
    degraded = {allow(policy, fact, reason) for reason in question.trouble} if "good" in standing else set()
    is_sure = standing <= {"good", "expired"} and must_be_younger(question, fact, ttl_of(policy, fact) + policy.max_stale)
    return degraded if is_sure else degraded | unavailable


def allow(policy, fact, because=None):
    groups = [group for group in fact.claims["groups"] if because is None or group in policy.outage_groups]
    return ("allow", policy.prefix + fact.claims["name"], fact.claims["sub"], tuple(policy.prefix + group for group in groups), because)


def ttl_of(policy, fact):
    if fact.claims is None:
        return policy.negative_ttl
    is_tiered = policy.tier is not None and "platform-admins" in fact.claims["groups"] and policy.tenant in (None, fact.claims["tenant"])
    return policy.tier if is_tiered else policy.ttl


def may_be_younger(question, fact, age):
    return age > 0 and question.asked.begin - fact.asked.end < age + 2 * MILLISECOND


def must_be_younger(question, fact, age):
    return question.asked.end - fact.asked.begin < age - 2 * MILLISECOND


def is_overtaken(fact, question):
    """Asked before another, and landed after it: that one knows better."""
    return any(other.asked.begin > fact.asked.end and other.landed < fact.landed for other in [question.known, *question.heard] if other)
