#include "helpers/fetch/tries.h"

#include <curl/curl.h>
#include <errno.h>

#include "base/num.h"

#define FIRST_WAIT_NS (200 * CL_NS_PER_MS)
#define LONGEST_WAIT_NS (5 * CL_NS_PER_S)
#define LONGEST_RETRY_S (366ULL * 24 * 3600) /* more is as good as never */

int cl_retry_after(const char *text, uint64_t wall_ns, uint64_t *ret_ns)
{
    uint64_t seconds;
    int r = cl_parse_u64(text, &seconds);

    if (r == 0 || r == -ERANGE) {
        *ret_ns = (r == 0 ? cl_min_u64(seconds, LONGEST_RETRY_S) : LONGEST_RETRY_S) * CL_NS_PER_S;
        return 0;
    }
    const time_t date = curl_getdate(text, NULL);
    if (date < 0)
        return -EINVAL;
    const uint64_t now_s = wall_ns / CL_NS_PER_S;
    seconds = (uint64_t)date > now_s ? (uint64_t)date - now_s : 0;
    *ret_ns = cl_min_u64(seconds, LONGEST_RETRY_S) * CL_NS_PER_S;
    return 0;
}

int cl_tries_again(struct cl_tries *tries, unsigned int most, uint32_t random, uint64_t *ret_ns)
{
    uint64_t wait = FIRST_WAIT_NS;

    tries->all++;
    tries->in_row++;
    if (tries->in_row >= most || tries->all >= CL_TRIES_ALL)
        return 0;
    for (unsigned int i = 1; i < tries->in_row && wait < LONGEST_WAIT_NS; i++)
        wait *= 2;
    wait = cl_min_u64(wait, LONGEST_WAIT_NS);
    *ret_ns = wait / 2 + wait / 2 * random / UINT32_MAX;
    return 1;
}

void cl_tries_progressed(struct cl_tries *tries)
{
    tries->in_row = 0;
}
