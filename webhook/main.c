/*
 * kube-introspect: reads what was asked for and calls the command.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/version.h"
#include "command/command.h"

#define DEFAULT_CONFIG "/etc/kube-introspect/config.yaml"

static const char usage[] = "kube-introspect lets a Kubernetes API server trust the access tokens of an OAuth2 or\n"
                            "OpenID Connect provider, and stop trusting them when the provider does (RFC 7662).\n"
                            "\n"
                            "  kube-introspect serve        answer TokenReviews and SubjectAccessReviews until SIGTERM\n"
                            "  kube-introspect check        validate a configuration, its certificates and secrets\n"
                            "  kube-introspect explain      show which identity, or refusal, comes of a provider's reply,\n"
                            "                               and which rules for changes hold\n"
                            "  kube-introspect render-rbac  print the role bindings of the group mapping, as YAML\n"
                            "  kube-introspect version      print the version\n"
                            "\n"
                            "Options of all commands:\n"
                            "  --config FILE    the configuration (default " DEFAULT_CONFIG ")\n"
                            "  --help           print this\n"
                            "\n"
                            "check:\n"
                            "  --online         also ask each provider about a random token: discovery, TLS,\n"
                            "                   client credentials and reply are tried as a login would\n"
                            "\n"
                            "explain:\n"
                            "  --reply FILE     the introspection reply, a JSON object (- is standard input)\n"
                            "  --audience A     what the TokenReview asks for (default: nothing)\n"
                            "  --issuer NAME    whose reply it is, where there are several issuers\n"
                            "  --at SECONDS     the unix time to judge exp, nbf and iat by (default: now)\n"
                            "  --admission FILE walk this AdmissionReview through the rules for changes, with what\n"
                            "                   --reply says of the token, or with nothing known of it\n"
                            "\n"
                            "render-rbac:\n"
                            "  --diff FILE      compare with a cluster's bindings instead, as kubectl get prints them\n"
                            "                   with -o json (- is standard input): bindings that are missing,\n"
                            "                   changed or left over, groups bound that no user can be in, and\n"
                            "                   mapped groups that are bound nowhere\n"
                            "\n"
                            "serve reloads configuration, certificates and secrets on SIGHUP and when a file changes;\n"
                            "what is wrong then is logged and the configuration before it stays in use. On SIGTERM it\n"
                            "turns not ready, answers what still comes for up to 25 seconds, and ends with status 0.\n"
                            "\n"
                            "Exit status: 0 good; 1 the configuration is bad, or explain's verdict is no; 2 wrong use.\n"
                            "With --diff: 0 no difference; 1 differences; 2 it could not be told.\n"
                            "\n"
                            "  kube-introspect check --config config.yaml --online\n"
                            "  curl -s ... | kube-introspect explain --config config.yaml --reply -\n"
                            "  kube-introspect render-rbac --config config.yaml | kubectl apply -f -\n"
                            "  kubectl get clusterrolebindings,rolebindings -A -o json |\n"
                            "      kube-introspect render-rbac --config config.yaml --diff -\n";

struct options {
    const char *config, *diff;
    bool online, help, version;
    struct explain_options explain;
};

enum {
    OPTION_CONFIG = 256,
    OPTION_ONLINE,
    OPTION_REPLY,
    OPTION_ADMISSION,
    OPTION_AUDIENCE,
    OPTION_ISSUER,
    OPTION_AT,
    OPTION_DIFF,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"online", no_argument, NULL, OPTION_ONLINE},
    {"reply", required_argument, NULL, OPTION_REPLY},
    {"admission", required_argument, NULL, OPTION_ADMISSION},
    {"audience", required_argument, NULL, OPTION_AUDIENCE},
    {"issuer", required_argument, NULL, OPTION_ISSUER},
    {"at", required_argument, NULL, OPTION_AT},
    {"diff", required_argument, NULL, OPTION_DIFF},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int misuse(const char *what) {
    fprintf(stderr, "kube-introspect: %s\nkube-introspect --help says how it is used.\n", what);
    return EXIT_USAGE;
}

static bool read_seconds(const char *text, int64_t *ret_seconds) {
    char *end;
    const long long seconds = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || seconds < 0)
        return false;
    *ret_seconds = seconds;
    return true;
}

/* Reads one option into its place; false where its value is wrong. */
static bool read_option(int option, struct options *options) {
    switch (option) {
    case OPTION_CONFIG:
        options->config = optarg;
        return true;
    case OPTION_ONLINE:
        options->online = true;
        return true;
    case OPTION_REPLY:
        options->explain.reply_path = optarg;
        return true;
    case OPTION_ADMISSION:
        options->explain.admission_path = optarg;
        return true;
    case OPTION_AUDIENCE:
        options->explain.audience = optarg;
        return true;
    case OPTION_ISSUER:
        options->explain.issuer = optarg;
        return true;
    case OPTION_AT:
        return read_seconds(optarg, &options->explain.at_unix_s);
    case OPTION_DIFF:
        options->diff = optarg;
        return true;
    case OPTION_HELP:
        options->help = true;
        return true;
    case OPTION_VERSION:
        options->version = true;
        return true;
    default:
        return false;
    }
}

static int print_version(void) {
    printf("kube-introspect %s\n", version_string());
    return EXIT_GOOD;
}

static int run(const char *command, const struct options *options) {
    if (strcmp(command, "serve") == 0)
        return command_serve(options->config);
    if (strcmp(command, "check") == 0)
        return command_check(options->config, options->online);
    if (strcmp(command, "explain") == 0) {
        if (options->explain.reply_path == NULL && options->explain.admission_path == NULL)
            return misuse("explain needs --reply FILE or --admission FILE");
        return command_explain(options->config, &options->explain);
    }
    if (strcmp(command, "render-rbac") == 0)
        return command_render_rbac(options->config, options->diff);
    if (strcmp(command, "version") == 0)
        return print_version();
    return misuse("there is no such command");
}

int main(int argc, char **argv) {
    struct options options = {.config = DEFAULT_CONFIG, .explain.at_unix_s = time(NULL)};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!read_option(option, &options))
            return misuse("an option is unknown or its value is wrong");
    }
    if (options.help) {
        fputs(usage, stdout);
        return EXIT_GOOD;
    }
    if (options.version)
        return print_version();
    if (optind + 1 != argc)
        return misuse(optind == argc ? "a command is needed" : "one command is enough");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return misuse("libcurl cannot be initialised");
    const int status = run(argv[optind], &options);
    curl_global_cleanup();
    return status;
}
