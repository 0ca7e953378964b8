#include "net/operations.h"

#include "base/version.h"
#include "net/request.h"
#include "ops/metrics_render.h"

struct handler {
    h2o_handler_t super;
    struct loop *loop;
};

/* "ok" where all is well and nobody asked for more; the list of checks otherwise. */
static void send_health(struct loop *loop, h2o_req_t *req, const char *what, bool is_good) {
    struct buffer *lines = &loop->scratch;
    buffer_append_format(lines, "%s check %s\n", what, is_good ? "passed" : "failed");
    const struct text body =
        is_good && !request_parameter(request_query(req), TEXT("verbose"), NULL) ? TEXT("ok") : buffer_text(lines);
    request_send(req, is_good ? 200 : 503, "text/plain; charset=utf-8", body);
}

static void send_metrics(struct loop *loop, h2o_req_t *req) {
    const struct services *services = loop->services;
    metrics_live(services->metrics, services->health.is_live(services->health.context, &loop->scratch));
    buffer_clear(&loop->scratch); /* of the list of checks */
    metrics_render(services->metrics, services->cache, services->audit, version_string(), &loop->scratch);
    if (loop->scratch.error == 0)
        request_send(req, 200, "text/plain; version=0.0.4; charset=utf-8", buffer_text(&loop->scratch));
    else
        request_send(req, 500, "text/plain; charset=utf-8", TEXT("out of memory\n"));
}

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    struct loop *loop = ((struct handler *)self)->loop;
    const struct health *health = &loop->services->health;
    if (!request_method_is(req, TEXT("GET")) && !request_method_is(req, TEXT("HEAD"))) {
        request_refuse(loop, req, 405, "Only GET is answered here.");
        return 0;
    }
    buffer_clear(&loop->scratch);
    if (request_path_is(req, TEXT("/livez")))
        send_health(loop, req, "livez", health->is_live(health->context, &loop->scratch));
    else if (request_path_is(req, TEXT("/readyz")))
        send_health(loop, req, "readyz", health->is_ready(health->context, &loop->scratch));
    else if (request_path_is(req, TEXT("/metrics")))
        send_metrics(loop, req);
    else
        request_refuse(loop, req, 404, "There is nothing here. Try /livez, /readyz?verbose or /metrics.");
    return 0;
}

void operations_register(struct loop *loop, h2o_pathconf_t *path) {
    struct handler *handler = (struct handler *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = on_request;
    handler->loop = loop;
}
