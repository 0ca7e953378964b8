/*
 * Linked into the benchmark's build of the webhook in place of review_register() (ld --wrap): beside /authenticate, the same
 * listener answers /static with a fixed reply of the same size and header. That is the floor: h2o, TLS and the kernel.
 */
#include <h2o.h>

#include "net/request.h"
#include "net/review.h"

typedef void register_function(struct loop *loop, h2o_pathconf_t *path, const struct review_kind *const *kinds, size_t n_kinds,
                               const char *nothing_here);
register_function __real_review_register, __wrap_review_register;

/* What /authenticate answers to the benchmark's tokens. */
static const char reply[] =
    "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},\"status\":{\"authenticated\":true,"
    "\"user\":{\"username\":\"demo:alice\",\"uid\":\"user-2bd806c97f0e00af\",\"groups\":[\"demo:developers\",\"demo:team-a\"],"
    "\"extra\":{\"kube-introspect.io/credential\":[\"00112233445566778899aabbccddeeff\"]}}}}";

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    (void)self;
    if (!request_path_is(req, TEXT("/static")))
        return -1;
    request_send(req, 200, "application/json", TEXT(reply));
    return 0;
}

void __wrap_review_register(struct loop *loop, h2o_pathconf_t *path, const struct review_kind *const *kinds, size_t n_kinds,
                            const char *nothing_here) {
    h2o_handler_t *handler = h2o_create_handler(path, sizeof(*handler));
    handler->on_req = on_request;
    __real_review_register(loop, path, kinds, n_kinds, nothing_here);
}
