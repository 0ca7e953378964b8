/*
 * Every maximum of the program, with the reason for its number. A queue, table, buffer or recursion that has no line
 * here has no bound, and that is a bug.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* ---- a request ---- */

/* The API server's own header limit is 1 MiB, so a token can be close to that; twice it leaves room for escapes. */
#define LIMIT_REVIEW_BYTES ((size_t)2 * 1024 * 1024)
/* h2o answers over-limit bodies by itself; its limit lies above ours so that our own 413 with a Status is what is sent. */
#define LIMIT_H2O_ENTITY_BYTES (LIMIT_REVIEW_BYTES + 64 * 1024)
/* Real access tokens are 43 bytes (opaque) to some 16 kB (JWT with many groups). Providers refuse bodies from 56 kB on. */
#define LIMIT_TOKEN_BYTES ((size_t)32 * 1024)
/* The API server sends one to three audiences; a TokenReview written by hand may hold more. */
#define LIMIT_REVIEW_AUDIENCES 32
#define LIMIT_AUDIENCE_BYTES 1024
/* Nesting that the scanner follows: a TokenReview needs 4, an object inside an AdmissionReview some 20. */
#define LIMIT_JSON_DEPTH 64
/* Members of one JSON object; duplicates are searched among them, so this also bounds that work. */
#define LIMIT_JSON_MEMBERS 1024
/* Members of all objects that are open at one place of a document: their names are remembered in 8 bytes each. */
#define LIMIT_JSON_OPEN_MEMBERS 2048
/* The same for the objects of a cluster, which others have written and somebody may have to change today. A schema in a CRD
   nests some 50 levels (two for each field, three for each list); the API server's own Go reads 10,000. */
#define LIMIT_OBJECT_DEPTH 256
/* A ConfigMap may have 1 MiB: as many keys of 16 bytes, quotes and value included. Remembered in 8 bytes each, that is 512
   kB a thread, of which a usual object touches the first page. */
#define LIMIT_OBJECT_OPEN_MEMBERS 65536
/* A ?timeout= above this is cut to it; kube-apiserver sends 30 s. */
#define LIMIT_DEADLINE_MS 60000
/* What is kept back from the caller's timeout, so that our answer arrives before it gives up. */
#define LIMIT_DEADLINE_MARGIN_MS 100
/* The deadline of a caller that names none. */
#define LIMIT_DEADLINE_DEFAULT_MS 10000

/* ---- what a provider may say ---- */

/* Replies seen are 22 to 2,400 bytes; one with 1,000 groups of 40 bytes is 45 kB. */
#define LIMIT_INTROSPECTION_REPLY_BYTES ((size_t)128 * 1024)
/* Discovery documents seen are 2 to 8 kB. */
#define LIMIT_DISCOVERY_BYTES ((size_t)256 * 1024)
/* An address that a discovery document gives; those seen are 40 to 90 bytes. */
#define LIMIT_ENDPOINT_BYTES ((size_t)2048)
#define LIMIT_REPLY_HEADER_BYTES ((size_t)32 * 1024)
/* Depth of what a provider says. Real replies have 4 levels; claims are copied by a function that calls itself for each,
   and jansson by itself follows 2,000, which costs time and stack. */
#define LIMIT_REPLY_DEPTH 32
/* Azure AD leaves the claim out above 200 groups, Keycloak has no limit; a user in more than this has a broken mapping. */
#define LIMIT_GROUPS 512
#define LIMIT_GROUP_BYTES 256
#define LIMIT_USERNAME_BYTES 512
#define LIMIT_UID_BYTES 512
/* extra: the API server passes it to every authorizer call of the user. */
#define LIMIT_EXTRA_KEYS 16
#define LIMIT_EXTRA_KEY_BYTES 253
#define LIMIT_EXTRA_VALUES 32
#define LIMIT_EXTRA_VALUE_BYTES 1024
/* The user object as a whole, as it stands in an answer. */
#define LIMIT_IDENTITY_BYTES ((size_t)192 * 1024)

