/* easy.h - one hop of an exchange as a handle of curl's: every option that is set, in one
 * place, and the functions by which curl asks us back.
 *
 * curl follows nothing, knows no credentials, no proxy, no cookies, no protocol but http and
 * https, and verifies certificates always.
 */
#ifndef CL_HELPERS_FETCH_EASY_H
#define CL_HELPERS_FETCH_EASY_H

#include "helpers/fetch/exchange.h"

/* Makes EXCHANGE->easy and its headers for the hop to EXCHANGE->url. */
int cl_easy_make(struct cl_exchange *exchange, struct cl_error *err);
void cl_easy_drop(struct cl_exchange *exchange);

#endif
