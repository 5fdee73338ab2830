/* control_scene.h - a supervisor's seat and bell in a state directory of the test's own, and
 * clients in other processes.
 */
#ifndef CL_TESTS_UNIT_CONTROL_SCENE_H
#define CL_TESTS_UNIT_CONTROL_SCENE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/control.h"
#include "check.h"

static char base[] = "/tmp/cloister-test-control-XXXXXX";

/* A supervisor: its seat and its bell. */
struct supervisor {
    struct cl_state state;
    struct cl_entry entry;
    int bell;
};

static inline void create(struct supervisor *ret)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_status status = {.created_ns = cl_clock_wall_ns()};
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    ret->state = (struct cl_state){open(base, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    ret->entry = CL_ENTRY_INIT;
    ret->bell = -1;
    CHECK(cl_plan_set_text(&plan, CL_FIELD_IMAGE, "host", &arena, &err) == 0);
    CHECK(cl_id_make(status.id, &err) == 0);
    CHECK(cl_state_create(&ret->state, &status, &plan, &ret->entry, &err) == 0);
}

static inline void listen_to(struct supervisor *supervisor)
{
    struct cl_error err = {0};

    supervisor->bell = cl_control_listen(&supervisor->entry, &err);
    CHECK(supervisor->bell >= 0);
    CHECK_TEXT(err.msg, "");
}

static inline void done(struct supervisor *supervisor)
{
    cl_fd_close(&supervisor->bell);
    cl_entry_remove(&supervisor->state, &supervisor->entry);
    cl_state_done(&supervisor->state);
}

static inline int count_names(const char *prefix)
{
    char path[64];
    int count = 0;

    (void)snprintf(path, sizeof(path), "%s/bells", base);
    DIR *bells = opendir(path);
    CHECK(bells != NULL);
    for (const struct dirent *entry; bells != NULL && (entry = readdir(bells)) != NULL;)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (bells != NULL)
        (void)closedir(bells);
    return count;
}

static inline int count_clients(void)
{
    return count_names("client-");
}

static inline int wait_for_ring(const struct supervisor *supervisor)
{
    struct pollfd wait = {.fd = supervisor->bell, .events = POLLIN};

    return poll(&wait, 1, 5000) == 1;
}

/* The entry as another process finds it: with a table of its own opening, since locks are
 * an opening's. */
static inline struct cl_entry find(struct supervisor *supervisor)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_found found = CL_FOUND_INIT;
    struct cl_error err = {0};

    CHECK(cl_state_find(&supervisor->state, supervisor->entry.id, &arena, &found, &err) == 0);
    return found.entry;
}

static inline int answer_of(pid_t child)
{
    int status = 0;

    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static inline int run_in_base(const struct check_test *tests, size_t count)
{
    if (mkdtemp(base) == NULL)
        return 99;
    int failed = check_run(tests, count);
    int dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)unlinkat(dir, "bells/0", 0);
    (void)unlinkat(dir, "bells", AT_REMOVEDIR);
    (void)unlinkat(dir, "table", 0);
    (void)close(dir);
    (void)rmdir(base);
    return failed;
}

#endif