/* The answer to a SubjectAccessReview: two sentences of a reason, and what stands around them. It lies on the stack, so
   that a refusal needs no memory. */
#define LIMIT_AUTHORIZATION_ANSWER_BYTES ((size_t)1024)

/* A reply's body that is copied behind its header. h2o makes TLS records of 1,400 bytes, so a larger one would take many
   anyhow. */
#define LIMIT_REPLY_PIECE_BYTES ((size_t)8 * 1024)

/* ---- handles ---- */

/* A handle of today has 117 bytes, until the year 2286. */
#define LIMIT_HANDLE_BYTES ((size_t)128)
/* Lines of handle.keyFile: a new one, the one before, and two that other replicas may still sign with. Each costs an HMAC
   where a handle is not in order. */
#define LIMIT_HANDLE_KEYS 4
/* The least bytes of such a line: 32 characters of hexadecimal digits are 128 bits. */
#define LIMIT_HANDLE_KEY_BYTES ((size_t)32)
/* How far the clock of the replica that issued a handle may be ahead. */
#define LIMIT_HANDLE_AHEAD_S 60

/* ---- admission ---- */

/* The object and the old one, 3 MiB each at most, and what is around them. */
#define LIMIT_ADMISSION_BYTES ((size_t)8 * 1024 * 1024)
/* The API server's are UUIDs of 36 bytes. It comes back in the answer, so a long one would cost its length twice. */
#define LIMIT_ADMISSION_UID_BYTES ((size_t)253)
/* All are evaluated for each request that reaches us, and the results of all stand in its audit record. */
#define LIMIT_ADMISSION_RULES 64
#define LIMIT_ADMISSION_RULE_NAME_BYTES ((size_t)63)
/* What a person is told by a rule: two lines of a terminal. */
#define LIMIT_ADMISSION_MESSAGE_BYTES 256
/* The convention for a warning; the API server cuts to 256 bytes each where all together have more than 4,096. */
#define LIMIT_ADMISSION_WARNING_BYTES ((size_t)120)
#define LIMIT_ADMISSION_WARNINGS 16
/* The answer: a message, warnings, and names of all rules, each byte of them escaped at worst. It lies on the stack, so
   that a refusal needs no memory. */
#define LIMIT_ADMISSION_ANSWER_BYTES ((size_t)48 * 1024)
/* h2o's own limit lies above, as that of a TokenReview does. */
#define LIMIT_ADMISSION_H2O_ENTITY_BYTES (LIMIT_ADMISSION_BYTES + 64 * 1024)
/* One request at a time on each, and each may bring 8 MiB. An API server has 200 changes under way at once by default. */
#define LIMIT_ADMISSION_CONNECTIONS 512

/* ---- asking a provider ---- */

