/* fetch.h - what the core and cloister-fetch say to each other, on descriptor 3 of the latter:
 * a SOCK_SEQPACKET, one record (base/flat.h) a message.
 *
 * The core sends requests, at any time, and cloister-fetch works on several at once. Each
 * gets reports with its number: any number of PROGRESS, then one DONE or FAILED. A request
 * carries up to two descriptors (SCM_RIGHTS):
 *
 *   body    a regular file. A MANIFEST's body is written to it from its start, when it is whole
 *           (`bytes` of the report says how long it is; the file may be longer);
 *           a BLOB's from `offset_bytes` on, without holes: what is before the last tick is there.
 *   ticks   BLOB alone, and not needed: a pipe. How many bytes of the blob are in `body`, as
 *           uint64_t of the host's order, each time some came (the first at once, with the
 *           offset); closed before the last report. A full pipe loses ticks but the last. A reader
 *           that has gone ends the request: nobody wants the rest.
 *
 * End of file on the socket means: the other one is gone, stop.
 *
 * Trust: cloister-fetch believes the core, the core believes nothing. That a body has the
 * digest that was asked for is for the core (manifests) and cloister-image verify (blobs) to
 * find out. Secrets stand in requests only, never on a command line or in an environment.
 *
 * Source: OCI distribution specification 1.1, Docker's token authentication specification.
 */
#ifndef CL_OCI_FETCH_H
#define CL_OCI_FETCH_H

#include "oci/records.h"

enum { CL_FETCH_CHANNEL_FD = 3, CL_FETCH_MAX_MESSAGE = 192 << 10 };

/* --- requests ---------------------------------------------------------------- */

enum cl_fetch_kind {
    CL_FETCH_MANIFEST, /* GET /v2/<repository>/manifests/<reference>, all media types we know */
    CL_FETCH_BLOB,     /* GET /v2/<repository>/blobs/<reference> */
    CL_FETCH_LOGIN,    /* do the credentials open GET /v2/ ?; no descriptor */
    CL_FETCH_KIND_COUNT,
};

/* Where to ask: in order, the next one when one doesn't answer, lacks it (404) or fails. The last
 * one is the origin: it is asked most patiently, and its failure is the one that is told. */
struct cl_fetch_endpoint {
    const char *url;       /* "https://HOST[:PORT]"; "http://" where the core allows it */
    const char *user;      /* "": no credentials */
    const char *secret;    /* password */
    const char *identity;  /* identity token, in place of user and secret; "" */
    const char *authority; /* PEM of certificate authorities; "": the host's */
};

struct cl_fetch_endpoints {
    const struct cl_fetch_endpoint *items;
    size_t count;
};

enum cl_fetch_request_field {
    CL_FETCH_REQUEST_ID,
    CL_FETCH_REQUEST_KIND,
    CL_FETCH_REQUEST_ENDPOINTS,
    CL_FETCH_REQUEST_REPOSITORY,
    CL_FETCH_REQUEST_REFERENCE,
    CL_FETCH_REQUEST_OFFSET,
    CL_FETCH_REQUEST_SIZE,
    CL_FETCH_REQUEST_FIELD_COUNT,
};

struct cl_fetch_request {
    uint64_t set;
    uint64_t id;
    uint64_t kind;
    struct cl_fetch_endpoints endpoints;
    const char *repository; /* "library/debian" */
    const char *reference;  /* a tag or "sha256:..." */
    uint64_t offset_bytes;  /* BLOB: so much is there already */
    uint64_t size_bytes;    /* BLOB: its size, needed; MANIFEST: at most this many */
};

/* --- reports ------------------------------------------------------------------- */

enum cl_fetch_report_kind {
    CL_FETCH_PROGRESS, /* at most ten a second */
    CL_FETCH_DONE,
    CL_FETCH_FAILED,
    CL_FETCH_REPORT_KIND_COUNT,
};

enum cl_fetch_report_field {
    CL_FETCH_REPORT_ID,
    CL_FETCH_REPORT_KIND,
    CL_FETCH_REPORT_BYTES,
    CL_FETCH_REPORT_TYPE,
    CL_FETCH_REPORT_URL,
    CL_FETCH_REPORT_CODE,
    CL_FETCH_REPORT_ERROR,
    CL_FETCH_REPORT_FIELD_COUNT,
};

struct cl_fetch_report {
    uint64_t set;
    uint64_t id;
    uint64_t kind;
    uint64_t bytes;         /* of the body so far, FAILED too */
    const char *media_type; /* DONE: Content-Type without parameters */
    const char *url;        /* the endpoint that answered */
    uint64_t code;          /* FAILED: an errno: ENOENT (404), EACCES (401, 403), ... */
    const char *error;      /* FAILED: one line for people */
};

extern const struct cl_flat_shape cl_fetch_request_shape;
extern const struct cl_flat_shape cl_fetch_report_shape;

#endif
