"""What Prometheus sees in an outage, and which alerts fire when. A series is written as promtool has it: a sample each 30 s, so 0+30x60 is
one a second for half an hour; instance="a" where none is given."""

from dataclasses import dataclass

HOUR = 3600


@dataclass
class Scene:
    name: str
    series: tuple  # texts: SERIES VALUES
    fires: dict  # time -> names of all alerts that fire then, without "KubeIntrospect"; NAME@b where it is instance b's


def scene(name, *series, **fires):
    """fires: at_10m="LoginsFail SomeLoginsFail"."""
    return Scene(name, series, {time.removeprefix("at_"): names.split() for time, names in fires.items()})


def reviews(verdict, reason, values, kind=""):
    return f'kube_introspect_{kind}reviews_total{{verdict="{verdict}",reason="{reason}"}} {values}'


def calls(outcome, values):
    return f'kube_introspect_introspection_calls_total{{issuer="corp",outcome="{outcome}"}} {values}'


def durations(histogram, n, **more):
    """Of n new observations each 30 s, so many are at most so long: durations("review", 100, le_1=95)."""
    issuer = 'issuer="corp",' if histogram == "introspection" else ""
    rows = [*((name.removeprefix("le_").replace("_", "."), count) for name, count in more.items()), ("+Inf", n)]
    return [f'kube_introspect_{histogram}_duration_seconds_bucket{{{issuer}le="{bound}"}} 0+{count}x60' for bound, count in rows]


def handshakes(result, values):
    return f'kube_introspect_tls_handshakes_total{{result="{result}"}} {values}'


OK = reviews("allow", "ok", "0+30x60")
BUSY = reviews("allow", "ok", "0+300x60")
KIND = {"requests": "authorization_", "changes": "admission_"}

ANSWERS = [
    scene("one login in ten fails",
          reviews("allow", "ok", "0+27x60"), reviews("unavailable", "provider_timeout", "0+3x60"),
          at_4m="", at_10m="LoginsFail", at_20m="LoginsFail SomeLoginsFail"),
    scene("one login in a hundred fails: nobody is woken",
          reviews("allow", "ok", "0+297x60"), reviews("unavailable", "claim_type_invalid", "0+3x60"),
          at_14m="", at_20m="SomeLoginsFail"),
    scene("one replica fails, the busier one does not",
          reviews("unavailable", "provider_unreachable", "0+30x60"),
          'kube_introspect_reviews_total{instance="b",verdict="allow",reason="ok"} 0+3000x60',
          at_10m="LoginsFail"),
    scene("every login is refused by the provider, which is no failure",
          reviews("deny", "inactive", "0+30x60"), reviews("unavailable", "stopping", "7x60"),
          at_30m=""),
    scene("a failure of a minute",
          OK, *(reviews("allow", "ok", "0+30x60", kind) for kind in KIND.values()),
          *(reviews("unavailable", "overloaded", "0+3x2 6x60", kind) for kind in ("", *KIND.values())),
          at_3m="", at_7m="", at_25m=""),
    scene("one request and one change in eleven fail",
          OK, *(reviews("allow", "ok", "0+300x60", kind) for kind in KIND.values()),
          *(reviews("unavailable", "breaker_open", "0+30x60", kind) for kind in KIND.values()),
          at_4m="", at_10m="RequestsFail ChangesFail"),
    scene("one request and one change in fifty fail",
          OK, *(reviews("allow", "ok", "0+294x60", kind) for kind in KIND.values()),
          *(reviews("unavailable", "breaker_open", "0+6x60", kind) for kind in KIND.values()),
          at_25m=""),
    scene("people log in with fewer groups, from the sixth minute on",
          reviews("allow", "ok", "0+30x10 300x60"), reviews("allow", "degraded", "0x10 0+30x60"),
          at_5m="", at_9m="", at_15m="LoginsDegraded"),
    scene("one login in twenty takes between 2.5 and 5 s",
          *durations("review", 100, le_0_1=95, le_2_5=95, le_5=100),
          at_9m="", at_20m="Slow"),
    scene("one request in twenty takes between 1 and 2.5 s",
          *durations("authorization_review", 100, le_1=95, le_2_5=100),
          at_9m="", at_20m="Slow"),
    scene("one change in twenty takes between 1 and 2.5 s",
          *durations("admission_review", 100, le_1=95, le_2_5=100),
          at_9m="", at_20m="Slow"),
    scene("all answers come within half a second",
          *(row for kind in ("", *KIND.values()) for row in durations(f"{kind}review", 100, le_0_5=100)),
          at_30m=""),
    scene("there is no room for few logins of many",
          reviews("allow", "ok", "0+3000x60"), reviews("unavailable", "overloaded", "0+3x60"),
          at_4m="", at_10m="Overloaded"),
    scene("there is no memory for few logins of many",
          reviews("allow", "ok", "0+3000x60"), reviews("unavailable", "internal", "0+3x60"),
          at_4m="", at_10m="Overloaded"),
]