/* Tokens waiting for a free place among the calls under way, per issuer. At 500 calls a second that is 8 s of work. */
#define LIMIT_FLIGHTS_WAITING 4096
/* A request's body: the token, our id and our secret, each byte of them as %XX at worst. */
#define LIMIT_INTROSPECTION_REQUEST_BYTES ((size_t)512 * 1024)
/* The request's head before it: our id and secret as above, in base64, and an endpoint. */
#define LIMIT_REQUEST_HEAD_BYTES ((size_t)512 * 1024)
/* What a call keeps of its buffers until the next: a usual call then allocates nothing. */
#define LIMIT_IDLE_BUFFER_BYTES ((size_t)16 * 1024)
/* Callers that wait for one flight. */
#define LIMIT_TICKETS_PER_FLIGHT 4096
#define LIMIT_CONCURRENT_CALLS 1024
/* Retries that may be saved up: a quiet cluster earns none for long, and its logins fail as badly. */
#define LIMIT_RETRY_RESERVE 10
/* The first pause before one is at most so long, and no pause longer than this. */
#define LIMIT_RETRY_MIN_MS 100
#define LIMIT_RETRY_MAX_MS 2000
/* A provider that asks for more patience than this gets no retry: no caller waits that long. */
#define LIMIT_RETRY_AFTER_S 60
/* Time-outs in a row that open the breaker, however few calls there are: each has cost somebody most of the time limit. */
#define LIMIT_BREAKER_TIMEOUTS 5
#define LIMIT_DISCOVERY_TIMEOUT_MS 10000
/* A discovery document is fetched again after an hour, or after a failure with back-off between these two. */
#define LIMIT_DISCOVERY_MAX_AGE_MS 3600000
#define LIMIT_DISCOVERY_RETRY_MIN_MS 500
#define LIMIT_DISCOVERY_RETRY_MAX_MS 30000
/* Addresses that one issuer's endpoint may have had, since each stays readable as long as the issuer's provider lives. */
#define LIMIT_KNOWN_ENDPOINTS 16
/* Deadlines are looked at this often, so a ticket is delivered that much late at worst; each look walks all flights. */
#define LIMIT_EXPIRY_INTERVAL_MS 10
/* The fetch thread turns at least this often, so that /livez can tell an idle one from one that is stuck. */
#define LIMIT_FETCH_TURN_MS 500
/* Replies that are read before deadlines are looked at again: one of 85 kB takes up to 30 ms on a busy core. */
#define LIMIT_FETCH_EVENTS_A_TURN 8
/* Where loop and fetch thread share a core: so many questions lie untaken before the loop lets the fetch thread go first, or its turn
 * over many connections keeps the first of them from the provider until the last is read. Only for a provider that usually takes so
 * long: with a quick one the core is what callers wait for, and each change of threads costs some of it. */
#define LIMIT_FETCH_INBOX_UNTAKEN 8
#define LIMIT_PROVIDER_QUICK_US 4000
/* A connection to a provider that was not used for so long is closed: what lies between may have forgotten it, and then
   says nothing. Balancers forget after a minute. */
#define LIMIT_PROVIDER_IDLE_MS 50000
#define LIMIT_PROVIDER_SWEEP_MS 1000
/* An answered flight is kept so long for callers who looked into the cache before it was answered and come only now. */
#define LIMIT_LANDED_MS 100
/* The same kind of trouble with the same provider is logged this often; what was held back is counted. */
#define LIMIT_TROUBLE_INTERVAL_MS 10000

/* ---- configuration ---- */

#define LIMIT_CONFIG_BYTES ((size_t)1024 * 1024)
#define LIMIT_CONFIG_DEPTH 16
#define LIMIT_CONFIG_NODES 20000
#define LIMIT_ISSUERS 32
#define LIMIT_CONFIG_LIST 1024
/* Texts of a configuration that have no limit of their own, such as a claim's name or a URL. */
#define LIMIT_CONFIG_TEXT_BYTES 1024
/* PATH_MAX without its zero byte. */
#define LIMIT_CONFIG_PATH_BYTES 4095
/* Leaves half of a group's 256 bytes to the group itself. */
#define LIMIT_PREFIX_BYTES 128
/* A longer word is no misspelt field name: the longest of those has 24 letters. Bounds the search for the nearest one. */
#define LIMIT_HINT_BYTES 40
/* Roles of one rule of a group mapping: a group that needs more wants a role of its own. */
#define LIMIT_ROLES_PER_RULE 64
/* A Role's name has no maximum of its own; 253 bytes are what Kubernetes gives to most names. */
#define LIMIT_ROLE_NAME_BYTES 253
/* The tree (20,000 nodes of 130 bytes), its texts, and the structures that are made of it, with room. */
#define LIMIT_CONFIG_ARENA_BYTES ((size_t)16 * 1024 * 1024)
/* Eight for each issuer, six for each rule, and a few on the whole. */
#define LIMIT_CONFIG_WARNINGS (8 * LIMIT_ISSUERS + 6 * LIMIT_ADMISSION_RULES + 8)
/* All bindings of a cluster as kubectl prints them: some 900 bytes each, so 70,000. */
#define LIMIT_RBAC_LIST_BYTES ((size_t)64 * 1024 * 1024)
/* Their structures, at worst where each is as small as JSON allows; and the bindings that a configuration makes. */
#define LIMIT_RBAC_ARENA_BYTES ((size_t)256 * 1024 * 1024)
/* In a binding's name: what is taken of the provider's group and of the role before the digest that tells it apart. */
#define LIMIT_BINDING_NAME_PART_BYTES 63
/* A name of the cluster's in a line of render-rbac --diff, and how many such names; more is counted only. */
#define LIMIT_RBAC_SHOWN_BYTES 512
#define LIMIT_RBAC_SHOWN_NAMES 8
/* One binding as YAML: the groups of a whole configuration in one rule, each with the longest prefix, escaped at worst. */
#define LIMIT_RBAC_BINDING_BYTES ((size_t)16 * 1024 * 1024)
/* Such a line: names of both kinds of difference, each byte escaped in six. */
#define LIMIT_RBAC_LINE_BYTES ((size_t)256 * 1024)
#define LIMIT_SECRET_FILE_BYTES ((size_t)64 * 1024)
#define LIMIT_PEM_FILE_BYTES ((size_t)1024 * 1024)
/* Client secrets tried in turn: the new one, then the old one. */
#define LIMIT_CLIENT_SECRETS 2
/* Files whose change reloads the configuration. */
#define LIMIT_WATCHED_FILES 256
/* How often they are looked at. Kubernetes swaps a mounted Secret within a minute of the change; one second is no load. */
#define LIMIT_WATCH_INTERVAL_MS 1000
/* A reload that failed for want of memory, descriptors or a file is tried again after this, without waiting for a change.
 */
