/* cloister-fetch - the part of Cloister that talks to the network: registries, their token
 * servers, and where those redirect to.
 *
 *   cloister-fetch [--without-landlock] [--hurry=N]
 *
 * Descriptor 3 is a socket to the core (oci/fetch.h): requests come from there, with the files
 * that the answers go to. Ends when the core closes it, with status 0; an error that concerns
 * no single request is one line on descriptor 2 and status 1.
 *
 * Stages: look at the arguments; load what the jail would forbid; enter the jail (jail.c);
 * serve (service.c). All that is written here by foreign hands is in libraries: curl, OpenSSL,
 * jansson; our own parsers read a few headers (head.c, auth_header.c, range.c).
 *
 * Proxies: none; the environment is empty (docs/images.md, "Limits").
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "helpers/fetch/jail.h"
#include "helpers/fetch/service.h"
#include "oci/fetch.h"

enum { MAX_HURRY = 1000 };

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit wants processes and ptrace, which the jail forbids; the
 * unit tests look for leaks in the same code. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

struct arguments {
    int without_landlock;
    uint64_t hurry; /* divides every wait: for tests */
};

static int parse(int argc, char *const argv[], struct arguments *ret, struct cl_error *err)
{
    static const char hurry[] = "--hurry=";
    struct arguments arguments = {.hurry = 1};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--without-landlock") == 0)
            arguments.without_landlock = 1;
        else if (strncmp(argv[i], hurry, sizeof(hurry) - 1) != 0 ||
                 cl_parse_u64(argv[i] + sizeof(hurry) - 1, &arguments.hurry) < 0 ||
                 arguments.hurry < 1 || arguments.hurry > MAX_HURRY)
            return cl_refuse(err, EINVAL,
                             "this program is cloister's: cloister-fetch [--without-landlock] "
                             "[--hurry=N] 3<>SOCKET");
    }
    *ret = arguments;
    return 0;
}

static int run(int argc, char *const argv[], struct cl_error *err)
{
    struct arguments arguments = {0};
    int r = parse(argc, argv, &arguments, err);

    if (r < 0)
        return r;
    struct cl_fetch_jail jail = {
        .keep_fds = CL_FETCH_CHANNEL_FD + 1,
        .without_landlock = arguments.without_landlock,
    };
    /* Whatever the caller left open must not come between. */
    r = cl_sys_close_range(jail.keep_fds, ~0U, 0);
    if (r < 0)
        return cl_fail(err, r, "close_range");
    r = cl_fetch_jail_prepare(err);
    if (r < 0)
        return r;
    r = cl_fetch_jail_enter(&jail, err);
    if (r < 0)
        return cl_prefix(err, "the helper's jail");
    return cl_service_run(CL_FETCH_CHANNEL_FD, (unsigned int)arguments.hurry, err);
}

/* Ends by _exit: what libraries and instrumentation do at exit would need what the jail took. */
int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    char line[CL_ERROR_MSG_SIZE + 1];

    if (run(argc, argv, &err) >= 0)
        _exit(0);
    int size = snprintf(line, sizeof(line), "%s\n", err.msg);
    (void)cl_write_all(STDERR_FILENO, line, (size_t)size); /* nobody to tell if that fails */
    _exit(1);
}