DOWN = "ProviderDown BreakerOpen"
PROVIDER = [
    scene("a provider that is gone is asked once a second",
          calls("active", "0+300x10 3000x60"), calls("unreachable", "0x10 0+30x60"),
          'kube_introspect_breaker_state{issuer="corp"} 0x10 2x60',
          at_5m="", at_6m="", at_12m=DOWN, at_25m=f"{DOWN} ProviderFails"),
    *(scene(f"all calls end as {outcome}", calls(outcome, "0+30x60"), at_1m="", at_5m="ProviderDown")
      for outcome in ("unreachable", "tls", "error", "timeout")),
    scene("a provider that nobody asks is not down", calls("active", "3000x60"), calls("timeout", "7x60"), at_30m=""),
    scene("a provider that says no to everybody is not down", calls("inactive", "0+30x60"), calls("unsupported", "0+3x60"), at_30m=""),
    scene("one call in ten fails",
          calls("active", "0+27x60"), calls("error", "0+3x60"), at_9m="", at_20m="ProviderFails"),
    scene("one call in a hundred fails",
          calls("active", "0+297x60"), calls("error", "0+3x60"), at_30m=""),
    scene("one call in fifty takes between 1 and 2.5 s",
          *durations("introspection", 100, le_1=98, le_2_5=100), at_9m="", at_20m="ProviderSlow"),
    scene("all calls end within half a second", *durations("introspection", 100, le_0_5=100), at_30m=""),
    scene("tokens wait for a free call",
          'kube_introspect_flights_waiting{issuer="corp"} 40x60', at_4m="", at_6m="TokensWait"),
    scene("tokens wait now and then",
          'kube_introspect_flights_waiting{issuer="corp"} 40x4 0 40x4 0 40x4 0 40x4 0', at_4m="", at_6m="", at_8m=""),
    scene("the breaker is open, or half-open at the moment of the scrape",
          'kube_introspect_breaker_state{issuer="corp"} 2x3 1 2x3 1 2x10', at_1m="", at_5m="BreakerOpen"),
    scene("the breaker was open for a minute",
          'kube_introspect_breaker_state{issuer="corp"} 0x4 2x1 0x60', at_2m="", at_3m="", at_10m=""),
    scene("the breaker opens once in two minutes",
          'kube_introspect_breaker_opens_total{issuer="corp"} 0+1x1 1+0x2 2+0x3 3+0x3 4+0x3 5+0x3 6+0x3 7+0x3 8+0x20',
          at_3m="", at_12m="BreakerFlaps"),
    scene("the breaker opened five times in the last half minute, and again and again",
          'kube_introspect_breaker_opens_total{issuer="corp"} 0x9 5+5x20', at_4m="", at_5m="", at_7m="BreakerFlaps"),
    scene("the breaker opened twice", 'kube_introspect_breaker_opens_total{issuer="corp"} 0x4 1x4 2x60', at_10m=""),
    scene("our credentials are rejected",
          calls("rejected", "0+30x60"), at_1m="", at_5m="CredentialsRejected"),
    scene("one of two secrets was rejected once", calls("active", "0+30x60"), calls("rejected", "0x3 1x60"), at_2m="", at_4m=""),
    scene("the provider throttles some calls of many",
          calls("active", "0+297x60"), calls("throttled", "0+3x60"), at_4m="", at_10m="ProviderThrottles"),
    scene("the provider throttled once", calls("active", "0+297x60"), calls("throttled", "0x3 1x60"), at_4m="", at_20m=""),
    scene("something else answers in the provider's place",
          calls("invalid_reply", "0+30x60"), at_4m="", at_10m="ProviderRepliesUnusable"),
    scene("the provider refuses the request itself",
          calls("misconfigured", "0+30x60"), at_4m="", at_10m="ProviderRepliesUnusable"),
    scene("the reply about one token in a hundred cannot be read",
          calls("active", "0+297x60"), calls("invalid_reply", "0+3x60"), at_30m=""),
    scene("discovery fails twice a minute",
          'kube_introspect_discovery_total{issuer="corp",result="failure"} 0+1x60',
          'kube_introspect_discovery_total{issuer="corp",result="success"} 1x60',
          at_9m="", at_15m="DiscoveryFails"),
    scene("discovery failed and succeeded",
          'kube_introspect_discovery_total{issuer="corp",result="failure"} 0+1x60',
          'kube_introspect_discovery_total{issuer="corp",result="success"} 0x4 1x9 2x9 3x9 4x9 5x9 6x9',
          at_15m="", at_25m=""),
]