#define LIMIT_RELOAD_RETRY_MS 10000

/* ---- threads, connections, logs ---- */

#define LIMIT_LOOPS 16
/* A 256 kB stack overflows in h2o on a long header name. */
#define LIMIT_THREAD_STACK_BYTES ((size_t)2 * 1024 * 1024)
/* Connections of one loop; an API server keeps 25 idle ones, and one more for each concurrent login. */
#define LIMIT_CONNECTIONS_PER_LOOP 4096
/* Requests of one loop that wait for a provider. */
#define LIMIT_PARKED_PER_LOOP 16384
/* Go's client keeps an idle connection for 90 s; ours must outlive it or a request meets a closing socket. */
#define LIMIT_HTTP_IDLE_MS 120000
#define LIMIT_TLS_HANDSHAKE_MS 10000
/* From a request's first byte to its last. An API server sends all of it at once. */
#define LIMIT_REQUEST_MS 20000
/* From an answer to when the caller's side has taken all of it. */
#define LIMIT_WRITE_MS 20000
/* How often connections are looked at. Each look walks all of a loop's, some 100 ns for each. */
#define LIMIT_SWEEP_INTERVAL_MS 500
/* h2o's own timers: they follow the wall clock, so an hour's step would end every connection. Ten years are never. */
#define LIMIT_H2O_TIMER_MS ((uint64_t)10 * 365 * 86400 * 1000)
/* Connections of one loop whose caller has not shown a certificate. A handshake takes 3 ms of a core: these are more than
   can be under way in its time limit, and what is kept for them is 60 kB each. */
#define LIMIT_STRANGERS_PER_LOOP 512
/* Connections that a loop looks at in one turn: their hellos take up to 1 ms of a core each, and as long may a caller have to
   wait that is served already. With 16, a flood of hellos made that 45 to 75 ms (p99), with 4 it is 13, for as many hellos. */
#define LIMIT_ARRIVALS_PER_TURN 4
/* Those that wait for it: more wait in the kernel, unaccepted, and are looked for soon after. */
#define LIMIT_ARRIVALS 32
/* After so many connections have closed, what the heap keeps of them goes back to the system: 60 kB each, which malloc() holds
   in pieces. That takes some milliseconds after a flood, and API servers keep theirs. */
#define LIMIT_CLOSED_CONNECTIONS_KEPT 16
/* The operations listener knows strangers only. Probes and scrapers are a handful; h2o reads up to 400 kB of a request's
   header before it refuses it. */
