/* registries.h - registries.yaml, where registries are, as a cl_registries_record.
 *
 *     default: docker.io               # of names that have no domain
 *     store: {budget: 20GiB}           # what images may take together
 *     registries:
 *       docker.io:
 *         mirrors: ["https://mirror.example"]   # asked first, in order
 *       registry.example:5000:
 *         authority: /etc/ssl/our-ca.pem        # certificate authorities, in place of the host's
 *       test.example:5000:
 *         http: true                            # without TLS
 *
 * Everything else is an error with its place: NAME:LINE:COLUMN: PATH: why. A mirror is
 * spoken to without TLS ("http://...") only where it is this machine, or has an entry of its own
 * that says `http: true`.
 */
#ifndef CL_HELPERS_PLAN_REGISTRIES_H
#define CL_HELPERS_PLAN_REGISTRIES_H

#include "base/arena.h"
#include "base/error.h"
#include "helpers/common/report.h"
#include "oci/records.h"

/* What RET holds lives in ARENA. */
int cl_registries_parse(const struct cl_document *document, struct cl_arena *arena,
                        struct cl_registries_record *ret, struct cl_error *err);

#endif
