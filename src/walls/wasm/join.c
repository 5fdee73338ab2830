#include "walls/wasm/join.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/wasm/stand_in.h"

_Static_assert((int)CL_CONTROLLER_COUNT <= (int)CL_ORDER_MAX_GROUPS, "an order has room for them");

/* Descriptors of both; one end of each is the supervisor's. */
struct lines {
    int channel[2];
    int words[2];
};
#define LINES_INIT ((struct lines){{-1, -1}, {-1, -1}})
#define CL_CLEANUP_LINES CL_CLEANUP(lines_done)

static void lines_done(struct lines *lines)
{
    for (size_t i = 0; i < 2; i++) {
        cl_fd_close(&lines->channel[i]);
        cl_fd_close(&lines->words[i]);
    }
}

static int make_lines(struct lines *ret, struct cl_error *err)
{
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ret->channel);

    if (r == 0)
        r = cl_sys_socketpair(SOCK_SEQPACKET, ret->words);
    if (r == 0)
        r = cl_sys_fcntl(ret->words[0], F_SETFL, O_NONBLOCK);
    return r < 0 ? cl_fail(err, r, "make the lines to the module's stand-in") : 0;
}

/* Whoever waits for the end of what the supervisor has open must not wait for it, too. Its own end
 * by the supervisor's is asked for before that is looked for. */
CL_NORETURN static void become(struct cl_stand_in *stand_in, pid_t supervisor)
{
    const struct cl_wall_start *start = stand_in->start;
    const int held[] = {stand_in->channel, stand_in->line,  start->worker,  start->image,
                        start->stdio[0],   start->stdio[1], start->stdio[2]};

    if (cl_fd_close_others(held, CL_ARRAY_SIZE(held)) < 0 ||
        cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != supervisor)
        _exit(1);
    cl_stand_in_run(stand_in);
}

int cl_wasm_join(const struct cl_wall_start *start, struct cl_wall_process *ret,
                 struct cl_error *err)
{
    CL_CLEANUP_LINES struct lines lines = LINES_INIT;
    const pid_t supervisor = getpid();
    void *page = NULL;
    int pidfd = -1;
    struct cl_clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    int r = make_lines(&lines, err);

    if (r < 0)
        return r;
    r = cl_sys_mmap_shared(sizeof(struct cl_report), &page);
    if (r < 0)
        return cl_fail(err, r, "map the report page");
    struct cl_stand_in stand_in = {
        .start = start, .report = page, .channel = lines.channel[1], .line = lines.words[1]};
    if (start->cgroup >= 0) {
        args.flags |= CL_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)start->cgroup;
    }
    const pid_t pid = cl_sys_clone3(&args);
    if (pid == 0)
        become(&stand_in, supervisor);
    *ret = (struct cl_wall_process){.pidfd = pidfd,
                                    .pid = pid,
                                    .channel = CL_TAKE_FD(lines.channel[0]),
                                    .report = page,
                                    .userns = -1,
                                    .plan = start->plan,
                                    .pasta = CL_PASTA_INIT,
                                    .line = CL_TAKE_FD(lines.words[0]),
                                    .scratch = -1,
                                    .terminal = -1,
                                    .is_joined = 1};
    if (pid > 0)
        return 0;
    ret->pid = 0;
    cl_wall_wasm.done(ret);
    return cl_fail(err, pid, "make the module's stand-in");
}

/* With FD, unless that is -1. */
static int give_order(const struct cl_wall_process *process, const struct cl_stand_in_order *order,
                      int fd)
{
    const struct cl_packet packet = {.data = cl_unconst(order),
                                     .size = sizeof(*order),
                                     .fds = {fd},
                                     .fd_count = fd >= 0 ? 1 : 0};

    return cl_channel_send(process->channel, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int cl_wasm_join_release(struct cl_wall_process *process, const struct cl_limits *limits,
                         struct cl_error *err)
{
    struct cl_stand_in_order order = {.kind = CL_STAND_IN_BEGIN};
    struct cl_packet packet = {.data = &order, .size = sizeof(order)};
    int r = limits == NULL ? 0 : cl_limits_open_doors(limits, packet.fds, err);

    if (r < 0)
        return r;
    packet.fd_count = (size_t)r;
    r = cl_channel_send(process->channel, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (size_t i = 0; i < packet.fd_count; i++)
        cl_fd_close(&packet.fds[i]);
    return r < 0 ? cl_fail(err, r, "let the module begin") : 0;
}

int cl_wasm_join_signal(struct cl_wall_process *process, int signal, struct cl_error *err)
{
    const struct cl_stand_in_order order = {.kind = CL_STAND_IN_SIGNAL, .value = signal};
    int r = give_order(process, &order, -1);

    return r < 0 ? cl_fail(err, r, "send signal %d to the module", signal) : 0;
}

int cl_wasm_join_pause(struct cl_wall_process *process, int is_paused, struct cl_error *err)
{
    const struct cl_stand_in_order order = {.kind = CL_STAND_IN_PAUSE, .value = is_paused};
    int r = give_order(process, &order, -1);

    return r < 0 ? cl_fail(err, r, "%s the module", is_paused ? "pause" : "unpause") : 0;
}

int cl_wasm_join_tell(struct cl_wall_process *process, const struct cl_wall_told *told, int client,
                      struct cl_error *err)
{
    const struct cl_stand_in_order order = {.kind = CL_STAND_IN_TELL, .told = *told};
    int r = give_order(process, &order, client);

    return r < 0 ? cl_fail(err, r, "ask what the module uses") : 0;
}

int cl_wasm_join_receive(struct cl_wall_process *process, CL_UNUSED struct cl_error *err)
{
    char word;

    if (cl_sys_recv(process->channel, &word, sizeof(word), MSG_DONTWAIT) == sizeof(word))
        process->is_started = 1;
    return 0;
}