#define LIMIT_OPERATIONS_STRANGERS 64
/* Strangers get at most this share of the descriptors that the process may have. */
#define LIMIT_STRANGERS_SHARE 8
/* A client's certificate and its chain, as it sends them. OpenSSL makes room for what is announced. */
#define LIMIT_CLIENT_CERTIFICATE_BYTES ((size_t)32 * 1024)
/* What the kernel keeps of one connection for us, and of our answers for it: twice of it at most. By itself it would take 6
   MB, which a container's memory limit counts as ours. The largest answer fits, so that no reader is waited for. */
#define LIMIT_RECEIVE_BUFFER_BYTES (128 * 1024)
#define LIMIT_SEND_BUFFER_BYTES (256 * 1024)
/* What all requests of a loop may hold that are being read or wait; h2o keeps up to twice of what has come. */
#define LIMIT_HELD_BYTES_PER_LOOP ((size_t)64 * 1024 * 1024)
/* That is eight bodies of the largest kind at once. */
#define LIMIT_ADMISSION_HELD_BYTES ((size_t)128 * 1024 * 1024)
/* Of that, what those may hold that wait for a provider, in percent. The rest is for those who need not. */
#define LIMIT_PARKED_PERCENT 75
/* When there is no room, requests larger than this are ended first. A login has a token, a frame and a header. */
#define LIMIT_USUAL_BYTES ((size_t)64 * 1024)
/* An object and the one before. etcd takes 1.5 MiB; most have some kB. */
#define LIMIT_ADMISSION_USUAL_BYTES ((size_t)1024 * 1024)
/* The operations listener is asked by GET, by whoever reaches its port: a body is read only so that it can be refused, and
   a connection that is slow or idle makes room for the next probe. */
#define LIMIT_OPERATIONS_ENTITY_BYTES ((size_t)4096)
#define LIMIT_OPERATIONS_IDLE_MS 10000
/* Those that are being closed count until they are. */
#define LIMIT_OPERATIONS_CONNECTIONS 256
/* SIGTERM: requests under way are finished within this. */
#define LIMIT_DRAIN_MS 25000
/* After that, threads and connections are taken down within this, the audit log's last lines included, or the process ends
   without. Both together are less than the time that a pod is given in the manifests. */
#define LIMIT_STOP_MS 8000
/* A loop that has not turned for this long fails /livez. */
#define LIMIT_LOOP_STALL_MS 2000
/* Audit lines that wait for the disk. At 600 bytes a line this is 27,000 decisions. */
#define LIMIT_AUDIT_QUEUE_BYTES ((size_t)16 * 1024 * 1024)
/* A name in an audit line (cluster, issuer, caller, what is asked for): as long as a DNS name may be. What is longer is cut
 * there. */
#define LIMIT_AUDIT_NAME_BYTES 253
/* Lines are gathered this long, or up to so many bytes, before they are written: a write for each would cost a wake-up. */
#define LIMIT_AUDIT_GATHER_MS 5
#define LIMIT_AUDIT_GATHER_BYTES ((size_t)256 * 1024)
/* How often an idle writer looks whether the file was rotated, and how often a file that cannot be opened is tried. */
#define LIMIT_AUDIT_CHECK_MS 1000
/* After a failed write it is tried again with back-off between these two. */
#define LIMIT_AUDIT_RETRY_MIN_MS 50
#define LIMIT_AUDIT_RETRY_MAX_MS 1000
/* At the end of the program: how long a disk that does not take lines is waited for. */
#define LIMIT_AUDIT_STOP_MS 5000
#define LIMIT_LOG_LINE_BYTES 2048
#define LIMIT_ERROR_BYTES 1024
#define LIMIT_METRICS_BYTES ((size_t)4 * 1024 * 1024)
/* Names that become label values stay for the life of the process, so their number has an end: LIMIT_ISSUERS, renamed eight
   times over; and three certificates for each listener and issuer. */
#define LIMIT_METRICS_ISSUERS 256
#define LIMIT_METRICS_CERTIFICATES 64
/* Rules for changes, likewise: LIMIT_ADMISSION_RULES, renamed four times over. */
#define LIMIT_METRICS_RULES 256
#define LIMIT_METRICS_NAME_BYTES 253