def refused(tokens, values):
    return f'kube_introspect_budget_refusals_total{{issuer="corp",tokens="{tokens}"}} {values}'


BUDGET = [
    scene("good tokens find no budget", refused("known", "0+3x60"), refused("unknown", "0x60"), at_4m="", at_10m="KnownTokensOverBudget"),
    scene("unknown tokens find no budget", refused("known", "0x60"), refused("unknown", "0+3x60"), at_4m="", at_10m="UnknownTokensOverBudget"),
    scene("there was no budget for a moment", refused("known", "0x4 9x60"), refused("unknown", "0x4 9x60"), at_4m="", at_9m="", at_25m=""),
    scene("good tokens fall out of the cache",
          'kube_introspect_cache_evictions_total{part="positive"} 0+3x120', at_29m="", at_35m="CacheTooSmall"),
    scene("bad tokens fall out of the cache",
          'kube_introspect_cache_evictions_total{part="positive"} 5x120',
          'kube_introspect_cache_evictions_total{part="negative"} 0+300x120', at_50m=""),
    *(scene(f"twenty tokens a second are refused as {reason}", OK, reviews("deny", reason, "0+600x60"), at_9m="", at_20m="BadTokens")
      for reason in ("inactive", "token_malformed", "token_too_long", "no_issuer", "issuer_unknown")),
    scene("five tokens a second are refused as inactive", OK, reviews("deny", "inactive", "0+150x60"), at_30m=""),
    scene("twenty logins a second break a rule", OK, reviews("deny", "claim_rule", "0+600x60"), at_30m=""),
]


def ends_in(seconds):
    """promtool's clock begins at 0."""
    return f'kube_introspect_certificate_expiry_timestamp_seconds{{certificate="authentication"}} {seconds}x400'


CLOCKS_AND_CERTIFICATES = [
    scene("fresh tokens come from the future", BUSY, reviews("unavailable", "issued_in_future", "0+3x60"), at_4m="", at_10m="ClockSkew"),
    scene("fresh tokens are not valid yet", BUSY, reviews("unavailable", "not_yet_valid", "0+3x60"), at_4m="", at_10m="ClockSkew"),
    scene("handles come from the future",
          OK, reviews("deny", "handle_from_future", "0+3x60", "authorization_"), at_4m="", at_10m="ClockSkew"),
    scene("our clock is a minute ahead", "kube_introspect_time_seconds 60+30x60", at_4m="", at_6m="ClockSkew"),
    scene("our clock is a minute behind", "kube_introspect_time_seconds -60+30x60", at_4m="", at_6m="ClockSkew"),
    scene("our clock is two seconds ahead", "kube_introspect_time_seconds 2+30x60", at_25m=""),
    scene("one token came from the future", BUSY, reviews("unavailable", "issued_in_future", "0x4 1x60"),
          reviews("deny", "handle_from_future", "0x4 1x60", "authorization_"), at_4m="", at_9m="", at_25m=""),
    scene("tokens expire", OK, reviews("deny", "expired", "0+3x60"), at_25m=""),
    scene("a certificate ends in six days", ends_in(6 * 24 * HOUR), at_50m="", at_90m="CertificateNearExpiry"),
    scene("a certificate ends in twenty hours", ends_in(20 * HOUR), at_4m="", at_6m="CertificateExpires",
          at_90m="CertificateExpires CertificateNearExpiry"),
    scene("a certificate has ended", ends_in(1), at_90m="CertificateExpires CertificateNearExpiry"),
    scene("a certificate ends in nine days", ends_in(9 * 24 * HOUR), at_90m=""),
]

def closed(reason, values):
    return f'kube_introspect_connections_closed_total{{reason="{reason}"}} {values}'


