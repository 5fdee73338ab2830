#include "helpers/grpc/head.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

enum { OVERHEAD = 32 }; /* of each header: RFC 9113, section 6.5.2 */

enum seen { SEEN_POST = 1, SEEN_TYPE = 2, SEEN_PATH = 4, SEEN_TIMEOUT = 8, SEEN_NAMESPACE = 16 };

static const struct cl_grpc_status no_post = {CL_RPC_INTERNAL, 405, "a call is a POST"};
static const struct cl_grpc_status no_grpc = {CL_RPC_INTERNAL, 415,
                                              "the content-type is not application/grpc"};
static const struct cl_grpc_status no_path = {CL_RPC_UNIMPLEMENTED, 200,
                                              "the path is not /SERVICE/METHOD"};
static const struct cl_grpc_status no_timeout = {CL_RPC_INTERNAL, 200, "grpc-timeout is malformed"};
static const struct cl_grpc_status no_namespace = {CL_RPC_INVALID_ARGUMENT, 200,
                                                   "containerd-namespace is malformed"};
static const struct cl_grpc_status said_twice = {CL_RPC_INVALID_ARGUMENT, 200,
                                                 "a header is given twice"};
static const struct cl_grpc_status too_large = {CL_RPC_RESOURCE_EXHAUSTED, 200,
                                                "headers have 16 KiB at most"};

void cl_grpc_head_done(struct cl_grpc_head *head)
{
    free(head->service);
    free(head->name_space);
    head->service = NULL;
    head->method = NULL;
    head->name_space = NULL;
}

static void blame(struct cl_grpc_head *head, const struct cl_grpc_status *fault)
{
    if (head->fault == NULL)
        head->fault = fault;
}

/* Whether each byte of TEXT is one of FIRST to '~'. */
static int is_ascii(const char *text, char first)
{
    while (*text >= first && *text <= '~')
        text++;
    return *text == '\0';
}

static char *copy(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *ret = cl_calloc(1, size);

    return ret == NULL ? NULL : memcpy(ret, text, size);
}

/* --- headers ------------------------------------------------------------------------------- */

static int take_path(struct cl_grpc_head *head, const char *value)
{
    const char *slash = strrchr(value, '/');

    if (value[0] != '/' || slash == value || slash == value + 1 || slash[1] == '\0' ||
        !is_ascii(value, '!')) {
        blame(head, &no_path);
        return 0;
    }
    head->service = copy(value + 1);
    if (head->service == NULL)
        return -ENOMEM;
    head->method = head->service + (slash - value);
    head->method[-1] = '\0';
    return 0;
}

static int take_namespace(struct cl_grpc_head *head, const char *value)
{
    if (!is_ascii(value, ' ')) {
        blame(head, &no_namespace);
        return 0;
    }
    head->name_space = copy(value);
    return head->name_space == NULL ? -ENOMEM : 0;
}

static int take_timeout(struct cl_grpc_head *head, const char *value)
{
    if (cl_grpc_parse_timeout(value, &head->timeout_ns) < 0)
        blame(head, &no_timeout);
    return 0;
}

static int take_method(struct cl_grpc_head *head, const char *value)
{
    if (strcmp(value, "POST") != 0)
        blame(head, &no_post);
    return 0;
}

static int take_type(struct cl_grpc_head *head, const char *value)
{
    static const char type[] = "application/grpc";
    const size_t size = sizeof(type) - 1;

    if (strncmp(value, type, size) != 0 || strchr("+;", value[size]) == NULL) /* or its end */
        blame(head, &no_grpc);
    return 0;
}

static const struct {
    const char *name;
    enum seen seen;
    int (*take)(struct cl_grpc_head *head, const char *value);
} headers[] = {
    {":method", SEEN_POST, take_method},
    {":path", SEEN_PATH, take_path},
    {"content-type", SEEN_TYPE, take_type},
    {"grpc-timeout", SEEN_TIMEOUT, take_timeout},
    {"containerd-namespace", SEEN_NAMESPACE, take_namespace},
};

int cl_grpc_head_add(struct cl_grpc_head *head, const char *name, const char *value)
{
    if (head->size <= CL_GRPC_HEAD_MOST)
        head->size += strlen(name) + strlen(value) + OVERHEAD;
    if (head->size > CL_GRPC_HEAD_MOST) {
        blame(head, &too_large);
        return 0;
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(headers); i++) {
        if (strcmp(name, headers[i].name) != 0)
            continue;
        if ((head->seen & headers[i].seen) != 0) {
            blame(head, &said_twice); /* which one would be meant? */
            return 0;
        }
        head->seen |= headers[i].seen;
        return headers[i].take(head, value);
    }
    return 0;
}

const struct cl_grpc_status *cl_grpc_head_check(const struct cl_grpc_head *head)
{
    if (head->fault != NULL)
        return head->fault;
    if ((head->seen & SEEN_TYPE) == 0)
        return &no_grpc;
    return (head->seen & SEEN_PATH) == 0 ? &no_path : NULL;
}

/* --- timeouts ------------------------------------------------------------------------------ */

static const struct {
    char unit;
    uint64_t ns;
} units[] = {
    {'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
    {'m', 1000000},       {'u', 1000},        {'n', 1},
};

int cl_grpc_parse_timeout(const char *text, uint64_t *ret_ns)
{
    enum { DIGITS_MOST = 8 };
    const size_t digits = strspn(text, "0123456789");
    uint64_t value = 0;

    if (digits == 0 || digits > DIGITS_MOST || text[digits] == '\0' || text[digits + 1] != '\0')
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        value = 10 * value + (uint64_t)(text[i] - '0');
    for (size_t i = 0; i < CL_ARRAY_SIZE(units); i++) {
        if (units[i].unit != text[digits])
            continue;
        /* ttrpc's 0 is no timeout, where this one is over already */
        *ret_ns = value > INT64_MAX / units[i].ns ? INT64_MAX : cl_max_u64(value * units[i].ns, 1);
        return 0;
    }
    return -EINVAL;
}
