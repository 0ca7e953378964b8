/*
 * metav1.Status, the error object of the Kubernetes API, for what is no review at all (4xx).
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
#pragma once

#include "base/buffer.h"

/*
 * Appends a Status with status "Failure".
 *
 * code     HTTP status; the reason word that Kubernetes uses for it is chosen here (400 BadRequest, 404 NotFound,
 *          405 MethodNotAllowed, 413 RequestEntityTooLarge, 415 UnsupportedMediaType, 429 TooManyRequests,
 *          503 ServiceUnavailable)
 * message  one sentence of ours
 */
void status_encode(int code, struct text message, struct buffer *buffer);