CALLERS = [
    scene("nobody gets in",
          handshakes("failure", "0+3x60"), handshakes("success", "9x60"), "kube_introspect_connections 0x60",
          at_4m="", at_10m="NobodyConnects"),
    scene("the API server keeps its connections, and a stranger fails",
          handshakes("failure", "0+3x60"), handshakes("success", "25x60"), "kube_introspect_connections 25x60", at_30m=""),
    scene("a stranger fails while others come and go",
          handshakes("failure", "0+3x60"), handshakes("success", "0+3x60"), "kube_introspect_connections 0x60", at_30m=""),
    scene("a handshake failed",
          handshakes("failure", "0x4 1x60"), handshakes("success", "9x60"), "kube_introspect_connections 0x60", at_25m=""),
    scene("three strangers a second knock",
          handshakes("failure", "0+90x60"), handshakes("success", "0+3x60"), "kube_introspect_connections 25x60",
          at_9m="", at_15m="HandshakesFail"),
    scene("callers hold 3,900 connections", "kube_introspect_connections 3900x60", at_4m="", at_6m="ManyConnections"),
    scene("callers hold 3,000 connections", "kube_introspect_connections 3000x60", at_30m=""),
    *(scene(f"connections are closed for {reason}", closed(reason, "0+3x60"), at_4m="", at_10m="Crowded") for reason in ("crowded", "memory")),
    scene("somebody was too many for a moment", closed("crowded", "0x4 9x60"), closed("memory", "0x4 9x60"), at_4m="", at_9m="", at_25m=""),
    scene("connections end in the everyday way",
          *(closed(reason, "0+30x60") for reason in ("idle_timeout", "handshake_timeout", "request_timeout", "write_timeout")), at_25m=""),
    scene("something that speaks another language", 'kube_introspect_bad_requests_total{code="404"} 0+3x60',
          at_14m="", at_20m="BadRequests"),
    scene("somebody tried a path by hand", 'kube_introspect_bad_requests_total{code="404"} 0x4 3x60', at_25m=""),
    *(scene(f"requests show a {reason}", OK, reviews("deny", reason, "0+3x60", "authorization_"), at_14m="", at_20m="HandlesRefused")
      for reason in ("handle_altered", "handle_malformed", "handle_doubled", "handle_other_user", "handle_other_uid",
                     "handle_other_cluster", "handle_too_old")),
    scene("requests show a handle that was altered, for a moment", OK, reviews("deny", "handle_altered", "0x4 1x60", "authorization_"),
          at_25m=""),
    scene("administrators impersonate", OK, reviews("deny", "handle_absent", "0+3x60", "authorization_"), at_25m=""),
]

PROCESS = [
    scene("none has been there from the start", "nothing 1x60", at_2m="", at_10m="Down"),
    scene("the last one goes", 'kube_introspect_build_info{version="1"} 1x10 stale', at_4m="", at_7m="", at_10m="Down"),
    scene("one of two goes", 'kube_introspect_build_info{version="1",instance="b"} 1x10 stale', at_15m=""),
    scene("it starts anew every five minutes",
          'process_start_time_seconds{job="x"} 1x9 2x9 3x9 4x9 5x9 6x9 7x9',
          'kube_introspect_build_info{version="1",job="x"} 1x60', at_14m="", at_15m="", at_25m="Restarts"),
    scene("it starts anew twice",
          'process_start_time_seconds{job="x"} 1x9 2x9 3x40', 'kube_introspect_build_info{version="1",job="x"} 1x60', at_25m=""),
    scene("something else starts anew", 'process_start_time_seconds{job="y"} 1x9 2x9 3x9 4x9 5x9 6x9 7x9', at_25m=""),
    scene("a thread hangs", "kube_introspect_live 1x4 0x60", at_2m="", at_3m="", at_5m="Stuck"),
    scene("a thread hung at one scrape", "kube_introspect_live 1x4 0 1x60", at_3m="", at_5m=""),
    scene("a reload fails", "kube_introspect_config_last_reload_successful 1x4 0x60", at_2m="", at_6m="", at_10m="ReloadFailed"),
    scene("a reload fails for a minute", "kube_introspect_config_last_reload_successful 1x4 0x1 1x60", at_3m="", at_10m=""),
    scene("the audit log cannot be written",
          "kube_introspect_audit_writable 1x4 0x60", at_2m="", at_3m="", at_5m="AuditUnwritable"),
    scene("the audit log could not be written at one scrape", "kube_introspect_audit_writable 1x4 0 1x60", at_3m="", at_5m=""),
    scene("records are lost", 'kube_introspect_audit_records_total{result="lost"} 0x4 0+3x60', at_2m="", at_3m="", at_5m="AuditRecordsLost"),
    scene("records are written and refused",
          'kube_introspect_audit_records_total{result="lost"} 9x60', 'kube_introspect_audit_records_total{result="written"} 0+30x60',
          'kube_introspect_audit_records_total{result="refused"} 0+30x60', at_25m=""),
    scene("the disk of the audit log does not keep up", "kube_introspect_audit_queue_bytes 2000000x60", at_1m="", at_3m="AuditDiskSlow"),
    scene("some lines wait for the disk", "kube_introspect_audit_queue_bytes 90000x60", at_25m=""),
]

SCENES = {"answers": ANSWERS, "provider": PROVIDER, "budget": BUDGET, "clocks-and-certificates": CLOCKS_AND_CERTIFICATES,
          "callers": CALLERS, "process": PROCESS}
