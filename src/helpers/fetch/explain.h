/* explain.h - what went wrong with a transfer, for people: on which host, why, the cure. */
#ifndef CL_HELPERS_FETCH_EXPLAIN_H
#define CL_HELPERS_FETCH_EXPLAIN_H

#include "helpers/fetch/exchange.h"

/* CODE is curl's, not CURLE_OK, and the failure isn't one of our own making. */
enum cl_end cl_explain(const struct cl_exchange *exchange, CURLcode code, struct cl_error *err);

/* Adds what the answer's body says about its status, " (DENIED: not yours)", or nothing. */
void cl_explain_complaint(const struct cl_exchange *exchange, struct cl_buf *ret);

#endif
