/* run: flags, policy and profile to one plan, and the plan to a sandbox. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "cmd/cloister/closed.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/detach.h"
#include "cmd/cloister/keep.h"
#include "cmd/cloister/run_options.h"
#include "cmd/cloister/run_plan.h"
#include "base/seal.h"
#include "cmd/cloister/streams.h"
#include "sandbox/result_file.h"
#include "sandbox/sandbox.h"
#include "sandbox/sweep.h"

enum { ARENA_MAX = 64 << 20, MESSAGE_MAX = 8192 };

/* What others left behind, when our own work is done, by the CALLER whose it is: who could
 * not become root again after the clone looks like an ordinary user, with another state
 * directory. A failure is prune's to tell. */
__attribute__((noinline)) /* its state must not lie in its caller's frame */
static void
sweep(uid_t caller)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error ignored = {0};

    if (geteuid() == caller && cl_state_open(&state, &ignored) == 0)
        (void)cl_sweep_seldom(&state, &ignored);
}

/* The line about an end that was not the command's own. */
static void say(const struct cl_run_request *request, int status, const char *message)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MESSAGE_MAX);
    struct cl_json json;

    if (message[0] == '\0')
        return;
    if (!request->format_json) {
        (void)fprintf(stderr, "cloister: %s\n", message); /* as in decide */
        return;
    }
    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_json_i64(&json, "exit", status);
    cl_json_string(&json, "message", message);
    cl_json_close(&json, '}');
    if (cl_json_end(&json) == 0)
        (void)fputs(buf.data, stderr); /* as in decide */
}

/* What a closed directory has to do with a run that ended with STATUS: nothing for sure,
 * so it is said only where no other reason is known, or as a hint to "permission denied". */
static void hint_at_closed(const char *hint, int status, struct cl_error *err)
{
    if (status == 0 || hint[0] == '\0')
        return;
    if (status > 0 && status < CL_EXIT_FAILED && err->msg[0] == '\0')
        (void)cl_refuse(err, EACCES, "%s", hint);
    else if (err->code == EACCES)
        (void)cl_hint(err, "%s", hint);
}

/* main's: the program's name stands before the command's. */
static char *const *whole(char *const argv[])
{
    return argv - 1;
}

/* From the words to a request. 0, CL_HELP_SHOWN, or -errno. */
static int settle(const struct cl_command *self, int argc, char *const argv[],
                  struct cl_run_request *request, struct cl_error *err)
{
    int first = cl_command_parse(self, argc, argv, request, err);

    if (first < 0)
        return first;
    int r = cl_run_request_finish(request, argc - first, argv + first, err);
    /* help and a wrong line need no copy of us */
    return r < 0 ? r : cl_seal_self(whole(argv), err);
}

int cl_run_command(const struct cl_command *self, int argc, char *const argv[],
                   struct cl_error *err)
{
    struct cl_arena_storage storage; /* an ordinary start allocates nothing */
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT_IN(ARENA_MAX, &storage);
    struct cl_run_request request = CL_RUN_REQUEST_INIT(&arena);
    struct cl_plan plan = {0};
    char closed[CL_ERROR_MSG_SIZE];
    CL_CLEANUP_RUN_HELD struct cl_run_held held = CL_RUN_HELD_INIT; /* the supervisor's */
    CL_CLEANUP_STREAMS struct cl_streams streams = CL_STREAMS_INIT;
    const uid_t caller = geteuid();
    int r = settle(self, argc, argv, &request, err);

    if (r == 0)
        r = cl_streams_open(&request, &streams, err);
    if (r == 0)
        r = cl_run_plan(&request, NULL, &plan, &held, err);
    if (r < 0 && r != CL_HELP_SHOWN && request.result_path != NULL)
        cl_result_file_refuse(request.result_path, &request.flags, err);
    if (r < 0)
        return r;
    const struct cl_run_options options = {
        .result_path = request.result_path,
        .argv = whole(argv),
        .argc = argc + 1,
        .streams = streams.fds,
        .image = cl_run_module_file(&held.module),
        .errands = cl_run_copies_plan(&request.copies),
    };
    cl_closed_explain(&plan, closed, sizeof(closed)); /* afterwards it may not look */
    if (plan.detach)
        r = cl_detach(&plan, &options, held.lock, err);
    else
        r = plan.keep ? cl_keep(&plan, &options, held.lock, err)
                      : cl_sandbox_run(&plan, &options, err);
    hint_at_closed(closed, r, err);
    if (r >= 0)
        say(&request, r, err->msg);
    if (r < 0)
        sweep(caller); /* a sandbox that stood has looked itself, off its start path */
    return r;
}
