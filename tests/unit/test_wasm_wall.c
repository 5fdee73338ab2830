/* The wasm wall's own part: what it refuses, and what it makes of a worker's words. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "worker/orders.h"
#include "walls/session.h"
#include "walls/wall.h"
#include "check.h"

static struct cl_plan module_plan(void)
{
    static const char *const words[] = {"guest.wasm"};

    struct cl_plan plan = {
        .wall = CL_WALL_WASM,
        .profile = CL_PROFILE_STRICT,
        .image_kind = CL_IMAGE_MODULE,
        .image = "guest.wasm",
        .workdir = "/",
        .hostname = "inside",
        .uid = 1000,
        .gid = 1000,
        .command = {words, 1},
        .limits = {.memory_bytes = 64 << 20, .disk_bytes = 8 << 20, .open_files = 64},
    };

    cl_plan_mark(&plan, CL_FIELD_IMAGE_KIND); /* the value alone sets nothing */
    return plan;
}

TEST(is_in_the_table_by_its_name)
{
    const struct cl_wall *wall = cl_wall_get(CL_WALL_WASM);

    CHECK(wall == &cl_wall_wasm && strcmp(wall->name, "wasm") == 0);
}

TEST(what_is_for_programs_of_the_kernel_is_refused)
{
    struct cl_plan plan = module_plan();
    struct cl_error err = {0};

    CHECK(cl_wall_wasm.check(&plan, &err) == 0);
    plan.image_kind = CL_IMAGE_MODULES;
    CHECK(cl_wall_wasm.check(&plan, &err) == 0);
    plan.image_kind = CL_IMAGE_ROOTFS;
    CHECK(cl_wall_wasm.check(&plan, &err) == -EINVAL);
    CHECK_HAS(err.msg, "no WebAssembly module");
    plan = module_plan();
    plan.profile = CL_PROFILE_BUILD;
    CHECK(cl_wall_wasm.check(&plan, &err) == -EINVAL);
    CHECK_HAS(err.msg, "the profile build gives root");
    plan = module_plan();
    plan.network = CL_NETWORK_OUTBOUND;
    CHECK(cl_wall_wasm.check(&plan, &err) == -EINVAL);
    CHECK_HAS(err.msg, "--network outbound");
    plan.image_component =
        1; /* which has a use for it: the container's wall says whether it can be */
    err = (struct cl_error){0};
    (void)cl_wall_wasm.check(&plan, &err);
    CHECK(strstr(err.msg, "preview 1") == NULL);
    plan = module_plan();
    cl_plan_mark(&plan, CL_FIELD_SECCOMP);
    CHECK(cl_wall_wasm.check(&plan, &err) == -EINVAL);
    CHECK_HAS(err.msg, "--seccomp");
    plan = module_plan();
    plan.uid = 70000; /* what the container around it refuses */
    CHECK(cl_wall_wasm.check(&plan, &err) == -EINVAL);
}

/* What EXPLAIN makes of SIZE bytes that a worker wrote. */
static struct cl_error heard(const void *bytes, size_t size)
{
    const struct cl_plan plan = module_plan();
    struct cl_wall_process process = {.line = -1, .plan = &plan};
    struct cl_error err = {0};
    int line[2];

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, line) == 0);
    process.line = line[0];
    if (size > 0)
        CHECK(write(line[1], bytes, size) == (ssize_t)size);
    cl_wall_wasm.explain(&process, &err);
    cl_fd_close(&line[0]);
    cl_fd_close(&line[1]);
    return err;
}

TEST(a_workers_words_are_foreign_bytes)
{
    struct cl_worker_words words = {.version = CL_WORKER_VERSION, .message = "trap: x"};
    struct cl_error err = heard(&words, sizeof(words));

    CHECK(err.code == ECANCELED && strcmp(err.msg, "trap: x") == 0);
    (void)snprintf(words.message, sizeof(words.message), "a\033[31m\nb");
    err = heard(&words, sizeof(words));
    CHECK(err.msg[0] == 'a' && strchr(err.msg, '\033') == NULL && strchr(err.msg, '\n') == NULL);
    memset(words.message, 'x', sizeof(words.message)); /* no end */
    err = heard(&words, sizeof(words));
    CHECK(strlen(err.msg) == sizeof(words.message) - 1);
    CHECK(heard(NULL, 0).msg[0] == '\0'); /* and nobody waits */
}

/* As one that was built before or after us. */
TEST(words_of_another_version_are_told_as_that)
{
    struct cl_worker_words words = {.version = CL_WORKER_VERSION + 1, .message = "trap: x"};

    CHECK_HAS(heard(&words, sizeof(words)).msg, "cloister-wasm, is of another version");
    words.version = CL_WORKER_VERSION;
    CHECK_HAS(heard(&words, sizeof(words) - 1).msg, "another version");
    CHECK_HAS(heard(&words, 1).msg, "make wasm");
}

TEST(no_program_but_files_go_in)
{
    struct cl_wall_process process = {.line = -1};
    const struct cl_exec_request request = {.version = CL_EXEC_VERSION, .flags = CL_EXEC_STDOUT};
    struct cl_error err = {0};

    CHECK(cl_wall_wasm.exec(&process, &request, NULL, &err) == -ENOTSUP);
    CHECK_HAS(err.msg, "no other program");
}

TEST(who_has_cgroups_has_nobody_tell)
{
    struct cl_wall_process process = {.line = -1, .channel = -1};
    const struct cl_wall_told told = {0};
    struct cl_error err = {0};

    CHECK(cl_wall_wasm.tell(&process, &told, STDIN_FILENO, &err) == -ENOTSUP);
    process.is_joined = 1; /* and whose stand-in has gone can't */
    CHECK(cl_wall_wasm.tell(&process, &told, STDIN_FILENO, &err) == -EBADF);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(is_in_the_table_by_its_name),       ROW(what_is_for_programs_of_the_kernel_is_refused),
        ROW(a_workers_words_are_foreign_bytes), ROW(words_of_another_version_are_told_as_that),
        ROW(no_program_but_files_go_in),        ROW(who_has_cgroups_has_nobody_tell),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
